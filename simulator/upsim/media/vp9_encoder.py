"""A moving bar as VP9 frames: for WebM, and for odd sizes, which colour H.264 cannot have."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.frame import VideoFrame

from upsim.media.clip_names import MAX_VP9_PIXELS, ClipNameError

MAX_PICTURES = 30
MIN_PICTURES = 2
PIXELS = 32_000_000
THREADS = 4  # fixed, because the number of tiles and so the bytes may depend on it
_STEPS = 7
_OPTIONS = {
    "deadline": "realtime",
    "cpu-used": "8",
    "lag-in-frames": "0",
    "auto-alt-ref": "0",
    "crf": "50",
    "b": "0",
    "row-mt": "1",
    "g": "9999",
}


def encode_vp9(width: int, height: int) -> tuple[bytes, ...]:
    """Return a key frame and the frames after it; fewer for large sizes, at least two."""
    if width * height > MAX_VP9_PIXELS:
        raise ClipNameError(
            f"size {width}x{height} has more than {MAX_VP9_PIXELS} pixels, the most that VP9 is"
            " made in here; mp4 may be larger"
        )
    pictures = max(MIN_PICTURES, min(MAX_PICTURES, PIXELS // (width * height)))
    encoder = av.CodecContext.create("libvpx-vp9", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.options, encoder.thread_count = _OPTIONS, THREADS
    picture = _grey_frame(width, height)
    packets = []
    for index in range(pictures):
        _paint(picture, index / pictures)
        picture.pts = index
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    return tuple(bytes(packet) for packet in packets)


def _grey_frame(width: int, height: int) -> VideoFrame:
    frame = VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes((128,)) * plane.buffer_size)
    return frame


def _paint(frame: VideoFrame, phase: float) -> None:
    """Paint brightness in steps from left to right, and a bar at the fraction `phase`."""
    plane = frame.planes[0]
    ramp = bytes(72 + 14 * (_STEPS * x // plane.line_size) for x in range(plane.line_size))
    thickness = max(1, frame.width // 16)
    left = int(phase * frame.width)
    row = ramp[:left] + b"\xb8" * thickness + ramp[left + thickness :]
    plane.update(row[: plane.line_size] * (plane.buffer_size // plane.line_size))
