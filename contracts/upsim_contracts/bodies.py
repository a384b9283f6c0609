"""Bodies as a cassette keeps them: documents whole, videos as size, hash and what PyAV sees."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import av

from upsim_contracts.looking import look_into
from upsim_contracts.redaction import Redactor, is_hook

LONGEST_VIDEO = 64 * 2**20
"""Bytes of a file that are held to look into it; of a larger one only size and hash are kept."""
LONGEST_TEXT = 4096
_DATA = re.compile(r"data:([\w/+.-]*);base64,(.+)", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")


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
    """What PyAV says of a video; None when it is none, or was not held."""
    if not content:
        return None
    try:
        found = look_into(content)
    except (av.FFmpegError, IndexError, ValueError):
        return None
    return {**found, "seconds": str(found["seconds"])}


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
    """A JSON document in a tuple, since it can be null; numbers with a point are Decimals."""
    try:
        return (json.loads(content, parse_float=Decimal),)
    except (ValueError, RecursionError):
        return None


def videos_in(content: bytes, content_type: str) -> Iterator[bytes]:
    """The files that a request carries: of a form, as data URLs, or as bare base64."""
    if content_type.startswith("multipart/"):
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + content)
        for part in form.iter_parts():
            if part.get_filename():
                payload = part.get_payload(decode=True)
                if isinstance(payload, bytes):
                    yield payload
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
    data = _DATA.fullmatch(text)
    if data is None and (len(text) <= LONGEST_TEXT or _BASE64.fullmatch(text) is None):
        return None
    try:
        return base64.b64decode(data[2] if data else text, validate=False)
    except binascii.Error:
        return None
