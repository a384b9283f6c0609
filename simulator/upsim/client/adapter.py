"""The interface of adapters: generators that yield requests, receive responses, return values.

Nothing here does I/O, so the same adapter runs in a sync or an async client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypeVar

from upsim.client.exceptions import (
    AuthenticationError,
    BalanceError,
    ClientError,
    InvalidInputError,
    MediaRefusedError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    RefusedError,
    TransientError,
    UnsupportedError,
    WebhookError,
)
from upsim.client.hidden_texts import Link, path_segment, shown_url
from upsim.client.results import (
    AdapterRequest,
    Billed,
    Job,
    Money,
    Progress,
    Quote,
    Size,
    State,
    Webhook,
    WebhookEvent,
)
from upsim.client.retry_after import seconds_until
from upsim.core.suggestions import shown
from upsim.core.url_flaws import UNSENDABLE, url_flaw

__all__ = [
    "Adapter",
    "AdapterRequest",
    "Billed",
    "ErrorFormat",
    "ErrorMeaning",
    "File",
    "Job",
    "Link",
    "Money",
    "PollingCadence",
    "Progress",
    "ProtocolError",
    "ProviderResponse",
    "Quote",
    "ReceivedWebhook",
    "Request",
    "Size",
    "State",
    "Steps",
    "TransientError",
    "UnsupportedError",
    "UploadMethod",
    "Webhook",
    "WebhookError",
    "WebhookEvent",
    "link",
    "number",
    "path_segment",
]

_Result = TypeVar("_Result")
MAX_WORD_LENGTH = 8_192
"""Maximum characters of a job id, a status or a URL in a response."""
_SECOND_OF_A_TEXT = 200
_MAX_DIGITS = 30
"""Highest exponent of a number; a larger one is no amount and would cost computing time."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One HTTP request.

    A target that begins with `/` is the provider's own path and is sent with the key. Any other
    target is an absolute URL from the provider (a storage link), and the key is never sent there.
    `cost` says whether sending it may cost money. A GET is always free. Any other request that is
    not marked `free` needs a reservation if there is a cap.
    """

    method: str
    target: str
    body: Mapping[str, object] | None = None
    content: bytes | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cost: Literal["free", "paid", "unknown"] = "unknown"

    def __repr__(self) -> str:
        """Show method and target, but hide videos, secrets and the query of a signed link."""
        return f"<Request {self.method} {shown_url(self.target)}>"

    @property
    def free(self) -> bool:
        """Whether the request costs nothing, even if it is sent twice."""
        return self.cost == "free" or self.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """One HTTP response. A video is in the file `spool` and not in `content`."""

    status: int
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    spool: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of success

    @property
    def retry_after(self) -> float | None:
        """Return the seconds until a retry from `Retry-After`, given as a number or a date."""
        return seconds_until(self.headers.get("retry-after", ""), self.headers.get("date", ""))

    def json(self) -> Any:  # noqa: ANN401 - any JSON; numbers with a point are `Decimal`
        """Return the parsed JSON document. Raises ProtocolError if the body is not JSON."""
        try:
            return json.loads(self.content, parse_float=Decimal)
        except (ValueError, RecursionError):
            problem = f"the response ({self.status}) is not JSON: {self._start}"
        raise ProtocolError(problem)

    @property
    def raw(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the parsed JSON document, or the body as text if it is not JSON."""
        try:
            return self.json()
        except ProtocolError:
            return self.content.decode("utf-8", "replace")

    def text_at(self, *path: str) -> str | None:
        """Return the text or number at a path of the document, as text; None if it is missing."""
        found = self.raw
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, bool):
            return None
        return str(found) if isinstance(found, str | int | Decimal) else None

    def number_at(self, *path: str) -> Decimal | None:
        """Return the number at a path of the document, even if it is written as text."""
        return number(self.text_at(*path))

    def at(self, *path: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the value at a path of the document. Raises ProtocolError if it is missing."""
        found = self.json()
        for name in path:
            if not isinstance(found, dict) or name not in found:
                where = ".".join(path)
                raise ProtocolError(f"the response ({self.status}) has no {where}: {self._start}")
            found = found[name]
        return found

    def word_at(self, *path: str) -> str:
        """Return the text at a path of the document. Raises ProtocolError if it is missing."""
        found = self.at(*path)
        where = ".".join(path)
        if isinstance(found, str) and len(found) > MAX_WORD_LENGTH:
            size = f"{len(found)} characters; at most {MAX_WORD_LENGTH} are allowed"
            raise ProtocolError(f"{where} of the response ({self.status}) has {size}")
        if not isinstance(found, str) or not found or UNSENDABLE.search(found):
            raise ProtocolError(
                f"{where} of the response ({self.status}) is not text: {self._start}"
            )
        return found

    def rows_at(self, *path: str) -> list[dict[str, Any]]:
        """Return the list of objects at a path of the document.

        Raises ProtocolError if it is missing.
        """
        found = self.at(*path)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            where = ".".join(path)
            raise ProtocolError(f"{where} of the response ({self.status}) is not a list of objects")
        return found

    @property
    def _start(self) -> str:
        return self.content[:_SECOND_OF_A_TEXT].decode("utf-8", "replace")


def number(value: object) -> Decimal | None:
    """Return a finite number of a usable size from JSON or text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        found = Decimal(value)
    except ArithmeticError:
        return None
    sane = found.is_finite() and -_MAX_DIGITS <= _lowest(found) <= found.adjusted() <= _MAX_DIGITS
    return found if sane else None


def _lowest(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return min(exponent, value.adjusted()) if isinstance(exponent, int) else 0


Steps = Generator[Request, ProviderResponse, _Result]
"""The requests of one client task, in order; each `yield` returns the response."""


@dataclass(frozen=True, slots=True)
class File:
    """A video to upload: its bytes, or the path of its file."""

    name: str
    content_type: str
    content: bytes | Path = field(repr=False)

    @property
    def size(self) -> int:
        """The number of bytes."""
        content = self.content
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    def read(self) -> bytes:
        """Return all bytes."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True, slots=True)
class PollingCadence:
    """The polling interval that a provider advises: first pause, growth factor, longest pause."""

    first: float
    factor: float = 1.0
    most: float = 30.0


@dataclass(frozen=True, slots=True)
class UploadMethod:
    """The way in which a provider accepts a local file.

    `limit` is the name of the baseline's limit in bytes. With `encoded`, the limit applies to a
    body that contains the video in base64.
    """

    by: Literal["upload", "data_url"]
    limit: str
    encoded: bool = False


_KINDS: Mapping[str, type[RefusedError]] = {
    "authentication": AuthenticationError,
    "balance": BalanceError,
    "rate_limit": RateLimitError,
    "invalid": InvalidInputError,
    "media": MediaRefusedError,
    "not_found": NotFoundError,
}
_BY_STATUS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication",
    HTTPStatus.PAYMENT_REQUIRED: "balance",
    HTTPStatus.FORBIDDEN: "authentication",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.GONE: "not_found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "media",
    HTTPStatus.UNPROCESSABLE_ENTITY: "media",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit",
}
_MOST_ISSUES = 10
_NOT_NOW = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """The meaning of a refusal whose status alone is ambiguous, by its code or message text."""

    kind: Literal["authentication", "balance", "rate_limit", "invalid", "media", "not_found"]
    words: str


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    """The rules for reading a provider's errors: the places of text and code, and their meaning.

    `status` is the place of a status in the body, which is used if it is not a 2xx. `success` is
    the place of a boolean that is false for an error. `issues` is the place of a list of
    mistakes, each with a `path` and a `message`.
    """

    texts: Sequence[Sequence[str]]
    code: Sequence[str] = ()
    status: Sequence[str] = ()
    success: str = ""
    meanings: Sequence[ErrorMeaning] = ()
    issues: str = ""

    def accepted(self, answer: ProviderResponse) -> ProviderResponse:
        """Return the response if it is a success. Raises its error otherwise."""
        if answer.ok and self._status(answer) == answer.status and not self._denied(answer):
            return answer
        raise self.error(answer)

    def error(self, answer: ProviderResponse) -> ClientError:
        """Return the error that a response describes.

        The message is the first text found at `texts`, or the plain body. A response that claims
        both success and failure counts as a server error.
        """
        text = next(filter(None, (answer.text_at(*place) for place in self.texts)), None)
        message = text or answer.content[:_SECOND_OF_A_TEXT].decode("utf-8", "replace").strip()
        status = self._status(answer)
        after = answer.retry_after
        if status in _NOT_NOW or not 400 <= status < 500:  # noqa: PLR2004 - the caller's mistakes
            return TransientError(
                f"{status} {message}".strip(), status=status, raw=answer.raw, retry_after=after
            )
        code = answer.text_at(*self.code) if self.code else None
        kind = self._kind(status, f"{code} {message}")
        told = _issues(answer.raw, self.issues) if self.issues else ()
        return kind(status, message, code=code, raw=answer.raw, retry_after=after, issues=told)

    def _status(self, answer: ProviderResponse) -> int:
        told = answer.number_at(*self.status) if self.status else None
        return answer.status if told is None or not answer.ok else int(told)

    def _denied(self, answer: ProviderResponse) -> bool:
        raw = answer.raw if self.success else None
        return isinstance(raw, dict) and raw.get(self.success) is False

    def _kind(self, status: int, text: str) -> type[RefusedError]:
        for meaning in self.meanings:
            if meaning.words in text:
                return _KINDS[meaning.kind]
        return _KINDS[_BY_STATUS.get(status, "invalid")]


def _issues(raw: object, place: str) -> tuple[str, ...]:
    """Return the messages of the issue list at a place, each after the path of its parameter."""
    found = raw.get(place) if isinstance(raw, dict) else None
    told = []
    for issue in (found if isinstance(found, list) else [])[:_MOST_ISSUES]:
        if isinstance(issue, dict) and isinstance(issue.get("message"), str):
            path = issue.get("path")
            steps = ".".join(map(str, path)) if isinstance(path, list) else ""
            whole = f"{steps}: {issue['message']}" if steps else issue["message"]
            told.append(whole[:_SECOND_OF_A_TEXT])
    return tuple(told)


def link(value: object) -> Link | None:
    """Return the URL of an output; None for anything but a non-empty text.

    Raises ProtocolError for a URL to which no request can be sent.
    """
    if not isinstance(value, str) or not value:
        return None
    flaw = url_flaw(value)
    if flaw:
        raise ProtocolError(f"the link {shown_url(value)[:_SECOND_OF_A_TEXT]!r} {flaw}")
    return Link(value)


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A received webhook: its headers (names in lower case), body, secret, time and tolerance."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secret: str = field(repr=False)
    tolerance: float
    now: float

    def header(self, name: str, form: str = ".+", expected: str = "a value") -> str:
        """Return a header's value, which must match the regular expression `form`.

        Raises WebhookError with the expected form if the header is missing or does not match.
        """
        if name not in self.headers:
            raise WebhookError(f"the header {name} is missing")
        value = self.headers[name]
        if not re.fullmatch(form, value, re.ASCII | re.DOTALL):
            raise WebhookError(f"{name}: found {shown(value)}, expected {expected}")
        return value

    @property
    def answer(self) -> ProviderResponse:
        """Return the webhook as a response, so that its body can be read like one."""
        return ProviderResponse(HTTPStatus.OK, self.body)


@dataclass(frozen=True, slots=True)
class Adapter:
    """The protocol of one provider. `authorise` returns the headers that contain a key.

    `refusals` are statuses of a submit that was not accepted and may be sent again, according to
    the provider's documents. `lookup` explains how to find out whether a submit without a response
    was accepted. Functions that a provider does not offer are None.
    """

    provider: str
    authorise: Callable[[str], Mapping[str, str]]
    hand_in: UploadMethod
    submit: Callable[[AdapterRequest], Steps[Job]]
    poll: Callable[[Job], Steps[Progress]]
    balance: Callable[[], Steps[Money]]
    cadence: PollingCadence
    lookup: str
    refusals: frozenset[int] = frozenset({HTTPStatus.TOO_MANY_REQUESTS})
    charged: Callable[[Job], Steps[Money | None]] | None = None
    refunded: Callable[[Job], Steps[bool | None]] | None = None
    quote: Callable[[AdapterRequest], Steps[Quote]] | None = None
    cancel: Callable[[Job], Steps[None]] | None = None
    jobs: Callable[[int], Steps[tuple[Job, ...]]] | None = None
    is_order: Callable[[Job, AdapterRequest], Steps[bool]] | None = None
    upload: Callable[[File], Steps[str]] | None = None
    webhooks: Literal["none", "url", "secret"] = "none"
    webhook: Callable[[ReceivedWebhook], WebhookEvent] | None = None
