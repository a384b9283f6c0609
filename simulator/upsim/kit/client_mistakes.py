"""Check how a client has handled one order, and describe the first problem in a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upsim.core.numbers import counted
from upsim.core.states import UNSUCCESSFUL, JobState
from upsim.kit.client_sleep import RunawayError
from upsim.kit.clips import Clip
from upsim.kit.upscale_orders import Order
from upsim.testing.sandboxes import SandboxHandle

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The outcome of one call: the client's result or error, and the simulator's records.

    `disturbed` means that a fault was injected, so that the client may fail.
    """

    order: Order
    result: Any
    error: BaseException | None
    jobs: list[Json]
    charges: list[Json]
    exchanges: list[Json]
    disturbed: bool

    def in_state(self, *states: JobState) -> list[Json]:
        """Return the jobs of this call that are in one of these states."""
        return [job for job in self.jobs if job["state"] in states]

    @property
    def refusals(self) -> list[str]:
        """The catalogue entries by which requests of this call were refused."""
        return [found["refused_by"] for found in self.exchanges if found["refused_by"]]


def find_mistake(sandbox: SandboxHandle, outcome: CallOutcome) -> str:
    """Return the first problem of the call; empty if there is none."""
    return next((text for check in CHECKS for text in check(sandbox, outcome)), "")


def _ends(_sandbox: SandboxHandle, outcome: CallOutcome) -> Iterator[str]:
    if isinstance(outcome.error, RunawayError):
        states = ", ".join(f"{job['id']} {job['state']}" for job in outcome.jobs) or "no job"
        yield f"the client never ends: {outcome.error} ({states})"


def _pays_once(_sandbox: SandboxHandle, outcome: CallOutcome) -> Iterator[str]:
    if len(outcome.charges) > 1:
        amounts = " and ".join(
            f"{counted(e['amount'], e['unit'])} for {e['job']}" for e in outcome.charges
        )
        yield f"one order was charged {len(outcome.charges)} times: {amounts}"


def _tells_refusals(_sandbox: SandboxHandle, outcome: CallOutcome) -> Iterator[str]:
    if outcome.error is not None:
        return
    order = outcome.order
    if order.flaw:
        yield f"{order} must be refused, but the client raised nothing"
    elif not outcome.jobs:
        why = ", ".join(outcome.refusals) or "nothing was submitted"
        yield f"no job was accepted ({why}), but the client raised nothing"


def _tells_failures(_sandbox: SandboxHandle, outcome: CallOutcome) -> Iterator[str]:
    failed = outcome.in_state(*UNSUCCESSFUL)
    if failed and outcome.error is None and not outcome.in_state(JobState.COMPLETED):
        yield f"job {failed[0]['id']} {failed[0]['state']}, but the client raised nothing"


def _gives_whole_files(sandbox: SandboxHandle, outcome: CallOutcome) -> Iterator[str]:
    if outcome.error is not None:
        return
    found = _size(outcome.result)
    if found is None:
        yield f"upscale must return bytes, a path or an object with a path, not {outcome.result!r}"
        return
    completed = outcome.in_state(JobState.COMPLETED)
    if not completed:
        yield "the client returned a file for a job that has not completed"
    elif outcome.order.clip is not None:
        expected = [_expected(sandbox, outcome.order.clip, job) for job in completed]
        if found not in expected:
            yield f"the file has {found} bytes, but the job's output has {expected[0]}"


def _has_no_excuse(_sandbox: SandboxHandle, outcome: CallOutcome) -> Iterator[str]:
    """Yield a problem if the client raised an exception without a reason."""
    if outcome.error is None or outcome.disturbed or outcome.order.flaw or outcome.refusals:
        return
    error = outcome.error
    yield f"no error occurred, but the client raised {type(error).__name__}: {error}"


CHECKS: tuple[Callable[[SandboxHandle, CallOutcome], Iterator[str]], ...] = (
    _ends,
    _pays_once,
    _tells_refusals,
    _tells_failures,
    _gives_whole_files,
    _has_no_excuse,
)


def _size(result: Any) -> int | None:  # noqa: ANN401 - what the client gave
    found = getattr(result, "path", result)
    if isinstance(found, bytes):
        return len(found)
    if isinstance(found, str | os.PathLike):
        path = Path(found)
        return path.stat().st_size if path.is_file() else None
    return None


def _expected(sandbox: SandboxHandle, clip: Clip, job: Json) -> int:
    """Return the size in bytes of the job's output, which equals the same clip in the library."""
    width, height = map(int, job["output"]["size"].split("x"))
    silent = "" if job["output"]["audio"] else "_silent"
    name = clip._replace(width=width, height=height, container="mp4").name
    url = f"/media/synthetic/{name.replace('s.mp4', f's{silent}.mp4')}"
    answer = sandbox.fetch("HEAD", url)
    return int(answer.headers["content-length"])
