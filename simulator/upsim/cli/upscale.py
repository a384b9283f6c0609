"""`upsim upscale`: upscale one video with one model, simulated or live."""

from __future__ import annotations

import json
import shlex
import sys
import warnings
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import click

from upsim.cli.demo_output import price_text, video_text
from upsim.cli.model_arguments import check_source, is_elsewhere, settings_of
from upsim.cli.option_types import (
    MODEL,
    SCENARIO,
    Amount,
    DurationType,
    Setting,
    WholeNumber,
    target_url,
)
from upsim.cli.progress_bar import ProgressBar, amount_of
from upsim.cli.upscale_targets import (
    LIVE,
    SIM,
    CommandTarget,
    ConnectedTarget,
    cause_of_refusal,
    client_for,
)
from upsim.client.clients import Client, UpscaleOptions
from upsim.client.exceptions import (
    ClientError,
    JobFailedError,
    OutcomeUnknownError,
    OverchargedError,
    OverchargedWarning,
    RefusedError,
    WaitTimeoutError,
)
from upsim.client.models import ModelInfo, find_model
from upsim.client.results import Download, Job, Money
from upsim.client.video_input import is_source
from upsim.core.media import Media
from upsim.core.pricing import plain
from upsim.media.probe import measure_file

FINDING = 1
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus the signal number."""


@click.command("upscale")
@click.argument("source", required=False, metavar="[FILE|URL]")
@click.option(
    "--model", type=MODEL, required=True, help="Model, for example venice or video-upscaler."
)
@click.option(
    "--to",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Output file; replaces an existing file, but never the source, nor any with --job.",
)
@click.option(
    "--target",
    default=SIM,
    show_default=True,
    callback=target_url,
    help="sim (in this process), server (the one at UPSIM_URL, else on port 4747), the URL of a "
    "simulator, or live.",
)
@click.option(
    "--cap",
    type=Amount(),
    help="Maximum to spend, in the provider's unit. Required with --target live.",
)
@click.option(
    "--api-key", help="API key. Default: <PROVIDER>_API_KEY; a simulator accepts any key."
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
@click.option("--job", "job_id", help="Resume this job instead of submitting FILE.")
@click.option(
    "--timeout",
    type=DurationType(minimum="1", maximum="1000000"),
    default="1h",
    show_default=True,
    help="Maximum duration of the job.",
)
@click.option("--scenario", type=SCENARIO, help="Scenario of the target sim: a name or a path.")
@click.option(
    "--render",
    type=click.Choice(["synthetic", "resample"]),
    help="Frames of the target sim: generated, or resampled from the video.  [default: synthetic]",
)
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def command(  # noqa: PLR0913 - one argument for each option
    *,
    source: str | None,
    model: str,
    to: Path,
    target: str,
    cap: Decimal | None,
    api_key: str | None,
    target_height: int | None,
    factor: int | None,
    settings: tuple[tuple[str, str], ...],
    job_id: str | None,
    timeout: Decimal,
    scenario: str | None,
    render: str | None,
    quiet: bool,
    as_data: bool,
) -> None:
    """Upscale a video with one model, then print the output's properties and the charge.

    The target `sim` costs nothing and takes no time; its outputs have the promised size and
    generated frames. The target `live` charges your account: upsim asks for the price first and
    submits only within --cap.
    Exit codes: 0 file written, 1 refused or failed, 2 usage error (nothing was sent).
    """
    known = find_model(model)
    _check_one_of(source, job_id)
    if target == LIVE and cap is None:
        raise click.UsageError("--target live spends money: set the maximum with --cap")
    if target != SIM and (scenario or render):
        raise click.UsageError("--scenario and --render work only with --target sim")
    if target == SIM and job_id is not None:
        raise click.UsageError(
            "--job needs --target: the default simulator ends with this command, "
            "so no earlier job exists"
        )
    if target_height is not None and factor is not None:
        raise click.UsageError("use either --target-height or --factor, not both")
    if source is not None:
        check_source(source)
    _must_be_writable(to, source)
    wishes: UpscaleOptions = {
        "target_height": target_height,
        "factor": factor,
        "options": dict(settings_of(settings, [known.name])),
    }
    where = CommandTarget(target, api_key, cap, float(timeout), scenario, render or "synthetic")
    order = _Order(known, source, job_id, to, wishes, where)
    with ProgressBar(to, shown=not (quiet or as_data)) as gauge:
        outcome = _carried_out(order, gauge)
    if target == SIM and source is not None and is_elsewhere(source):
        provider = known.baseline.title
        click.echo(
            f"upsim: {source[:200]} was not downloaded; {provider}'s default clip was used instead",
            err=True,
        )
    if isinstance(outcome, _Done):
        click.echo(outcome.document if as_data else outcome.text)
        return
    if as_data:
        click.echo(outcome.document)
    click.echo(f"upsim: {outcome.text}", err=True)
    sys.exit(outcome.code)


def _check_one_of(source: str | None, job_id: str | None) -> None:
    if source is not None and job_id is not None:
        raise click.UsageError("use either FILE or --job: a job already has its video")
    if source is None and job_id is None:
        raise click.UsageError("name a FILE or URL, or resume a job with --job")


@dataclass(frozen=True, slots=True)
class _Order:
    """The parsed arguments of the command."""

    known: ModelInfo
    source: str | None
    job_id: str | None
    to: Path
    wishes: UpscaleOptions
    target: CommandTarget


@dataclass(frozen=True, slots=True)
class _Done:
    """A successful result: the output file exists."""

    text: str
    document: str


@dataclass(frozen=True, slots=True)
class _Failed:
    """A failed result: no output file, and the reason."""

    text: str
    document: str
    code: int = FINDING


def _carried_out(order: _Order, gauge: ProgressBar) -> _Done | _Failed:
    job: Job | None = None
    with client_for(order.target, order.known, gauge.show_poll) as reached:
        client = reached.client
        try:
            if order.source is None:
                job = _job_of(order)
            else:
                gauge.show("handing in")
                job = _submit(order, client)
            gauge.show(job.status or "waiting")
            progress = client.wait(job)
            gauge.show("downloading", "completed")
            file = client.download(progress, order.to)
            return _told(order, client, job, file)
        except (ClientError, OSError) as error:
            accepted = error.job if isinstance(error, OverchargedError) else job
            return _failure(order, reached, accepted, error)
        except KeyboardInterrupt:
            text = f"interrupted. {_known_of(order, client, job)}"
            return _Failed(text, _problem(order, client, job, "Interrupted", text), INTERRUPTED)


def _submit(order: _Order, client: Client) -> Job:
    """Submit the job. A charge above the quote is reported by the command itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverchargedWarning)
        return client.submit(order.source or "", **order.wishes)


def _job_of(order: _Order) -> Job:
    """Return a job that was submitted before."""
    provider = order.known.adapter.provider
    return Job(id=order.job_id or "", model=order.known.model.id, provider=provider)


def _told(order: _Order, client: Client, job: Job, file: Download) -> _Done:
    measured = measure_file(file.path)
    media = measured if isinstance(measured, Media) else None
    size = video_text(media) or "a file that cannot be measured"
    price = price_text(job.price, order.known.model.billing.unit_per)
    over = job.overcharge
    billed = "" if job.billed is None else f" ({plain(job.billed.quantity):f} {job.billed.of})"
    parts = [f"{file.path}: {size}, {amount_of(file.bytes)}"]
    parts += [f"{order.known.name} charged {price}{billed}"] if price else []
    parts += [f"that is {_price(over, order.known)} more than its quote"] if over else []
    parts += [f"job {job.id}"]
    found = _document(order, client, job) | {
        "file": str(file.path),
        "bytes": file.bytes,
        "resumed": file.resumed,
        "output": media
        and {
            "width": media.width,
            "height": media.height,
            "fps": str(media.frame_rate),
            "seconds": f"{plain(media.seconds):f}",
        },
    }
    return _Done("; ".join(parts), json.dumps(found, indent=2))


def _failure(
    order: _Order, reached: ConnectedTarget, job: Job | None, error: ClientError | OSError
) -> _Failed:
    client = reached.client
    reason = str(error)
    if isinstance(error, WaitTimeoutError) and not order.target.stays:
        reason = error.reached
    if isinstance(error, OSError) and not isinstance(error, ClientError):
        reason = f"{order.to} cannot be written: {error.strerror or error}"
    if job is None and "(ConnectError:" in reason and order.target.name != "live":
        reason += "; start a simulator with `upsim serve`, or name its URL with --target"
    told = isinstance(error, JobFailedError | OutcomeUnknownError) or order.source is None
    after = "" if job is None or told else f". {_known_of(order, client, job)}"
    name = type(error).__name__
    cause = _cause(reached, error)
    more = f"\nupsim: cause: {cause}" if cause else ""
    document = _problem(order, client, job=job, name=name, text=reason, error=error, cause=cause)
    return _Failed(f"{reason}{after}{more}", document)


def _cause(reached: ConnectedTarget, error: Exception) -> str | None:
    """Return why the simulator in this process refused; other targets have no readable journal."""
    if reached.sandbox is None or not isinstance(error, RefusedError) or error.status is None:
        return None
    return cause_of_refusal(reached.sandbox)


def _known_of(order: _Order, client: Client, job: Job | None) -> str:
    """Return the known facts about an interrupted job, and how to resume it."""
    if job is None:
        held = client.reserved
        most = f", at most {_price(held, order.known)}" if held.amount else ""
        return (
            f"If the job had been sent by then, it may have been accepted and charged{most}. "
            f"{order.known.adapter.lookup}"
        )
    price = f"charged {_price(job.price, order.known)}" if job.price else "charge not known"
    if not order.target.stays:
        return f"The job {job.id} ({price}) was simulated and ended with this command."
    again = ["upsim", "upscale", "--job", job.id, "--model", order.known.name]
    again += ["--to", str(order.to), "--target", order.target.name]
    again += [] if order.target.cap is None else ["--cap", f"{order.target.cap:f}"]
    return (
        f"The job {job.id} was accepted ({price}) and may still run. "
        f"To resume it: {shlex.join(again)}"
    )


def _price(price: Money, known: ModelInfo) -> str:
    return price_text(price, known.model.billing.unit_per)


def _document(order: _Order, client: Client, job: Job | None) -> dict[str, object]:
    price = None if job is None else job.price
    billed = None if job is None else job.billed
    quoted = None if job is None else job.quoted
    return {
        "model": order.known.name,
        "target": order.target.name,
        "job": None if job is None else job.id,
        "price": price and {"amount": f"{plain(price.amount):f}", "unit": price.unit},
        "quoted": quoted and {"amount": f"{plain(quoted.amount):f}", "unit": quoted.unit},
        "billed": billed and {"quantity": f"{plain(billed.quantity):f}", "of": billed.of},
        "spent": {"amount": f"{plain(client.spent.amount):f}", "unit": client.spent.unit},
    }


def _problem(
    order: _Order,
    client: Client,
    job: Job | None,
    name: str,
    text: str,
    error: Exception | None = None,
    cause: str | None = None,
) -> str:
    refused = error if isinstance(error, RefusedError) else None
    found = _document(order, client, job) | {
        "error": {
            "kind": name,
            "message": text,
            "cause": cause,
            "status": refused and refused.status,
            "code": refused and refused.code,
            "refunded": error.refunded if isinstance(error, JobFailedError) else None,
        }
    }
    return json.dumps(found, indent=2)


def _must_be_writable(to: Path, source: str | None) -> None:
    """Check, before anything is charged, that the output file can be written.

    Raises UsageError.
    """
    if is_source(source, to):
        raise click.UsageError(f"--to {str(to)[:200]!r} is the source itself: choose another file")
    part = to.with_name(f".{to.name}.part")
    try:
        if source is None and to.exists():
            problem = "already exists and may be the source of the job: choose another file"
            raise click.UsageError(f"--to {str(to)[:200]!r} {problem}")
        if to.exists() and not to.is_file():
            raise click.UsageError(f"--to {str(to)[:200]!r} is not a regular file")
        part.touch()
        part.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.UsageError(f"--to {str(to)[:200]!r} cannot be written: {reason}") from error
