"""Makes real, playable files with exactly the properties of a `Clip`.

H.264 where both sides are even, VP9 in WebM and where a side is odd; a tone in AAC, in WebM in
Opus. Equal clips give equal bytes in any process. Calls are synchronous: 10 s of 1440p take a few
milliseconds; run large or VP9 ones in a thread.
"""

from __future__ import annotations

from upsim.media.clip import MAX_BYTES, Clip, ClipNameError
from upsim.media.gop import Codec, Gop, GopCache
from upsim.media.mkv import SMALLEST_PADDING as SMALLEST_VOID
from upsim.media.mkv import finish_mkv, write_mkv
from upsim.media.mp4 import SMALLEST_PADDING as SMALLEST_FREE
from upsim.media.mp4 import pad_mp4, write_mp4
from upsim.media.tone import AAC, OPUS, Tone


class ClipMaker:
    """Makes clips, and keeps the group of pictures of each size for the next one."""

    def __init__(self, gops: GopCache | None = None) -> None:
        """Share `gops` to share what was drawn."""
        self._gops = GopCache() if gops is None else gops

    def make(self, clip: Clip) -> bytes:
        """The file. Raises `ClipNameError` where it cannot have `padded_to` bytes."""
        gop = self._gops.get(codec_of(clip), clip.width, clip.height)
        _refuse_above_limit(clip, gop)
        tone = _tone_of(clip)
        if clip.container in ("mp4", "mov"):
            parts = write_mp4(clip, gop, tone)
            return b"".join((*parts, pad_mp4(_padding(clip, parts, SMALLEST_FREE, 0))))
        parts = write_mkv(clip, gop, tone)
        return b"".join(finish_mkv(parts, _padding(clip, parts, SMALLEST_VOID, 12)))


def make_clip(clip: Clip) -> bytes:
    """The file of one clip, with nothing kept; see `ClipMaker.make`."""
    return ClipMaker().make(clip)


def codec_of(clip: Clip) -> Codec:
    """The codec that holds the pictures of `clip`."""
    odd = clip.width % 2 or clip.height % 2
    return "vp9" if odd or clip.container == "webm" else "h264"


def _tone_of(clip: Clip) -> Tone | None:
    if not clip.audio:
        return None
    return OPUS if clip.container == "webm" else AAC


def _refuse_above_limit(clip: Clip, gop: Gop) -> None:
    size = len(gop.data) * (clip.frames // len(gop.ends))
    if size > MAX_BYTES:
        raise ClipNameError(
            f"{clip.frames} frames of {clip.width}x{clip.height} take {size} bytes, more than the"
            f" {MAX_BYTES} allowed"
        )


def _padding(clip: Clip, parts: list[bytes], smallest: int, around: int) -> int:
    """The length of the padding that brings the file to the size asked for."""
    natural = sum(map(len, parts)) + around + smallest
    if clip.padded_to is None:
        return smallest
    if clip.padded_to < natural:
        raise ClipNameError(
            f"bytes {clip.padded_to} is below {natural}, the smallest this clip can have"
        )
    return clip.padded_to - natural + smallest
