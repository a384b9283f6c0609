"""Really rescales a video: every picture at its own time, with its audio; runs in the worker.

H.264 without reordering, or VP9 where a side is odd, in MP4. What the source says of its own
duration is kept in the header of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

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
from upsim.media.demux import find_video, open_video
from upsim.media.mp4 import state_duration

THREADS = 4  # fixed, so that the result does not depend on the machine
_COPIED = frozenset(("aac", "mp3", "ac3", "eac3", "alac"))
_H264 = {"preset": "veryfast", "crf": "23", "bf": "0"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "32", "b": "0"}
_TURNS = {90: ("cclock",), 180: ("hflip", "vflip"), 270: ("clock",)}
