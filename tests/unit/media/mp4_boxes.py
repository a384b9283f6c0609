"""Changes to the boxes of an MP4 whose `moov` is at its end, as `ffmpeg` writes it by default."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

Edit = tuple[int, int, int]
"""Duration in ticks of the movie, start in ticks of the track (-1: empty), whole rate."""
TURNS = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}
_HEADERS = {b"tkhd": 40, b"mvhd": 36}


def with_edits(data: bytes, edits: Sequence[Edit], *, version: int = 0) -> bytes:
    """Return the file with this edit list in its first track."""
    form = ">Ii2h" if version == 0 else ">Qq2h"
    body = b"".join(struct.pack(form, length, start, rate, 0) for length, start, rate in edits)
    elst = _box(b"elst", struct.pack(">2I", version << 24, len(edits)) + body)
    return _in_moov(data, lambda moov: _first(moov, b"trak", lambda t: _edited(t, elst)))


def turned(data: bytes, header: bytes, degrees: int) -> bytes:
    """Return the file with this rotation in `tkhd` or `mvhd`."""
    a, b, c, d = (part << 16 for part in TURNS[degrees])
    at = data.index(header) + 4 + _HEADERS[header]
    return data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :]


def with_movie_duration(data: bytes, ticks: int) -> bytes:
    """Return the file with another duration in `mvhd`."""
    at = data.index(b"mvhd") + 4 + 16
    return data[:at] + struct.pack(">I", ticks) + data[at + 4 :]


def preceded(data: bytes, kind: bytes, *, size: int = 24) -> bytes:
    """Return the file with a box before its first; the offsets of the samples move along."""
    parts = data.split(b"stco")
    moved = [parts[0]]
    for part in parts[1:]:
        (count,) = struct.unpack_from(">I", part, 4)
        offsets = struct.unpack_from(f">{count}I", part, 8)
        later = struct.pack(f">{count}I", *(offset + size for offset in offsets))
        moved.append(part[:8] + later + part[8 + len(later) :])
    return _box(kind, bytes(size - 8)) + b"stco".join(moved)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, start = [], 0
    while start < len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        found.append((kind, data[start + 8 : start + size]))
        start += size
    return found


def _in_moov(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return _first(data, b"moov", change)


def _first(data: bytes, wanted: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return boxes of which the first of this kind has another body."""
    boxes, done = [], False
    for kind, body in _boxes(data):
        boxes.append(_box(kind, change(body) if kind == wanted and not done else body))
        done = done or kind == wanted
    return b"".join(boxes)


def _edited(track: bytes, elst: bytes) -> bytes:
    boxes = [(kind, body) for kind, body in _boxes(track) if kind != b"edts"]
    boxes.insert(1, (b"edts", elst))
    return b"".join(_box(kind, body) for kind, body in boxes)
