"""Measure all other videos by demuxing them with PyAV; runs in the worker process.

Only the first frame is decoded, for its display matrix. The allowed formats are a short
list without playlists, images and protocols, so that a file cannot make the demuxer open
another file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from upsim.core.media import MICROSECONDS, Container, Measured, Media, Unmeasurable
from upsim.media.mp4_measuring import read_movie

OPTIONS = {
    "format_whitelist": "mov,matroska,avi,flv,mpegts,mpeg,ogg,asf,mxf",
    "protocol_whitelist": "none",
}
_UNPROBED = {**OPTIONS, "probesize": "32"}
_DECODED_PACKETS = 64
_HEAD = 64 << 10  # bytes in which an EBML header must end, to be read
_EBML, _DOCTYPE = b"\x1aE\xdf\xa3", b"\x42\x82"
_OTHER_TRACKS = frozenset(("video", "audio", "subtitle"))
_QUARTER, _HALF = 90, 180
_NEAR = Fraction(1, 2)  # pictures that a stated rate may be off
_NEARLY = Fraction(1, 100)
_HIDING = frozenset(("vp8", "libvpx"))
_VP8_SHOWN = 0x10
_BROKEN = (FFmpegError, ValueError, OSError, OverflowError)  # the last two: seeks to nowhere
_MAGIC = {b"ftyp": 4, b"moov": 4, _EBML: 0, b"AVI ": 8}


@dataclass(slots=True)
class _Span:
    """The first and the last time of a track's packets, in its ticks.

    PyAV creates a `Fraction` at each access to a packet's time base, so ticks are converted
    once.
    """

    tick: Fraction
    first: int | None = None
    last: int = 0
    end: int = 0

    def add(self, packet: Packet[Stream]) -> None:
        time = packet.dts if packet.pts is None else packet.pts
        if time is None:
            return
        self.first = time if self.first is None else min(self.first, time)
        self.last = max(self.last, time)
        self.end = max(self.end, time + (packet.duration or 0))


@dataclass(slots=True)
class _Count:
    """The counted packets of the video track, and the times of all tracks.

    `shown` excludes frames that an edit list or the codec hides.
    """

    video: _Span
    spans: dict[int, _Span]
    packets: int = 0
    shown: int = 0
    rotation: int | None = None

    @property
    def length(self) -> Fraction:
        """Return the seconds from the start of the file to the end of the longest track."""
        starts = [span.first * span.tick for span in self.spans.values() if span.first is not None]
        ends = (span.end * span.tick for span in self.spans.values())
        return max(ends) - max(min(starts, default=Fraction(0)), Fraction(0))


def measure_by_demuxing(source: bytes | Path) -> Measured:
    """Return the properties by demuxing: durations from the header, packets counted one by one.

    The duration is the header's; without it, the end of the last packet of any track. A file
    without a duration or without a frame is `not_decodable`.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        head = file.read(_HEAD)
        quicktime, stated = read_movie(file)
        size = file.seek(0, 2)
        file.seek(0)
        try:
            with closing(_opened(file, head)) as container:
                kind = _container(container.format.name, head, quicktime=quicktime)
                return _measure(container, kind, size, stated=stated)
        except _BROKEN as error:
            return _unreadable(head, error)


def open_video(file: BinaryIO) -> InputContainer:
    """Open a file for reading; only the formats of the short list are allowed."""
    return av.open(file, "r", options=OPTIONS, metadata_errors="ignore")


def _opened(file: BinaryIO, head: bytes) -> InputContainer:
    """Open a file; skip slow probing for a Matroska file with a complete header."""
    if head.startswith(_EBML):
        container = av.open(file, "r", options=_UNPROBED, metadata_errors="ignore")
        if _says_everything(container):
            return container
        container.close()
        file.seek(0)
    return open_video(file)


def _says_everything(container: InputContainer) -> bool:
    """Return whether the header has the duration, and the video's codec, size and rate."""
    video = find_video(container)
    if video is None or not is_known(video) or not container.duration:
        return False
    return video.codec_context.width > 0 and bool(video.average_rate)


def _unreadable(head: bytes, error: Exception) -> Unmeasurable:
    if any(head[at : at + len(magic)] == magic for magic, at in _MAGIC.items()):
        why = getattr(error, "strerror", None) or error  # without FFmpeg's number and name of it
        return Unmeasurable("not_decodable", f"The file is damaged: {why}."[:300])
    return Unmeasurable("not_a_video", "The file is of no video format known here.")


def _measure(container: InputContainer, kind: Container, size: int, *, stated: int) -> Measured:
    video = find_video(container)
    if video is None and not any(s.type in _OTHER_TRACKS for s in container.streams):
        return Unmeasurable("not_decodable", "The file breaks off before its first track.")
    if video is None:
        return Unmeasurable("not_a_video", "The file has no video track.")
    if not is_known(video):
        return Unmeasurable("not_decodable", "The codec of the video track is not known.")
    count = _count(container, video)
    duration = stated or _duration(container, count)
    rate = _rate(container, video, count)
    width, height = _displayed_size(video, count.rotation or 0)
    if not (count.shown and width and height):
        return Unmeasurable("not_decodable", "The video track has no pictures.")
    if duration <= 0 or rate is None:
        return Unmeasurable("not_decodable", "The duration is zero or unknown.")
    return Media(
        duration=duration,
        frame_rate=rate,
        width=width,
        height=height,
        frames=count.shown,
        container=kind,
        audio=bool(container.streams.audio),
        size=size,
    )


def find_video(container: InputContainer) -> VideoStream | None:
    """Return the first video track that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def is_known(video: VideoStream) -> bool:
    """Return whether a decoder exists; without a decoder, PyAV's context is None."""
    return getattr(video, "codec_context", None) is not None


def _count(container: InputContainer, video: VideoStream) -> _Count:
    """Count packets until the end, or until the file breaks off."""
    spans = {one.index: _Span(one.time_base or Fraction(0)) for one in container.streams}
    count = _Count(spans[video.index], spans)
    video.codec_context.thread_count = 1  # for one picture, more threads only cost their start
    can_hide = video.codec_context.name in _HIDING
    for packet in _packets(container, video):
        spans[packet.stream_index].add(packet)
        if packet.stream_index != video.index:
            continue
        picture = cast("Packet[VideoStream]", packet)
        count.packets += 1
        count.shown += not (packet.is_discard or (can_hide and _is_hidden(picture)))
        if count.rotation is None and count.packets <= _DECODED_PACKETS:
            count.rotation = _rotation(picture)
    return count


def _packets(container: InputContainer, video: VideoStream) -> Iterator[Packet[Stream]]:
    """Yield the video track's packets; if the header has no duration, those of all tracks."""
    stated = container.duration is not None and container.duration > 0
    tracks = (video,) if stated else container.streams
    packets: Iterator[Packet[Stream]] = container.demux(*tracks)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        if packet.size:
            yield packet


def _is_hidden(packet: Packet[VideoStream]) -> bool:
    """Return whether a VP8 packet is a reference frame that is not shown (RFC 6386, 9.1)."""
    return not memoryview(packet)[0] & _VP8_SHOWN


def _rotation(packet: Packet[VideoStream]) -> int | None:
    """Return the rotation of the first decoded frame; None before that frame."""
    try:
        frames = packet.decode()
    except FFmpegError:
        return None
    return frames[0].rotation if frames else None


def _duration(container: InputContainer, count: _Count) -> int:
    """Return microseconds: of the container, or of its longest track, or of all packets."""
    if container.duration is not None and container.duration > 0:
        return container.duration
    stated = [_microseconds(s.duration, s.time_base) for s in container.streams if s.duration]
    return max([*stated, _microseconds(1, count.length)])


def _microseconds(ticks: int | None, time_base: Fraction | None) -> int:
    exact = (ticks or 0) * (time_base or Fraction(0)) * MICROSECONDS
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def _rate(container: InputContainer, video: VideoStream, count: _Count) -> Fraction | None:
    """Return the average frame rate: as stated, unless the packets clearly contradict it.

    The rate by the packets is the number of frames / their duration. A last frame of unknown
    duration counts with the average of the earlier frames. The stated rate of MP4, MOV and
    AVI files is always correct.
    """
    stated = video.average_rate
    track = count.video
    span = track.last - (track.first or 0)
    if count.packets < 2 or span <= 0 or (stated and _has_rate(container)):  # noqa: PLR2004  # one picture has no rate
        return stated
    last = track.end - track.last or Fraction(span, count.packets - 1)
    length = (span + last) * (video.time_base or Fraction(0))
    if stated and abs(length * stated - count.packets) <= max(_NEAR, count.packets * _NEARLY):
        return stated
    return (count.packets / length).limit_denominator(1_001_000) if length else stated


def _has_rate(container: InputContainer) -> bool:
    return container.format.name.startswith(("mov", "avi"))


def _displayed_size(video: VideoStream, rotation: int) -> tuple[int, int]:
    width, height = video.codec_context.width, video.codec_context.height
    ratio = video.sample_aspect_ratio
    if ratio:
        exact = width * ratio
        width = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
    return (height, width) if rotation % _HALF == _QUARTER else (width, height)


def _container(name: str, head: bytes, *, quicktime: bool) -> Container:
    """Return the container by its content: the brand of MP4 and MOV, or the Matroska doctype."""
    if name.startswith("mov"):
        return "mov" if quicktime else "mp4"
    if name.startswith("matroska"):
        return "webm" if _doctype(head) == b"webm" else "mkv"
    return "avi" if name == "avi" else "other"


def _doctype(head: bytes) -> bytes:
    """Return the document type in an EBML header (RFC 8794, 11.2), at any position."""
    identifier, start, end = _element(head, 0)
    end = min(end, len(head)) if identifier == _EBML else 0
    while start < end:
        identifier, body, start = _element(head, start)
        if identifier == _DOCTYPE:
            return head[body:start].rstrip(b"\0")
    return b""


def _element(data: bytes, start: int) -> tuple[bytes, int, int]:
    """Return the identifier of the element at `start`, and its body's start and end."""
    width = _width(data, start)
    length = _width(data, start + width)
    body = start + width + length
    size = int.from_bytes(data[start + width : body], "big") & ((1 << 7 * length) - 1)
    return data[start : start + width], body, body + size


def _width(data: bytes, start: int) -> int:
    """Return the length in bytes of the number at `start`, by its leading zero bits.

    It is 1 at the end of the data.
    """
    first = data[start] if start < len(data) else 0xFF
    return 9 - max(first.bit_length(), 1)
