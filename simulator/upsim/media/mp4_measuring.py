"""Measure a plain MP4 or MOV by reading its boxes.

This takes fifty microseconds; a demuxer takes milliseconds. Only files with complete
tables are measured here. For other files `measure_boxes` returns None, and the caller
uses a demuxer. The module never raises on hostile bytes, and reads only the top-level
headers and the `moov` box.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Protocol

from upsim.core.media import MICROSECONDS, Container, Media
from upsim.media.edit_lists import count_shown

MAX_MOOV = 64 << 20
MAX_BOXES = 4_096
MAX_SIDE = 65_535
MAX_EDITED = 50_000  # pictures that are looked at one by one, some 20 ms

_HEADER = struct.Struct(">I4s")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_MATRIX = struct.Struct(">9i")
_PAIR = struct.Struct(">2I")
_SIZE = struct.Struct(">2H")
_BRAND_END = 12
_QUICKTIME = b"qt  "
_VISUAL_ENTRY = 78  # bytes of a VisualSampleEntry after its box header
_TIMES = {0: (12, _U32), 1: (20, _U64)}  # version: where the timescale is, how the duration is
_EDITS = {0: struct.Struct(">Ii2h"), 1: struct.Struct(">Qq2h")}  # duration, start, rate
_MOVIE_MATRIX = {0: 36, 1: 48}  # version: where the matrix of `mvhd` is, of `tkhd` below
_TRACK_MATRIX = {0: 40, 1: 52}
_MAX_EDITS = 16
_PIECE = 100_000


class _NotPlainError(Exception):
    """The file is not plain and needs a demuxer."""


class _Readable(Protocol):
    size: int

    def read(self, start: int, length: int) -> bytes: ...


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, start: int, length: int) -> bytes:
        return self._data[start : start + length]


class _File:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        return self._file.read(length)


@dataclass(frozen=True, slots=True)
class _Times:
    timescale: int
    duration: int


def measure_boxes(source: bytes | Path) -> Media | None:
    """Return the properties in the boxes of a plain MP4 or MOV; None if they are incomplete.

    * Duration: from `mvhd`, duration / timescale in microseconds, rounded half up.
    * Frame rate: exact, the number of samples / total duration of `stts`.
    * Frames: those that the edit list shows.
    * Size: from `stsd`, widened by `pasp` and rotated by the matrices of `tkhd` and `mvhd`.

    A file that cannot be opened raises `OSError`.
    """
    try:
        if isinstance(source, Path):
            with source.open("rb", buffering=0) as file:
                return _measure(_File(file))
        return _measure(_Bytes(source))
    except (_NotPlainError, struct.error):
        return None


def read_movie(file: BinaryIO) -> tuple[bool, int]:
    """Return whether the major brand is QuickTime, and the duration in the movie header.

    `ftyp` may be anywhere in the file; a file without `ftyp` counts as QuickTime. The
    duration is in microseconds; it is 0 if the header has none or fragments follow.
    """
    source, brand, duration = _File(file), b"", 0
    try:
        start = 0
        for _ in range(MAX_BOXES):
            kind, body, start = _box(source, start)
            if kind == b"ftyp" and not brand:
                brand = source.read(body, 4)
            elif kind == b"moov" and start - body <= MAX_MOOV:
                duration = _stated_duration(source.read(body, start - body))
    except (_NotPlainError, struct.error):
        pass
    return brand in (b"", _QUICKTIME), duration


def _stated_duration(moov: bytes) -> int:
    boxes = _children(moov, 0, len(moov))
    if b"mvex" in boxes:
        return 0
    movie = _read_times(moov, *_only(boxes, b"mvhd"))
    return _half_up(movie.duration * MICROSECONDS, movie.timescale)


def _measure(source: _Readable) -> Media:
    container, moov = _top_level(source)
    boxes = _children(moov, 0, len(moov))
    _need(b"mvex" not in boxes and b"mvhd" in boxes)
    movie = _read_times(moov, *_only(boxes, b"mvhd"))
    _need(movie.duration > 0)
    tracks = [_children(moov, *span) for span in boxes.get(b"trak", [])]
    kinds = [_handler(moov, track) for track in tracks]
    _need(kinds.count(b"vide") == 1)
    video = tracks[kinds.index(b"vide")]
    frames, rate = _pictures(moov, video, movie, file_size=source.size)
    width, height = _displayed_size(moov, boxes, video)
    return Media(
        duration=_half_up(movie.duration * MICROSECONDS, movie.timescale),
        frame_rate=rate,
        width=width,
        height=height,
        frames=frames,
        container=container,
        audio=b"soun" in kinds,
        size=source.size,
    )


def _top_level(source: _Readable) -> tuple[Container, bytes]:
    """Return the container by its major brand, and the body of the one `moov` box."""
    start, brand, moov = 0, b"", b""
    for _ in range(MAX_BOXES):
        if start == source.size:
            break
        kind, body, end = _box(source, start)
        if kind == b"ftyp" and not brand:
            brand = source.read(body, 4)
        elif kind == b"moov":
            _need(not moov and end - body <= MAX_MOOV)
            moov = source.read(body, end - body)
        _need(kind != b"moof")
        start = end
    _need(start == source.size and len(brand) > 0 and len(moov) > 0)
    return ("mov" if brand == _QUICKTIME else "mp4"), moov


def _box(source: _Readable, start: int) -> tuple[bytes, int, int]:
    """Return the kind of the box at `start`, and the start and end of its body."""
    head = source.read(start, 16)
    size, kind = _HEADER.unpack_from(head)
    body = start + 8
    if size == 1:
        (size,) = _U64.unpack_from(head, 8)
        body = start + 16
    end = start + size if size else source.size
    _need(body <= end <= source.size)
    return kind, body, end


_Spans = dict[bytes, list[tuple[int, int]]]


def _children(data: bytes, start: int, end: int) -> _Spans:
    """Return the boxes between `start` and `end`, by kind."""
    found: _Spans = {}
    for kind, body, stop in _walk(data, start, end):
        found.setdefault(kind, []).append((body, stop))
    return found


def _walk(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(MAX_BOXES):
        if end - start < _HEADER.size:  # QuickTime may end a list of atoms with four zero bytes
            return
        size, kind = _HEADER.unpack_from(data, start)
        _need(_HEADER.size <= size <= end - start)
        yield kind, start + 8, start + size
        start += size
    raise _NotPlainError


def _only(boxes: _Spans, kind: bytes) -> tuple[int, int]:
    spans = boxes.get(kind, [])
    _need(len(spans) == 1)
    return spans[0]


def _handler(moov: bytes, track: _Spans) -> bytes:
    """Return the kind of a track: `vide`, `soun` or another."""
    media = _children(moov, *_only(track, b"mdia"))
    start, end = _only(media, b"hdlr")
    _need(end - start >= _BRAND_END)
    return moov[start + 8 : start + 12]


def _pictures(moov: bytes, track: _Spans, movie: _Times, *, file_size: int) -> tuple[int, Fraction]:
    """Return the number of frames that the track shows, and the frame rate."""
    media = _children(moov, *_only(track, b"mdia"))
    times = _read_times(moov, *_only(media, b"mdhd"))
    tables = _sample_tables(moov, track)
    deltas = _time_to_sample(moov, *_only(tables, b"stts"))
    frames = _sum(deltas[::2])
    ticks = sum(count * delta for count, delta in zip(deltas[::2], deltas[1::2], strict=True))
    _need(frames > 0 and ticks > 0)
    stored = _sample_sizes(moov, *_only(tables, b"stsz"), frames=frames)
    _need(stored <= file_size and (b"stco" in tables or b"co64" in tables))
    rate = Fraction(frames * times.timescale, ticks)
    edit = _edit(moov, track)
    if edit is None:
        return frames, rate
    _need(frames <= MAX_EDITED)
    start, length = edit
    end = start + _half_up(length * times.timescale, movie.timescale)
    shown = count_shown(deltas, _offsets(moov, tables, frames), start=start, end=end)
    _need(shown > 0)
    return shown, rate


def _sample_tables(moov: bytes, track: _Spans) -> _Spans:
    media = _children(moov, *_only(track, b"mdia"))
    return _children(moov, *_only(_children(moov, *_only(media, b"minf")), b"stbl"))


def _edit(moov: bytes, track: _Spans) -> tuple[int, int] | None:
    """Return the start of the single edit, in track ticks, and its length, in movie ticks.

    Empty edits before it only delay the frames. A file with several edits, or with another
    speed, needs a demuxer.
    """
    if b"edts" not in track:
        return None
    lists = _children(moov, *_only(track, b"edts"))
    if b"elst" not in lists:
        return None
    start, end = _only(lists, b"elst")
    _need(start + 8 <= end and moov[start] in _EDITS)
    entry, (count,) = _EDITS[moov[start]], _U32.unpack_from(moov, start + 4)
    _need(0 < count <= _MAX_EDITS and start + 8 + count * entry.size <= end)
    edits = [entry.unpack_from(moov, start + 8 + at * entry.size) for at in range(count)]
    length, begin, *speed = edits[-1]
    _need(length > 0 and begin >= 0 and speed == [1, 0])
    _need(all(time == -1 for _, time, _, _ in edits[:-1]))
    return begin, length


def _offsets(moov: bytes, tables: _Spans, frames: int) -> array[int]:
    """Return the runs of `ctts`, which must cover all samples; empty without a `ctts`."""
    if b"ctts" not in tables:
        return array("i")
    start, end = _only(tables, b"ctts")
    runs = array("i", _table(moov, start + 4, end, width=2).tobytes())
    _need(sum(runs[::2]) == frames and min(runs[::2]) > 0)
    return runs


def _read_times(moov: bytes, start: int, end: int) -> _Times:
    """Return timescale and duration of an `mvhd` or `mdhd` box."""
    _need(start < end and moov[start] in _TIMES)
    offset, duration = _TIMES[moov[start]]
    _need(start + offset + 4 + duration.size <= end)
    times = _Times(
        _U32.unpack_from(moov, start + offset)[0],
        duration.unpack_from(moov, start + offset + 4)[0],
    )
    unknown = (1 << 8 * duration.size) - 1
    _need(times.timescale > 0 and times.duration != unknown)
    return times


def _time_to_sample(moov: bytes, start: int, end: int) -> array[int]:
    """Return the runs of `stts`: pairs of a number of samples and the ticks of each sample."""
    return _table(moov, start + 4, end, width=2)


def _sample_sizes(moov: bytes, start: int, end: int, *, frames: int) -> int:
    """Return the total bytes of all samples; their number must be the number in `stts`."""
    _need(end - start >= _BRAND_END)
    size, count = _PAIR.unpack_from(moov, start + 4)
    _need(count == frames)
    return size * count if size else _sum(_table(moov, start + 8, end, width=1))


def _sum(numbers: array[int]) -> int:
    """Return the sum, computed in pieces, because one long sum would block all other threads."""
    return sum(sum(numbers[at : at + _PIECE]) for at in range(0, len(numbers), _PIECE))


def _table(moov: bytes, start: int, end: int, *, width: int) -> array[int]:
    """Return the entries of a table, each of `width` numbers of 32 bits, without their count."""
    _need(start + 4 <= end)
    (count,) = _U32.unpack_from(moov, start)
    stop = start + 4 + 4 * width * count
    _need(stop <= end)
    numbers = array("I")
    numbers.frombytes(moov[start + 4 : stop])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _displayed_size(moov: bytes, boxes: _Spans, track: _Spans) -> tuple[int, int]:
    """Return the displayed width and height: with square pixels, rotated by track and movie.

    If the pixel shape is not stated, and `tkhd` has another aspect ratio than the sample
    entry, the file needs a demuxer.
    """
    width, height, shaped = _stored_size(moov, *_only(_sample_tables(moov, track), b"stsd"))
    start, end = _only(track, b"tkhd")
    a, b, c, d = _turn(moov, start, end, _TRACK_MATRIX)
    at = start + _TRACK_MATRIX[moov[start]] + _MATRIX.size
    _need(at + _PAIR.size <= end)
    across, down = _PAIR.unpack_from(moov, at)
    _need(shaped or abs(across * height - down * width) <= (width + height) << 16)
    e, f, g, h = _turn(moov, *_only(boxes, b"mvhd"), _MOVIE_MATRIX)
    a, b, c, d = a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h
    turned = a == d == 0 and b != 0
    _need(turned or b == c == 0)
    return (height, width) if turned else (width, height)


def _turn(moov: bytes, start: int, end: int, places: dict[int, int]) -> tuple[int, int, int, int]:
    """Return the part of a matrix that rotates the frame, row by row."""
    _need(start < end and moov[start] in places)
    at = start + places[moov[start]]
    _need(at + _MATRIX.size <= end)
    a, b, _, c, d, *_ = _MATRIX.unpack_from(moov, at)
    return a, b, c, d


def _stored_size(moov: bytes, start: int, end: int) -> tuple[int, int, bool]:
    """Return the sample entry's size with square pixels, and whether it states the pixel shape."""
    _need(start + 8 <= end and _U32.unpack_from(moov, start + 4)[0] == 1)
    _, body, stop = next(_walk(moov, start + 8, end), (b"", 0, 0))
    _need(body + _VISUAL_ENTRY <= stop)
    width, height = _SIZE.unpack_from(moov, body + 24)
    extras = _children(moov, body + _VISUAL_ENTRY, stop)
    _need(width > 0 and height > 0 and b"clap" not in extras)
    if b"pasp" in extras:
        ratio, end_of_ratio = _only(extras, b"pasp")
        _need(ratio + _PAIR.size <= end_of_ratio)
        across, down = _PAIR.unpack_from(moov, ratio)
        _need(across > 0 and down > 0)
        width = _half_up(width * across, down)
    _need(0 < width <= MAX_SIDE)
    return width, height, b"pasp" in extras


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _need(condition: bool) -> None:  # noqa: FBT001  # reads as an assertion
    if not condition:
        raise _NotPlainError
