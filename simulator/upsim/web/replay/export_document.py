"""Read an export: validate every part, and report each mistake with its place."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

import msgspec

from upsim.core import causes
from upsim.core.instants import LATEST, Instant, from_iso
from upsim.core.media import Container, Measured, Media, Reason, Unmeasurable
from upsim.core.url_flaws import public_url_flaw
from upsim.engine.exports import FORMAT, VERSION

_HINT = "GET /__sim/sandboxes/<id>/export writes one"

Latin = Annotated[str, msgspec.Meta(pattern=r"\A[\x00-\xff]*\Z")]
"""Characters that the head of a request may contain."""
_FOURS = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
Base64 = Annotated[str, msgspec.Meta(pattern=rf"\A{_FOURS}\Z")]
Ratio = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,40}(?:/[1-9][0-9]{0,39})?\Z")]
Pair = tuple[Latin, Latin]
MAX_LENGTH = 512 * 1024 * 1024
"""Maximum length of a recorded body; a replay fills a shortened upload up to its length."""
Length = Annotated[int, msgspec.Meta(ge=0, le=MAX_LENGTH)]


class ExportError(ValueError):
    """A file that is not an export, or that cannot be replayed here."""


class ClockPart(msgspec.Struct):
    """The clock at the creation of the sandbox."""

    mode: str
    start: str
    pace: int


class SandboxPart(msgspec.Struct):
    """The settings of the sandbox at its creation."""

    id: str
    scenario: str
    seed: int
    clock: ClockPart
    dialects: dict[str, str]
    knobs: dict[str, dict[str, str]]
    balances: dict[str, str]
    strict_keys: bool
    dialect: str | None
    render: str | None
    jobs_max: int
    webhook_timestamp: str


class ServerPart(msgspec.Struct):
    """The server settings that influence responses."""

    hosts: list[str]
    loopback: bool
    fetch: bool
    public_url: str | None


class KeyPart(msgspec.Struct):
    """A key, by its placeholder name."""

    name: str
    provider: str
    owner: str
    credential: Literal["malformed", "ill_formed", "unknown", "known"]
    prefix: str


class Bytes(msgspec.Struct, omit_defaults=True):
    """Bytes as text or in base64."""

    text: str | None = None
    base64: Base64 | None = None
    size: Length = msgspec.field(default=0, name="bytes")
    sha256: str = ""
    cut: bool = False

    @property
    def data(self) -> bytes:
        """Return the decoded bytes."""
        if self.base64 is not None:
            return base64.b64decode(self.base64)
        return (self.text or "").encode()


class ExportedRequest(msgspec.Struct, omit_defaults=True):
    """A recorded request."""

    method: str
    path: str
    query: Latin = ""
    scheme: str = "http"
    headers: list[Pair] = []
    key: str = ""
    body: Bytes | None = None
    oversized: bool = False

    @property
    def target(self) -> str:
        """Return the path and the query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class Answered(msgspec.Struct, omit_defaults=True):
    """A recorded response; if `connection` is `cut`, the end of the response may be missing."""

    status: int | None
    headers: list[Pair]
    size: int = msgspec.field(name="bytes")
    sha256: str
    connection: str = ""


class Point(msgspec.Struct):
    """The point at which a waiting request continued."""

    of: int
    point: str
    index: int


class MediaPart(msgspec.Struct, omit_defaults=True):
    """The result of a measurement, or the reason of its failure."""

    duration: int = 0
    frame_rate: Ratio = "0"
    width: int = 0
    height: int = 0
    frames: int = 0
    container: Container = "other"
    audio: bool = False
    size: int = 0
    unmeasurable: Reason | None = None
    detail: str = ""

    @property
    def measured(self) -> Measured:
        """Return the measurement in the engine's form."""
        if self.unmeasurable is not None:
            return Unmeasurable(self.unmeasurable, self.detail)
        return Media(
            duration=self.duration,
            frame_rate=Fraction(self.frame_rate),
            width=self.width,
            height=self.height,
            frames=self.frames,
            container=self.container,
            audio=self.audio,
            size=self.size,
        )


class OpenedPart(msgspec.Struct):
    """A newly created account."""

    provider: str
    owner: str
    account: int


class ToldPart(msgspec.Struct, omit_defaults=True):
    """The result of an attempt to deliver a webhook."""

    delivery: str
    attempt: int
    status: int | None = None
    error: str = ""
    refused: bool = False
    answer: Bytes | None = None


class ExportEntry(msgspec.Struct, omit_defaults=True):
    """One entry of the log: a request, or an entry of another kind."""

    n: int
    at: str
    request: ExportedRequest | None = None
    answer: Answered | None = None
    resumed: Point | None = None
    media: MediaPart | None = None
    opened: OpenedPart | None = None
    webhook: ToldPart | None = None
    reread: dict[str, Any] | None = None
    wall: str | None = None

    @property
    def instant(self) -> Instant:
        """Return the time at which the entry was run."""
        return instant_of(self.at)


class Incomplete(msgspec.Struct):
    """The entry after which the log is incomplete, and the reason."""

    after: int
    why: str


class Document(msgspec.Struct):
    """A whole export."""

    format: str
    version: int
    upsim: str
    sandbox: SandboxPart
    server: ServerPart
    rules: dict[str, str]
    values: Any
    keys: list[KeyPart]
    stamps: list[int]
    commands: list[ExportEntry]
    incomplete: Incomplete | None = None


def read(text: bytes, *, name: str) -> Document:
    """Return the export in a file. Raises ExportError with a message."""
    try:
        head = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExportError(f"{name} is no export: it is not JSON ({error})") from error
    return known(head, name=name)


def _instead(head: object) -> str:
    """Return what a document has instead of the format of an export."""
    if not isinstance(head, Mapping):
        return f"it is {causes.typed(head)}, expected an object"
    if "format" not in head:
        return f'it has no "format", expected "{FORMAT}"'
    return f'format is {causes.typed(head["format"])}, expected "{FORMAT}"'


def known(head: object, *, name: str) -> Document:
    """Return the export in a decoded document. Raises ExportError with a message."""
    if not isinstance(head, Mapping) or head.get("format") != FORMAT:
        raise ExportError(f"{name} is no export: {_instead(head)}; {_HINT}")
    if head.get("version") != VERSION:
        message = f"{name} is an export of version {str(head.get('version'))[:20]}"
        raise ExportError(f"{message}; this upsim reads version {VERSION}")
    try:
        found = msgspec.convert(head, Document)
    except (msgspec.ValidationError, ValueError) as error:
        raise ExportError(f"{name} is a broken export: {error}") from error
    public_url = found.server.public_url
    flaw = "" if public_url is None else public_url_flaw(public_url)
    if flaw:
        place = "$.server.public_url"
        raise ExportError(f"{name} is a broken export: {public_url!r} {flaw} - at `{place}`")
    for place, text in _instants(found):
        try:
            instant_of(text)
        except ExportError as error:
            raise ExportError(f"{name} is a broken export: {error} - at `{place}`") from error
    return found


def instant_of(text: str) -> Instant:
    """Return the time in a text, if a clock can have that time. Raises ExportError."""
    try:
        found = from_iso(text)
    except (ValueError, OverflowError):
        raise ExportError(f"{text[:80]!r} is not an ISO 8601 instant") from None
    if not 0 <= found <= LATEST:
        raise ExportError(f"{text[:80]!r} is not between the years 1970 and 9000")
    return found


def _instants(found: Document) -> Iterator[tuple[str, str]]:
    """Yield every time in an export, with its place."""
    yield "$.sandbox.clock.start", found.sandbox.clock.start
    for number, entry in enumerate(found.commands):
        yield f"$.commands[{number}].at", entry.at
        if entry.wall is not None:
            yield f"$.commands[{number}].wall", entry.wall
