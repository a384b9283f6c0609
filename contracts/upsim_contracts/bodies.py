"""Bodies as a cassette keeps them: documents whole, videos as size, hash and what PyAV sees."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from upsim_contracts.cassette_format import Seen
from upsim_contracts.exceptions import UnreadableVideoError
from upsim_contracts.looking import look_into
from upsim_contracts.redaction import Redactor, is_hook

LONGEST_VIDEO = 64 * 2**20
"""Bytes of a file that are held to look into it; of a larger one only size and hash are kept."""
LONGEST_TEXT = 4096
LONGEST_NUMBER = 300
"""Digits of a number, and places before or after its point."""
DEEPEST = 100
MOST_VALUES = 200_000
"""Values of a document, counted by commas and brackets; more would hold up other requests."""
MAX_LETTERS = 2**20
"""Characters of a text that spells no file; looking for secrets in it would take long."""
_DATA = re.compile(r"data:[\w/+.-]*;base64,(?=.)", re.DOTALL)
_LONGEST_HEAD = 300
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FILE = re.compile(rb"^content-disposition:.*\bfilename\*?=", re.IGNORECASE | re.MULTILINE)
_ALPHABET = (string.ascii_letters + string.digits + "+/" + string.whitespace).encode()
_MOST_PADDING = 2


@dataclass(slots=True)
class Tee:
    """Bytes that pass: counted, hashed, and held as long as they are few."""

    size: int = 0
    _held: bytearray = field(default_factory=bytearray)
    _hash: Any = field(default_factory=hashlib.sha256)

    def feed(self, chunk: bytes) -> None:
        """Take note of a piece."""
        self.size += len(chunk)
        self._hash.update(chunk)
        if self.size <= LONGEST_VIDEO:
            self._held += chunk
        else:
            self._held.clear()

    @property
    def content(self) -> bytes:
        """All bytes, or none when they were too many."""
        return bytes(self._held)

    def kept(self, content_type: str) -> dict[str, Any]:
        """What a cassette says of it."""
        found = {"bytes": self.size, "sha256": self._hash.hexdigest(), "type": content_type}
        seen = sees(self.content)
        return {**found, "sees": seen} if seen else found


def sees(content: bytes) -> dict[str, Any] | None:
    """What PyAV says of a video; None for what is none, was not held, or no cassette takes."""
    if not content:
        return None
    try:
        found = look_into(content)
        seen = {**found, "seconds": str(found["seconds"])}
        msgspec.convert(seen, Seen)
    except (UnreadableVideoError, msgspec.ValidationError):
        return None
    return seen


def kept(content: bytes, content_type: str, redactor: Redactor) -> dict[str, Any]:
    """A body as the cassette holds it, without secrets."""
    if not content:
        return {}
    document = parsed(content)
    if document is not None:
        return {"json": redactor.document(without_videos(document[0]))}
    text = content_type.startswith("text/") or "json" in content_type or "xml" in content_type
    if text and len(content) <= LONGEST_TEXT:
        return {"text": redactor.text(content.decode("utf-8", "replace"))}
    tee = Tee()
    tee.feed(content)
    return {"file": tee.kept(content_type.partition(";")[0])}


def parsed(content: bytes) -> tuple[Any] | None:
    """A JSON document in a tuple, since it can be null; numbers with a point are Decimals.

    None for what is no JSON, or none that can be kept and compared: NaN, half of a surrogate pair,
    more than 100 levels or 200,000 values, a number that is out of all proportion, a text of more
    than a million characters that spells no file.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        return None
    try:
        found = json.loads(content, parse_float=_number, parse_int=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return (found,) if _is_usual(found) else None


def has_repeats(content: bytes) -> bool:
    """Whether an object of a JSON document, as `parsed` reads it, has a key twice.

    Servers differ in which of the values counts.
    """
    found = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) < len(pairs)

    json.loads(content, object_pairs_hook=note)
    return found


def _number(digits: str) -> int | Decimal:
    """A number as it is written. Raises ValueError for one that is beyond all others."""
    found = Decimal(digits) if len(digits) <= LONGEST_NUMBER else Decimal("NaN")
    if not found.is_finite() or abs(found.adjusted()) > LONGEST_NUMBER:
        raise ValueError("a number out of all proportion")
    return int(digits) if digits.lstrip("-").isdecimal() else found


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _is_usual(document: object) -> bool:
    """Whether a document is no deeper than any real one, and its texts can be encoded and kept."""
    level: list[object] = [document]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, str) and not _is_usual_text(one):
                return False
        if not inner:
            return True
        level = inner
    return False


def _is_usual_text(text: str) -> bool:
    if len(text) > MAX_LETTERS and _decoded(text) is None:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair
        return False
    return True


def videos_in(content: bytes, content_type: str) -> Iterator[bytes]:
    """The files that a request carries: of a form, as data URLs, or as bare base64."""
    boundary = _BOUNDARY.search(content_type) if content_type.startswith("multipart/") else None
    if boundary is not None:
        for part in content.split(f"--{boundary[1] or boundary[2]}".encode("latin-1", "replace")):
            head, _, payload = part.partition(b"\r\n\r\n")
            if _FILE.search(head):
                yield payload.removesuffix(b"\r\n")
        return
    document = parsed(content)
    for text in strings(document[0]) if document else ():
        found = _decoded(text)
        if found is not None:
            yield found


def strings(value: object) -> Iterator[str]:
    """Every text in a document, in order."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def links(value: object, name: str = "") -> Iterator[str]:
    """Every link in a document, but for those where the caller wants to be told something."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from links(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner, name)
    elif isinstance(value, str) and value.startswith(("http://", "https://")) and not is_hook(name):
        yield value


def without_videos(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A document in which the bytes of files are replaced by their hash."""
    if isinstance(value, Mapping):
        return {key: without_videos(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_videos(inner) for inner in value]
    if isinstance(value, str):
        found = _decoded(value)
        return value if found is None else name_of(found)
    return value


def name_of(content: bytes) -> str:
    """What stands for the bytes of a file in a cassette."""
    return f"data:,sha256-{hashlib.sha256(content).hexdigest()}"


def _decoded(text: str) -> bytes | None:
    """The bytes that a long text spells; None for a text that is only a text."""
    head = _DATA.match(text, 0, _LONGEST_HEAD)
    if head is None and (len(text) <= LONGEST_TEXT or not _is_base64(text)):
        return None
    try:
        return base64.b64decode(text[head.end() :] if head else text, validate=False)
    except ValueError:  # bytes that base64 cannot spell, and letters that it does not have
        return None


def _is_base64(text: str) -> bool:
    """Whether a text has no letters but those of base64, and at the most its two signs at the end.

    The steps are those of C code that is done in milliseconds, however long the text is.
    """
    bare = text.rstrip()
    letters = bare.rstrip("=")
    if not text.isascii() or not letters or len(bare) - len(letters) > _MOST_PADDING:
        return False
    return not letters.encode().translate(None, _ALPHABET)
