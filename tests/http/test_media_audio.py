"""An output has the sound of its own video, in both renders, and says where it cannot."""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import threading
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http.conftest import LOCAL, SAMPLES

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

PITCH = 1_000
"""Hertz of the sound of the videos here; the drawn tone has 375."""
TONE = 375
RATE = 48_000
RENDERS = ("synthetic", "resample")
WEBM = ["-c:v", "libvpx", "-deadline", "realtime"]
FORMS = {
    "aac.mp4": ["-c:v", "libx264", "-c:a", "aac"],
    "mp3.mkv": ["-c:v", "libx264", "-c:a", "libmp3lame"],
    "opus.webm": [*WEBM, "-c:a", "libopus"],
    "low opus.webm": [*WEBM, "-c:a", "libopus", "-ar", "8000", "-b:a", "6k"],
    "vorbis.webm": [*WEBM, "-c:a", "libvorbis"],
    "pcm.avi": ["-c:v", "mpeg4", "-c:a", "pcm_s16le"],
    "aac.ts": ["-c:v", "libx264", "-c:a", "aac"],
    "each picture a fragment.mp4": [
        *("-c:v", "libx264", "-c:a", "aac"),
        *("-movflags", "frag_every_frame+empty_moov+default_base_moof"),
    ],
}

Ffmpeg = Callable[..., bytes]


@pytest.fixture
def ffmpeg(require_tool: Callable[[str], str]) -> Ffmpeg:
    """Return a function that runs ffmpeg and returns what it writes."""
    program = require_tool("ffmpeg")

    def run(*arguments: str | Path) -> bytes:
        command = [program, "-v", "error", "-y", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=True).stdout

    return run


@pytest.fixture
def make(ffmpeg: Ffmpeg, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a video of two seconds with three seconds of sound."""

    def made(name: str) -> Path:
        path = tmp_path / name.replace(" ", "_")
        picture = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2"]
        sound = ["-f", "lavfi", "-i", f"sine=f={PITCH}:d=3"]
        ffmpeg(*picture, *sound, "-pix_fmt", "yuv420p", *FORMS[name], path)
        return path

    return made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The base URL of a server of this machine for the folder of the test."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def pitch(ffmpeg: Ffmpeg, data: bytes, folder: Path) -> tuple[int, float]:
    """Return the pitch of the sound of a video, in hertz to the nearest 25, and its seconds."""
    path = folder / "heard"
    path.write_bytes(data)
    decoded = ["-i", path, "-vn", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    samples = array("h", ffmpeg(*decoded))
    middle = samples[RATE // 2 : RATE * 3 // 2]
    rises = sum(one < 0 <= other for one, other in pairwise(middle))
    return round(rises / 25) * 25, len(samples) / RATE


def job_of(admin: Admin, source: str, **inputs: object) -> str:
    """Upscale a video and return its job once it is finished."""
    job = SAMPLES["video-upscaler"].job(admin.caller("wavespeed", "key"), source, **inputs)
    admin.sim.advance(10_000)
    return job


def output(admin: Admin, job: str) -> bytes:
    """Download the file of a job."""
    answer = admin.http.get(f"/media/outputs/{job}.mp4")
    assert answer.status_code == 200, answer.text
    return answer.content


def substitutes(admin: Admin, job: str) -> list[str]:
    """Return what of the output was drawn."""
    found: list[str] = admin.get(f"sandboxes/default/jobs/{job}")["output"]["substitutes"]
    return found


@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize("name", list(FORMS))
def test_copy_audio_gives_the_audio_of_the_video(
    start_admin: Start,
    make: Callable[[str], Path],
    served: str,
    ffmpeg: Ffmpeg,
    tmp_path: Path,
    name: str,
    render: str,
) -> None:
    """The audio is copied, or converted if an MP4 cannot hold it, and never replaced."""
    admin = start_admin(render=render)
    path = make(name)
    _, length = pitch(ffmpeg, path.read_bytes(), tmp_path)
    job = job_of(admin, f"{served}/{path.name}", copy_audio=True)
    heard, seconds = pitch(ffmpeg, output(admin, job), tmp_path)
    assert (PITCH, []) == (heard, substitutes(admin, job))
    measured = float(admin.get(f"sandboxes/default/jobs/{job}")["media"]["duration"])
    assert abs(seconds - min(length, measured)) < 0.1


@pytest.mark.parametrize("render", RENDERS)
def test_outputs_of_both_renders_have_the_promised_length(
    start_admin: Start,
    make: Callable[[str], Path],
    served: str,
    require_tool: Callable[[str], str],
    tmp_path: Path,
    render: str,
) -> None:
    """The file lasts as long as was measured and billed, and no track is longer."""
    admin = start_admin(render=render)
    for name in FORMS:
        job = job_of(admin, f"{served}/{make(name).name}")
        (tmp_path / "made.mp4").write_bytes(output(admin, job))
        command = [require_tool("ffprobe"), "-v", "error", "-count_frames", "-show_entries"]
        shown = "format=duration:stream=codec_type,duration,nb_read_frames"
        told = subprocess.run(
            [*command, shown, "-of", "json", str(tmp_path / "made.mp4")],
            capture_output=True,
            check=True,
        )
        found = json.loads(told.stdout)
        media = admin.get(f"sandboxes/default/jobs/{job}")["media"]
        length = float(found["format"]["duration"])
        assert abs(length - float(media["duration"])) < 0.000_001, name
        assert all(float(track["duration"]) <= length for track in found["streams"]), name
        counts = {track["codec_type"]: int(track["nb_read_frames"]) for track in found["streams"]}
        assert counts["video"] == media["frames"], name


@pytest.mark.parametrize("way", ["data URL", "base64", "upload", "scenario"])
def test_audio_is_kept_for_every_kind_of_input(
    start_admin: Start,
    make: Callable[[str], Path],
    ffmpeg: Ffmpeg,
    tmp_path: Path,
    way: str,
) -> None:
    """Videos in requests, uploads and files of scenarios keep their audio too."""
    path = make("aac.mp4")
    text = base64.b64encode(path.read_bytes()).decode()
    name = {"data URL": "venice", "base64": "piapi"}.get(way, "vicsee")
    source = {"base64": text, "scenario": "https://clips.example/v.mp4"}.get(
        way, f"data:video/mp4;base64,{text}"
    )
    scenario = tmp_path / "file.yaml"
    found = {"extends": "vicsee/baseline", "media": [{"url": "*", "file": str(path)}]}
    scenario.write_text(json.dumps(found), "utf-8")
    admin = start_admin(scenario=str(scenario)) if way == "scenario" else start_admin()
    if way == "upload":
        asked = {"contentType": "video/mp4", "sizeBytes": path.stat().st_size}
        ticket = admin.vicsee().post("/api/v1/upload", json=asked).json()["data"]
        headers = {"content-type": "video/mp4"}
        admin.http.put(ticket["uploadUrl"], content=path.read_bytes(), headers=headers)
        source = ticket["publicUrl"]
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "sk-any")
    job = sample.job(http, source)
    admin.sim.advance(10_000)
    heard, _ = pitch(ffmpeg, admin.http.get(sample.output(http, job)).content, tmp_path)
    assert (PITCH, []) == (heard, substitutes(admin, job))


def test_an_assumed_video_has_a_tone(admin: Admin, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """The output of an assumed video has a tone, and no note about it."""
    job = job_of(admin, "https://clips.example/v.mp4")
    heard, _ = pitch(ffmpeg, output(admin, job), tmp_path)
    assert (TONE, []) == (heard, substitutes(admin, job))


def test_a_changed_video_is_not_used(
    admin: Admin, make: Callable[[str], Path], served: str
) -> None:
    """If the measured file is gone, another file at its URL is not used instead."""
    path = make("aac.mp4")
    job = job_of(admin, f"{served}/{path.name}")
    admin.sim.registry.blobs.close()
    path.write_bytes(make("mp3.mkv").read_bytes())
    output(admin, job)
    expected = ["the audio is a tone: another video is at its URL now"]
    assert expected == substitutes(admin, job)


def test_a_video_that_is_fetched_again_is_used(
    admin: Admin, make: Callable[[str], Path], served: str, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """A file that was removed from the store is fetched from its URL again."""
    job = job_of(admin, f"{served}/{make('aac.mp4').name}")
    admin.sim.registry.blobs.close()
    assert pitch(ffmpeg, output(admin, job), tmp_path)[0] == PITCH


def test_a_generated_part_is_noted_once_in_journal_and_log(
    start_admin: Start, make: Callable[[str], Path], served: str
) -> None:
    """A missing video is noted on the job, in one journal entry, and in one log line."""
    admin = start_admin(render="resample")
    lines: list[str] = []
    admin.sim.app.dispatch.media.observers.append(
        lambda _sandbox, exchange: lines.append(str(exchange.compared))
    )
    path = make("aac.mp4")
    job = job_of(admin, f"{served}/{path.name}")
    admin.sim.registry.blobs.close()
    path.unlink()
    first, second = output(admin, job), output(admin, job)
    found = admin.get("sandboxes/default/journal")["exchanges"]
    noted = [one["why"]["compared"]["substitute"] for one in found if one["operation"] == "output"]
    assert sorted(noted) == substitutes(admin, job)
    assert [text.partition(":")[0] for text in sorted(noted)] == [
        "the audio is a tone",
        "the frames are generated",
    ]
    assert (len(lines), first) == (2, second)


def test_generated_frames_of_an_assumed_video_are_noted(start_admin: Start) -> None:
    """A client that asked for resampling learns that there was no video to resample."""
    admin = start_admin(render="resample")
    job = job_of(admin, "https://clips.example/v.mp4")
    output(admin, job)
    reason = "the video was never read, its properties are assumed"
    assert [f"the frames are generated: {reason}"] == substitutes(admin, job)


def test_a_synthetic_clip_needs_no_worker(admin: Admin) -> None:
    """The output of a synthetic clip is made without a worker process."""
    job = job_of(admin, f"{LOCAL}/media/synthetic/64x64_10fps_1s.mp4")
    output(admin, job)
    assert substitutes(admin, job) == []
    assert admin.sim.app.dispatch.media.media_service._renderer._workers.pids == []
