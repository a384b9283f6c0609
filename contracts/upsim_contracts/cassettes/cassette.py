"""Cassettes: recorded requests and responses, without secrets and without videos.

A cassette is JSON lines. The first line is the header: `format`, `version`, `provider`,
`dialect`, `upstream` (a host) and `recorded` (an instant). Every further line is one exchange,
in the order of the responses. The delivery of a webhook is an exchange too. Each line is
written whole, so that a recording can end at any moment.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from upsim_contracts.cassettes.bounded_json import (
    HEAD,
    LINE,
    Bounds,
    UnusualError,
    encoded,
    read_document,
)
from upsim_contracts.cassettes.cassette_lines import (
    CassetteLine,
    HeaderLine,
    hint_of,
    mistake_in,
    shortened,
    without_documents,
)
from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.facts.webhook_messages import Checked

FORMAT = "upsim-cassette"
VERSION = 2
READABLE = (1, VERSION)
"""Versions of the format that can be read; version 1 has no webhooks."""
T = TypeVar("T", HeaderLine, CassetteLine)


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: the provider and host that responded, and the date and time."""

    provider: str
    dialect: str
    upstream: str
    recorded: str


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One direction of an exchange.

    `body` has one entry: `json` (the document), `text`, or `file`. A `file` has `bytes`, `sha256`,
    `type`, and the properties that PyAV `sees` in a video. For an empty body `body` has no entry.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """Return the body as bytes; the bytes of a file were not recorded."""
        if "json" in self.body:
            return encoded(self.body["json"])
        return str(self.body.get("text", "")).encode()


@dataclass(frozen=True, slots=True)
class Charge:
    """The documented price of a paid request, and the amount that the balance lost.

    The price is None if unknown. `left` is the balance after the request, None if it was not read.
    """

    unit: str
    documented: Decimal | None
    actual: Decimal | None
    left: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request and its response.

    `at` and `took` are seconds; `status` 0 is a lost connection.

    `part` is `api` for the provider's own calls and `file` for links in its responses. It is
    `webhook` for a delivery, whose path is that of the request that named the webhook. The request
    and the delivery have the same `hook`. `signature` is the result of the signature check of a
    delivery. `media` has the properties of the videos in the request, by their URL without query.
    """

    number: int
    at: Decimal
    took: Decimal
    method: str
    path: str
    request: RecordedMessage
    status: int
    answer: RecordedMessage
    part: str = "api"
    charge: Charge | None = None
    media: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hook: int | None = None
    signature: Checked | None = None
    findings: Sequence[str] = ()
    account: int = 0
    """Requests with one key have one number, from 1; those without a key have 0."""

    @property
    def call(self) -> str:
        """Method and path, without the query."""
        return f"{self.method} {self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Cassette:
    """A complete recording: `exchanges` that the client started, and `deliveries` of webhooks.

    `cut` is the number of a last line that is incomplete, or 0.
    """

    name: str
    header: Header
    exchanges: tuple[RecordedExchange, ...]
    cut: int = 0
    deliveries: tuple[RecordedExchange, ...] = ()

    @property
    def clips(self) -> Mapping[str, ClipProperties]:
        """The videos whose properties are known, by their URL without query."""
        found = {url: seen for one in self.exchanges for url, seen in one.media.items()}
        return {url: clip_of(seen) for url, seen in found.items()}


class Writer:
    """Writes a cassette line by line. An incomplete line is removed if writing it fails."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        """Write the first line. Raises OSError."""
        self._file = file
        self._end = 0
        self._thread = ThreadPoolExecutor(1, "cassette")
        self._write(encoded({"format": FORMAT, "version": VERSION, **_fields(header)}))
        self.count = 0

    async def add_beside(self, exchange: RecordedExchange) -> None:
        """Add an exchange in a thread: one line at a time, in the order of these calls."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.add, exchange)

    def add_last(self, exchange: RecordedExchange) -> None:
        """Add an exchange after all lines of `add_beside`, and wait until it is written."""
        self._thread.submit(self.add, exchange).result()

    def add(self, exchange: RecordedExchange) -> None:
        """Write one exchange with the next number; it is in the file when this returns.

        The bodies must come from `bodies.kept`, because only those can be read again.
        Raises ContractFileError, and writes nothing, if the reader would reject this line. Raises
        OSError if the file cannot be written.
        """
        fields = shortened(_fields(exchange)) | {"number": self.count + 1}
        found = {name: value for name, value in fields.items() if value not in (None, {}, ())}
        bare = encoded(without_documents(found)).decode()
        _exchange(Path(f"exchange {self.count + 1}"), 1, bare, HEAD)
        self._write(encoded(found))
        self.count += 1

    def close(self) -> None:
        """Wait until all added lines are in the file."""
        self._thread.shutdown()

    def _write(self, line: bytes) -> None:
        left = memoryview(line + b"\n")
        size = len(left)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with suppress(OSError):  # what is no file, such as a pipe, keeps its half of a line
                self._file.truncate(self._end)
                self._file.seek(self._end)
            raise
        self._end += size


def read_cassette(path: Path) -> Cassette:
    """Read a cassette. Raises ContractFileError with line, column and path of a mistake.

    An incomplete last line, left by a recorder that was killed, is ignored.
    """
    try:
        content = path.read_bytes()
        whole, _, last = content.rpartition(b"\n")
        is_cut = bool(whole) and not _is_json(last)
        # Not splitlines: a text may hold other characters that it takes for the end of a line.
        lines = (whole if is_cut else content).decode().removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:  # also a name that no file can have, and no text
        told = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ContractFileError(f"{path} is no cassette: {told}") from error
    found = [(number, line) for number, line in enumerate(lines, 1) if line]
    first = _header(path, *(found[0] if found else (1, "{}")))
    every = [_exchange(path, number, line) for number, line in found[1:]]
    exchanges = tuple(one for one in every if one.part != "webhook")
    deliveries = tuple(one for one in every if one.part == "webhook")
    end = whole.count(b"\n") + 2 if is_cut else 0
    return Cassette(path.name, first, exchanges, end, deliveries)


def clip_of(seen: Mapping[str, Any]) -> ClipProperties:
    """Return the properties of a video from what PyAV found."""
    return ClipProperties(
        width=int(seen["width"]),
        height=int(seen["height"]),
        fps=Fraction(str(seen["fps"])),
        seconds=Decimal(str(seen["seconds"])),
        audio=bool(seen.get("audio", True)),
        container=str(seen.get("container") or "mp4"),
    )


def _is_json(line: bytes) -> bool:
    """Return whether a line is empty or complete JSON, even JSON that a cassette may not hold."""
    try:
        json.loads(line or b"0")
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    except (ValueError, RecursionError):
        pass  # a number of many digits, or nested deep: the reader of the line says so
    return True


def _header(path: Path, number: int, line: str) -> Header:
    one = _line(path, number, line)
    if one.get("format") != FORMAT or one.get("version") not in READABLE:
        seen = f"{str(one.get('format'))[:40]!r} version {str(one.get('version'))[:20]}"
        versions = " or ".join(map(str, READABLE))
        raise ContractFileError(
            f"{path}:{number}:1: expected {FORMAT!r} version {versions}, seen {seen}"
        )
    found = _converted(path, number, line, one, HeaderLine)
    return Header(found.provider, found.dialect, found.upstream, found.recorded)


def _exchange(path: Path, number: int, line: str, bounds: Bounds = LINE) -> RecordedExchange:
    one = _line(path, number, line, bounds)
    found = _converted(path, number, line, one, CassetteLine)
    return RecordedExchange(
        number=found.number,
        at=found.at,
        took=found.took,
        method=found.method,
        path=found.path,
        request=RecordedMessage(found.request.headers, one.get("request", {}).get("body", {})),
        status=found.status,
        answer=RecordedMessage(found.answer.headers, one.get("answer", {}).get("body", {})),
        part=found.part,
        charge=None
        if found.charge is None
        else Charge(
            found.charge.unit, found.charge.documented, found.charge.actual, found.charge.left
        ),
        media=one.get("media", {}),
        hook=found.hook,
        signature=found.signature,
        findings=tuple(found.findings),
        account=found.account,
    )


def _line(path: Path, number: int, line: str, bounds: Bounds = LINE) -> dict[str, Any]:
    column = 1
    try:
        found = read_document(line.encode(), bounds)
    except json.JSONDecodeError as error:
        column, told = error.colno, f"no JSON: {error.msg}"
    except UnusualError as error:
        told = str(error)
    else:
        if isinstance(found, dict):
            return found
        told = f"expected a JSON object, seen {line[:40]!r}"
    raise ContractFileError(f"{path}:{number}:{column}: {told}")


def _converted(path: Path, number: int, line: str, one: dict[str, Any], kind: type[T]) -> T:
    """Return a line as a typed record.

    Raises ContractFileError with the place of the first mistake.
    """
    try:
        return msgspec.convert(one, kind)
    except msgspec.ValidationError as error:
        column, place, message = mistake_in(line, str(error))
        message += hint_of(message)
        raise ContractFileError(f"{path}:{number}:{column}: {place}{message}") from error


def _fields(value: object) -> dict[str, Any]:
    """Return a record as JSON, with amounts as text."""
    found: dict[str, Any] = {}
    for name in value.__dataclass_fields__:  # type: ignore[attr-defined]  # records of this module
        inner = getattr(value, name)
        if isinstance(inner, RecordedMessage):
            inner = {k: v for k, v in _fields(inner).items() if v}
        elif isinstance(inner, Charge):
            inner = _fields(inner)
        found[name] = f"{inner:f}" if isinstance(inner, Decimal) else inner
    return found
