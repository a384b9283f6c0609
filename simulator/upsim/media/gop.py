"""One group of pictures (GOP) per frame size, generated once and repeated for every clip."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from upsim.media.h264_encoder import draw_sequence, skip_pictures

Codec = Literal["h264", "vp9"]

H264_PICTURES = 60
STILL_PICTURES = 15_360
_SHOW_AGAIN = b"\x88"  # VP9's show_existing_frame (6.2): all eight references are the key picture


@dataclass(frozen=True, slots=True)
class Gop:
    """A key frame and the frames that follow it, in display order.

    `config` is the codec's own header, `data` all frames in sequence, `ends` the end of each
    frame.
    """

    codec: Codec
    config: bytes
    data: bytes
    ends: tuple[int, ...]

    @property
    def sizes(self) -> list[int]:
        """Return the bytes of each frame."""
        return [end - start for start, end in zip((0, *self.ends), self.ends, strict=False)]

    def head(self, pictures: int) -> bytes:
        """Return the first `pictures` frames, which can be decoded without the later frames."""
        return self.data[: self.ends[pictures - 1]]


def join_pictures(codec: Codec, config: bytes, pictures: tuple[bytes, ...]) -> Gop:
    """Return a `Gop` of encoded frames."""
    ends = tuple(accumulate(len(picture) for picture in pictures))
    return Gop(codec, config, b"".join(pictures), ends)


def make_gop(codec: Codec, width: int, height: int) -> Gop:
    """Generate a group: H.264 directly, or VP9 with an encoder, which is imported here."""
    if codec == "h264":
        sequence = draw_sequence(width, height, H264_PICTURES)
        return join_pictures(codec, sequence.config, sequence.pictures)
    from upsim.media.vp9_encoder import encode_vp9  # PyAV takes 60 ms to load

    return join_pictures(codec, b"", encode_vp9(width, height))


def make_still(gop: Gop, width: int, height: int) -> Gop:
    """Return the key frame of a group, and small frames of a few bytes that repeat it."""
    repeats = (_SHOW_AGAIN,) if gop.codec == "vp9" else skip_pictures(width, height)
    later = (repeats[at % len(repeats)] for at in range(1, STILL_PICTURES))
    return join_pictures(gop.codec, gop.config, (gop.head(1), *later))


class GopCache:
    """A cache of groups of pictures by size and codec; drops the least recently used first.

    Threads may share it: one thread generates a group while other threads wait for it.
    """

    def __init__(
        self, max_bytes: int = 64 << 20, *, make: Callable[[Codec, int, int], Gop] = make_gop
    ) -> None:
        """Keep at most `max_bytes` of groups, but always the latest group."""
        self._max_bytes = max_bytes
        self._make = make
        self._kept: OrderedDict[tuple[Codec, int, int], Gop] = OrderedDict()
        self._making: dict[tuple[Codec, int, int], threading.Event] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, codec: Codec, width: int, height: int) -> Gop:
        """Return the group of pictures of this size; make it first if necessary."""
        key = (codec, width, height)
        while True:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                under_way = self._making.get(key)
                if under_way is None:
                    self._making[key] = threading.Event()
                    break
            under_way.wait()  # and look again: if that failed, it is this one's turn
        return self._make_and_keep(key)

    def _make_and_keep(self, key: tuple[Codec, int, int]) -> Gop:
        try:
            gop = self._make(*key)
            with self._lock:
                self._keep(key, gop)
            return gop
        finally:
            with self._lock:
                self._making.pop(key).set()

    def _keep(self, key: tuple[Codec, int, int], gop: Gop) -> None:
        self._kept[key] = gop
        self._bytes += len(gop.data)
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.data)
