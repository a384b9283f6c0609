"""Looking into a video file, with PyAV and nothing of the simulator: what an output really is."""

from __future__ import annotations

import io
from decimal import Decimal
from fractions import Fraction

import av

_CONTAINERS = {"mp4": "mp4", "matroska": "mkv", "webm": "webm"}


def as_avi(content: bytes) -> bytes:
    """The pictures of a video as they are, in an AVI."""
    out = io.BytesIO()
    with (
        av.open(io.BytesIO(content), mode="r") as file,
        av.open(out, mode="w", format="avi") as made,
    ):
        video = file.streams.video[0]
        stream = made.add_stream_from_template(video)
        for packet in file.demux(video):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return out.getvalue()


def look_into(content: bytes) -> dict[str, object]:
    """Width, height, rate, length in seconds, pictures, container and sound of a file."""
    with av.open(io.BytesIO(content), mode="r") as file:
        video = file.streams.video[0]
        pictures = sum(packet.size > 0 for packet in file.demux(video))
        rate = video.average_rate or Fraction(0)
        length = Fraction(file.duration or 0, av.time_base)
        return {
            "width": video.codec_context.width,
            "height": video.codec_context.height,
            "fps": f"{rate}",
            "seconds": Decimal(length.numerator) / Decimal(length.denominator),
            "frames": pictures,
            "container": next((n for k, n in _CONTAINERS.items() if k in file.format.name), ""),
            "audio": bool(file.streams.audio),
        }
