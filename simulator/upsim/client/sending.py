"""Carrying an adapter's requests, and trying again: freely what is free, hardly ever what is paid.

A paid request is repeated only when it is known that it was not accepted: nothing was sent, or
the provider documents its refusal as one. Otherwise a lost answer is an OutcomeUnknownError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from upsim.client.adapter import Adapter, AdapterRequest, Request, Steps
from upsim.client.clocks import Dice
from upsim.client.effects import Flow, LostResponse, Send, SentResponse, Sleep
from upsim.client.exceptions import (
    OutcomeUnknownError,
    ProtocolError,
    RateLimitError,
    RefusedError,
    TransientError,
)
from upsim.client.policies import Retries
from upsim.client.request_guard import Reservation
from upsim.client.values import Job, shown_url

_Result = TypeVar("_Result")
_Trouble = TransientError | RateLimitError | ProtocolError
_LATER = (TransientError, RateLimitError, ProtocolError)


@dataclass(slots=True)
class TimeLeft:
    """How many seconds are left; waiting and sending take from it."""

    left: float

    def pause(self, seconds: float) -> Flow[None]:
        """Wait, but not beyond the end."""
        span = max(0.0, min(seconds, self.left))
        self.left -= span
        yield Sleep(span)


class Sender:
    """Carries tasks of an adapter, with a policy of trying again."""

    def __init__(self, retries: Retries, dice: Dice) -> None:
        """`dice` spread the pauses."""
        self._retries = retries
        self._dice = dice

    def free(
        self, task: Callable[[], Steps[_Result]], deadline: TimeLeft | None = None
    ) -> Flow[_Result]:
        """A task that costs nothing: all of it again after trouble that may pass."""
        for attempt in range(1, self._retries.attempts + 1):
            try:
                return (yield from _once(task(), deadline))
            except _LATER as error:
                trouble: _Trouble = error
            yield from self._pause_or_raise(trouble, attempt, deadline)
        raise AssertionError  # pragma: no cover - the last attempt raises or returns

    def paid(self, adapter: Adapter, order: AdapterRequest, reservation: Reservation) -> Flow[Job]:
        """A submit. Raises OutcomeUnknownError when it may have been accepted."""
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
        """The seconds before the next attempt."""
        policy = self._retries
        span = min(policy.most, policy.first * policy.factor ** (attempt - 1))
        return with_jitter(span, policy.jitter, self._dice)

    def patience(self, trouble: _Trouble, attempt: int) -> float | None:
        """The seconds to wait before trying again; None when that is over."""
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


def with_jitter(seconds: float, jitter: float, dice: Dice) -> float:
    """A pause, longer or shorter by up to a fraction of it."""
    return seconds * (1 + jitter * (2 * dice.random() - 1))


def _once(steps: Steps[_Result], deadline: TimeLeft | None) -> Flow[_Result]:
    """A task from its first request to its result."""
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
    """One submit: the job, or the trouble of one that was surely not accepted."""
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
    raise _unknown(adapter, order, reservation, problem or "more than one request was needed")


def _under_way(send: Send, how: str) -> Flow[SentResponse | LostResponse]:
    """Send what is paid; whoever stops it in the middle is told what that may mean."""
    try:
        outcome: SentResponse | LostResponse = yield send
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(f"stopped while a paid request was under way; it may be accepted. {how}")
        raise
    return outcome


def _told(request: Request, lost: LostResponse) -> str:
    return f"{request.method} {shown_url(request.target)}: {lost.reason}"


def _unknown(
    adapter: Adapter, order: AdapterRequest, reservation: Reservation, reason: str
) -> OutcomeUnknownError:
    return OutcomeUnknownError(reason, how=adapter.lookup, order=order, reserved=reservation.worst)
