"""Make an output from the source's own frames, or with its own audio; runs in the worker.

`resample` rescales every frame and keeps its time: H.264 without reordering, or VP9 for
odd sides, in MP4. `add_sound` combines the source's audio with generated frames.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

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
from upsim.media.mp4_duration import state_duration
from upsim.media.resample_plan import ResamplePlan

THREADS = 4  # fixed, so that the result does not depend on the machine
_COPIED = frozenset(("aac", "mp3", "ac3", "eac3", "alac"))
_H264 = {"preset": "veryfast", "crf": "23", "bf": "0"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "32", "b": "0"}
_TURNS = {90: ("transpose", "cclock"), 180: ("rotate", "PI"), 270: ("transpose", "clock")}
_MP4 = {"movie_timescale": str(MICROSECONDS), "fflags": "+bitexact", "movflags": "+faststart"}
_AAC_FRAME = 1_024
_AAC_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 96_000, 88_200, 64_000, 8_000)
_LAYOUTS = {1: "mono", 2: "stereo"}  # PCM does not say where its channels are
_COARSE = Fraction(1, 1_000)  # of Matroska and FLV, too coarse for most frame rates
_FINE = 90_000


def resample(source: Path, target: Path, plan: ResamplePlan) -> str | None:
    """Write the frames of `source`, and its audio if wanted; return an error message or None."""

    def convert(given: InputContainer, made: OutputContainer) -> None:
        video = find_video(given)
        if video is None or not is_known(video):
            raise ValueError("it has no video track that can be decoded")
        pictures = _Pictures(given, made, video, plan)
        sound = _Sound(given, made, plan.duration) if _has(given, plan.keep_audio) else None
        for packet in given.demux(video if sound is None else (video, sound.source)):
            if sound is not None and packet.stream.index == sound.source.index:
                sound.take(cast("Packet[AudioStream]", packet))
            else:
                pictures.take(cast("Packet[VideoStream]", packet))
        pictures.finish()
        if sound is not None:
            sound.finish()

    return _write(source, target, plan.duration, convert)


def add_sound(source: Path, pictures: Path, target: Path, duration: int) -> str | None:
    """Write the video of `pictures` with the audio of `source`; return an error message or None."""

    def convert(given: InputContainer, made: OutputContainer) -> None:
        with pictures.open("rb") as file, closing(open_video(file)) as drawn:
            video = drawn.streams.video[0]
            stream = made.add_stream_from_template(video)
            stream.time_base = video.time_base
            sound = _Sound(given, made, duration)
            waiting = (packet for packet in drawn.demux(video) if packet.size)
            picture = next(waiting, None)
            for packet in given.demux(sound.source):
                while picture is not None and _time(picture) <= _time(packet):
                    picture.stream = stream
                    made.mux(picture)
                    picture = next(waiting, None)
                sound.take(packet)
            while picture is not None:
                picture.stream = stream
                made.mux(picture)
                picture = next(waiting, None)
            sound.finish()

    return _write(source, target, duration, convert)


def _write(
    source: Path,
    target: Path,
    duration: int,
    convert: Callable[[InputContainer, OutputContainer], None],
) -> str | None:
    """Open both files, convert, and write the duration.

    A full disk may cause an error only when the file is closed.
    """
    try:
        with ExitStack() as stack:
            file = stack.enter_context(source.open("rb"))
            given = stack.enter_context(closing(open_video(file)))
            made = stack.enter_context(
                closing(av.open(str(target), "w", format="mp4", options=_MP4))
            )
            convert(given, made)
        state_duration(target, duration)
    except (FFmpegError, ValueError, OSError, OverflowError) as error:
        return _reason(error)
    return None


def _reason(error: Exception) -> str:
    """Return the error message without the names of temporary files."""
    if isinstance(error, OSError) and not isinstance(error, FFmpegError):
        return error.strerror or type(error).__name__
    if not isinstance(error, FFmpegError):
        return str(error)
    logged = str(error).partition("; last error log: ")[2]
    return ": ".join(filter(None, (error.strerror, logged)))


def _time(packet: Packet[Any]) -> Fraction:
    """Return the decoding time of a packet; an empty packet at the end of a track sorts last."""
    time = packet.pts if packet.dts is None else packet.dts
    return Fraction(1 << 62) if time is None else time * packet.time_base


def _has(given: InputContainer, keep_audio: bool) -> bool:  # noqa: FBT001  # two conditions as one
    return keep_audio and bool(given.streams.audio)


class _Clock:
    """Times of the source in ticks of the output, from the start of the source.

    If the source counts milliseconds, the times are corrected to exact multiples of the frame
    duration.
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
        """Return the output time of a frame with this source time."""
        time = max(ticks * self._step - self._start, Fraction(0))
        if self._rate:
            self._anchor = time if self._anchor is None else self._anchor
            nearest = self._anchor + round((time - self._anchor) * self._rate) / self._rate
            time = nearest if abs(nearest - time) <= self._step else time
        return round(time / self.tick)

    def length(self, ticks: int) -> int:
        """Return the output duration of a frame with this source duration."""
        if self._rate and abs(ticks * self._step * self._rate - 1) * 2 < 1:
            return round(1 / self._rate / self.tick)
        return round(ticks * self._step / self.tick)


class _Even:
    """Output times at a constant frame rate; the source times are ignored."""

    def __init__(self, pace: Fraction) -> None:
        self.tick = Fraction(1, max(1, round(pace * _FINE)))
        self._pace, self._next = pace, 0

    def at(self, _ticks: int) -> int:
        """Return the output time of the next frame."""
        at, self._next = round(self._next / self._pace / self.tick), self._next + 1
        return at

    def length(self, _ticks: int) -> int:
        """Return the output duration of a frame."""
        return round(1 / self._pace / self.tick)


class _Pictures:
    """Decodes, rotates, rescales and encodes the frames."""

    def __init__(
        self,
        given: InputContainer,
        made: OutputContainer,
        video: VideoStream,
        plan: ResamplePlan,
    ) -> None:
        size = (plan.width, plan.height)
        odd = size[0] % 2 or size[1] % 2
        self._video, self._made, self._size = video, made, size
        self._clock = _Clock(given, video) if plan.pace is None else _Even(plan.pace)
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
        """Encode the frames of this packet; skip a broken packet."""
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            self._encode(frame)

    def finish(self) -> None:
        """Write the remaining frames of the encoder."""
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
    """Copies the first audio track if MP4 supports its codec, else converts it to AAC.

    Packets that an edit list hides, and packets after the end of the file, are left out.
    """

    def __init__(self, given: InputContainer, made: OutputContainer, duration: int) -> None:
        self.source = source = given.streams.audio[0]
        if getattr(source, "codec_context", None) is None:
            raise ValueError("the codec of its audio is not known")
        self._made = made
        self._copy = source.codec_context.codec.canonical_name in _COPIED
        self._tick = source.time_base or Fraction(1, source.rate)
        start = Fraction(max(given.start_time or 0, 0), MICROSECONDS)
        self._shift = round(start / self._tick)
        self._end = Fraction(duration, MICROSECONDS)
        self._last: int | None = None
        if self._copy:
            self._stream = made.add_stream_from_template(source)
        else:
            self._rate = source.rate if source.rate in _AAC_RATES else _AAC_RATES[0]
            self._stream = made.add_stream("aac", rate=self._rate)
            layout = _LAYOUTS.get(source.channels, source.layout.name)
            self._stream.layout = layout
            self._samples: int | None = None
            self._resampler = AudioResampler(
                format="fltp", layout=layout, rate=self._rate, frame_size=_AAC_FRAME
            )

    def take(self, packet: Packet[AudioStream]) -> None:
        """Process the next packet of the source."""
        if not self._copy:
            self._encode(packet)
        elif packet.dts is not None and self._is_heard(packet, packet.dts - self._shift):
            packet.pts = (packet.dts if packet.pts is None else packet.pts) - self._shift
            packet.dts = self._last = packet.dts - self._shift
            packet.stream = self._stream
            self._made.mux(packet)

    def _is_heard(self, packet: Packet[AudioStream], time: int) -> bool:
        """Return whether a packet is heard in the output; earlier ones only prepare the decoder."""
        if packet.is_discard and time >= 0:
            return False
        return time * self._tick < self._end and (self._last is None or time > self._last)

    def finish(self) -> None:
        """Write the remaining audio of the encoder."""
        if not self._copy:
            self._send(self._resampler.resample(None))
            self._made.mux(self._stream.encode(None))

    def _encode(self, packet: Packet[AudioStream]) -> None:
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            if self._samples is None:
                self._samples = self._start_of(frame)
            frame.pts = None  # samples are counted instead: times of some formats waver
            self._send(self._resampler.resample(frame))

    def _start_of(self, frame: AudioFrame) -> int:
        """Return the number of the output sample at which the audio of a frame begins."""
        begins = (frame.pts or 0) - self._shift
        return max(0, round(begins * self._tick * self._rate))

    def _send(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            at = self._samples or 0
            self._samples = at + frame.samples
            if Fraction(at, self._rate) < self._end:
                frame.pts, frame.time_base = at, Fraction(1, frame.rate)
                self._made.mux(self._stream.encode(frame))
