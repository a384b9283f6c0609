"""What an adapter is: generators that yield requests, are sent the answers, and return values.

Nothing here does I/O, so the same adapter runs in a sync or an async session.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeVar

from upsim.client.exceptions import RefusedError, UnreadableError

State = Literal["waiting", "processing", "completed", "failed"]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    A target that begins with `/` is the provider's own path and carries the key. Any other is an
    absolute URL that the provider named (a storage link), and the key is never sent there.
    """

    method: str
    target: str
    body: Mapping[str, object] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    content: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of success

    def json(self) -> Any:  # noqa: ANN401 - any JSON; numbers with a point are `Decimal`
        """The document. Raises UnreadableError where there is none."""
        try:
            return json.loads(self.content, parse_float=Decimal)
        except ValueError as error:
            raise UnreadableError(f"the answer {self.status} is not JSON: {self._start}") from error

    def text_at(self, *path: str) -> str | None:
        """The text or number at a place of the document, as text; None where there is none."""
        try:
            found = self.json()
        except UnreadableError:
            return None
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return str(found) if isinstance(found, str | int | Decimal) else None

    def at(self, *path: str) -> Any:  # noqa: ANN401 - any JSON
        """The value at a place of the document. Raises UnreadableError where there is none."""
        found = self.json()
        for name in path:
            if not isinstance(found, dict) or name not in found:
                where = ".".join(path)
                raise UnreadableError(f"the answer {self.status} has no {where}: {self._start}")
            found = found[name]
        return found

    @property
    def _start(self) -> str:
        return self.content[:200].decode("utf-8", "replace")


Steps = Generator[Request, Answer, _Result]
"""The requests of one task of a client, in order; each is sent its answer."""


@dataclass(frozen=True, slots=True)
class File:
    """A video to be handed in."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be upscaled: `source` is what `upload` returned, or an address of one's own.

    Options have the names and the spelling of the provider's documentation.
    """

    model: str
    source: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in the unit in which the provider tells it."""

    amount: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job. What the provider does not tell is None; `billed` is a quantity."""

    job: str
    model: str
    status: str | None = None
    price: Price | None = None
    billed: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands: the provider's own word, and what it means."""

    status: str
    state: State
    output: str | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in ("completed", "failed")


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one provider is spoken to. `authorise` gives the headers that carry a key."""

    provider: str
    authorise: Callable[[str], Mapping[str, str]]
    upload: Callable[[File], Steps[str]]
    submit: Callable[[Order], Steps[Submitted]]
    poll: Callable[[Submitted], Steps[Progress]]


def accepted(answer: Answer, *places: Sequence[str], code: Sequence[str] = ()) -> Answer:
    """The answer itself when it is a success. Raises its `refusal` otherwise."""
    if answer.ok:
        return answer
    raise refusal(answer, *places, code=code)


def refusal(answer: Answer, *places: Sequence[str], code: Sequence[str] = ()) -> RefusedError:
    """The error that an answer tells: the text at the first place of the document that has one.

    Where none has, the plain body is the text.
    """
    texts = (answer.text_at(*place) for place in places)
    plain = answer.content.decode("utf-8", "replace").strip()
    text = next((text for text in texts if text), plain)
    return RefusedError(answer.status, text, code=answer.text_at(*code) if code else None)
