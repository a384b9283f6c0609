"""Probe a video file with PyAV, without code of the simulator."""

from __future__ import annotations

import io
from decimal import Decimal
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext

from upsim_contracts.exceptions import UnreadableVideoError

_CONTAINERS = {"mp4": "mp4", "matroska": "mkv", "webm": "webm"}


def as_avi(content: bytes) -> bytes:
    """Return a video in an AVI container, with unchanged pictures."""
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


def probe_video(content: bytes) -> dict[str, object]:
    """Return width, height, frame rate, seconds, frames, container and audio of a file.

    Raises UnreadableVideoError for a file that is no video, or that PyAV cannot read.
    """
    try:
        with av.open(io.BytesIO(content), mode="r") as file:
            return _properties(file)
    except (av.FFmpegError, ValueError) as error:  # a text that is no UTF-8 is a ValueError
        raise UnreadableVideoError(str(error)) from error


def _properties(file: InputContainer) -> dict[str, object]:
    """Read the properties of an open file. Raises UnreadableVideoError, FFmpegError, ValueError."""
    if not file.streams.video:
        raise UnreadableVideoError("the file has no video stream")
    video = file.streams.video[0]
    context: VideoCodecContext | None = video.codec_context
    if context is None:
        raise UnreadableVideoError("PyAV does not know the codec of the video stream")
    pictures = sum(packet.size > 0 for packet in file.demux(video))
    rate = video.average_rate or Fraction(0)
    length = Fraction(file.duration or 0, av.time_base)
    return {
        "width": context.width,
        "height": context.height,
        "fps": f"{rate}",
        "seconds": Decimal(length.numerator) / Decimal(length.denominator),
        "frames": pictures,
        "container": next((n for k, n in _CONTAINERS.items() if k in file.format.name), ""),
        "audio": bool(file.streams.audio),
    }
