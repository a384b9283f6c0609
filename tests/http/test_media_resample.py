"""`render: resample`: the output shows the input's own frames, wherever the input came from."""

from __future__ import annotations

import base64
import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http.conftest import LOCAL, SAMPLES
from upsim.media.mp4_measuring import measure_boxes

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

SIZE = (128, 72)
NEAR = 6.0
"""Levels of 255 by which pixels may differ on average, after two lossy encodings."""
FAR = 25.0

Ffmpeg = Callable[..., bytes]


@pytest.fixture
def ffmpeg(require_tool: Callable[[str], str]) -> Ffmpeg:
    """Return a function that runs ffmpeg and returns what it writes."""
    program = require_tool("ffmpeg")

    def run(*arguments: str, given: bytes = b"") -> bytes:
        command = [program, "-v", "error", "-y", *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    return run


@pytest.fixture
def video(ffmpeg: Ffmpeg, tmp_path: Path) -> bytes:
    """A moving test picture of 128x72 with a tone, one second at ten frames."""
    path = tmp_path / "in.mp4"
    picture = ["-f", "lavfi", "-i", f"testsrc=s={SIZE[0]}x{SIZE[1]}:r=10:d=1"]
    tone = ["-f", "lavfi", "-i", "sine=d=1"]
    coding = ["-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    ffmpeg(*picture, *tone, *coding, str(path))
    return path.read_bytes()


@pytest.fixture
def admin(start_admin: Start) -> Admin:
    """A simulator that renders from the input."""
    return start_admin(render="resample")


def frames(ffmpeg: Ffmpeg, data: bytes, folder: Path, size: tuple[int, int]) -> list[bytes]:
    """Decode a video into grey pictures of this size."""
    path = folder / "decoded"
    path.write_bytes(data)
    scaled = f"scale={size[0]}:{size[1]}:flags=bicubic,format=gray"
    raw = ffmpeg("-i", str(path), "-vf", scaled, "-f", "rawvideo", "-")
    step = size[0] * size[1]
    return [raw[at : at + step] for at in range(0, len(raw), step)]


def distance(one: bytes, other: bytes) -> float:
    """Return by how much pixels differ on average."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


@pytest.fixture
def served(video: bytes, tmp_path: Path) -> Iterator[str]:
    """The address of the video on a server of this machine."""
    (tmp_path / "served.mp4").write_bytes(video)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/served.mp4"
    server.shutdown()
    server.server_close()


def uploaded(admin: Admin, video: bytes) -> str:
    """Upload a video and return its public address."""
    asked = {"contentType": "video/mp4", "sizeBytes": len(video)}
    ticket = admin.vicsee().post("/api/v1/upload", json=asked).json()["data"]
    announced = {"Content-Type": "video/mp4"}
    answer = admin.http.put(ticket["uploadUrl"], content=video, headers=announced)
    assert answer.status_code == 200, answer.text
    url: str = ticket["publicUrl"]
    return url


def result(admin: Admin, name: str, source: str, **inputs: object) -> bytes:
    """Upscale a video and download the result."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "sk-any")
    job = sample.job(http, source, **inputs)
    admin.sim.advance(10_000)
    answer = admin.http.get(sample.output(http, job))
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("way", ["upload", "loopback URL", "data URL", "base64"])
def test_an_output_shows_the_frames_of_its_input(
    admin: Admin, ffmpeg: Ffmpeg, video: bytes, served: str, tmp_path: Path, way: str
) -> None:
    """Every frame of the output is the scaled frame of the input, for every kind of input."""
    text = base64.b64encode(video).decode()
    name = {"data URL": "venice", "base64": "piapi"}.get(way, "vicsee")
    source = {"loopback URL": served, "base64": text}.get(way, f"data:video/mp4;base64,{text}")
    if way == "upload":
        source = uploaded(admin, video)
    made = result(admin, name, source)
    size = (2 * SIZE[0], 2 * SIZE[1])
    pairs = zip(
        frames(ffmpeg, video, tmp_path, size), frames(ffmpeg, made, tmp_path, size), strict=True
    )
    distances = [distance(one, other) for one, other in pairs]
    assert (len(distances), max(distances) < NEAR) == (10, True), distances


def test_a_synthetic_input_is_resampled_too(admin: Admin, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A synthetic clip is resampled like any other input."""
    source = f"{LOCAL}/media/synthetic/128x72_10fps_1s.mp4"
    made = result(admin, "vicsee", source)
    given = admin.http.get(source).content
    size = (2 * SIZE[0], 2 * SIZE[1])
    one, other = (frames(ffmpeg, data, tmp_path, size)[-1] for data in (given, made))
    assert distance(one, other) < NEAR


def test_without_resampling_the_output_has_other_frames(
    start_admin: Start, ffmpeg: Ffmpeg, video: bytes, tmp_path: Path
) -> None:
    """The default render has the size but not the content, which the comparison detects."""
    admin = start_admin()
    made = result(admin, "vicsee", uploaded(admin, video))
    size = (2 * SIZE[0], 2 * SIZE[1])
    one, other = (frames(ffmpeg, data, tmp_path, size)[-1] for data in (video, made))
    assert distance(one, other) > FAR


def test_a_resampled_output_keeps_rate_length_and_audio(admin: Admin, video: bytes) -> None:
    """A resampled output has the input's frames, rate, duration and audio, in the promised size."""
    media = measure_boxes(result(admin, "vicsee", uploaded(admin, video)))
    given = measure_boxes(video)
    assert media is not None
    assert given is not None
    expected = (256, 144, given.frames, given.frame_rate, given.audio)
    assert expected == (media.width, media.height, media.frames, media.frame_rate, media.audio)


def test_a_resampled_output_can_be_silent(admin: Admin, served: str) -> None:
    """`copy_audio: false` leaves the audio out."""
    media = measure_boxes(result(admin, "video-upscaler", served, copy_audio=False))
    assert media is not None
    assert media.audio is False


def test_a_sandbox_chooses_its_render(start_admin: Start, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """One sandbox can resample while the server does not."""
    admin = start_admin()
    key = admin.sandbox(id="box", render="resample")["keys"]["vicsee"]
    http = admin.vicsee(key)
    source = f"{LOCAL}/media/synthetic/128x72_10fps_1s.mp4"
    job = SAMPLES["vicsee"].job(http, source)
    admin.post("sandboxes/box/clock/advance", {"seconds": 1000})
    made = admin.http.get(SAMPLES["vicsee"].output(http, job)).content
    size = (2 * SIZE[0], 2 * SIZE[1])
    given = admin.http.get(source).content
    one, other = (frames(ffmpeg, data, tmp_path, size)[-1] for data in (given, made))
    assert distance(one, other) < NEAR


def test_a_missing_input_gets_a_synthetic_output(admin: Admin, served: str) -> None:
    """If the input is gone, the output is a synthetic file of the promised size."""
    sample = SAMPLES["vicsee"]
    http = admin.vicsee()
    job = sample.job(http, served)
    admin.sim.advance(1000)
    admin.sim.registry.media_lookup.fetch_loopback = False
    media = measure_boxes(admin.http.get(sample.output(http, job)).content)
    assert media is not None
    assert (media.width, media.height) == (256, 144)
