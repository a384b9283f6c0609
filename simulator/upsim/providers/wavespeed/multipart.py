"""The one part of a multipart/form-data body that an upload needs (RFC 7578)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

_MOST_PARTS = 16
_END_OF_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file as the form sent it; the content type is empty when the part names none."""

    file_name: str
    content_type: str
    data: bytes


def file_part(content_type: str, body: bytes, name: str) -> FilePart | None:
    """The part of this name among the first ones; None when there is none or no form at all."""
    for start, end in _parts(body, _boundary(content_type)):
        blank = body.find(_END_OF_HEAD, start, end)
        if blank < 0:
            continue
        headers = _headers(body[start:blank])
        if headers.get_param("name", header="content-disposition") == name:
            data = body[blank + len(_END_OF_HEAD) : end]
            return FilePart(headers.get_filename() or "", _type_of(headers), data)
    return None


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where each of the first parts starts and ends; one without an end is none."""
    marker = b"--" + boundary
    at = 0 if body.startswith(marker) else body.find(_END_OF_LINE + marker) + len(_END_OF_LINE)
    for _ in range(_MOST_PARTS if boundary and body.startswith(marker, at) else 0):
        start = at + len(marker)
        end = body.find(_END_OF_LINE + marker, start)
        if end < 0:
            return
        yield start, end
        at = end + len(_END_OF_LINE)


def _boundary(content_type: str) -> bytes:
    headers = Message()
    headers["content-type"] = content_type
    if headers.get_content_type() != "multipart/form-data":
        return b""
    return (headers.get_boundary() or "").encode("latin-1", "replace")


def _headers(head: bytes) -> Message:
    headers = Message()
    for line in head.split(_END_OF_LINE):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers


def _type_of(headers: Message) -> str:
    return headers.get_content_type() if "content-type" in headers else ""
