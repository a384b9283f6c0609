"""Outputs: synthetic ones from memory, resampled ones from disk."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from tests.full_disk import full_disk
from upsim.core.media import Media, Unmeasurable
from upsim.media.blob_store import BlobStore
from upsim.media.clip_names import ClipNameError, SyntheticClip, parse_clip_name
from upsim.media.probe import Prober
from upsim.media.render import Renderer
from upsim.media.resample import add_sound, resample
from upsim.media.resample_plan import ResamplePlan
from upsim.media.synthetic import ClipMaker
from upsim.media.worker_pool import WorkerPool


class CountingMaker(ClipMaker):
    """Notes what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[SyntheticClip] = []

    def parts(self, clip: SyntheticClip) -> list[bytes]:
        """Make it, and note it."""
        self.made.append(clip)
        return super().parts(clip)


@pytest.fixture
def counting() -> CountingMaker:
    """A maker that notes what it makes."""
    return CountingMaker()


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    """One pool for all tests here."""
    pool = WorkerPool(1)
    yield pool
    pool.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    """The store for resampled files."""
    store = BlobStore(10_000_000, folder=tmp_path)
    yield store
    store.close()


@pytest.fixture
def renderer(counting: CountingMaker, store: BlobStore, workers: WorkerPool) -> Renderer:
    """A renderer that keeps little."""
    return Renderer(counting, store, max_bytes=20_000, workers=workers)


async def test_concurrent_requests_share_one_job(
    renderer: Renderer, counting: CountingMaker
) -> None:
    """Simultaneous requests for the same clip render it once; later ones get it from memory."""
    clip = parse_clip_name("64x64_30fps_1s.mp4")
    together = await asyncio.gather(*(renderer.synthetic(clip) for _ in range(5)))
    later = await renderer.synthetic(clip)
    assert len({*together, later}) == 1
    assert counting.made == [clip]


async def test_memory_is_bounded(renderer: Renderer, counting: CountingMaker) -> None:
    """The least recently used clips leave the memory and are rendered again on request."""
    clips = [parse_clip_name(f"64x64_30fps_{seconds}s.mp4", 9_000) for seconds in (1, 1, 2)]
    big = parse_clip_name("64x64_30fps_1s.mp4", 30_000)
    for clip in (*clips, big, parse_clip_name("62x64_30fps_1s.mp4", 9_000), clips[0]):
        await renderer.synthetic(clip)
    assert counting.made.count(clips[0]) == 2


async def test_large_clips_are_kept_in_the_store(
    renderer: Renderer, counting: CountingMaker, store: BlobStore
) -> None:
    """A clip too large for memory is rendered once, as a file for all its range requests."""
    clip = parse_clip_name("64x64_30fps_1s.mp4", 30_000)
    first, second = await renderer.synthetic(clip), await renderer.synthetic(clip)
    assert isinstance(first, Path)
    assert (first, 30_000, [clip]) == (second, store.size, counting.made)


async def test_a_dropped_large_clip_is_rendered_again(
    renderer: Renderer, counting: CountingMaker, store: BlobStore
) -> None:
    """A large clip that is no longer in the store is rendered again."""
    clip = parse_clip_name("64x64_30fps_1s.mp4", 30_000)
    await renderer.synthetic(clip)
    store.put(bytes(9_990_000))
    path = await renderer.synthetic(clip)
    assert isinstance(path, Path)
    assert (path.stat().st_size, [clip, clip]) == (30_000, counting.made)


async def test_a_clip_without_room_is_refused(counting: CountingMaker, tmp_path: Path) -> None:
    """A clip larger than the store is refused without a system exception."""
    renderer = Renderer(counting, BlobStore(20_000, folder=tmp_path), largest=1_000)
    with pytest.raises(ClipNameError, match="there is no room for a file of 64x64"):
        await renderer.synthetic(parse_clip_name("64x64_30fps_1s.mp4", 30_000))
    renderer.close()


class Counter(ClipMaker):
    """Counts how many large clips are made at once; each waits for another, in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.together = threading.Barrier(3)
        self.full = 0

    def parts(self, clip: SyntheticClip) -> list[bytes]:
        """Wait until three are at it, for a short while."""
        try:
            self.together.wait(0.3)
        except threading.BrokenBarrierError:
            return super().parts(clip)
        self.full += 1
        return super().parts(clip)


async def test_two_large_clips_are_rendered_at_once(store: BlobStore, workers: WorkerPool) -> None:
    """The third large clip waits until one of the first two is finished."""
    counter = Counter()
    renderer = Renderer(counter, store, workers=workers)
    clips = [parse_clip_name(f"64x64_120fps_{n}s_silent.mp4") for n in (200, 201, 202)]
    await asyncio.gather(*map(renderer.synthetic, clips))
    renderer.close()
    assert counter.full == 0


def wait_for_part(folder: Path) -> None:
    """Return once something was written to the store."""
    while not any(part.stat().st_size for part in folder.glob("*/part-*")):
        time.sleep(0.01)


def files_in(folder: Path) -> list[Path]:
    """All files in a folder."""
    return list(folder.iterdir())


def _plan(
    width: int, height: int, *, keep_audio: bool = True, duration: int = 1_000_000
) -> ResamplePlan:
    return ResamplePlan(width, height, keep_audio=keep_audio, duration=duration)


async def test_closing_during_resampling_leaves_no_file(
    maker: ClipMaker, counting: CountingMaker, store: BlobStore, tmp_path: Path
) -> None:
    """Closing renderer and store during a resampling leaves no file behind."""
    source = tmp_path / "source.mp4"
    source.write_bytes(maker.make(parse_clip_name("1280x720_30fps_60s.mp4")))
    renderer = Renderer(counting, store)
    job = asyncio.ensure_future(renderer.resample(source, _plan(3840, 2160)))
    await asyncio.to_thread(wait_for_part, tmp_path)
    renderer.close()
    store.close()
    assert isinstance(await job, Unmeasurable)
    assert [source] == files_in(tmp_path)


async def test_an_impossible_clip_is_refused_for_all_requests(renderer: Renderer) -> None:
    """If a clip cannot be rendered, all waiting requests get the refusal."""
    clip = parse_clip_name("64x64_30fps_1s.mp4", 10)
    answers = await asyncio.gather(
        *(renderer.synthetic(clip) for _ in range(3)), return_exceptions=True
    )
    assert [ClipNameError] * 3 == [type(answer) for answer in answers]


async def test_a_cancelled_request_does_not_end_the_job(
    renderer: Renderer, counting: CountingMaker
) -> None:
    """If one request is cancelled, the rendering continues for the other requests."""
    clip = parse_clip_name("64x64_30fps_2s.mp4")
    first = asyncio.ensure_future(renderer.synthetic(clip))
    second = asyncio.ensure_future(renderer.synthetic(clip))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, bytes)
    assert counting.made == [clip]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("128x72_30000-1001fps_1.001s.mp4", (256, 144)),
        ("128x72_30fps_1s_silent.mp4", (64, 36)),
        ("128x72_30fps_1s.mov", (255, 143)),
        ("128x72_24fps_1s.mkv", (256, 144)),
        ("128x72_30000-1001fps_1.001s.webm", (256, 144)),
    ],
)
async def test_resampling_changes_only_the_size(
    name: str,
    size: tuple[int, int],
    maker: ClipMaker,
    renderer: Renderer,
    prober: Prober,
    tmp_path: Path,
    decode_errors: Callable[[Path], str],
) -> None:
    """A resampled file keeps frames, rate, duration and audio, and has the requested size."""
    source = tmp_path / name
    source.write_bytes(maker.make(parse_clip_name(name)))
    given = await prober.measure(source)
    assert isinstance(given, Media)
    path = await renderer.resample(source, _plan(*size, duration=given.duration))
    assert isinstance(path, Path)
    made = await prober.measure(path)
    assert isinstance(made, Media)
    expected = (*size, given.frames, given.frame_rate, given.duration, given.audio, "mp4")
    assert expected == (
        made.width,
        made.height,
        made.frames,
        made.frame_rate,
        made.duration,
        made.audio,
        made.container,
    )
    assert decode_errors(path) == ""


async def test_resampling_can_leave_out_the_audio(
    maker: ClipMaker, renderer: Renderer, prober: Prober, tmp_path: Path
) -> None:
    """A resampled file without `keep_audio` has no audio track."""
    source = tmp_path / "source.mp4"
    source.write_bytes(maker.make(parse_clip_name("64x64_30fps_1s.mp4")))
    path = await renderer.resample(source, _plan(128, 128, keep_audio=False))
    assert isinstance(path, Path)
    made = await prober.measure(path)
    assert isinstance(made, Media)
    assert not made.audio


@pytest.mark.parametrize("turn", ["clock", "cclock"])
async def test_resampling_applies_the_rotation(
    turn: str, renderer: Renderer, tmp_path: Path, ffmpeg: Callable[..., str]
) -> None:
    """A rotation flag becomes rotated frames, nearly the same as from ffmpeg."""
    source, turned = tmp_path / "source.mp4", tmp_path / "turned.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.2:s=128x72:r=10", "-pix_fmt", "yuv420p", source)
    data, sign = bytearray(source.read_bytes()), 1 if turn == "clock" else -1
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(
        ">9i", 0, sign << 16, 0, -sign << 16, 0, 0, 72 << 16, 0, 1 << 30
    )
    turned.write_bytes(data)
    path = await renderer.resample(turned, _plan(72, 128))
    assert isinstance(path, Path)
    raw = ["-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo"]
    ffmpeg("-i", turned, *raw, tmp_path / "expected")
    ffmpeg("-i", path, *raw, tmp_path / "actual")
    pairs = zip(
        (tmp_path / "expected").read_bytes(), (tmp_path / "actual").read_bytes(), strict=True
    )
    assert sum(abs(one - other) for one, other in pairs) / (72 * 128) < 5


async def test_uneven_frame_times_stay_uneven(
    renderer: Renderer, prober: Prober, tmp_path: Path, ffmpeg: Callable[..., str]
) -> None:
    """Frames of a variable-rate video keep their display times."""
    source = tmp_path / "source.mp4"
    uneven = "testsrc=d=2:s=128x72:r=25,select=not(mod(n\\,3))+lt(n\\,9)"
    options = ["-pix_fmt", "yuv420p", "-bf", "0", "-fps_mode", "vfr"]
    ffmpeg("-f", "lavfi", "-i", uneven, *options, source)
    given = await prober.measure(source)
    assert isinstance(given, Media)
    path = await renderer.resample(source, _plan(64, 36, duration=given.duration))
    assert isinstance(path, Path)
    made = await prober.measure(path)
    assert isinstance(made, Media)
    assert (given.frames, given.frame_rate) == (made.frames, made.frame_rate)
    assert made.frame_rate != Fraction(25)


async def test_resampled_files_are_cached(
    maker: ClipMaker, renderer: Renderer, store: BlobStore, tmp_path: Path
) -> None:
    """Two equal requests, even simultaneous ones, cause one resampling and get one file."""
    source = tmp_path / "source.mp4"
    source.write_bytes(maker.make(parse_clip_name("64x64_30fps_1s.mp4")))
    once = [renderer.resample(source, _plan(32, 32)) for _ in range(2)]
    first, second = await asyncio.gather(*once)
    size = store.size
    assert first == second == await renderer.resample(source, _plan(32, 32))
    assert size == store.size


async def test_an_unusable_file_for_resampling_has_a_reason(
    renderer: Renderer, tmp_path: Path
) -> None:
    """The resampling of a file that is no video returns a reason and raises nothing."""
    source = tmp_path / "text.mp4"
    source.write_bytes(b"hello")
    told = await renderer.resample(source, _plan(32, 32))
    assert isinstance(told, Unmeasurable)
    assert told.reason == "not_decodable"


async def test_resampling_has_a_timeout(
    maker: ClipMaker, counting: CountingMaker, store: BlobStore, tmp_path: Path
) -> None:
    """Resampling that takes too long is stopped."""
    source = tmp_path / "source.mp4"
    source.write_bytes(maker.make(parse_clip_name("1280x720_30fps_60s.mp4")))
    renderer = Renderer(counting, store, timeout=0.3)
    told = await renderer.resample(source, _plan(3840, 2160))
    renderer.close()
    expected = Unmeasurable("not_decodable", "the video could not be used: the worker hung")
    assert expected == told


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no file by a limit")
@pytest.mark.parametrize("room", [0, 48, 1_000, 3_000])
def test_a_full_disk_is_a_reason(maker: ClipMaker, tmp_path: Path, room: int) -> None:
    """If the disk becomes full, also when the file is closed, the reason is the system's text."""
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    source.write_bytes(maker.make(parse_clip_name("128x72_30fps_1s.mp4")))
    with full_disk(room):
        found = resample(source, target, _plan(64, 36))
        sound = add_sound(source, source, target, 1_000_000)
    assert [os.strerror(errno.EFBIG)] * 2 == [found, sound]
