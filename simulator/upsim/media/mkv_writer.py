"""Write one repeated group of pictures, and a tone, as Matroska or WebM (RFC 9559).

Block times are whole milliseconds, as in every such file. The duration in the header is a
64-bit float of milliseconds, exact to the microsecond. The file contains no date and no
random identifier.
"""

from __future__ import annotations

import heapq
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from upsim.core.media import MICROSECONDS
from upsim.media.clip_names import SyntheticClip
from upsim.media.gop import Gop
from upsim.media.padding import zeros
from upsim.media.tone import SAMPLE_RATE, Tone

SMALLEST_PADDING = 9  # the empty Void element that every file has
_MILLISECOND = 1_000_000  # the timestamp scale, in nanoseconds
_CLUSTER_MS = 1_000  # a cluster ends at the first key picture after this
_MAX_CLUSTER_MS = 30_000  # or after this, as blocks count from it in 16 bits
_VIDEO, _AUDIO = 1, 2
_KEY = 0x80
_CODECS = {"h264": b"V_MPEG4/ISO/AVC", "vp9": b"V_VP9", "aac": b"A_AAC", "opus": b"A_OPUS"}


@dataclass(slots=True)
class _Cluster:
    """Blocks with times relative to `start`, in milliseconds."""

    start: int
    keyed: bool
    parts: list[bytes] = field(default_factory=list)


_Block = tuple[int, int, int, bytes]  # milliseconds, track, flags, data


def write_mkv(clip: SyntheticClip, gop: Gop, tone: Tone | None) -> list[bytes]:
    """Return the parts of the file before the padding, which `finish_mkv` adds."""
    doctype = b"webm" if clip.container == "webm" else b"matroska"
    head = _element(
        0x1A45DFA3,
        _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8),
        _element(0x4282, doctype) + _number(0x4287, 4) + _number(0x4285, 2),
    )
    clusters = [
        (cluster, _element(0x1F43B675, _number(0xE7, cluster.start), *cluster.parts))
        for cluster in _clusters(_blocks(clip, gop, tone))
    ]
    front = _info(clip) + _tracks(clip, gop, tone)
    return [head, front, *_indexed(front, clusters)]


def finish_mkv(parts: list[bytes], padding: int) -> list[bytes]:
    """Return the whole file: `parts` in a segment that ends with a Void of `padding` bytes."""
    head, *body = parts
    size = sum(map(len, body)) + padding
    empty = padding - SMALLEST_PADDING
    void = (b"\xec\x01" + empty.to_bytes(7, "big"), *zeros(empty))
    return [head, _id(0x18538067), b"\x01" + size.to_bytes(7, "big"), *body, *void]


def _indexed(front: bytes, clusters: list[tuple[_Cluster, bytes]]) -> list[bytes]:
    """Return the clusters after an index (cues) of the clusters that begin with a key frame."""
    length = len(_cues([(cluster.start, 0) for cluster, _ in clusters if cluster.keyed]))
    place = len(front) + length
    points = []
    for cluster, data in clusters:
        if cluster.keyed:
            points.append((cluster.start, place))
        place += len(data)
    return [_cues(points), *(data for _, data in clusters)]


def _cues(points: list[tuple[int, int]]) -> bytes:
    return _element(0x1C53BB6B, *(_cue(start, place) for start, place in points))


def _cue(start: int, place: int) -> bytes:
    track = _number(0xF7, _VIDEO) + _element(0xF1, place.to_bytes(8, "big"))
    return _element(0xBB, _element(0xB3, start.to_bytes(8, "big")), _element(0xB7, track))


def _info(clip: SyntheticClip) -> bytes:
    """Return the segment information.

    The duration is slightly above the exact value, because readers drop fractions of a
    microsecond.
    """
    duration = math.nextafter(clip.duration / 1_000, math.inf)
    name = b"upsim"
    return _element(
        0x1549A966,
        _number(0x2AD7B1, _MILLISECOND) + _element(0x4489, struct.pack(">d", duration)),
        _element(0x4D80, name) + _element(0x5741, name),
    )


def _tracks(clip: SyntheticClip, gop: Gop, tone: Tone | None) -> bytes:
    video = _element(0xE0, _number(0xB0, clip.width) + _number(0xBA, clip.height))
    picture = round(MICROSECONDS * 1_000 / clip.frame_rate)
    entries = [_track(_VIDEO, gop.codec, gop.config, _number(0x23E383, picture) + video)]
    if tone is not None:
        rate = _element(0xB5, struct.pack(">d", SAMPLE_RATE))
        audio = _element(0xE1, rate + _number(0x9F, 1))
        entries.append(_track(_AUDIO, tone.codec, tone.config, audio))
    return _element(0x1654AE6B, *entries)


def _track(number: int, codec: str, config: bytes, specific: bytes) -> bytes:
    """Return one track entry; its number is also its type and its identifier."""
    numbers = _number(0xD7, number) + _number(0x73C5, number) + _number(0x83, number)
    private = _element(0x63A2, config) if config else b""
    kind = _number(0x9C, 0) + _element(0x86, _CODECS[codec])
    return _element(0xAE, numbers + kind + private + specific)


def _blocks(clip: SyntheticClip, gop: Gop, tone: Tone | None) -> Iterator[_Block]:
    """Yield the blocks of both tracks in the order of time."""
    pictures = _pictures(clip, gop)
    return heapq.merge(pictures, _tones(clip, tone)) if tone is not None else pictures


def _pictures(clip: SyntheticClip, gop: Gop) -> Iterator[_Block]:
    """Yield each frame with its time, rounded half up."""
    step, unit = 2_000 * clip.frame_rate.denominator, 2 * clip.frame_rate.numerator
    starts = (0, *gop.ends)
    pictures = [gop.data[start:end] for start, end in zip(starts, gop.ends, strict=False)]
    for at in range(clip.frames):
        turn = at % len(pictures)
        milliseconds = (at * step + unit // 2) // unit
        yield milliseconds, _VIDEO, 0 if turn else _KEY, pictures[turn]


def _tones(clip: SyntheticClip, tone: Tone) -> Iterator[_Block]:
    """Yield as many whole audio frames as fit the duration, at least one."""
    fitting = clip.duration * SAMPLE_RATE // (MICROSECONDS * tone.samples)
    for at in range(max(1, fitting)):
        milliseconds = at * tone.samples * 1_000 // SAMPLE_RATE
        yield milliseconds, _AUDIO, _KEY, tone.frame


def _clusters(blocks: Iterator[_Block]) -> Iterator[_Cluster]:
    """Yield the blocks in clusters; a cluster begins with a key frame if possible."""
    cluster = _Cluster(0, keyed=True)
    for time, track, flags, data in blocks:
        age, keyed = time - cluster.start, track == _VIDEO and flags == _KEY
        if age >= _MAX_CLUSTER_MS or (age >= _CLUSTER_MS and keyed):
            yield cluster
            cluster = _Cluster(time, keyed=keyed)
        header = struct.pack(">BhB", 0x80 | track, time - cluster.start, flags)
        cluster.parts += (b"\xa3", _length(len(header) + len(data)), header, data)
    yield cluster


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _element(identifier: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _id(identifier) + _length(len(body)) + body


def _id(identifier: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")


def _length(size: int) -> bytes:
    """Return a size in as few bytes as possible (a value of only ones would mean unknown)."""
    width = next(width for width in range(1, 9) if size < (1 << 7 * width) - 1)
    return (size | 1 << 7 * width).to_bytes(width, "big")
