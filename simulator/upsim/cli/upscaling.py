"""One model of the demo: hand in the clip, submit, poll, download, measure what came."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx

from upsim.client.adapter import File, Order, Price, Progress, Submitted
from upsim.client.exceptions import ClientError, RefusedError
from upsim.client.session import AsyncSession
from upsim.core.baseline import Model
from upsim.core.media import Measured, Media
from upsim.core.outputs import output_plan, output_size
from upsim.core.pricing import Quote, plain, quote
from upsim.core.terms import measures
from upsim.engine.clock import monotonic
from upsim.media.clip import CONTENT_TYPES
from upsim.media.probe import measure_file

POLL_SECONDS = 0.1
CLIENT_ERRORS = range(400, 500)

Verdict = Literal["running", "done", "refused", "unsuccessful", "failed"]


@dataclass(frozen=True, slots=True)
class Clip:
    """The input: its bytes, and what it was measured to be."""

    file: File
    measured: Measured

    @property
    def media(self) -> Media | None:
        """The properties, when it is a video."""
        return self.measured if isinstance(self.measured, Media) else None


@dataclass(slots=True)
class Run:
    """How far one model is, and what came of it.

    `states` are the provider's own words in the order in which they were seen. `refused` is a
    rule of the provider that the clip breaks, told at once; `unsuccessful` is a job that was
    accepted and that the provider then ended with an error of its own. Everything else that is
    not `done` is a failure.
    """

    provider: str
    model: Model
    to: Path
    activity: str = "starting"
    states: list[str] = field(default_factory=list)
    price: Price | None = None
    billed: str = ""
    output: Media | None = None
    seconds: float = 0.0
    verdict: Verdict = "running"
    problem: str = ""
    job: str = ""
    refunded: bool = False

    @property
    def label(self) -> str:
        """Provider and model."""
        return f"{self.provider} {self.model.id}"

    @property
    def outcome(self) -> str:
        """What came of it, in a word or two."""
        if self.verdict != "unsuccessful":
            return self.verdict
        return "failed (refunded)" if self.refunded else "failed (not refunded)"

    @property
    def options(self) -> dict[str, str]:
        """The defaults of the provider's own page."""
        return {option.name: option.default for option in self.model.options.values()}


Watch = Callable[[Run], None]
"""Called whenever a run has got somewhere."""


def read_clip(path: Path) -> Clip:
    """Read and measure a file."""
    measured = measure_file(path)
    container = measured.container if isinstance(measured, Media) else "other"
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    content_type = {str(name): kind for name, kind in CONTENT_TYPES.items()}.get(container, guessed)
    return Clip(File(path.name, content_type, path.read_bytes()), measured)


async def upscale(run: Run, clip: Clip, session: AsyncSession, watch: Watch) -> None:
    """Take the clip through one model; what happens is noted on the run."""
    started = monotonic()
    run.to.unlink(missing_ok=True)
    try:
        await _through(run, clip, session, watch)
    except RefusedError as error:
        rule = not run.states and error.status in CLIENT_ERRORS
        run.verdict, run.problem = "refused" if rule else "failed", str(error)
    except (ClientError, httpx.HTTPError, OSError) as error:
        run.verdict, run.problem = "failed", f"{type(error).__name__}: {error}"
    run.seconds = monotonic() - started
    run.activity = run.verdict if run.verdict != "unsuccessful" else "failed"
    watch(run)


async def _through(run: Run, clip: Clip, session: AsyncSession, watch: Watch) -> None:
    _note(run, "uploading", watch)
    source = await session.upload(clip.file)
    _note(run, "submitting", watch)
    job = await session.submit(Order(run.model.id, source, run.options))
    run.job = job.job
    _take_price(run, job, clip)
    if job.status is not None:
        _saw(run, job.status, watch)
    progress = await _until_ended(run, job, session, watch)
    if progress.output is None:
        run.verdict = "unsuccessful" if progress.error else "failed"
        run.problem = progress.error or "there is no output"
        return
    _note(run, "downloading", watch)
    await session.download(progress.output, run.to)
    _judge(run, clip, await asyncio.to_thread(measure_file, run.to))


async def _until_ended(run: Run, job: Submitted, session: AsyncSession, watch: Watch) -> Progress:
    while True:
        progress = await session.poll(job)
        _saw(run, progress.status, watch)
        if progress.ended:
            return progress
        await asyncio.sleep(POLL_SECONDS)  # noqa: TID251 - a client waits in real time


def _note(run: Run, activity: str, watch: Watch) -> None:
    run.activity = activity
    watch(run)


def _saw(run: Run, status: str, watch: Watch) -> None:
    if not run.states or run.states[-1] != status:
        run.states.append(status)
        _note(run, status, watch)


def _take_price(run: Run, job: Submitted, clip: Clip) -> None:
    """The price as the provider tells it; what was counted, by it or by its price rule."""
    run.price = job.price
    rule = run.model.billing
    counted = job.billed
    if counted is None and clip.media is not None:
        counted = quoted(run.model, clip.media, run.options).quantity
    run.billed = "" if counted is None else f"{plain(counted)} {rule.quantity.of}"


def quoted(model: Model, media: Media, options: dict[str, str]) -> Quote:
    """What the model's price rule says of this video."""
    output = output_plan(model.output, media, options)
    return quote(model.billing, measures(media, options, output))


def _judge(run: Run, clip: Clip, found: Measured) -> None:
    """Done is an output that has the promised size."""
    if not isinstance(found, Media):
        run.verdict, run.problem = "failed", f"the output cannot be measured: {found.detail}"
        return
    run.output = found
    media = clip.media
    promised = output_size(run.model.output, media, run.options) if media else None
    if promised is not None and promised != (found.width, found.height):
        width, height = promised
        run.verdict, run.problem = "failed", f"the output should be {width}x{height}"
        return
    run.verdict = "done"
