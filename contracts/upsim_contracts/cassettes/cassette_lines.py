"""Types of a cassette's lines, and the column of a mistake in a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]  # there it is
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from upsim_contracts.suggestions import hint

LARGEST = Decimal(10) ** 12
"""Limit of all amounts, sizes and times in a recording."""
MAX_PIXELS = 100_000
MAX_PATH_LENGTH = 60_000
"""Characters of a path with its query: more is neither recorded nor read."""
MAX_TEXT_LENGTH = 100_000
"""Characters of a header's name or value, of a content type and of a URL: the rest is cut off."""
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
Size = Annotated[int, Meta(ge=0, le=10**15)]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Method = Annotated[str, Meta(pattern=r"\A[A-Za-z!#$%&'*+.^_`|~0-9-]{1,40}\Z")]
Path = Annotated[str, Meta(pattern=r"\A/[^\x00-\x20\x7f]*\Z", max_length=MAX_PATH_LENGTH)]
Status = Annotated[int, Meta(ge=0, le=999)]
_PLACE = re.compile(r" - at `(?P<key>key in )?\$?(?P<path>.*)`\Z", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(.{1,200}?)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_PATH_MARK = "...(cut)"
_DECODER = JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


class HeaderLine(Struct):
    """The first line."""

    format: str
    version: int
    provider: Text
    dialect: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,39}\Z")]
    upstream: Text
    recorded: Text

    def __post_init__(self) -> None:
        """Check the date. Raises ValueError."""
        try:
            datetime.fromisoformat(self.recorded)
        except ValueError as error:
            raise ValueError(f"recorded: {error}") from error


class VideoShape(Struct):
    """The properties of a video that a cassette records."""

    width: Annotated[int, Meta(ge=0, le=MAX_PIXELS)]
    height: Annotated[int, Meta(ge=0, le=MAX_PIXELS)]
    fps: Annotated[str, Meta(pattern=r"\A[0-9]{1,12}(?:/[1-9][0-9]{0,11}|\.[0-9]{1,12})?\Z")]
    seconds: Decimal
    frames: Annotated[int, Meta(ge=0, le=10**12)] = 0
    container: Text | None = None
    audio: bool = True

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError."""
        bounded(self.seconds)
        Fraction(self.fps)


class FileBody(Struct):
    """The record of a file that was sent or received."""

    size: Size = msgspec.field(name="bytes")
    sha256: Sha256
    type: Text = ""
    sees: VideoShape | None = None


class BodyShape(Struct, forbid_unknown_fields=True):
    """The body of a message: one of `json`, `text` and `file`, or no entry."""

    json: Any = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    file: FileBody | msgspec.UnsetType = msgspec.UNSET


class MessageLine(Struct, forbid_unknown_fields=True):
    """One direction of an exchange."""

    headers: dict[Text, Text] = {}
    body: BodyShape = msgspec.field(default_factory=BodyShape)


class ChargeLine(Struct, forbid_unknown_fields=True):
    """The price and the charge of a paid request, in a line of a cassette."""

    unit: Text
    documented: Decimal | None = None
    actual: Decimal | None = None
    left: Decimal | None = None

    def __post_init__(self) -> None:
        """Check the amounts. Raises ValueError."""
        for amount in (self.documented, self.actual, self.left):
            bounded(amount or Decimal(0))


class CassetteLine(Struct, forbid_unknown_fields=True):
    """A request and its response, in a line of a cassette."""

    number: Annotated[int, Meta(ge=0, le=10**9)]
    at: Decimal
    took: Decimal
    method: Method
    path: Path
    status: Status
    request: MessageLine = msgspec.field(default_factory=MessageLine)
    answer: MessageLine = msgspec.field(default_factory=MessageLine)
    part: Literal["api", "file", "webhook"] = "api"
    charge: ChargeLine | None = None
    media: dict[Text, VideoShape] = {}
    hook: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    signature: Literal["valid", "invalid", "missing", "unchecked"] | None = None
    findings: list[str] = []
    account: Annotated[int, Meta(ge=0, le=10**9)] = 0

    def __post_init__(self) -> None:
        """Check the times. Raises ValueError."""
        bounded(self.at)
        bounded(self.took)


_CLOSED = (CassetteLine, MessageLine, BodyShape, ChargeLine)
"""The parts that have no other fields than these."""


def shortened(exchange: Mapping[str, Any]) -> dict[str, Any]:
    """Return an exchange that the reader accepts: long texts are cut and marked."""
    found = dict(exchange)
    for side in ("request", "answer"):
        message = dict(found.get(side, {}))
        if "headers" in message:
            message["headers"] = {_cut(k): _cut(v) for k, v in message["headers"].items()}
        file = message.get("body", {}).get("file")
        if file is not None:
            message["body"] = {"file": {**file, "type": _cut(file.get("type", ""))}}
        found[side] = message
    if len(found.get("path", "")) > MAX_PATH_LENGTH:  # a placeholder may be longer than a secret
        found["path"] = f"{found['path'][: MAX_PATH_LENGTH - len(_PATH_MARK)]}{_PATH_MARK}"
    if "media" in found:
        found["media"] = {_cut(url): seen for url, seen in found["media"].items()}
    return found


def without_documents(exchange: Mapping[str, Any]) -> dict[str, Any]:
    """Return an exchange in which null replaces the JSON of each body."""
    found = dict(exchange)
    for side in ("request", "answer"):
        message = found.get(side, {})
        if "json" in message.get("body", {}):
            found[side] = {**message, "body": {"json": None}}
    return found


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT_LENGTH:
        return text
    mark = f"... (cut: {len(text)} characters)"
    return text[: MAX_TEXT_LENGTH - len(mark)] + mark


def bounded(amount: Decimal) -> None:
    """Check that an amount is within the allowed range. Raises ValueError."""
    if not amount.is_finite() or amount.adjusted() < -30 or amount.copy_abs() > LARGEST:  # noqa: PLR2004
        raise ValueError(f"{str(amount)[:40]} is no amount or time that can be")


def mistake_in(line: str, message: str) -> tuple[int, str, str]:
    """Return the column of a mistake found by msgspec, its path with a colon, and a description."""
    found = _PLACE.search(message)
    path = found["path"] if found else ""
    steps = [name or index for name, index in _STEP.findall(path)]
    told = message[: found.start()] if found else message
    place = f"{path.removeprefix('.')}: " if path else ""
    return _column(line, steps), place, told


def hint_of(message: str) -> str:
    """Return the most similar field name if a message is about an unknown field, else ""."""
    found = _UNKNOWN.search(message)
    names = {field.encode_name for one in _CLOSED for field in msgspec.structs.fields(one)}
    return "" if found is None else f"; {hint(found[1], sorted(names))}"


def _column(line: str, steps: list[str]) -> int:
    """Return the column where the value of a path begins, or the nearest value around it."""
    start = _skip(line, 0)
    for step in steps:
        inner = dict(_members(line, start)).get(step)
        if inner is None:
            break
        start = inner
    return start + 1


def _members(line: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the members of an object or a list, each with the position where its value begins."""
    opened, at, number = line[start], _skip(line, start + 1), 0
    while opened in "[{" and line[at] not in "]}":
        name = str(number)
        if opened == "{":
            name, at = scanstring(line, at + 1)
            at = _skip(line, _skip(line, at) + 1)
        yield name, at
        _, end = _DECODER.raw_decode(line, at)
        at, number = _skip(line, end), number + 1
        at = _skip(line, at + 1) if line[at] == "," else at


def _skip(line: str, at: int) -> int:
    return _SPACE.match(line, at).end()  # type: ignore[union-attr]  # it matches nothing, too
