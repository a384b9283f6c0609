"""Write one repeated group of pictures, and a tone, as MP4 or MOV (ISO 14496-12).

The movie header counts microseconds, so the duration is exact. The order of the file is:
`moov`, then the media in alternating chunks of frames and tone, then a `free` box for
padding.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, repeat

from upsim.core.media import MICROSECONDS
from upsim.media.clip_names import SyntheticClip
from upsim.media.gop import Gop
from upsim.media.padding import zeros
from upsim.media.tone import SAMPLE_RATE, Tone

SMALLEST_PADDING = 8  # the empty `free` box that every file has
_MIN_TIMESCALE = 10_000
_MAX_TIMESCALE = (1 << 31) - 1
_MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_BRANDS = {"mp4": b"isom\0\0\2\0isomiso2avc1mp41", "mov": b"qt  \0\0\2\0qt  "}
_STORED_IN_V0 = 1 << 32  # durations and offsets below this take 32 bits
_UNDETERMINED = 0x55C4  # the language "und"


@dataclass(frozen=True, slots=True)
class _Track:
    """One track: its tables, and the bytes and number of samples of each chunk."""

    number: int
    handler: bytes
    header: bytes
    entry: bytes
    timescale: int
    duration: int
    size: tuple[int, int]
    times: list[tuple[int, int]]
    sizes: bytes
    syncs: Iterable[int] | None
    chunks: list[tuple[bytes, int]]


def write_mp4(clip: SyntheticClip, gop: Gop, tone: Tone | None) -> list[bytes]:
    """Return the parts of the file without the padding; join them, then add `pad_mp4`."""
    count = max(1, -(-clip.frames // len(gop.ends)))
    tracks = [_video_track(clip, gop)]
    if tone is not None:
        tracks.append(_audio_track(clip, tone, count))
    brand = _box(b"ftyp", _BRANDS[clip.container])
    length = len(_moov(clip, tracks, 0))
    moov = _moov(clip, tracks, len(brand) + length + 8)
    chunks = [data for turn in zip(*(t.chunks for t in tracks), strict=True) for data, _ in turn]
    size = 8 + sum(map(len, chunks))
    return [brand, moov, struct.pack(">I4s", size, b"mdat"), *chunks]


def pad_mp4(length: int) -> list[bytes]:
    """Return a `free` box of `length` bytes, at least `SMALLEST_PADDING`."""
    return [struct.pack(">I4s", length, b"free"), *zeros(length - 8)]


def _video_track(clip: SyntheticClip, gop: Gop) -> _Track:
    timescale, delta = _ticks(clip)
    whole, rest = divmod(clip.frames, len(gop.ends))
    sizes = gop.sizes
    chunks = [(gop.data, len(sizes))] * whole
    if rest:
        chunks.append((gop.head(rest), rest))
    return _Track(
        number=1,
        handler=b"vide",
        header=_full(b"vmhd", bytes(8), flags=1),
        entry=_video_entry(clip, gop),
        timescale=timescale,
        duration=clip.frames * delta,
        size=(clip.width, clip.height),
        times=[(clip.frames, delta)],
        sizes=struct.pack(">2I", 0, clip.frames) + _u32s(sizes) * whole + _u32s(sizes[:rest]),
        syncs=range(1, clip.frames + 1, len(sizes)),
        chunks=chunks,
    )


def _audio_track(clip: SyntheticClip, tone: Tone, chunks: int) -> _Track:
    """Return the audio track for the duration; its last frame is cut to end with the video."""
    total = max(1, clip.duration * SAMPLE_RATE // MICROSECONDS)
    frames = -(-total // tone.samples)
    last = total - (frames - 1) * tone.samples
    return _Track(
        number=2,
        handler=b"soun",
        header=_full(b"smhd", bytes(4)),
        entry=_audio_entry(clip, tone),
        timescale=SAMPLE_RATE,
        duration=total,
        size=(0, 0),
        times=[(frames - 1, tone.samples), (1, last)] if frames > 1 else [(1, last)],
        sizes=struct.pack(">2I", len(tone.frame), frames),
        syncs=None,
        chunks=[(tone.frame * n, n) for n in _shares(frames, chunks)],
    )


def _shares(total: int, parts: int) -> list[int]:
    """Return `total` as a sum of `parts` whole numbers that differ by at most one."""
    return [total * (at + 1) // parts - total * at // parts for at in range(parts)]


def _ticks(clip: SyntheticClip) -> tuple[int, int]:
    """Return the timescale of the video track and the ticks per frame; exact up to 31 bits."""
    rate = clip.frame_rate
    if rate.numerator > _MAX_TIMESCALE or rate.denominator > _MAX_TIMESCALE:
        rate = rate.limit_denominator(int(_MAX_TIMESCALE / max(rate, Fraction(1))))
    factor = max(1, -(-_MIN_TIMESCALE // rate.numerator))
    return rate.numerator * factor, rate.denominator * factor


def _moov(clip: SyntheticClip, tracks: list[_Track], media_start: int) -> bytes:
    version, times = _times(MICROSECONDS, clip.duration)
    steady = struct.pack(">iH10x", 1 << 16, 1 << 8)
    following = struct.pack(">I", len(tracks) + 1)
    mvhd = _full(b"mvhd", times, steady, _MATRIX, bytes(24), following, version=version)
    offsets = [_offsets(tracks, at, media_start) for at in range(len(tracks))]
    return _box(b"moov", mvhd, *map(_trak, repeat(clip), tracks, offsets))


def _times(timescale: int, duration: int) -> tuple[int, bytes]:
    """Return the version of a header, and its times: no dates, the timescale, the duration.

    Version 1 has wider fields and is used only if the duration needs it.
    """
    if duration < _STORED_IN_V0:
        return 0, struct.pack(">8x2I", timescale, duration)
    return 1, struct.pack(">16xIQ", timescale, duration)


def _offsets(tracks: list[_Track], wanted: int, start: int) -> list[int]:
    """Return the positions of one track's chunks; the first track starts at `start`."""
    offsets = []
    for turn in zip(*(track.chunks for track in tracks), strict=True):
        for at, (data, samples) in enumerate(turn):
            if at == wanted and samples:
                offsets.append(start)
            start += len(data)
    return offsets


def _trak(clip: SyntheticClip, track: _Track, offsets: list[int]) -> bytes:
    natural = -(-track.duration * MICROSECONDS // track.timescale)
    shown = min(clip.duration, natural)
    version = int(shown >= _STORED_IN_V0)
    times = struct.pack(">16xI4xQ" if version else ">8xI4xI", track.number, shown)
    volume = 1 << 8 if track.handler == b"soun" else 0
    place = struct.pack(">8x2hH2x", 0, track.number - 1, volume)
    size = struct.pack(">2I", *(side << 16 for side in track.size))
    tkhd = _full(b"tkhd", times, place, _MATRIX, size, version=version, flags=3)
    edits = _edits(track, shown) if natural > shown else b""
    return _box(b"trak", tkhd, edits, _mdia(clip, track, offsets))


def _edits(track: _Track, shown: int) -> bytes:
    """Return an edit list that ends a track at the end of the file, at a whole tick."""
    ticks = shown * track.timescale // MICROSECONDS
    shown = -(-ticks * MICROSECONDS // track.timescale)
    version = int(shown >= _STORED_IN_V0)
    edit = struct.pack(">Qq2h" if version else ">Ii2h", shown, 0, 1, 0)
    return _box(b"edts", _full(b"elst", struct.pack(">I", 1), edit, version=version))


def _mdia(clip: SyntheticClip, track: _Track, offsets: list[int]) -> bytes:
    version, ticks = _times(track.timescale, track.duration)
    times = _full(b"mdhd", ticks, struct.pack(">2H", _UNDETERMINED, 0), version=version)
    component = b"mhlr" if clip.container == "mov" else bytes(4)
    handler = _full(b"hdlr", component, track.handler, bytes(12), b"upsim\0")
    references = _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))
    minf = _box(b"minf", track.header, _box(b"dinf", references), _stbl(track, offsets))
    return _box(b"mdia", times, handler, minf)


def _stbl(track: _Track, offsets: list[int]) -> bytes:
    times = _u32s(chain.from_iterable(track.times))
    wide = bool(offsets) and offsets[-1] >= _STORED_IN_V0
    places = struct.pack(f">{len(offsets)}Q", *offsets) if wide else _u32s(offsets)
    boxes = [
        _full(b"stsd", struct.pack(">I", 1), track.entry),
        _full(b"stts", struct.pack(">I", len(track.times)), times),
        _full(b"stsz", track.sizes),
        _full(b"stsc", _sample_to_chunk(track)),
        _full(b"co64" if wide else b"stco", struct.pack(">I", len(offsets)), places),
    ]
    if track.syncs is not None:
        syncs = _u32s(track.syncs)
        boxes.append(_full(b"stss", struct.pack(">I", len(syncs) // 4), syncs))
    return _box(b"stbl", *boxes)


def _sample_to_chunk(track: _Track) -> bytes:
    """Return the sample-to-chunk table, with an entry for each change of the samples per chunk."""
    runs: list[tuple[int, int, int]] = []
    counts = [samples for _, samples in track.chunks if samples]
    for chunk, samples in enumerate(counts, start=1):
        if not runs or runs[-1][1] != samples:
            runs.append((chunk, samples, 1))
    return struct.pack(">I", len(runs)) + _u32s(chain.from_iterable(runs))


def _video_entry(clip: SyntheticClip, gop: Gop) -> bytes:
    config = _box(b"avcC", gop.config) if gop.codec == "h264" else _vp9_config(clip)
    sample = struct.pack(">6xH16x2H2I4xH", 1, clip.width, clip.height, 72 << 16, 72 << 16, 1)
    square = _box(b"pasp", struct.pack(">2I", 1, 1))
    kind = b"avc1" if gop.codec == "h264" else b"vp09"
    return _box(kind, sample, bytes(32), struct.pack(">Hh", 24, -1), config, square)


def _vp9_config(clip: SyntheticClip) -> bytes:
    """Return the VP codec configuration: profile 0, 8 bits, 4:2:0, the level by frame size."""
    areas = ((10, 36_864), (21, 245_760), (31, 983_040), (40, 2_228_224), (50, 8_912_896))
    pixels = clip.width * clip.height
    level = next((level for level, most in areas if pixels <= most), 60)
    return _full(b"vpcC", bytes((0, level, 8 << 4 | 1 << 1, 2, 2, 2, 0, 0)), version=1)


def _audio_entry(clip: SyntheticClip, tone: Tone) -> bytes:
    """Return the `mp4a` entry for AAC; QuickTime uses version 1 of it, with a `wave` box."""
    stream = _descriptors(tone)
    if clip.container == "mp4":
        sample = struct.pack(">6xH8x2H4xI", 1, 1, 16, SAMPLE_RATE << 16)
        return _box(b"mp4a", sample, stream)
    sample = struct.pack(">6xHH6x2HhHI", 1, 1, 1, 16, -2, 0, SAMPLE_RATE << 16)
    extra = struct.pack(">4I", tone.samples, 0, 0, 2)
    inner = _box(b"frma", b"mp4a"), _box(b"mp4a", bytes(4)), stream, struct.pack(">2I", 8, 0)
    return _box(b"mp4a", sample, extra, _box(b"wave", *inner))


def _descriptors(tone: Tone) -> bytes:
    """Return the elementary stream descriptor of AAC (ISO 14496-1, 7.2.6.5)."""
    specific = bytes((5, len(tone.config))) + tone.config
    decoder = struct.pack(">2B3x2I", 0x40, 0x15, 32_000, 32_000) + specific
    body = struct.pack(">HB2B", 2, 0, 4, len(decoder)) + decoder + bytes((6, 1, 2))
    return _full(b"esds", bytes((3, len(body))), body)


def _u32s(numbers: Iterable[int]) -> bytes:
    values = array("I", numbers)
    if sys.byteorder == "little":
        values.byteswap()
    return values.tobytes()


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)
