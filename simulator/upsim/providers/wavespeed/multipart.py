"""Find the file part of a multipart/form-data body (RFC 7578).

The body may be larger than the memory, so it is searched in pieces. The simulator limits
the parts, headers and parameters of a form, because reading many of them takes long.
The providers document no such limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message

from upsim.core.call import Carried, Content

_MAX_PARTS = 16
_MAX_HEAD_LENGTH = 8 * 1024
_MAX_TYPE_LENGTH = 1024
_MAX_BOUNDARY_LENGTH = 256
_MAX_PARAMETERS = 32
_PIECE = 1 << 20
_END_OF_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"


def file_part(content_type: str, body: Content, name: str) -> Carried | None:
    """Return the part with this name, searching only the first parts; None if there is none."""
    for headers, start, end in _headed(content_type, body):
        if headers.get_param("name", header="content-disposition") == name:
            data = _pieces(body, start, end)
            return Carried(headers.get_filename() or "", _type_of(headers), data)
    return None


def part_names(content_type: str, body: Content) -> Iterator[str]:
    """Yield the names of the first parts in order; a part without a name has the empty name."""
    for headers, _start, _end in _headed(content_type, body):
        yield str(headers.get_param("name", "", header="content-disposition"))


def _headed(content_type: str, body: Content) -> Iterator[tuple[Message, int, int]]:
    """Yield, for each of the first parts, its headers and the start and end of its data."""
    for start, end in _parts(body, _boundary(content_type)):
        blank = body.find(_END_OF_HEAD, start, min(end, start + _MAX_HEAD_LENGTH))
        if blank >= 0:
            yield _headers(body.read(start, blank)), blank + len(_END_OF_HEAD), end


def _pieces(body: Content, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _PIECE):
        yield body.read(at, min(at + _PIECE, end))


def _parts(body: Content, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each of the first parts; a part without an end is skipped."""
    if not boundary:
        return
    marker = b"--" + boundary
    separator = _END_OF_LINE + marker
    at = 0
    if body.read(0, len(marker)) != marker:
        at = body.find(separator, 0, body.size) + len(_END_OF_LINE)
    for _ in range(_MAX_PARTS if at != 1 else 0):
        start = at + len(marker)
        end = body.find(separator, start, body.size)
        if end < 0:
            return
        yield start, end
        at = end + len(_END_OF_LINE)


def _boundary(content_type: str) -> bytes:
    if len(content_type) > _MAX_TYPE_LENGTH:
        return b""
    headers = Message()
    headers["content-type"] = content_type
    if headers.get_content_type() != "multipart/form-data":
        return b""
    return (headers.get_boundary() or "").encode("latin-1", "replace")[:_MAX_BOUNDARY_LENGTH]


def _headers(head: bytes) -> Message:
    """Return the headers of a part; no headers if they have too many parameters."""
    headers = Message()
    if head.count(b";") > _MAX_PARAMETERS:
        return headers
    for line in head.split(_END_OF_LINE):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers


def _type_of(headers: Message) -> str:
    return headers.get_content_type() if "content-type" in headers else ""
