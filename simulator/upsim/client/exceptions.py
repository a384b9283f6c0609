"""The exceptions of the client.

ClientError
├── RefusedError            the provider responded with an error
│   ├── AuthenticationError     the key is missing, wrong or without access
│   ├── BalanceError            the account cannot pay
│   ├── RateLimitError          too many requests or jobs; `retry_after`
│   ├── InvalidInputError       a parameter that the provider does not accept
│   ├── MediaRefusedError       a video that the provider does not accept
│   └── NotFoundError           the job, model or file does not exist, or no longer
├── TransientError          no response, or a server error: a retry may succeed
├── OutcomeUnknownError     a paid request without response: it may have been accepted
├── ProtocolError           a response that contradicts the provider's documents
├── JobFailedError          an accepted job failed; `refunded`
├── OverchargedError        an accepted job whose charge exceeded the cap
├── WaitTimeoutError        a job did not end in time (it may still end)
├── MoneyGuardError         not sent, to protect the budget
│   ├── CapReachedError         the cap would be exceeded
│   └── UnpricedError           the price is unknown
├── UnsupportedError        the provider or the model cannot do this
│   └── UnknownModelError       no model of this name
├── ArgumentError           an argument that this function does not accept
├── UnsafeTargetError       not sent: the host is neither local nor trusted nor asked for
├── SourceError             the video to upload cannot be read
├── DestinationError        the output file cannot be written
├── WebhookError            a webhook that failed verification
└── UnknownAdapterError     no adapter of this name
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upsim.core.printable_text import LINES, printable

if TYPE_CHECKING:
    from upsim.client.results import AdapterRequest, Job, Money, Progress


class ClientError(Exception):
    """Any error that keeps a client from its result.

    `job` is the job that was accepted before the error, if any; it can still be polled.
    """

    job: Job | None = None

    def __str__(self) -> str:
        """Return the text with control characters escaped, because a server may have chosen it."""
        return printable(super().__str__(), keep=LINES)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep all parts in copies and pickles, as process pools need."""
        return _again, (type(self), self.args, self.__dict__)


class RefusedError(ClientError):
    """A provider's refusal: its HTTP status, its code if any, and its message verbatim.

    `issues` are messages about single parameters, each as `<parameter>: <message>`.
    `status` is None if the client refused without a request, because the provider would.
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
    """The account cannot pay for the request."""


class RateLimitError(RefusedError):
    """The client sent too many requests or jobs; `retry_after` is in seconds, or None."""


class InvalidInputError(RefusedError):
    """A parameter that the provider does not accept."""


class MediaRefusedError(RefusedError):
    """A video that the provider does not accept: too long, too large, unreadable, wrong format."""


class NotFoundError(RefusedError):
    """The job, model or file does not exist, or no longer exists."""


class TransientError(ClientError):
    """No response, or a server error. A retry may succeed; the failed attempt costs nothing."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        raw: Any = None,  # noqa: ANN401 - any JSON
        retry_after: float | None = None,
    ) -> None:
        """Keep the parts; `status` is None if there was no response."""
        self.status = status
        self.raw = raw
        self.retry_after = retry_after
        super().__init__(message)


class OutcomeUnknownError(ClientError):
    """A paid request was sent and its response lost: a job may exist and be charged.

    The client never repeats such a request, because that could pay twice. `how` explains how
    to find out whether a job exists. `Client.find(error)` searches the provider's job list.
    """

    def __init__(
        self, reason: str, *, how: str, order: AdapterRequest, reserved: Money | None
    ) -> None:
        """Keep the order and the maximum that it may have cost."""
        self.reason = reason
        self.how = how
        self.order = order
        self.reserved = reserved
        super().__init__(f"{reason}; the job may have been accepted and charged. {how}")


class ProtocolError(ClientError):
    """A response that lacks something that the provider's documentation promises."""


class JobFailedError(ClientError):
    """An accepted job that failed, was cancelled, timed out or was deleted.

    `refunded` is None if the provider does not say.
    """

    job: Job

    def __init__(self, job: Job, progress: Progress) -> None:
        """Keep the job and its last status."""
        self.job = job
        self.progress = progress
        self.refunded = progress.refunded
        told = {True: "refunded", False: "not refunded", None: "refund unknown"}[self.refunded]
        reason = progress.error or "the provider gives no reason"
        super().__init__(f"job {job.id} ended as {progress.status!r}: {reason} ({told})")


class OverchargedError(ClientError):
    """An accepted job whose charge was above the quote and exceeded the cap.

    The job continues: `client.wait(error.job)` and `client.download` still return its file.
    """


class OverchargedWarning(UserWarning):
    """A job that was charged more than the quote but not more than the cap."""


class WaitTimeoutError(ClientError, TimeoutError):
    """A job that did not end in the given time; it continues and may still be charged."""

    def __init__(self, job: Job, progress: Progress, *, seconds: float, strange: bool) -> None:
        """Keep the job; `strange` means that its last status is not documented."""
        self.job = job
        self.progress = progress
        word = f"the unknown status {progress.status!r}" if strange else repr(progress.status)
        self.reached = f"job {job.id} is still at {word} after {seconds:g} s"
        super().__init__(f"{self.reached}; it continues: poll it later")


class MoneyGuardError(ClientError):
    """A request that was not sent, to protect the budget."""


class CapReachedError(MoneyGuardError):
    """The highest possible price of a request would exceed the cap."""


class UnpricedError(MoneyGuardError):
    """The highest possible price of a request is unknown, so the cap cannot be guaranteed."""


class UnsupportedError(ClientError):
    """The provider or the model cannot do this; the message says what it can do."""


class UnknownModelError(UnsupportedError, LookupError):
    """An unknown model name; the message names the nearest models."""


class ArgumentError(ClientError, TypeError, ValueError):
    """An argument that a function does not accept; nothing was sent.

    The message names the argument, the allowed values and the given value.
    """


class UnsafeTargetError(ClientError):
    """A request that was not sent because its host is not allowed."""


class SourceError(ClientError):
    """The video to upload cannot be read."""


class DestinationError(ClientError):
    """The output file cannot be written."""


class WebhookError(ClientError):
    """A webhook that failed verification: unsigned, wrongly signed, too old, or unreadable."""


class UnknownAdapterError(ClientError, LookupError):
    """An unknown adapter name; the message lists the available adapters."""


def _again(
    kind: type[ClientError], args: tuple[object, ...], parts: dict[str, object]
) -> ClientError:
    """Rebuild an error with all its attributes, without calling its constructor."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(parts)
    return error
