"""Make real, playable files with exactly the properties of a `Clip`.

The frames are VP9 in WebM, and H.264 in other containers if width and height are even.
With an odd side the frames are VP9 too; very large ones are grey H.264 instead.
The audio is a tone: Opus in WebM, AAC in other containers.
Equal clips give equal bytes in any process.
Calls are synchronous: 10 s of 1440p take a few milliseconds. Make large clips and VP9 clips
in a thread.
"""

from __future__ import annotations

from upsim.media.clip_names import MAX_BYTES, MAX_VP9_PIXELS, ClipNameError, SyntheticClip
from upsim.media.gop import Codec, Gop, GopCache, make_still
from upsim.media.mkv_writer import SMALLEST_PADDING as SMALLEST_VOID
from upsim.media.mkv_writer import finish_mkv, write_mkv
from upsim.media.mp4_writer import SMALLEST_PADDING as SMALLEST_FREE
from upsim.media.mp4_writer import pad_mp4, write_mp4
from upsim.media.tone import AAC, OPUS, Tone

MAX_MOVING = 128 << 20
_AT_ONCE = 16 << 20
_MANY_FRAMES = 20_000
_MANY_PIXELS = {"h264": 16 << 20, "vp9": 2 << 20}


class ClipMaker:
    """A maker of clips; it caches the group of pictures of each frame size."""

    def __init__(self, gops: GopCache | None = None) -> None:
        """Use the groups of pictures in `gops`, or a new cache."""
        self._gops = GopCache() if gops is None else gops

    def make(self, clip: SyntheticClip) -> bytes:
        """Return the file. Raises `ClipNameError` if it cannot have `padded_to` bytes."""
        return b"".join(self.parts(clip))

    def parts(self, clip: SyntheticClip) -> list[bytes]:
        """Return the file of `make` as a list of parts to join; repeated parts share memory."""
        gop = self._gop(clip)
        tone = _tone_of(clip)
        if clip.container in ("mp4", "mov"):
            parts = write_mp4(clip, gop, tone)
            return [*parts, *pad_mp4(_padding(clip, parts, SMALLEST_FREE, 0))]
        parts = write_mkv(clip, gop, tone)
        return finish_mkv(parts, _padding(clip, parts, SMALLEST_VOID, 12))

    def _gop(self, clip: SyntheticClip) -> Gop:
        """Return moving frames, or still ones if moving ones would make a very large file."""
        gop = self._gops.get(codec_of(clip), clip.width, clip.height)
        if _bytes_of(clip, gop) > MAX_MOVING:
            gop = make_still(gop, clip.width, clip.height)
            _refuse_above_limit(clip, gop)
        return gop


def make_clip(clip: SyntheticClip) -> bytes:
    """Return the file of one clip without a cache; see `ClipMaker.make`."""
    return ClipMaker().make(clip)


def codec_of(clip: SyntheticClip) -> Codec:
    """Return the codec of the frames of `clip`."""
    if clip.container == "webm":
        return "vp9"
    odd = clip.width % 2 or clip.height % 2
    return "vp9" if odd and clip.width * clip.height <= MAX_VP9_PIXELS else "h264"


def _tone_of(clip: SyntheticClip) -> Tone | None:
    if not clip.audio:
        return None
    return OPUS if clip.container == "webm" else AAC


def is_large(clip: SyntheticClip) -> bool:
    """Return whether making the clip may take long, or much memory."""
    pixels = clip.width * clip.height
    return (
        pixels > _MANY_PIXELS[codec_of(clip)]
        or clip.frames > _MANY_FRAMES
        or (clip.padded_to or 0) > _AT_ONCE
    )


def _bytes_of(clip: SyntheticClip, gop: Gop) -> int:
    """Return the approximate number of bytes of all frames."""
    return len(gop.data) * clip.frames // len(gop.ends)


def _refuse_above_limit(clip: SyntheticClip, gop: Gop) -> None:
    size = _bytes_of(clip, gop)
    if size > MAX_BYTES:
        raise ClipNameError(
            f"{clip.frames} frames of {clip.width}x{clip.height} take {size} bytes, more than the"
            f" {MAX_BYTES} allowed"
        )


def _padding(clip: SyntheticClip, parts: list[bytes], smallest: int, around: int) -> int:
    """Return the padding that gives the file the requested size."""
    natural = sum(map(len, parts)) + around + smallest
    if clip.padded_to is None:
        return smallest
    if clip.padded_to < natural:
        raise ClipNameError(
            f"bytes {clip.padded_to} is below {natural}, the smallest this clip can have"
        )
    return clip.padded_to - natural + smallest
