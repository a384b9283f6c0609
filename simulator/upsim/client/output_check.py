"""Check that a finished file is a video, by its first bytes."""

from __future__ import annotations

from pathlib import Path

from upsim.client.exceptions import ProtocolError

_HEAD = 512
_SHOWN = 24
_SIGNS = (
    *((4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")),
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (8, b"AVI "),
    (0, b"FLV"),
    (0, b"OggS"),
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"0&\xb2u\x8ef\xcf\x11"),  # ASF
    (0, b"\x06\x0e+4"),  # MXF
)
_PACKET, _SYNC = 188, b"G"  # MPEG transport stream
_BOM = b"\xef\xbb\xbf"


def check_video(file: Path, name: str) -> None:
    """Raise ProtocolError unless the file begins like a video; `name` is used in the message."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if not (_is_known(head) or _is_transport_stream(head)):
        raise ProtocolError(f"{name}: the output is not a video but {_described(head)}")


def _is_known(head: bytes) -> bool:
    return any(head.startswith(sign, at) for at, sign in _SIGNS)


def _is_transport_stream(head: bytes) -> bool:
    return head[::_PACKET].startswith(_SYNC * 2)


def _described(head: bytes) -> str:
    text = head.removeprefix(_BOM).lstrip()
    if not head:
        return "an empty file"
    if text.startswith(b"<"):
        kind = "a page of HTML or XML"
    elif text.startswith((b"{", b"[")):
        kind = "JSON"
    else:
        kind = "a file of another kind"
    return f"{kind}; it begins with {head[:_SHOWN]!r}"
