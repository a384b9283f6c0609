"""Really rescales a video: every picture at its own time, with its audio; runs in the worker.

H.264 without reordering, or VP9 where a side is odd, in MP4. What the source says of its own
duration is kept in the header of the result.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from upsim.core.media import MICROSECONDS
from upsim.media.demux import find_video, is_known, open_video

THREADS = 4  # fixed, so that the result does not depend on the machine
_COPIED = frozenset(("aac", "mp3", "ac3", "eac3", "alac"))
_H264 = {"preset": "veryfast", "crf": "23", "bf": "0"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "32", "b": "0"}
_TURNS = {90: ("transpose", "cclock"), 180: ("rotate", "PI"), 270: ("transpose", "clock")}
_AAC_FRAME = 1_024
_AAC_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 96_000, 88_200, 64_000, 8_000)
_COARSE = Fraction(1, 1_000)  # of Matroska and FLV, too coarse for most frame rates
_FINE = 90_000


def resample(source: Path, target: Path, *, size: tuple[int, int], keep_audio: bool) -> str | None:
    """Writes `source` in `size` to `target`; answers what went wrong, or None."""
    with ExitStack() as stack:
        file = stack.enter_context(source.open("rb"))
        try:
            given = stack.enter_context(closing(open_video(file)))
            video = find_video(given)
            if video is None or not is_known(video):
                return "the file has no video track that can be decoded"
            options = {"movie_timescale": str(MICROSECONDS), "fflags": "+bitexact"}
            made = stack.enter_context(
                closing(av.open(str(target), "w", format="mp4", options=options))
            )
            duration = given.duration
            _convert(given, made, video, size=size, keep_audio=keep_audio)
        except (FFmpegError, ValueError, OSError, OverflowError) as error:
            return str(error)
    _state_duration(target, duration)
    return None


def _convert(
    given: InputContainer,
    made: OutputContainer,
    video: VideoStream,
    *,
    size: tuple[int, int],
    keep_audio: bool,
) -> None:
    pictures = _Pictures(given, made, video, size)
    sound = _Sound(given, made, given.streams.audio[0]) if _has(given, keep_audio) else None
    streams = (video,) if sound is None else (video, sound.source)
    for packet in given.demux(*streams):
        if sound is not None and packet.stream_index == sound.source.index:
            sound.take(cast("Packet[AudioStream]", packet))
        else:
            pictures.take(cast("Packet[VideoStream]", packet))
    pictures.finish()
    if sound is not None:
        sound.finish()


def _has(given: InputContainer, keep_audio: bool) -> bool:  # noqa: FBT001  # two conditions as one
    return keep_audio and bool(given.streams.audio)


class _Clock:
    """Times of the source in ticks of the result, from the start of the source.

    Where the source counts milliseconds, its pictures are put back on the grid of their rate.
    """

    def __init__(self, given: InputContainer, video: VideoStream) -> None:
        self._step = video.time_base or Fraction(1, _FINE)
        self._rate = video.average_rate if self._step >= _COARSE else None
        self._start = Fraction(max(given.start_time or 0, 0), MICROSECONDS)
        self._anchor: Fraction | None = None  # when the first picture is shown
        self.tick = self._step
        if self._rate:
            self.tick = Fraction(1, self._rate.numerator * -(-_FINE // self._rate.numerator))

    def at(self, ticks: int) -> int:
        """When the picture of this time is shown."""
        time = max(ticks * self._step - self._start, Fraction(0))
        if self._rate:
            self._anchor = time if self._anchor is None else self._anchor
            nearest = self._anchor + round((time - self._anchor) * self._rate) / self._rate
            time = nearest if abs(nearest - time) <= self._step else time
        return round(time / self.tick)

    def length(self, ticks: int) -> int:
        """How long a picture of this length is shown."""
        if self._rate and abs(ticks * self._step * self._rate - 1) * 2 < 1:
            return round(1 / self._rate / self.tick)
        return round(ticks * self._step / self.tick)


class _Pictures:
    """Decodes, turns, rescales and encodes the pictures."""

    def __init__(
        self,
        given: InputContainer,
        made: OutputContainer,
        video: VideoStream,
        size: tuple[int, int],
    ) -> None:
        odd = size[0] % 2 or size[1] % 2
        self._video, self._made, self._size = video, made, size
        self._clock = _Clock(given, video)
        self._lengths: dict[int, int] = {}
        self._last = -1
        self._turn: Graph | None = None
        rate = video.average_rate or 30
        self._stream = made.add_stream("libvpx-vp9" if odd else "libx264", rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = dict(_VP9 if odd else _H264)
        self._stream.codec_context.thread_count = THREADS
        self._stream.codec_context.time_base = self._clock.tick
        self._stream.time_base = self._clock.tick

    def take(self, packet: Packet[VideoStream]) -> None:
        """Whatever pictures come out by this packet; one that is broken is left out."""
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            self._encode(frame)

    def finish(self) -> None:
        """What the encoder still has."""
        self._mux(self._stream.encode(None))

    def _encode(self, frame: VideoFrame) -> None:
        time = self._clock.at(frame.pts) if frame.pts is not None else self._last + 1
        self._last = max(time, self._last + 1)
        self._lengths[self._last] = self._clock.length(frame.duration or 0)
        scaled = self._upright(frame).reformat(*self._size, format="yuv420p")
        scaled.pts, scaled.time_base = self._last, self._clock.tick
        scaled.pict_type = 0  # the encoder decides which pictures are key ones
        self._mux(self._stream.encode(scaled))

    def _upright(self, frame: VideoFrame) -> VideoFrame:
        turn = _TURNS.get(frame.rotation % 360)
        if turn is None:
            return frame
        if self._turn is None:
            self._turn = _graph(frame, self._clock.tick, turn)
        self._turn.vpush(frame)
        return self._turn.vpull()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._lengths.pop(packet.pts or 0, 0) or packet.duration
            self._made.mux(packet)


def _graph(frame: VideoFrame, tick: Fraction, turn: tuple[str, str]) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=tick
    )
    graph.link_nodes(source, graph.add(*turn), graph.add("buffersink")).configure()
    return graph


class _Sound:
    """Copies the audio where MP4 can hold it, else makes AAC of it."""

    def __init__(self, given: InputContainer, made: OutputContainer, source: AudioStream) -> None:
        self.source = source
        self._made = made
        self._copy = source.codec_context.codec.canonical_name in _COPIED
        self._shift = round(
            Fraction(max(given.start_time or 0, 0), MICROSECONDS)
            / (source.time_base or Fraction(1, source.rate))
        )
        if self._copy:
            self._stream = made.add_stream_from_template(source)
        else:
            rate = source.rate if source.rate in _AAC_RATES else _AAC_RATES[0]
            self._stream = made.add_stream("aac", rate=rate)
            self._stream.layout = source.layout
            self._samples = 0
            self._resampler = AudioResampler(
                format="fltp", layout=source.layout, rate=rate, frame_size=_AAC_FRAME
            )

    def take(self, packet: Packet[AudioStream]) -> None:
        """The next packet of the source."""
        if not self._copy:
            self._encode(packet)
        elif packet.dts is not None:
            packet.pts = (packet.pts or 0) - self._shift
            packet.dts -= self._shift
            packet.stream = self._stream
            self._made.mux(packet)

    def finish(self) -> None:
        """What the encoder still has."""
        if not self._copy:
            self._send(self._resampler.resample(None))
            self._made.mux(self._stream.encode(None))

    def _encode(self, packet: Packet[AudioStream]) -> None:
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            frame.pts = None  # samples are counted instead: times of some formats waver
            self._send(self._resampler.resample(frame))

    def _send(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self._samples, Fraction(1, frame.rate)
            self._samples += frame.samples
            self._made.mux(self._stream.encode(frame))


def _state_duration(target: Path, duration: int | None) -> None:
    """Writes the source's own duration into the movie header, which counts microseconds."""
    if not duration or duration >= 1 << 32:
        return
    with target.open("r+b") as file:
        for kind, start in _top_boxes(file):
            if kind == b"moov":
                file.seek(start + 8)
                if file.read(8)[4:8] == b"mvhd" and file.read(1) == b"\0":
                    file.seek(start + 8 + 8 + 16)
                    file.write(struct.pack(">I", duration))
                return


def _top_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    start, end = 0, file.seek(0, 2)
    while start + 16 <= end:
        file.seek(start)
        size, kind, long = struct.unpack(">I4sQ", file.read(16))
        yield kind, start
        start += max(long if size == 1 else size, 8)
