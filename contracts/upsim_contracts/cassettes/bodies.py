"""Bodies in a cassette: JSON is kept whole; a video as size, hash and its PyAV properties."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise
from threading import Lock
from typing import Any

import msgspec

from upsim_contracts.cassettes.bounded_json import (
    KEPT,
    MAX_TEXT_LENGTH,
    UnusualError,
    encoded,
    parsed,
    read_document,
    spelled_bytes,
)
from upsim_contracts.cassettes.cassette_lines import VideoShape
from upsim_contracts.cassettes.redaction import Redactor, is_webhook_url
from upsim_contracts.cassettes.text_windows import positions
from upsim_contracts.exceptions import UnreadableVideoError
from upsim_contracts.video_probe import probe_video

MAX_VIDEO_LENGTH = 64 * 2**20
"""Maximum bytes of a file that is held for probing; a larger file has only size and hash."""
MAX_VIDEOS = 256 * 2**20
"""Maximum bytes of all held files; files beyond it have only size and hash."""
MAX_PARTS = 1_000
"""Maximum parts of a form that are read."""
MAX_HEAD_LENGTH = 64 * 2**10
"""Bytes of a part's headers."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FILE = re.compile(rb"^content-disposition:.*\bfilename\*?=", re.IGNORECASE | re.MULTILINE)


class _Share:
    """A limit on the bytes that all open bodies may hold in memory together. Thread-safe."""

    def __init__(self) -> None:
        self._held, self._lock = 0, Lock()

    def take(self, size: int) -> bool:
        """Reserve `size` bytes if there is room; a negative size releases them."""
        with self._lock:
            is_room = size <= 0 or self._held + size <= MAX_VIDEOS
            self._held += size if is_room else 0
        return is_room


_SHARE = _Share()


@dataclass(slots=True)
class Tee:
    """A body in transit: it is counted and hashed, and held while the shared memory has room."""

    size: int = 0
    _held: bytearray = field(default_factory=bytearray)
    _hash: Any = field(default_factory=hashlib.sha256)
    is_whole: bool = True

    def feed(self, chunk: bytes) -> None:
        """Count and hash a piece of the body, and hold it if there is room."""
        self.size += len(chunk)
        self._hash.update(chunk)
        if self.is_whole and self.size <= MAX_VIDEO_LENGTH and _SHARE.take(len(chunk)):
            self._held += chunk
        else:
            self.is_whole = False
            self._let_go()

    def _let_go(self) -> None:
        _SHARE.take(-len(self._held))
        self._held.clear()

    def __del__(self) -> None:
        """Release the memory of this body."""
        self._let_go()

    @property
    def content(self) -> bytes:
        """All bytes of the body; empty if they did not fit into the shared memory."""
        return bytes(self._held)

    def kept(self, content_type: str) -> dict[str, Any]:
        """Return the description of this body that a cassette stores."""
        found = {"bytes": self.size, "sha256": self._hash.hexdigest(), "type": content_type}
        seen = probe_shape(self.content)
        return {**found, "sees": seen} if seen else found


def probe_shape(content: bytes) -> dict[str, Any] | None:
    """Return the properties that PyAV finds; None if the file was not held or is no valid video."""
    if not content:
        return None
    try:
        found = probe_video(content)
        seen = {**found, "seconds": str(found["seconds"])}
        msgspec.convert(seen, VideoShape)
    except (UnreadableVideoError, msgspec.ValidationError):
        return None
    return seen


def recorded_body(content: bytes, content_type: str, redactor: Redactor) -> dict[str, Any]:
    """Return a body in the form of the cassette, without secrets."""
    if not content:
        return {}
    found = parsed(content)
    if found is not None:
        clean = redactor.document(without_videos(found[0]))
        if parsed(encoded(clean), KEPT) is not None:
            return {"json": clean}
    text = content_type.startswith("text/") or "json" in content_type or "xml" in content_type
    if text and len(content) <= MAX_TEXT_LENGTH:
        return {"text": redactor.text(content.decode("utf-8", "replace"))}
    return as_file(content, content_type)


def as_file(content: bytes, content_type: str) -> dict[str, Any]:
    """Return the record of a body of which only size, hash and properties are kept."""
    digest = hashlib.sha256(content).hexdigest()
    kind = content_type.partition(";")[0]
    found = {"bytes": len(content), "sha256": digest, "type": kind}
    seen = probe_shape(content) if len(content) <= MAX_VIDEO_LENGTH else None
    return {"file": {**found, "sees": seen} if seen else found}


def reason_not_kept(content: bytes, body: Mapping[str, Any]) -> str | None:
    """Return why a JSON document is stored only as a file; None if it is stored, or is not JSON."""
    if "json" not in body.get("file", {}).get("type", ""):
        return None
    if not content:
        return "it is too long, or encoded in a way that is not read, or there was no room for it"
    try:
        read_document(content)
    except UnusualError as error:
        return str(error)
    except ValueError:
        return None
    return "a text of it is too long once its secrets are replaced, or there was no room for it"


def videos_in(content: bytes, content_type: str) -> Iterator[bytes]:
    """Yield the files in a request: in a form, as data URLs, or as bare base64."""
    boundary = _BOUNDARY.search(content_type) if content_type.startswith("multipart/") else None
    if boundary is not None:
        sign = f"--{boundary[1] or boundary[2]}".encode("latin-1", "replace")
        for start, end in pairwise([*islice(positions(content, sign), MAX_PARTS), len(content)]):
            head_end = content.find(b"\r\n\r\n", start, min(start + MAX_HEAD_LENGTH, end))
            if head_end >= 0 and _FILE.search(content, start + len(sign), head_end):
                line = 2 * content.endswith(b"\r\n", head_end + 4, end)
                yield content[head_end + 4 : end - line]
        return
    document = parsed(content)
    for text in strings(document[0]) if document else ():
        found = spelled_bytes(text)
        if found is not None:
            yield found


def strings(value: object) -> Iterator[str]:
    """Yield every text in a document, in order."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def links(value: object, name: str = "") -> Iterator[str]:
    """Yield every link in a document, except URLs to which the client wants webhooks sent."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from links(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner, name)
    elif (
        isinstance(value, str)
        and value.startswith(("http://", "https://"))
        and not is_webhook_url(name)
    ):
        yield value


def without_videos(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a document in which the bytes of files are replaced by their hash."""
    if isinstance(value, Mapping):
        return {key: without_videos(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_videos(inner) for inner in value]
    if isinstance(value, str):
        found = spelled_bytes(value)
        return value if found is None else name_of(found)
    return value


def name_of(content: bytes) -> str:
    """Return the name under which a cassette refers to the bytes of a file."""
    return f"data:,sha256-{hashlib.sha256(content).hexdigest()}"
