"""Write the duration into a finished MP4 or MOV whose movie header counts microseconds."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from upsim.core.media import MICROSECONDS

_MAX_HEADER = 64 << 20
_TIMES = {0: (">I", 4), 1: (">Q", 8)}  # version: a duration, and how many bytes it has
_MOVIE = {0: 16, 1: 24}  # version: where `mvhd` has its duration, `tkhd` below
_TRACK = {0: 20, 1: 28}
_SCALE = {0: 12, 1: 20}  # version: where `mdhd` has its timescale
_EDIT = {0: 12, 1: 20}  # version: the bytes of an edit, which begins with its duration


def state_duration(path: Path, duration: int) -> None:
    """Write `duration` into the movie header, and end every track at this time or earlier.

    If the header field is too small for the value, its old value is kept.
    """
    with path.open("r+b") as file:
        for kind, start, end in _top_boxes(file):
            if kind == b"moov" and end - start <= _MAX_HEADER:
                file.seek(start)
                moov = bytearray(file.read(end - start))
                _state(moov, duration)
                file.seek(start)
                file.write(moov)
                return


def _state(moov: bytearray, duration: int) -> None:
    for kind, start, end in _boxes(moov, 0, len(moov)):
        if kind == b"mvhd":
            _write(moov, start + _MOVIE[moov[start]], moov[start], duration)
        elif kind == b"trak":
            _end_track(moov, start, end, duration)


def _end_track(moov: bytearray, start: int, end: int, duration: int) -> None:
    scale = _timescale(moov, start, end)
    for kind, body, stop in _boxes(moov, start, end):
        if kind == b"tkhd":
            at, version = body + _TRACK[moov[body]], moov[body]
            _write(moov, at, version, min(_read(moov, at, version), duration))
        elif kind == b"edts":
            for inner, place, _ in _boxes(moov, body, stop):
                if inner == b"elst":
                    _end_edits(moov, place, duration, scale)


def _end_edits(moov: bytearray, start: int, duration: int, scale: int) -> None:
    """Shorten edits that end after `duration`; the last edit ends at a whole tick."""
    version = moov[start]
    (count,) = struct.unpack_from(">I", moov, start + 4)
    left = duration
    for number in range(count):
        at = start + 8 + number * _EDIT[version]
        length = _read(moov, at, version)
        if length > left:
            ticks = left * scale // MICROSECONDS
            length = -(-ticks * MICROSECONDS // scale)
            _write(moov, at, version, length)
        left = max(0, left - length)


def _timescale(moov: bytearray, start: int, end: int) -> int:
    for kind, body, stop in _boxes(moov, start, end):
        if kind == b"mdia":
            for inner, place, _ in _boxes(moov, body, stop):
                if inner == b"mdhd":
                    (scale,) = struct.unpack_from(">I", moov, place + _SCALE[moov[place]])
                    return max(1, int(scale))
    return MICROSECONDS


def _read(moov: bytearray, at: int, version: int) -> int:
    (value,) = struct.unpack_from(_TIMES[version][0], moov, at)
    return int(value)


def _write(moov: bytearray, at: int, version: int, value: int) -> None:
    form, width = _TIMES[version]
    if value < 1 << 8 * width:
        struct.pack_into(form, moov, at, value)


def _boxes(data: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each box: its kind, and the start and end of its body."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        size = max(size, 8)
        yield kind, start + 8, start + size
        start += size


def _top_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    start, end = 0, file.seek(0, 2)
    while start + 16 <= end:
        file.seek(start)
        size, kind, long = struct.unpack(">I4sQ", file.read(16))
        size, head = (long, 16) if size == 1 else (size, 8)
        size = max(size, head)
        yield kind, start + head, start + size
        start += size
