"""The demo's output: a live table on a terminal, plain lines in a pipe, and the final table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Self

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from upsim.cli.demo_run import DemoClip, DemoRun, Verdict
from upsim.client.results import Money
from upsim.core.media import Media
from upsim.core.numbers import counted
from upsim.core.pricing import plain
from upsim.engine.clock import monotonic

HEADINGS = ("model", "input", "output", "billed", "price", "time", "states")
WIDE = 10_000
"""Width of a pipe unless COLUMNS sets one: output to a pipe is not wrapped."""
STYLES: dict[Verdict, str] = {
    "running": "",
    "done": "green",
    "refused": "yellow",
    "unsuccessful": "yellow",
    "failed": "bold red",
}
MARKS = {"USD": "$"}


class DemoOutput:
    """Shows the progress of each run until the block ends."""

    def __init__(self, console: Console, runs: Sequence[DemoRun]) -> None:
        """Show a live table on a terminal, or one line for every change elsewhere."""
        self._console = console
        self._runs = runs
        self._started = monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Start to show progress."""
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._table, console=self._console, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the live table; the final table replaces it."""
        if self._live is not None:
            self._live.stop()

    def changed(self, run: DemoRun) -> None:
        """Show a new activity of a run."""
        if self._live is None:
            passed = monotonic() - self._started
            line = f"{passed:6.2f} s  {run.label}: {run.activity}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=SIMPLE, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="ellipsis", no_wrap=True)
        for run in self._runs:
            table.add_row(run.label, Text(run.activity, STYLES[run.verdict]))
        return table


def print_results(console: Console, clip: DemoClip, runs: Sequence[DemoRun]) -> None:
    """Print one table of all runs, or a block for each run on a narrow terminal."""
    table = _results(clip, runs)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = WIDE
    unbounded = console.options.update(max_width=WIDE)
    if Measurement.get(console, unbounded, table).maximum <= console.width:
        console.print(table)
    else:
        console.print(_blocks(clip, runs))


def _results(clip: DemoClip, runs: Sequence[DemoRun]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    for run in runs:
        table.add_row(*_cells(clip, run))
    return table


def _blocks(clip: DemoClip, runs: Sequence[DemoRun]) -> Group:
    parts: list[Text | Padding] = []
    for run in runs:
        cells = _cells(clip, run)
        parts.append(Text.assemble((str(cells[0]), "bold")))
        for heading, cell in zip(HEADINGS[1:], cells[1:], strict=True):
            if cell:
                parts.append(Padding(Text.assemble(f"{heading:7}", cell), (0, 0, 0, 2)))
    return Group(*parts)


def _cells(clip: DemoClip, run: DemoRun) -> tuple[Text, ...]:
    last = " → ".join(run.states)
    if run.problem:
        last = f"{last}{': ' if last else ''}{run.outcome}: {run.problem}"
    return (
        Text(run.label),
        Text(video_text(clip.media)),
        Text(video_text(run.output), STYLES[run.verdict]),
        Text(run.billed),
        Text(price_text(run.price, run.model.billing.unit_per)),
        Text(f"{run.seconds:.1f} s"),
        Text(last, STYLES[run.verdict]),
    )


def video_text(media: Media | None) -> str:
    """Return size, frame rate and duration of a video as text."""
    if media is None:
        return ""
    rate = plain(round(Decimal(media.frame_rate.numerator) / media.frame_rate.denominator, 3))
    return f"{media.width}x{media.height} {rate} fps {plain(media.seconds)} s"


def price_text(price: Money | None, per_dollar: Decimal = Decimal(1)) -> str:
    """Return an amount with its unit; a unit other than the dollar follows its dollar value."""
    if price is None:
        return ""
    amount = f"{plain(price.amount):,f}"
    if price.unit in MARKS:
        return f"{MARKS[price.unit]}{_with_cents(amount)}"
    text = counted(amount, price.unit)
    if per_dollar == 1:
        return text
    dollars = _with_cents(f"{plain(price.amount / per_dollar):,f}")
    return f"{MARKS['USD']}{dollars} ({text})"


def _with_cents(amount: str) -> str:
    whole, _, places = amount.partition(".")
    return f"{whole}.{places:0<2}"
