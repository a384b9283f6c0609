"""What can go wrong for a client.

ClientError
├── RefusedError            the provider answered with an error of its own
│   ├── AuthenticationError     the key is missing, wrong or without access
│   ├── BalanceError            the account cannot pay
│   ├── RateLimitError          too many calls or jobs; `retry_after`
│   ├── InvalidInputError       a parameter that the provider does not take
│   ├── MediaRefusedError       a video that the provider does not take
│   └── NotFoundError           no such job, model or file (any more)
├── TransientError          no answer, or a server's trouble: the same may work later
├── OutcomeUnknownError     a paid request whose answer was lost: it may have been accepted
├── ProtocolError           an answer that breaks what the provider documents
├── JobFailedError          an accepted job ended badly; `refunded`
├── OverchargedError        an accepted job whose charge exceeded the cap
├── WaitTimeoutError        a job did not end in time (it may still do so)
├── MoneyGuardError         not sent, for the sake of the purse
│   ├── CapReachedError         the cap would be exceeded
│   └── UnpricedError           nobody can say what it would cost
├── UnsupportedError        the provider or the model cannot do this
│   └── UnknownModelError       no model of this name
├── ArgumentError           an argument that this function does not take
├── UnsafeTargetError       not sent: the address is neither local nor trusted nor meant
├── SourceError             the video to be handed in cannot be read
├── DestinationError        the finished file cannot be written where it is to be
├── WebhookError            a webhook that cannot be believed
└── UnknownAdapterError     no adapter of this name
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upsim.core.printable_text import LINES, printable

if TYPE_CHECKING:
    from upsim.client.values import AdapterRequest, Job, Money, Progress


class ClientError(Exception):
    """Anything that keeps a client from its result.

    `job` is the job that was accepted before it went wrong, if there was one: it may be polled.
    """

    job: Job | None = None

    def __str__(self) -> str:
        """The text with escapes for control characters: a server may have chosen its words."""
        return printable(super().__str__(), keep=LINES)

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles keep the parts, as processes of a pool need."""
        return _again, (type(self), self.args, self.__dict__)


class RefusedError(ClientError):
    """A provider's refusal: its HTTP status, its code where it has one, its message verbatim.

    `issues` are what it says of single parameters, each as `<parameter>: <message>`.
    `status` is None when the client itself knew that the provider would refuse.
    """

    def __init__(
        self,
        status: int | None,
        message: str,
        *,
        code: str | None = None,
        raw: Any = None,  # noqa: ANN401 - any JSON
        retry_after: float | None = None,
        issues: tuple[str, ...] = (),
    ) -> None:
        """Keep the parts; the text is `<status> [<code>] <message>[: <issue>; <issue>]`."""
        self.status = status
        self.code = code
        self.message = message
        self.raw = raw
        self.retry_after = retry_after
        shown = None if status is None else str(status)
        self.issues = issues
        text = " ".join(filter(None, (shown, code, message)))
        super().__init__(f"{text}: {'; '.join(issues)}" if issues else text)


class AuthenticationError(RefusedError):
    """The key is missing, wrong, or its account has no access."""


class BalanceError(RefusedError):
    """The account cannot pay for this."""


class RateLimitError(RefusedError):
    """Too many calls or jobs; `retry_after` are seconds where the provider tells them."""


class InvalidInputError(RefusedError):
    """A parameter that the provider does not take."""


class MediaRefusedError(RefusedError):
    """A video that the provider does not take: too long, too large, unreadable, wrong format."""


class NotFoundError(RefusedError):
    """There is no such job, model or file, or not any more."""


class TransientError(ClientError):
    """No answer, or a server's trouble. The same may work later; what was tried costs nothing."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        raw: Any = None,  # noqa: ANN401 - any JSON
        retry_after: float | None = None,
    ) -> None:
        """`status` is None when there was no answer at all."""
        self.status = status
        self.raw = raw
        self.retry_after = retry_after
        super().__init__(message)


class OutcomeUnknownError(ClientError):
    """A paid request was sent and its answer lost: a job may exist and be paid for.

    Sending it again may pay twice, so that is never done here. `how` says how to find out;
    `Client.find(error)` asks the provider where it lists jobs.
    """

    def __init__(
        self, reason: str, *, how: str, order: AdapterRequest, reserved: Money | None
    ) -> None:
        """Keep what was ordered and the worst that it may have cost."""
        self.reason = reason
        self.how = how
        self.order = order
        self.reserved = reserved
        super().__init__(f"{reason}; the job may have been accepted and charged. {how}")


class ProtocolError(ClientError):
    """An answer without what the provider's documentation promises."""


class JobFailedError(ClientError):
    """A job that was accepted and then failed, or was cancelled, timed out or deleted.

    `refunded` is True or False where the provider tells, else None.
    """

    job: Job

    def __init__(self, job: Job, progress: Progress) -> None:
        """Keep the job and its last answer."""
        self.job = job
        self.progress = progress
        self.refunded = progress.refunded
        told = {True: "refunded", False: "not refunded", None: "refund unknown"}[self.refunded]
        reason = progress.error or "the provider gives no reason"
        super().__init__(f"job {job.id} ended as {progress.status!r}: {reason} ({told})")


class OverchargedError(ClientError):
    """A job that was accepted and charged more than the quote, which exceeded the cap.

    The job goes on: `client.wait(error.job)` and `client.download` still fetch its file.
    """


class OverchargedWarning(UserWarning):
    """A job that was charged more than the quote, and no more than the cap."""


class WaitTimeoutError(ClientError, TimeoutError):
    """A job did not end within the time that was given; it goes on and may still be paid for."""

    def __init__(self, job: Job, progress: Progress, *, seconds: float, strange: bool) -> None:
        """`strange` says that the last status is none that is known."""
        self.job = job
        self.progress = progress
        word = f"the unknown status {progress.status!r}" if strange else repr(progress.status)
        self.reached = f"job {job.id} is still at {word} after {seconds:g} s"
        super().__init__(f"{self.reached}; it goes on: poll it later")


class MoneyGuardError(ClientError):
    """A request that was not sent, for the sake of the purse."""


class CapReachedError(MoneyGuardError):
    """The worst price of a request would exceed the cap."""


class UnpricedError(MoneyGuardError):
    """Nobody can say what a request would cost at worst, and there is a cap to keep."""


class UnsupportedError(ClientError):
    """The provider or the model cannot do what is asked; the message says what it can."""


class UnknownModelError(UnsupportedError, LookupError):
    """No model of this name; the message names the nearest ones."""


class ArgumentError(ClientError, TypeError, ValueError):
    """An argument that a function does not take; nothing was sent.

    The message names the argument, what it takes and what was given.
    """


class UnsafeTargetError(ClientError):
    """A request that was not sent because of where it would go."""


class SourceError(ClientError):
    """The video to be handed in cannot be read."""


class DestinationError(ClientError):
    """The finished file cannot be written where it is to be."""


class WebhookError(ClientError):
    """A webhook that cannot be believed: unsigned, wrongly signed, too old, or unreadable."""


class UnknownAdapterError(ClientError, LookupError):
    """No adapter of this name; the message lists those there are."""


def _again(
    kind: type[ClientError], args: tuple[object, ...], parts: dict[str, object]
) -> ClientError:
    """An error as it was, without making it anew from parts that its text no longer shows."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(parts)
    return error
