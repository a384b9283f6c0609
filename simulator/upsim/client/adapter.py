"""What an adapter is: generators that yield requests, are sent the answers, and return values.

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

from upsim.client.clocks import seconds_until
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
from upsim.client.values import (
    AdapterRequest,
    Billed,
    Job,
    Link,
    Money,
    Progress,
    Quote,
    Size,
    State,
    Webhook,
    WebhookEvent,
    shown_url,
)

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
]

_Result = TypeVar("_Result")
MAX_WORD_LENGTH = 8_192
"""Characters of a job's id, of a status, or of a URL in a response."""
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Halves of characters and control characters: neither can be sent or shown on a line."""
"""Half of a pair, which JSON can write and no address can hold."""
_SECOND_OF_A_TEXT = 200
_MAX_DIGITS = 30
"""How far from the point a number may reach: beyond that it is no amount, and costs time."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One HTTP request.

    A target that begins with `/` is the provider's own path and carries the key. Any other is an
    absolute URL that the provider named (a storage link), and the key is never sent there.
    `cost` is what sending it may do to the purse: a GET never costs anything, and whatever else
    does not say `free` needs a reservation when there is a cap.
    """

    method: str
    target: str
    body: Mapping[str, object] | None = None
    content: bytes | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cost: Literal["free", "paid", "unknown"] = "unknown"

    def __repr__(self) -> str:
        """Method and target; neither videos and secrets in it nor the query of a signed link."""
        return f"<Request {self.method} {shown_url(self.target)}>"

    @property
    def free(self) -> bool:
        """Whether sending it, even twice, costs nothing."""
        return self.cost == "free" or self.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """One HTTP answer. A video is not in `content` but in the file `spool`."""

    status: int
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    spool: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of success

    @property
    def retry_after(self) -> float | None:
        """The seconds that `Retry-After` asks for, told as a number or as a date."""
        return seconds_until(self.headers.get("retry-after", ""), self.headers.get("date", ""))

    def json(self) -> Any:  # noqa: ANN401 - any JSON; numbers with a point are `Decimal`
        """The document. Raises ProtocolError where there is none."""
        try:
            return json.loads(self.content, parse_float=Decimal)
        except (ValueError, RecursionError):
            problem = f"the answer {self.status} is not JSON: {self._start}"
        raise ProtocolError(problem)

    @property
    def raw(self) -> Any:  # noqa: ANN401 - any JSON
        """The document, or the text where it is none."""
        try:
            return self.json()
        except ProtocolError:
            return self.content.decode("utf-8", "replace")

    def text_at(self, *path: str) -> str | None:
        """The text or number at a place of the document, as text; None where there is none."""
        found = self.raw
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, bool):
            return None
        return str(found) if isinstance(found, str | int | Decimal) else None

    def number_at(self, *path: str) -> Decimal | None:
        """The number at a place of the document, also when it is written as text."""
        return number(self.text_at(*path))

    def at(self, *path: str) -> Any:  # noqa: ANN401 - any JSON
        """The value at a place of the document. Raises ProtocolError where there is none."""
        found = self.json()
        for name in path:
            if not isinstance(found, dict) or name not in found:
                where = ".".join(path)
                raise ProtocolError(f"the answer {self.status} has no {where}: {self._start}")
            found = found[name]
        return found

    def word_at(self, *path: str) -> str:
        """Return a short text of one line at a place of the document. Raises ProtocolError."""
        found = self.at(*path)
        where = ".".join(path)
        if isinstance(found, str) and len(found) > MAX_WORD_LENGTH:
            size = f"{len(found)} characters, at most {MAX_WORD_LENGTH} are taken"
            raise ProtocolError(f"{where} of the answer {self.status} has {size}")
        if not isinstance(found, str) or not found or _UNUSABLE.search(found):
            raise ProtocolError(f"{where} of the answer {self.status} is no text: {self._start}")
        return found

    def rows_at(self, *path: str) -> list[dict[str, Any]]:
        """The list of objects at a place of the document. Raises ProtocolError."""
        found = self.at(*path)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            where = ".".join(path)
            raise ProtocolError(f"{where} of the answer {self.status} is no list of objects")
        return found

    @property
    def _start(self) -> str:
        return self.content[:_SECOND_OF_A_TEXT].decode("utf-8", "replace")


def number(value: object) -> Decimal | None:
    """A finite number of a sane size from JSON or from text; None for anything else."""
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
"""The requests of one task of a client, in order; each is sent its answer."""


@dataclass(frozen=True, slots=True)
class File:
    """A video to be handed in: its bytes, or where they are."""

    name: str
    content_type: str
    content: bytes | Path = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        content = self.content
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    def read(self) -> bytes:
        """All of it."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True, slots=True)
class PollingCadence:
    """How a provider advises to poll: the first pause, how it grows, the longest."""

    first: float
    factor: float = 1.0
    most: float = 30.0


@dataclass(frozen=True, slots=True)
class UploadMethod:
    """How a file of one's own gets to the provider.

    `limit` names the baseline's limit of its bytes; `encoded` says that the limit holds for a body
    in which the video is base64.
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
    """A refusal that its status alone does not tell: by its code, or by words of its message."""

    kind: Literal["authentication", "balance", "rate_limit", "invalid", "media", "not_found"]
    words: str


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    """How a provider's errors are read: where text and code stand, and what they mean.

    `status` is the place of a status in the body, which counts when it is not one of success.
    `success` is the place of a switch that is false for an error. `issues` is the place of a list
    of single mistakes, each with a `path` and a `message`.
    """

    texts: Sequence[Sequence[str]]
    code: Sequence[str] = ()
    status: Sequence[str] = ()
    success: str = ""
    meanings: Sequence[ErrorMeaning] = ()
    issues: str = ""

    def accepted(self, answer: ProviderResponse) -> ProviderResponse:
        """The answer itself when it is a success. Raises its error otherwise."""
        if answer.ok and self._status(answer) == answer.status and not self._denied(answer):
            return answer
        raise self.error(answer)

    def error(self, answer: ProviderResponse) -> ClientError:
        """The error that an answer tells.

        Its text is the one at the first place that has one, or the plain body. An answer that
        claims success and failure at once says nothing of the request: it is a server's trouble.
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
    """Each mistake that the list at a place tells with a text, behind the path of its parameter."""
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
    """The address of an output; None for anything that is not a text with something in it."""
    return Link(value) if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A webhook as it came, its header names in lower case, and by what it is judged."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secret: str = field(repr=False)
    tolerance: float
    now: float

    @property
    def answer(self) -> ProviderResponse:
        """The body, to be read like an answer."""
        return ProviderResponse(HTTPStatus.OK, self.body)


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one provider is spoken to. `authorise` gives the headers that carry a key.

    `refusals` are statuses of a submit that mean, as documented, that it was not accepted and may
    be sent again. `lookup` says how to find out whether a submit was accepted whose answer was
    lost. What a provider does not have is None.
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
