"""Everything that is no plain MP4, measured in a worker that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from av.container import InputContainer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upsim.core.media import Media, Unmeasurable
from upsim.media import demux
from upsim.media.clip_names import parse_clip_name
from upsim.media.probe import Prober, measure_file
from upsim.media.synthetic import make_clip
from upsim.media.worker_pool import WorkerPool

MKV = make_clip(parse_clip_name("64x64_30fps_1s.mkv"))
WEBM = make_clip(parse_clip_name("64x64_30fps_1s.webm"))
MP4 = make_clip(parse_clip_name("128x72_30fps_1s.mp4"))


def exists(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def with_header(data: bytes, header: bytes) -> bytes:
    """The file with other elements in its EBML header."""
    old = data[4] & 0x7F
    return data[:4] + b"\x01" + len(header).to_bytes(7, "big") + header + data[5 + old :]


@pytest.mark.parametrize(("data", "container"), [(WEBM, "webm"), (MKV, "mkv")])
@pytest.mark.parametrize("void", [0, 60, 5_000])
def test_the_document_type_is_found_anywhere(data: bytes, container: str, void: int) -> None:
    """The document type of a file is found behind other elements and similar words."""
    size = (void | 0x4000).to_bytes(2, "big")
    header = b"\xec" + size + b"webm".ljust(void, b"\0")[:void] + data[5 : 5 + (data[4] & 0x7F)]
    measured = measure_file(with_header(data, header))
    assert isinstance(measured, Media)
    assert container == measured.container


@pytest.mark.parametrize("data", [WEBM, MKV], ids=["webm", "mkv"])
def test_complete_matroska_header_is_not_probed(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Matroska file is decoded for measuring only if its header lacks duration or rate."""
    probed: list[BinaryIO] = []

    def probe(file: BinaryIO) -> InputContainer:
        probed.append(file)
        return open_video(file)

    open_video = demux.open_video
    monkeypatch.setattr(demux, "open_video", probe)
    rateless = data.replace(b"\x23\xe3\x83\x84", b"\xec\x86\x00\x00", 1)
    endless = data.replace(b"\x44\x89\x88", b"\xec\x89\x00", 1)
    measured = [demux.measure_by_demuxing(one) for one in (data, rateless, endless)]
    assert all(isinstance(one, Media) and one.frames == 30 for one in measured)
    assert 2 == len(probed)


@pytest.mark.parametrize(
    ("name", "options", "container"),
    [
        ("fragments.mp4", ["-movflags", "frag_keyframe+empty_moov+default_base_moof"], "mp4"),
        ("fragments.mov", ["-movflags", "frag_keyframe+empty_moov"], "mov"),
        ("clip.mkv", [], "mkv"),
        ("clip.webm", ["-c:v", "libvpx", "-c:a", "libopus"], "webm"),
        ("clip.avi", ["-c:v", "mpeg4"], "avi"),
        ("clip.ts", [], "other"),
        ("clip.flv", [], "other"),
    ],
)
async def test_ffprobe_agrees(
    name: str,
    options: list[str],
    container: str,
    tmp_path: Path,
    prober: Prober,
    ffmpeg: Callable[..., str],
    ffprobe: Callable[[Path], dict[str, Any]],
) -> None:
    """Files in other containers are measured as `ffprobe` measures them."""
    path = tmp_path / name
    picture = ["-f", "lavfi", "-i", "testsrc=d=1:s=128x72:r=25"]
    sound = ["-f", "lavfi", "-i", "sine=d=1"]
    assert ffmpeg(*picture, *sound, "-pix_fmt", "yuv420p", *options, path) == ""
    told, media = ffprobe(path), await prober.measure(path)
    assert isinstance(media, Media)
    expected = (25, Fraction(25), 128, 72, container, True)
    assert int(told["video"]["nb_read_packets"]) == media.frames
    assert abs(float(told["format"]["duration"]) * 1_000_000 - media.duration) < 40_000
    assert expected == (
        media.frames,
        media.frame_rate,
        media.width,
        media.height,
        media.container,
        media.audio,
    )


async def test_the_demuxer_applies_a_rotation_flag(prober: Prober) -> None:
    """A rotated file that the demuxer measures has the displayed size."""
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 72 << 16, 0, 1 << 30)
    at = MP4.index(b"tkhd") + 4 + 40
    turned = MP4[:at] + matrix + MP4[at + 36 :]
    cut = turned[:-8] + struct.pack(">I4s", 9, b"free")  # its last box is a byte too long
    media = await prober.measure(cut)
    assert isinstance(media, Media)
    assert (media.width, media.height) == (72, 128)


async def test_a_truncated_file_has_its_remaining_frames(prober: Prober) -> None:
    """A truncated file is measured up to its end."""
    media = await prober.measure(MKV[: len(MKV) * 2 // 3])
    assert isinstance(media, Media)
    assert 0 < media.frames < 30


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_a_video"),
        (b"hello, world", "not_a_video"),
        (b"GIF89a" + bytes(200), "not_a_video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not_a_video"),
        (b"ID3\3" + bytes(500), "not_a_video"),
        (b"#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n", "not_a_video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_a_video"),
        (MP4[:200], "not_decodable"),
        (MKV[:60], "not_decodable"),
        (MKV.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"), "not_decodable"),
    ],
    ids=["empty", "text", "gif", "png", "mp3", "hls", "concat", "mp4-head", "mkv-head", "codec"],
)
async def test_files_without_a_video_have_a_reason(
    data: bytes, reason: str, prober: Prober
) -> None:
    """Text, images, audio and playlists are not videos; a broken video is not decodable."""
    measured = await prober.measure(data)
    assert isinstance(measured, Unmeasurable)
    assert reason == measured.reason


async def test_audio_alone_is_no_video(
    tmp_path: Path, prober: Prober, ffmpeg: Callable[..., str]
) -> None:
    """An MP4 with only audio is not a video."""
    path = tmp_path / "sound.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", path)
    expected = Unmeasurable("not_a_video", "The file has no video track.")
    assert expected == await prober.measure(path)


async def test_a_missing_file_is_unreachable(tmp_path: Path, prober: Prober) -> None:
    """A path without a file gives an unreachable video, and raises nothing."""
    measured = await prober.measure(tmp_path / "none.mp4")
    assert isinstance(measured, Unmeasurable)
    assert measured.reason == "unreachable"


def test_the_plain_function_measures_any_source(tmp_path: Path) -> None:
    """Bytes, Path objects and path texts are measured without an event loop."""
    path = tmp_path / "clip.webm"
    path.write_bytes(WEBM)
    assert measure_file(WEBM) == measure_file(path) == measure_file(str(path))


def test_a_host_program_measures_from_any_folder(tmp_path: Path) -> None:
    """The worker imports upsim in any working folder, and no module from that folder."""
    (tmp_path / "av.py").write_text("raise SystemExit('the wrong module')")
    (tmp_path / "clip.webm").write_bytes(WEBM)
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from upsim.media.probe import measure_file;"
        " print(measure_file('clip.webm').frames)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert done.stdout == "30\n"


async def test_a_hanging_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    """A worker that hangs is killed after its time, and the next measurement works."""
    os.mkfifo(tmp_path / "pipe")
    pool = WorkerPool(1)
    request = {"do": "measure", "path": str(tmp_path / "pipe")}
    answer = await pool.ask(request, timeout=0.5)
    prober = Prober(workers=pool)
    media = await prober.measure(MKV)
    pool.close()
    assert answer == "hung"
    assert isinstance(media, Media)


async def test_a_worker_that_dies_is_replaced() -> None:
    """If a worker crashes, only its own call fails; the next call works."""
    pool = WorkerPool(1)
    prober = Prober(workers=pool)
    first = await prober.measure(MKV)
    os.kill(pool.pids[0], signal.SIGKILL)
    second = await prober.measure(MKV)
    third = await prober.measure(MKV)
    pool.close()
    assert isinstance(second, Unmeasurable)
    assert first == third


async def test_close_leaves_no_process(tmp_path: Path) -> None:
    """Closing the probe ends idle and busy workers."""
    os.mkfifo(tmp_path / "pipe")
    pool = WorkerPool(2)
    hanging = asyncio.ensure_future(
        pool.ask({"do": "measure", "path": str(tmp_path / "pipe")}, timeout=60)
    )
    await Prober(workers=pool).measure(MKV)
    pids = pool.pids
    pool.close()
    answer = await hanging
    assert len(pids) == 2
    assert answer == "crashed"
    assert not any(exists(pid) for pid in pids)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """If a program ends without closing the probe, its workers end too."""
    (tmp_path / "clip.webm").write_bytes(WEBM)
    code = (
        "from pathlib import Path; from upsim.media.worker_pool import WorkerPool;"
        "pool = WorkerPool(); pool.call({'do': 'measure', 'path': 'clip.webm'}, timeout=300);"
        "print(pool.pids[0], flush=True); import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    pid = int(done.stdout)
    while exists(pid):  # it ends by itself, or the test by its time-out
        time.sleep(0.01)
    assert not exists(pid)


def test_concurrent_calls_share_few_workers() -> None:
    """Eight simultaneous measurements use two processes."""
    pool = WorkerPool(2)
    prober = Prober(workers=pool)

    async def measure() -> set[object]:
        return set(await asyncio.gather(*(prober.measure(MKV) for _ in range(8))))

    measured = asyncio.run(measure())
    pids = pool.pids
    pool.close()
    assert len(measured) == 1
    assert len(pids) <= 2


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    original=st.sampled_from([MKV, WEBM, MP4]),
    changes=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 400),
)
def test_damaged_files_give_a_reason(
    original: bytes, changes: list[tuple[int, int]], cut: int, prober: Prober
) -> None:
    """A changed or cut file gives a measurement or a reason."""
    data = bytearray(original)
    for at, value in changes:
        data[at % len(data)] = value
    measured = prober.measure_now(bytes(data[: len(data) - cut]))
    assert isinstance(measured, (Media, Unmeasurable))
