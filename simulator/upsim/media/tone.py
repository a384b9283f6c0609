"""A quiet tone, one frame of it: repeated, it goes on without a seam.

Both frames were taken from an encoder that had settled (FFmpeg 8.1: `aac` with `aac_coder=fast`
at 32 kb/s, `libopus` at a constant 16 kb/s, `lowdelay`) on a mono sine of amplitude 0.02 at
48 kHz whose period divides the frame, 375 Hz and 400 Hz, so each frame continues the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SAMPLE_RATE = 48_000


@dataclass(frozen=True, slots=True)
class Tone:
    """One repeatable audio frame: `config` is the codec's own header, `samples` its length."""

    codec: Literal["aac", "opus"]
    config: bytes
    frame: bytes
    samples: int


AAC = Tone(
    codec="aac",
    config=bytes.fromhex("118856e500"),
    frame=bytes.fromhex("00fe2b0456507800ca351993b4e4347f0889fc0ed363ed1d5630a1c0"),
    samples=1_024,
)
OPUS = Tone(
    codec="opus",
    config=bytes.fromhex("4f707573486561640101000080bb0000000000"),
    frame=bytes.fromhex(
        "f8b19db7732b6267fd2944c3882247e2bc8485d4843b0eb8817dc83fa12cee710012c21999d067f9"
    ),
    samples=960,
)
