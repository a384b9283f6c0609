"""One frame of a quiet tone, which repeats without an audible gap.

Both frames come from encoders (FFmpeg 8.1: `aac` with `aac_coder=fast` at 32 kb/s, and
`libopus` at a constant 16 kb/s, `lowdelay`), taken after their output had become stable.
The input was a mono sine of amplitude 0.02 at 48 kHz: 375 Hz for AAC, 400 Hz for Opus.
The period of the sine divides the frame, so each frame continues the frame before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SAMPLE_RATE = 48_000


@dataclass(frozen=True, slots=True)
class Tone:
    """One repeatable audio frame: `config` is the codec's header, `samples` the frame's length."""

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
