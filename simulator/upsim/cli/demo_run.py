"""One model of the demo: send the clip, submit, poll, download and measure the output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from upsim.client.clients import AsyncClient
from upsim.client.exceptions import ClientError, JobFailedError, RefusedError
from upsim.client.polling_and_retries import Polling
from upsim.client.results import Money
from upsim.core.baseline import Model
from upsim.core.media import Measured, Media
from upsim.core.outputs import output_size
from upsim.engine.clock import monotonic
from upsim.media.probe import measure_file

POLLING = Polling(first=0.1, factor=1, most=0.1, jitter=0)
"""Seconds between polls; shorter than providers advise, because people watch a demo."""
CLIENT_ERRORS = range(400, 500)

Verdict = Literal["running", "done", "refused", "unsuccessful", "failed"]


@dataclass(frozen=True, slots=True)
class DemoClip:
    """The input file and its measured properties."""

    source: Path | bytes
    measured: Measured

    @property
    def media(self) -> Media | None:
        """The properties of the file if it is a video."""
        return self.measured if isinstance(self.measured, Media) else None


@dataclass(slots=True)
class DemoRun:
    """The progress and the result of one model.

    `states` are the provider's own status words in the order seen. `refused`: the clip breaks a
    rule of the provider, which refuses the submit. `unsuccessful`: the provider accepted the job
    and then ended it with an error. Any other outcome except `done` is a failure.
    """

    provider: str
    model: Model
    to: Path
    activity: str = "starting"
    states: list[str] = field(default_factory=list)
    price: Money | None = None
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
        """The result in one or two words."""
        if self.verdict != "unsuccessful":
            return self.verdict
        return "failed (refunded)" if self.refunded else "failed (not refunded)"

    @property
    def options(self) -> dict[str, str]:
        """The default options from the provider's own page."""
        return {option.name: option.default for option in self.model.options.values()}


Watch = Callable[[DemoRun], None]
"""Called whenever the activity of a run changes."""


def read_clip(path: Path) -> DemoClip:
    """Measure a file."""
    return DemoClip(path, measure_file(path))


async def upscale(run: DemoRun, clip: DemoClip, client: AsyncClient, watch: Watch) -> None:
    """Upscale the clip with one model; the results are stored on the run.

    The client must report its progress to `note_status`.
    """
    started = monotonic()
    run.to.unlink(missing_ok=True)
    try:
        await _through(run, clip, client, watch)
    except JobFailedError as error:
        run.verdict = "unsuccessful"
        run.problem = error.progress.error or "there is no output"
    except RefusedError as error:
        rule = not run.states and (error.status is None or error.status in CLIENT_ERRORS)
        run.verdict, run.problem = "refused" if rule else "failed", str(error)
    except (ClientError, OSError) as error:
        run.verdict, run.problem = "failed", f"{type(error).__name__}: {error}"
    run.seconds = monotonic() - started
    run.activity = run.verdict if run.verdict != "unsuccessful" else "failed"
    watch(run)


async def _through(run: DemoRun, clip: DemoClip, client: AsyncClient, watch: Watch) -> None:
    _note(run, "submitting", watch)
    job = await client.submit(clip.source)
    run.job, run.price = job.id, job.price
    run.billed = "" if job.billed is None else str(job.billed)
    if job.status is not None:
        note_status(run, job.status, watch)
    progress = await client.wait(job)
    _note(run, "downloading", watch)
    await client.download(progress, run.to)
    _judge(run, clip, await asyncio.to_thread(measure_file, run.to))


def _note(run: DemoRun, activity: str, watch: Watch) -> None:
    run.activity = activity
    watch(run)


def note_status(run: DemoRun, status: str, watch: Watch) -> None:
    """Record a status of the run's job, as the provider words it."""
    if not run.states or run.states[-1] != status:
        run.states.append(status)
        _note(run, status, watch)


def _judge(run: DemoRun, clip: DemoClip, found: Measured) -> None:
    """Mark the run as done if the output has the promised size."""
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
