"""The video to upscale: a path, bytes, a file object, a URL, or a data URL."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, unquote_to_bytes

from upsim.client.adapter import File
from upsim.client.exceptions import SourceError
from upsim.core.hosts import MAX_URL_LENGTH, host_of
from upsim.core.media import Measured, Media, Unmeasurable
from upsim.core.url_flaws import scheme_flaw
from upsim.media.probe import measure_file

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""A source of a video. A text is a URL if it begins like one; otherwise it is a path."""

_TYPES: Mapping[str, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
}
_SHOWN_PATH = 200
_WITH_SLASHES = re.compile("https?://", re.IGNORECASE)
_SCHEMES = "http:// or https://"
_SCHEME = re.compile(r"(https?(?=:)|data(?=:)|[a-z][a-z0-9+.-]+(?=://))", re.IGNORECASE)
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class RemoteVideo:
    """A video that the provider downloads itself."""

    url: str


@dataclass(frozen=True, slots=True)
class LocalVideo:
    """A local video: the file and its measured properties."""

    file: File
    measured: Measured

    @property
    def media(self) -> Media | None:
        """The properties if the file is a video."""
        return None if isinstance(self.measured, Unmeasurable) else self.measured


def open_source(source: Source) -> RemoteVideo | LocalVideo:
    """Read and measure a local source; a URL is neither downloaded nor measured.

    Raises SourceError. This blocks: a file is read, and a worker process may measure it.
    """
    if isinstance(source, str):
        if source[:5].lower() == "data:":
            return clip_of("clip", _decoded(source))
        flaw = source_flaw(source)
        if flaw:
            raise SourceError(f"{source[:_SHOWN_PATH]!r} {flaw}")
        if _WITH_SLASHES.match(source):
            return RemoteVideo(source)
    if isinstance(source, str | os.PathLike):
        return _of_path(Path(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return clip_of("clip", bytes(source))
    read = getattr(source, "read", None)
    content = read() if callable(read) else None
    if not isinstance(content, bytes):
        kind = type(source).__name__
        raise SourceError(
            f"a video must be a path, bytes, a binary file object or a URL, not {kind}"
        )
    name = getattr(source, "name", None)
    return clip_of(Path(name).name if isinstance(name, str) else "clip", content)


def source_file(source: object) -> Path | None:
    """Return the absolute path of a source that is a file; None for bytes and URLs."""
    named = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    try:
        path = Path(named).absolute() if isinstance(named, str | os.PathLike) else None
        return path if path is not None and path.is_file() else None
    except (OSError, ValueError, TypeError):  # a name that no file can have
        return None


def is_source(source: object, to: Path) -> bool:
    """Return whether an output file is the source itself, even if the names differ."""
    file = source_file(source)
    try:
        return file is not None and to.samefile(file)
    except (OSError, ValueError):  # no file exists that the output would replace
        return False


def clip_of(name: str, content: bytes | Path) -> LocalVideo:
    """Measure a video; add the correct file extension if the name has none."""
    measured = measure_file(content)
    container = measured.container if isinstance(measured, Media) else ""
    suffix = f".{container}" if container in _TYPES and not Path(name).suffix else ""
    kind = _TYPES.get(container) or mimetypes.guess_type(name)[0] or _UNKNOWN
    return LocalVideo(File(name + suffix, kind, content), measured)


def data_url(file: File) -> str:
    """Return a file as a data URL."""
    return f"data:{file.content_type};base64,{base64.b64encode(file.read()).decode('ascii')}"


def source_flaw(source: str) -> str:
    """Return the advice for an unusable URL, as the end of a message; empty for other texts.

    >>> source_flaw("file:///tmp/a%20b.mp4"), source_flaw("file.mp4")
    ('is a file URL: give the path, /tmp/a b.mp4', '')
    >>> source_flaw("s3://bucket/a.mp4")
    'has the scheme s3: give a path, or a URL that begins with http:// or https://'
    >>> source_flaw("http:/a.example/b.mp4")
    'lacks http://: give http://a.example/b.mp4'
    >>> source_flaw("https:///b.mp4")
    'names no host: give http(s)://host/path'
    """
    if source[:6].lower() != "file:/":
        found = _SCHEME.match(source)
        if found is None:
            return ""
        if _WITH_SLASHES.match(source):
            named = len(source) > MAX_URL_LENGTH or host_of(source)
            return "" if named else "names no host: give http(s)://host/path"
        other = f"has the scheme {found[1]}: give a path, or a URL that begins with {_SCHEMES}"
        return scheme_flaw(source) or other
    rest = source[5:]
    path = rest.removeprefix("//").removeprefix("localhost") if rest[:2] == "//" else rest
    return f"is a file URL: use the path, {unquote(path)[:_SHOWN_PATH]}"


def _of_path(path: Path) -> LocalVideo:
    try:
        with path.open("rb"):
            return clip_of(path.name, path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problem = f"{path} cannot be read: {reason}"
    raise SourceError(problem)


def _decoded(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise SourceError("a data URL needs a comma before its content")
    try:
        content = unquote_to_bytes(body)
        return base64.b64decode(content, validate=True) if head.endswith(";base64") else content
    except (binascii.Error, ValueError) as error:
        problem = f"the content of the data URL is not base64: {error}"
    raise SourceError(problem)
