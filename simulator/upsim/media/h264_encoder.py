"""Write a short H.264 sequence bit by bit: a stepped grey ramp on a tint, and a moving bar.

An encoder would need a tenth of a second, and gigabytes for large frames. Here every
macroblock of 16x16 pixels has one flat colour, predicted from its neighbour. A frame is
therefore one row of bits that is repeated downwards (ITU-T H.264, constrained baseline,
CAVLC, one slice a frame).

If a side is odd, the frame is cropped and has no tint. It uses the high profile, because
only monochrome frames can be cropped at every pixel. The bytes depend only on the size.
"""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import dataclass

_QP = 51  # where one level of luma DC is exactly 14 steps of brightness, one of chroma DC 7
_RAMP_LOW, _RAMP_STEPS, _BAR = -4, 7, 4  # in levels around mid-grey; no two differ by more than 8
_TINT_CB, _TINT_CR = 3, -2
_FRAME_NUMBER_BITS = 8
_INTRA_IN_P = 5  # an intra macroblock type in a P slice comes after five inter types

# 7.4.5 table 7-11, Intra16x16 without AC: 1 + prediction mode, + 4 with chroma DC
_VERTICAL, _HORIZONTAL, _FROM_NOTHING, _WITH_CHROMA = 1, 2, 3, 4
# 7.4.5.1 table 7-16, chroma prediction
_CHROMA = {_FROM_NOTHING: 0, _HORIZONTAL: 1, _VERTICAL: 2}

# Annex A table A-1: level_idc, macroblocks of the pictures it allows at 60 a second
_LEVELS = (
    (12, 100),
    (20, 198),
    (22, 337),
    (30, 675),
    (31, 1_800),
    (32, 3_600),
    (42, 8_704),
    (51, 16_384),
    (52, 34_560),
    (60, 69_632),
)
_TOP_LEVEL = 62
_NAL_SPS, _NAL_PPS, _NAL_IDR, _NAL_P = 0x67, 0x68, 0x65, 0x41


@dataclass(frozen=True, slots=True)
class Sequence:
    """One group of pictures: `config` is the avcC record, `pictures` are length-prefixed NALs."""

    config: bytes
    pictures: tuple[bytes, ...]


def draw_sequence(width: int, height: int, pictures: int) -> Sequence:
    """Return a key frame and `pictures` - 1 more frames; without tint if a side is odd.

    >>> len(draw_sequence(64, 64, 3).pictures)
    3
    """
    columns, rows = -(-width // 16), -(-height // 16)
    grey = is_grey(width, height)
    ramp = [_RAMP_LOW + _RAMP_STEPS * column // columns for column in range(columns)]
    bodies = [_picture(_NAL_IDR, _key_picture(ramp, rows, grey=grey))]
    before = ramp
    for index in range(1, pictures):
        levels = _with_bar(ramp, index / pictures)
        bits = _next_picture(ramp, before, levels, rows, index, grey=grey)
        bodies.append(_picture(_NAL_P, bits))
        before = levels
    return Sequence(_config(width, height, _level(columns, rows)), tuple(bodies))


def is_grey(width: int, height: int) -> bool:
    """Return whether a frame of this size has no tint."""
    return bool(width % 2 or height % 2)


def skip_pictures(width: int, height: int) -> tuple[bytes, ...]:
    """Return frames that repeat the previous frame, one for each possible frame number."""
    macroblocks = -(-width // 16) * -(-height // 16)
    numbers = range(1 << _FRAME_NUMBER_BITS)
    return tuple(_picture(_NAL_P, _next_header(number) + _ue(macroblocks)) for number in numbers)


def _with_bar(ramp: list[int], phase: float) -> list[int]:
    """Return the brightness of each macroblock column; `phase` is the position of the bar."""
    thickness = max(1, len(ramp) // 16)
    left = int(phase * (len(ramp) + thickness)) - thickness
    return [_BAR if left <= at < left + thickness else level for at, level in enumerate(ramp)]


def _key_picture(levels: list[int], rows: int, *, grey: bool) -> str:
    """Return the bits of a key frame, which shows only the ramp."""
    header = _ue(0) + _ue(7) + _ue(0) + _u(0, _FRAME_NUMBER_BITS) + _ue(0) + "00" + _quantiser()
    columns = range(len(levels))
    top = "".join(_top_macroblock(levels, column, offset=0, grey=grey) for column in columns)
    below = _macroblock(_VERTICAL, offset=0, grey=grey) + _luma(0)
    return header + top + below * (len(levels) * (rows - 1))


def _next_picture(
    ramp: list[int], before: list[int], levels: list[int], rows: int, index: int, *, grey: bool
) -> str:
    """Return the bits of a later frame, which redraws only the changed columns of the bar.

    The bar is in a band across the middle; all other macroblocks are skipped.
    """
    header = _next_header(index)
    columns, changed = len(ramp), [at for at, level in enumerate(levels) if level != before[at]]
    if not changed:
        return header + _ue(columns * rows)
    band = max(1, rows // 8)
    start = (rows - band) // 2
    gaps = [at - left - 1 for left, at in itertools.pairwise(changed)]
    after = columns - 1 - changed[-1]
    if start:
        top = [_under(levels[at] - ramp[at], grey=grey) for at in changed]
    else:
        top = [_top_macroblock(levels, at, offset=_INTRA_IN_P, grey=grey) for at in changed]
    first = _with_skips([start * columns + changed[0], *gaps], top)
    same = [_under(0, grey=grey)] * len(changed)
    others = _with_skips([after + changed[0], *gaps], same) * (band - 1)
    rest = (rows - start - band) * columns + after
    return header + first + others + (_ue(rest) if rest else "")


def _next_header(index: int) -> str:
    """Return the slice header of a later frame."""
    number = _u(index % (1 << _FRAME_NUMBER_BITS), _FRAME_NUMBER_BITS)
    return _ue(0) + _ue(5) + _ue(0) + number + "000" + _quantiser()


def _under(added: int, *, grey: bool) -> str:
    """Return a macroblock of a later frame: the colour of the one above it plus a difference."""
    return _macroblock(_VERTICAL, offset=_INTRA_IN_P, grey=grey) + _luma(added)


def _with_skips(skips: list[int], macroblocks: list[str]) -> str:
    return "".join(_ue(skip) + bits for skip, bits in zip(skips, macroblocks, strict=True))


def _top_macroblock(levels: list[int], column: int, *, offset: int, grey: bool) -> str:
    """Return a macroblock of the first row: the colour of its left neighbour plus a difference."""
    if column:
        added = levels[column] - levels[column - 1]
        return _macroblock(_HORIZONTAL, offset=offset, grey=grey) + _luma(added)
    if grey:
        return _macroblock(_FROM_NOTHING, offset=offset, grey=True) + _luma(levels[0])
    tint = _chroma(_TINT_CB) + _chroma(_TINT_CR)
    return _macroblock(_FROM_NOTHING, offset=offset, grey=False) + _luma(levels[0]) + tint


def _macroblock(kind: int, *, offset: int, grey: bool) -> str:
    if grey:
        return _ue(offset + kind) + _se(0)
    chroma = _WITH_CHROMA if kind == _FROM_NOTHING else 0
    return _ue(offset + kind + chroma) + _ue(_CHROMA[kind]) + _se(0)


def _luma(level: int) -> str:
    """Return the luma DC block of one macroblock (9.2: coeff_token, level, total_zeros)."""
    return _block(level, none="1", one="01", larger="000101")


def _chroma(level: int) -> str:
    return _block(level, none="01", one="1", larger="000111")


def _block(level: int, *, none: str, one: str, larger: str) -> str:
    if level == 0:
        return none
    if abs(level) == 1:
        return one + ("0" if level > 0 else "1") + "1"
    prefix = 2 * abs(level) - (2 if level > 0 else 1) - 2
    return larger + "0" * prefix + "1" + "1"


def _quantiser() -> str:
    """Return the end of a slice header: the quantiser, and no deblocking."""
    return _se(_QP - 26) + _ue(1)


def _level(columns: int, rows: int) -> int:
    """Return the lowest level that allows this frame area and these sides (A.3.1)."""
    needed = max(columns * rows, columns**2 // 8, rows**2 // 8)
    return next((level for level, most in _LEVELS if needed <= most), _TOP_LEVEL)


def _config(width: int, height: int, level: int) -> bytes:
    """Return the AVC decoder configuration record (ISO 14496-15, 5.3.3)."""
    grey = is_grey(width, height)
    profile = (100, 0, level) if grey else (66, 0xC0, level)
    form = _sps(width, height, grey=grey)
    sps = _nal(_NAL_SPS, "".join(_u(value, 8) for value in profile) + form)
    pps = _nal(_NAL_PPS, _ue(0) + _ue(0) + "00" + _ue(0) * 3 + "000" + _se(0) * 3 + "100")
    head = bytes((1, *profile, 0xFF, 0xE1))
    sets = struct.pack(">H", len(sps)) + sps + b"\x01" + struct.pack(">H", len(pps)) + pps
    return head + sets + (b"\xfc\xf8\xf8\0" if grey else b"")


def _sps(width: int, height: int, *, grey: bool) -> str:
    """Return the sequence parameters after the level (7.3.2.1.1).

    The output order equals the decoding order.
    """
    monochrome = _ue(0) * 3 + "00" if grey else ""
    counters = _ue(0) + monochrome + _ue(_FRAME_NUMBER_BITS - 4) + _ue(2) + _ue(1) + "0"
    size = _ue(-(-width // 16) - 1) + _ue(-(-height // 16) - 1) + "11"
    unit = 1 if grey else 2
    right, bottom = -width % 16 // unit, -height % 16 // unit
    crop = "1" + _ue(0) + _ue(right) + _ue(0) + _ue(bottom) if right or bottom else "0"
    return counters + size + crop + "0"


def _picture(kind: int, bits: str) -> bytes:
    nal = _nal(kind, bits)
    return struct.pack(">I", len(nal)) + nal


def _nal(kind: int, bits: str) -> bytes:
    """Return a NAL unit: stop bit, whole bytes, and no start code inside (7.3.1, 7.4.1)."""
    padded = bits + "1" + "0" * (-(len(bits) + 1) % 8)
    body = int("1" + padded, 2).to_bytes(len(padded) // 8 + 1, "big")[1:]
    return bytes((kind,)) + re.sub(rb"\0\0(?=[\0-\x03])", b"\0\0\x03", body)


def _u(value: int, bits: int) -> str:
    return f"{value:0{bits}b}"


def _ue(value: int) -> str:
    """Return a number in unsigned Exp-Golomb code (9.1)."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _se(value: int) -> str:
    return _ue(2 * value - 1 if value > 0 else -2 * value)
