"""One group of pictures for each size, made once and repeated for every clip of that size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from upsim.media.h264 import draw_sequence, skip_pictures

Codec = Literal["h264", "vp9"]

H264_PICTURES = 60
STILL_PICTURES = 15_360
_SHOW_AGAIN = b"\x88"  # VP9's show_existing_frame (6.2): all eight references are the key picture


@dataclass(frozen=True, slots=True)
class Gop:
    """A key frame and the frames that follow it, none reordered.

    `config` is the codec's own header, `data` the pictures end to end, `ends` where each ends.
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
        """Return the first `pictures` frames, which can be shown alone."""
        return self.data[: self.ends[pictures - 1]]


def join_pictures(codec: Codec, config: bytes, pictures: tuple[bytes, ...]) -> Gop:
    """Return a `Gop` of encoded frames."""
    ends = tuple(accumulate(len(picture) for picture in pictures))
    return Gop(codec, config, b"".join(pictures), ends)


def make_gop(codec: Codec, width: int, height: int) -> Gop:
    """Draw H.264 directly, or VP9 with an encoder, which is imported here."""
    if codec == "h264":
        sequence = draw_sequence(width, height, H264_PICTURES)
        return join_pictures(codec, sequence.config, sequence.pictures)
    from upsim.media.vp9 import encode_vp9  # PyAV takes 60 ms to load

    return join_pictures(codec, b"", encode_vp9(width, height))


def make_still(gop: Gop, width: int, height: int) -> Gop:
    """Return the key frame of a group, then frames of a few bytes that repeat it."""
    repeats = (_SHOW_AGAIN,) if gop.codec == "vp9" else skip_pictures(width, height)
    later = (repeats[at % len(repeats)] for at in range(1, STILL_PICTURES))
    return join_pictures(gop.codec, gop.config, (gop.head(1), *later))


class GopCache:
    """The groups of pictures made so far, by size and codec; the least used go first.

    May be shared by threads: a group is made by one of them while the others wait for it.
    """

    def __init__(
        self, max_bytes: int = 64 << 20, *, make: Callable[[Codec, int, int], Gop] = make_gop
    ) -> None:
        """Keep at most `max_bytes` of pictures, but always the last one made."""
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
