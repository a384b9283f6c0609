"""`upsim quote`: the price of a video for each model, side by side, or the reason for a refusal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import get_args

import click
from rich.box import SIMPLE
from rich.console import Group
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from upsim.cli.demo_output import WIDE, price_text, video_text
from upsim.cli.escaped_console import EscapedConsole
from upsim.cli.model_arguments import check_source, settings_of
from upsim.cli.option_types import MODEL, DurationType, FrameRate, FrameSize, Setting, WholeNumber
from upsim.cli.quote_rows import (
    QuotedVideo,
    QuoteRow,
    UnfetchedError,
    described_video,
    quotes,
    video_at,
    video_of_file,
)
from upsim.client.clients import UpscaleOptions
from upsim.client.models import model_names
from upsim.core.media import MICROSECONDS, Container, Media, Unmeasurable
from upsim.core.pricing import plain
from upsim.media.output_limits import bounded

FINDING = 1
STYLES = {"priced": "", "refused": "yellow", "impossible": "dim"}
CLIP_LENGTH = DurationType(minimum="0.000001")


@click.command("quote")
@click.argument("source", required=False, metavar="[FILE|URL]")
@click.option("--duration", type=CLIP_LENGTH, help="Duration of the clip, if no file is given.")
@click.option("--size", type=FrameSize(), help="Width and height of the clip, if no file is given.")
@click.option(
    "--fps", type=FrameRate(), help="Frame rate of the clip, if no file is given.  [default: 30]"
)
@click.option(
    "--container",
    type=click.Choice(get_args(Container)),
    help="File format of the clip, if no file is given.  [default: mp4]",
)
@click.option(
    "--bytes",
    "length",
    type=WholeNumber(0, 2**62),
    help="File size of the clip, if no file is given.",
)
@click.option(
    "--model",
    "models",
    type=MODEL,
    multiple=True,
    help="Model, for example venice or upscale-v1; can be repeated.",
)
@click.option(
    "--target-height",
    type=WholeNumber(1, 100_000),
    help="Output height of the shorter side, for example 2160.",
)
@click.option("--factor", type=WholeNumber(1, 100), help="Scale factor for width and height.")
@click.option(
    "--option",
    "settings",
    type=Setting(),
    multiple=True,
    help="Provider-specific parameter; can be repeated.",
)
@click.option("--fetch", is_flag=True, help="Download a public URL to measure it.")
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def command(  # noqa: PLR0913 - one argument for each option
    *,
    source: str | None,
    duration: Decimal | None,
    size: tuple[int, int] | None,
    fps: Fraction | None,
    container: Container | None,
    length: int | None,
    models: tuple[str, ...],
    target_height: int | None,
    factor: int | None,
    settings: tuple[tuple[str, str], ...],
    fetch: bool,
    as_data: bool,
) -> None:
    """Show the price of a video for each model, or the provider's reason for refusing it.

    FILE is measured; to quote without a file, describe a clip with --duration and --size.
    Nothing is sent to a provider: a simulator in this process applies the published rules.
    Exit code 1 if no model accepts the video.
    """
    given = {"duration": duration, "size": size, "fps": fps, "container": container}
    if source is not None and any(value is not None for value in (*given.values(), length)):
        raise click.UsageError("use either FILE/URL or --duration, not both")
    if target_height is not None and factor is not None:
        raise click.UsageError("use either --target-height or --factor, not both")
    names = models or model_names()
    wishes: UpscaleOptions = {"target_height": target_height, "factor": factor}
    chosen = settings_of(settings, names)
    if source is None:
        if duration is None or size is None:
            raise click.UsageError("name a FILE or URL, or use both --duration and --size")
        media = _media(duration, size, fps or Fraction(30), container or "mp4", length or 0)
        within = bounded(media)
        if isinstance(within, Unmeasurable):
            raise click.UsageError(
                f"a clip with these properties is not supported: {within.detail}"
            )
        rows = list(quotes(described_video(media), names, wishes, chosen))
        _show(described_video(media), rows, as_data=as_data)
    else:
        with _video(source, fetch=fetch) as video:
            rows = list(quotes(video, names, wishes, chosen))
            _show(video, rows, as_data=as_data)
    sys.exit(0 if any(row.verdict == "priced" for row in rows) else FINDING)


def _media(
    duration: Decimal, size: tuple[int, int], fps: Fraction, container: Container, length: int
) -> Media:
    return Media(
        duration=int(duration * MICROSECONDS),
        frame_rate=fps,
        width=size[0],
        height=size[1],
        frames=max(1, round(Fraction(duration) * fps)),
        container=container,
        audio=True,
        size=length,
    )


@contextmanager
def _video(source: str, *, fetch: bool) -> Iterator[QuotedVideo]:
    path = check_source(source)
    if path is not None:
        yield video_of_file(path)
        return
    try:
        with video_at(source, fetch=fetch) as video:
            yield video
    except UnfetchedError as error:
        raise click.UsageError(str(error)) from error


def _show(video: QuotedVideo, rows: Sequence[QuoteRow], *, as_data: bool) -> None:
    if as_data:
        found = {"video": _video_data(video), "models": [_data(row) for row in rows]}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = EscapedConsole()
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = WIDE
    console.print(_title(video), soft_wrap=True, markup=False)
    table = _table(rows)
    unbounded = console.options.update(max_width=WIDE)
    wide = Measurement.get(console, unbounded, table).maximum
    console.print(table if wide <= console.width else _blocks(rows))


def _title(video: QuotedVideo) -> str:
    found = video.found
    text = found.detail if isinstance(found, Unmeasurable) else video_text(found)
    return f"{video.name or 'a clip'}: {text}"


def _table(rows: Sequence[QuoteRow]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("model", "price", "billed", "output"):
        table.add_column(heading, no_wrap=True)
    table.add_column("")
    for row in rows:
        table.add_row(Text(row.model), *_cells(row))
    return table


def _blocks(rows: Sequence[QuoteRow]) -> Group:
    """Return a block for each model, for terminals that are too narrow for the table."""
    parts: list[Text | Padding] = []
    for row in rows:
        *cells, words = _cells(row)
        parts.append(Text(row.model, "bold"))
        parts.append(Padding(Text("  ").join(cell for cell in cells if cell), (0, 0, 0, 2)))
        parts.append(Padding(words, (0, 0, 0, 2)))
    return Group(*parts)


def _cells(row: QuoteRow) -> tuple[Text, ...]:
    """Return the cells of a row: price, quantity, size, and formula or reason."""
    billed = f"{plain(row.billed.quantity):,f} {row.billed.of}" if row.billed else ""
    price = price_text(row.price, row.per_dollar) or row.verdict
    size = "" if row.output is None else str(row.output)
    return tuple(Text(cell, STYLES[row.verdict]) for cell in (price, billed, size, _words(row)))


def _words(row: QuoteRow) -> str:
    """Return the formula of a price, or the reason of a refusal with its status and code."""
    if row.verdict == "priced":
        return row.formula
    told = " ".join(filter(None, (str(row.status or ""), row.code, row.reason)))
    if not row.failing:
        return f"{told}\n{row.cause}" if row.cause else told
    after = "is refunded" if row.refunded else "is not refunded"
    return f"{told} (the job is accepted and fails; its charge {after})"


def _video_data(video: QuotedVideo) -> dict[str, object]:
    media = video.found
    if isinstance(media, Unmeasurable):
        return {"source": video.name, "problem": media.detail}
    return {
        "source": video.name,
        "seconds": str(plain(media.seconds)),
        "width": media.width,
        "height": media.height,
        "fps": str(media.frame_rate),
        "frames": media.frames,
        "container": media.container,
        "bytes": media.size,
    }


def _data(row: QuoteRow) -> dict[str, object]:
    price, billed, output = row.price, row.billed, row.output
    return {
        "model": row.model,
        "verdict": row.verdict,
        "price": price and {"amount": f"{plain(price.amount):f}", "unit": price.unit},
        "billed": billed and {"quantity": f"{plain(billed.quantity):f}", "of": billed.of},
        "output": output and {"width": output.width, "height": output.height},
        "formula": row.formula or None,
        "reason": row.reason or None,
        "cause": row.cause,
        "status": row.status,
        "code": row.code,
        "accepted_then_fails": row.failing,
        "refunded": row.refunded,
    }
