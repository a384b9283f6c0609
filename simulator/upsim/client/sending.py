"""Send an adapter's requests and retry them: free requests often, paid requests rarely.

A paid request is repeated only if it was certainly not accepted: nothing was sent, or the
provider documents the status as a refusal. Any other lost response raises
OutcomeUnknownError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from upsim.client.adapter import Adapter, AdapterRequest, Request, Steps
from upsim.client.clocks import Dice
from upsim.client.exceptions import (
    OutcomeUnknownError,
    ProtocolError,
    RateLimitError,
    RefusedError,
    TransientError,
)
from upsim.client.hidden_texts import shown_url
from upsim.client.io_effects import Flow, LostResponse, Send, SentResponse, Sleep
from upsim.client.polling_and_retries import Retries, with_jitter
from upsim.client.request_guard import Reservation
from upsim.client.results import Job

_Result = TypeVar("_Result")
_Trouble = TransientError | RateLimitError | ProtocolError
_LATER = (TransientError, RateLimitError, ProtocolError)


@dataclass(slots=True)
class TimeLeft:
    """The remaining seconds of an operation; waiting and sending consume them."""

    left: float

    def pause(self, seconds: float) -> Flow[None]:
        """Wait, at most for the time that is left."""
        span = max(0.0, min(seconds, self.left))
        self.left -= span
        yield Sleep(span)


class Sender:
    """Runs tasks of an adapter with a retry policy."""

    def __init__(self, retries: Retries, dice: Dice) -> None:
        """Keep the policy; `dice` varies the pauses."""
        self._retries = retries
        self._dice = dice

    def free(
        self, task: Callable[[], Steps[_Result]], deadline: TimeLeft | None = None
    ) -> Flow[_Result]:
        """Run a free task; after a transient error, repeat the task from its start."""
        for attempt in range(1, self._retries.attempts + 1):
            try:
                return (yield from _once(task(), deadline))
            except _LATER as error:
                trouble: _Trouble = error
            yield from self._pause_or_raise(trouble, attempt, deadline)
        raise AssertionError  # pragma: no cover - the last attempt raises or returns

    def paid(self, adapter: Adapter, order: AdapterRequest, reservation: Reservation) -> Flow[Job]:
        """Submit a job. Raises OutcomeUnknownError if the job may have been accepted."""
        for attempt in range(1, self._retries.attempts + 1):
            outcome = yield from _submit(adapter, order, reservation)
            if isinstance(outcome, Job):
                return outcome
            try:
                yield from self._pause_or_raise(outcome, attempt, None)
            except BaseException:
                reservation.release()
                raise
        raise AssertionError  # pragma: no cover - the last attempt raises or returns

    def pause(self, attempt: int) -> float:
        """Return the seconds before the next attempt."""
        policy = self._retries
        span = min(policy.most, policy.first * policy.factor ** (attempt - 1))
        return with_jitter(span, policy.jitter, self._dice)

    def patience(self, trouble: _Trouble, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is no next attempt."""
        asked = None if isinstance(trouble, ProtocolError) else trouble.retry_after
        if attempt >= self._retries.attempts or (asked or 0) > self._retries.longest:
            return None
        return self.pause(attempt) if asked is None else asked

    def _pause_or_raise(
        self, trouble: _Trouble, attempt: int, deadline: TimeLeft | None
    ) -> Flow[None]:
        seconds = self.patience(trouble, attempt)
        if seconds is None or (deadline is not None and seconds >= deadline.left):
            raise trouble
        if deadline is None:
            yield Sleep(seconds)
        else:
            yield from deadline.pause(seconds)


def _once(steps: Steps[_Result], deadline: TimeLeft | None) -> Flow[_Result]:
    """Run a task from its first request to its result."""
    try:
        request = next(steps)
        while True:
            outcome: SentResponse | LostResponse = yield Send(request)
            if deadline is not None:
                deadline.left -= outcome.took
            if isinstance(outcome, LostResponse):
                raise TransientError(_told(request, outcome))
            request = steps.send(outcome.answer)
    except StopIteration as stop:
        result: _Result = stop.value
        return result
    finally:
        steps.close()


def _submit(
    adapter: Adapter, order: AdapterRequest, reservation: Reservation
) -> Flow[Job | TransientError | RateLimitError]:
    """Submit once; return the job, or the error if the submit was certainly not accepted."""
    steps = adapter.submit(order)
    request = next(steps)
    outcome = yield from _under_way(Send(request, reservation), adapter.lookup)
    if isinstance(outcome, LostResponse):
        steps.close()
        reason = _told(request, outcome)
        if outcome.sent:
            raise _unknown(adapter, order, reservation, reason)
        return TransientError(reason)
    answer = outcome.answer
    problem = ""
    try:
        steps.send(answer)
    except StopIteration as stop:
        job: Job = stop.value
        return job
    except RateLimitError as error:
        return error
    except RefusedError:
        reservation.release()
        raise
    except TransientError as error:
        if answer.status in adapter.refusals:
            return error
        problem = str(error)
    except ProtocolError as error:
        problem = str(error)
    finally:
        steps.close()
    raise _unknown(
        adapter, order, reservation, problem or "the submit needed more than one request"
    )


def _under_way(send: Send, how: str) -> Flow[SentResponse | LostResponse]:
    """Send a paid request. If this is interrupted, add a note that it may have been accepted."""
    try:
        outcome: SentResponse | LostResponse = yield send
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(
                f"interrupted while a paid request was being sent; it may be accepted. {how}"
            )
        raise
    return outcome


def _told(request: Request, lost: LostResponse) -> str:
    return f"{request.method} {shown_url(request.target)}: {lost.reason}"


def _unknown(
    adapter: Adapter, order: AdapterRequest, reservation: Reservation, reason: str
) -> OutcomeUnknownError:
    return OutcomeUnknownError(reason, how=adapter.lookup, order=order, reserved=reservation.worst)
