"""What jobs produce, looked at with ffprobe: every target and factor of every model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.conftest import LOCAL, SAMPLES
from tests.pairings import every_nth
from upsim.media.mp4_measuring import measure_boxes
from upsim.web import file_responses

if TYPE_CHECKING:
    from tests.http.conftest import Admin

CLIPS = f"{LOCAL}/media/synthetic/"


@dataclass(frozen=True, slots=True)
class Video:
    """What ffprobe says of a file."""

    size: str
    rate: Fraction
    frames: int
    seconds: Decimal
    audio: bool


Probe = Callable[[bytes], Video]


@pytest.fixture
def probe(require_tool: Callable[[str], str], tmp_path: Path) -> Probe:
    """Return a function that measures the bytes of a video with ffprobe."""
    program = require_tool("ffprobe")

    def measure(data: bytes) -> Video:
        path = tmp_path / "file"
        path.write_bytes(data)
        shown = "format=duration:stream=codec_type,width,height,avg_frame_rate,nb_read_packets"
        command = [program, "-v", "error", "-count_packets", "-show_entries", shown]
        done = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True)
        told = json.loads(done.stdout)
        tracks = {stream["codec_type"]: stream for stream in told["streams"]}
        video = tracks["video"]
        return Video(
            size=f"{video['width']}x{video['height']}",
            rate=Fraction(video["avg_frame_rate"]),
            frames=int(video["nb_read_packets"]),
            seconds=Decimal(told["format"]["duration"]),
            audio="audio" in tracks,
        )

    return measure


def produced(
    admin: Admin, name: str, video: str, http: httpx.Client | None = None, **inputs: object
) -> bytes:
    """Upscale a video and return the output file."""
    sample = SAMPLES[name]
    http = http or admin.caller(sample.provider, "key")
    job = sample.job(http, video, **inputs)
    admin.sim.advance(10_000)
    answer = admin.http.get(sample.output(http, job))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"
    return answer.content


def clip(name: str) -> str:
    """Return the address of a clip of the synthetic library."""
    return f"{CLIPS}{name}.mp4"


def a_second(size: str, *, audio: bool = True) -> Video:
    """Return what a second at ten frames should be."""
    return Video(size, Fraction(10), 10, Decimal("1.000000"), audio)


SIZES: list[tuple[str, dict[str, Any], str, str]] = [
    ("video-upscaler", {}, "640x360", "1920x1080"),
    ("video-upscaler", {"target_resolution": "720p"}, "640x360", "1280x720"),
    ("video-upscaler", {"target_resolution": "1080p"}, "640x360", "1920x1080"),
    ("video-upscaler", {"target_resolution": "2k"}, "640x360", "2560x1440"),
    ("video-upscaler", {"target_resolution": "4k"}, "640x360", "3840x2160"),
    ("video-upscaler", {"target_resolution": "720p"}, "360x640", "720x1280"),
    ("video-upscaler", {"target_resolution": "720p"}, "500x500", "720x720"),
    ("video-upscaler", {"target_resolution": "720p"}, "1920x1080", "1920x1080"),
    ("video-upscaler", {"target_resolution": "720p"}, "1280x720", "1280x720"),
    ("video-upscaler", {"target_resolution": "720p"}, "853x480", "1280x720"),
    ("video-upscaler", {"target_resolution": "720p"}, "335x201", "1200x720"),
    ("upscale-v1", {}, "640x360", "3840x2160"),
    ("upscale-v1", {}, "360x640", "2160x3840"),
    ("upscale-v1", {}, "4096x2160", "4096x2160"),
    ("venice", {}, "320x180", "640x360"),
    ("venice", {"upscale_factor": 1}, "320x180", "320x180"),
    ("venice", {"upscale_factor": 2}, "320x180", "640x360"),
    ("venice", {"upscale_factor": 4}, "320x180", "1280x720"),
    ("venice", {"upscale_factor": 4}, "180x320", "720x1280"),
    ("venice", {"upscale_factor": 1}, "321x181", "321x181"),
    ("venice", {"upscale_factor": 2}, "321x181", "642x362"),
    ("piapi", {}, "640x360", "1280x720"),
    ("piapi", {}, "1280x720", "2560x1440"),
    ("piapi", {}, "720x1280", "1440x2560"),
    ("piapi", {}, "101x99", "202x198"),
    ("vicsee", {}, "320x180", "640x360"),
    ("vicsee", {"upscale_factor": "1"}, "320x180", "320x180"),
    ("vicsee", {"upscale_factor": "2"}, "320x180", "640x360"),
    ("vicsee", {"upscale_factor": "4"}, "320x180", "1280x720"),
    ("vicsee", {"upscale_factor": "4"}, "180x320", "720x1280"),
    ("vicsee", {"upscale_factor": "1"}, "33x17", "33x17"),
]


@pytest.mark.parametrize(("name", "inputs", "given", "made"), SIZES)
def test_an_output_has_the_promised_size(
    admin: Admin, probe: Probe, name: str, inputs: dict[str, Any], given: str, made: str
) -> None:
    """The file has the promised size, and the input's rate, frames, duration and audio."""
    found = probe(produced(admin, name, clip(f"{given}_10fps_1s"), **inputs))
    assert a_second(made) == found


RATES = [
    ("30000-1001fps_1.001s", Fraction(30000, 1001), 30, "1.001000"),
    ("24000-1001fps_2.002s", Fraction(24000, 1001), 48, "2.002000"),
    ("60fps_0.5s", Fraction(60), 30, "0.500000"),
    ("59.94fps_0.5005s", None, 30, "0.500500"),
    ("25fps_3.4s", Fraction(25), 85, "3.400000"),
    ("12.5fps_2s", Fraction(25, 2), 25, "2.000000"),
]


@pytest.mark.parametrize(
    ("name", "given", "rate", "frames", "seconds"),
    [(name, *row) for name, row in every_nth(list(SAMPLES), RATES, 2)],
)
def test_an_output_has_the_rate_of_its_input(
    admin: Admin,
    probe: Probe,
    name: str,
    given: str,
    rate: Fraction | None,
    frames: int,
    seconds: str,
) -> None:
    """Frame rate, frame count and duration of an output are those of its input."""
    if rate is None:
        given, rate = "60000-1001fps_0.5005s", Fraction(60000, 1001)
    found = probe(produced(admin, name, clip(f"320x180_{given}")))
    assert (rate, frames, Decimal(seconds)) == (found.rate, found.frames, found.seconds)


@pytest.mark.parametrize(
    ("name", "inputs", "audio"),
    [
        ("video-upscaler", {}, True),
        ("video-upscaler", {"copy_audio": True}, True),
        ("video-upscaler", {"copy_audio": False}, False),
        ("upscale-v1", {}, True),
        ("piapi", {}, True),
        ("vicsee", {}, True),
    ],
)
def test_an_output_has_audio_unless_refused(
    admin: Admin, probe: Probe, name: str, inputs: dict[str, Any], *, audio: bool
) -> None:
    """The output keeps the audio, unless the client asked for none."""
    assert probe(produced(admin, name, clip("320x180_10fps_1s"), **inputs)).audio is audio


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_output_of_a_silent_video_is_silent(admin: Admin, probe: Probe, name: str) -> None:
    """The output of a video without audio has no audio."""
    assert probe(produced(admin, name, clip("320x180_10fps_1s_silent"))).audio is False


@pytest.mark.parametrize(("value", "audio"), [("keep", True), ("drop", False)])
def test_a_knob_decides_whether_venice_keeps_audio(
    admin: Admin, probe: Probe, value: str, *, audio: bool
) -> None:
    """Venice does not document the audio of its outputs, so a knob decides."""
    made = admin.sandbox(id="box", knobs={"venice": {"audio": value}})
    http = admin.caller("venice", made["keys"]["venice"])
    job = SAMPLES["venice"].job(http, clip("320x180_10fps_1s"))
    admin.post("sandboxes/box/clock/advance", {"seconds": 5000})
    assert probe(admin.http.get(SAMPLES["venice"].output(http, job)).content).audio is audio


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_assumed_video_has_an_output_too(admin: Admin, probe: Probe, name: str) -> None:
    """A URL that is not fetched gets the provider's default media, and a real output."""
    media = admin.sim.registry.library.baseline(SAMPLES[name].provider).baseline.default_media
    found = probe(produced(admin, name, "https://clips.example/v.mp4"))
    expected = (media.frame_rate, media.frames, media.seconds)
    assert expected == (found.rate, found.frames, found.seconds)


DEFAULTS = {
    "video-upscaler": ("1280x720", "30", 360, "12"),
    "venice": ("1280x720", "30", 300, "10"),
    "piapi": ("640x360", "30", 60, "2"),
    "vicsee": ("854x480", "30", 255, "8.5"),
}


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_the_default_media_of_each_provider(admin: Admin, name: str) -> None:
    """The default media of a provider give the results of the provider's own samples."""
    sample = SAMPLES[name]
    job = sample.job(admin.caller(sample.provider, "key"), "https://clips.example/v.mp4")
    media = admin.get(f"sandboxes/default/jobs/{job}")["media"]
    size, rate, frames, seconds = DEFAULTS[name]
    expected = {"size": size, "fps": rate, "frames": frames, "duration": seconds, "audio": True}
    assert expected == {key: media[key] for key in expected}


@pytest.mark.parametrize("name", list(SAMPLES))
def test_assumed_media_are_in_the_journal(admin: Admin, name: str) -> None:
    """The journal says exactly when media were assumed."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "key")
    sample.submit(http, "https://clips.example/v.mp4")
    sample.submit(http, clip("320x180_10fps_1s"))
    found = admin.get("sandboxes/default/journal")["exchanges"]
    assert [bool(exchange["assumed_media"]) for exchange in found] == [True, False]


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_output_is_the_same_every_time(admin: Admin, name: str) -> None:
    """Two downloads of an output get the same bytes and the same tag."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "key")
    job = sample.job(http, clip("320x180_10fps_1s"))
    admin.sim.advance(5000)
    url = sample.output(http, job)
    first, second = admin.http.get(url), admin.http.get(url)
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_output_can_be_the_next_input(admin: Admin, name: str) -> None:
    """A finished file is measured like any other video."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "key")
    job = sample.job(http, clip("320x180_10fps_1s"))
    admin.sim.advance(5000)
    chained = SAMPLES["vicsee"].job(admin.vicsee(), sample.output(http, job))
    made = admin.get(f"sandboxes/default/jobs/{job}")["output"]["size"]
    assert admin.get(f"sandboxes/default/jobs/{chained}")["media"]["size"] == made


@pytest.mark.parametrize("name", list(SAMPLES))
def test_there_is_no_output_before_the_end(admin: Admin, name: str) -> None:
    """The file of an unfinished job is a 404, even with its right name."""
    sample = SAMPLES[name]
    job = sample.job(admin.caller(sample.provider, "key"), clip("320x180_10fps_1s"))
    assert 400 <= admin.http.get(f"/media/outputs/{job}.mp4").status_code < 500


@pytest.mark.parametrize(
    ("name", "lives"),
    [
        ("video-upscaler", 7 * 86_400),
        ("upscale-v1", 7 * 86_400),
        ("venice", 86_400),
        ("piapi", None),
        ("vicsee", None),
    ],
)
def test_output_links_expire_as_documented(admin: Admin, name: str, lives: int | None) -> None:
    """A link works until its last microsecond."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "key")
    job = sample.job(http, clip("320x180_10fps_1s"))
    admin.post("sandboxes/default/clock/advance", {"to": "idle"})
    url = sample.output(http, job)
    timeline = admin.get(f"sandboxes/default/jobs/{job}")["timeline"]
    took = admin.sim.sandbox.now - admin.sim.sandbox.state.jobs[job].accepted.at
    since = took if name in ("video-upscaler", "upscale-v1") else 0
    assert timeline[-1]["state"] == "completed"
    if lives is None:
        admin.sim.advance(10 * 365 * 86_400)
        assert admin.http.head(url).status_code == 200
        return
    admin.sim.advance(lives - since / 1_000_000 - 0.000001)
    before = admin.http.head(url).status_code
    admin.sim.advance(0.000001)
    assert (before, admin.http.head(url).status_code < 400) == (200, False)


def test_a_revoked_output_is_no_input(admin: Admin) -> None:
    """A file that was deleted cannot be an input, even if it was measured before."""
    sample = SAMPLES["venice"]
    http = admin.caller("venice", "key")
    job = sample.job(http, clip("320x180_10fps_1s"))
    admin.sim.advance(5000)
    url = sample.output(http, job)
    statuses = [SAMPLES["vicsee"].submit(admin.vicsee(), url).status_code]
    admin.sim.sandbox.view("venice", None)[1].mark(admin.sim.sandbox.state.jobs[job], "revoked")
    statuses.append(SAMPLES["vicsee"].submit(admin.vicsee(), url).status_code)
    assert statuses == [200, 422]


@pytest.mark.parametrize("name", ["nobody", "../x", "%2e%2e%2fx", "x" * 5000, "%00", ""])
@pytest.mark.parametrize("kind", ["outputs", "uploads", "other", "synthetic"])
def test_unknown_files_are_404(admin: Admin, kind: str, name: str) -> None:
    """An unknown file is a 404."""
    assert admin.http.get(f"/media/{kind}/{name}.mp4").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS", "TRACE", "DELETE", "PUT"])
def test_files_cannot_be_changed(admin: Admin, method: str) -> None:
    """Methods that change files are refused."""
    answer = admin.http.request(method, "/media/synthetic/16x16_1fps_1s.mp4")
    assert answer.status_code == 405


def test_an_unmeasured_job_cannot_be_forced_to_succeed(admin: Admin) -> None:
    """A job without a readable video cannot be forced to succeed, because it has no output."""
    http = admin.caller("wavespeed", "key")
    job = SAMPLES["video-upscaler"].job(http, "http://127.0.0.1:1/none.mp4")
    found = admin.refusal("PUT", f"sandboxes/default/jobs/{job}/state", {"state": "completed"})
    assert found[:2] == (409, "no_output")


# -- deleted after the download


def deleting(admin: Admin, video: str = "320x180_10fps_1s") -> str:
    """Return the URL of a finished file that is to be deleted after its download."""
    http = admin.caller("venice", "key")
    job = SAMPLES["venice"].job(http, clip(video))
    admin.sim.advance(5000)
    asked = {"queue_id": job, "delete_media_on_completion": True}
    url: str = http.post("/api/v1/video/retrieve", json=asked).json()["url"]
    return url


@pytest.mark.parametrize(
    ("method", "headers", "left"),
    [
        ("GET", {}, False),
        ("GET", {"Range": "bytes=0-"}, False),
        ("GET", {"Range": "bytes=0-99"}, True),
        ("GET", {"Range": "bytes=1-"}, True),
        ("GET", {"Range": "bytes=99999999-"}, True),
        ("GET", {"If-None-Match": "*"}, True),
        ("HEAD", {}, True),
    ],
)
def test_only_a_complete_download_deletes(
    admin: Admin, method: str, headers: dict[str, str], *, left: bool
) -> None:
    """The file is deleted after a complete download, and not before."""
    url = deleting(admin)
    admin.http.request(method, url, headers=headers)
    assert left is (admin.http.get(url).status_code == 200)


def test_a_large_download_deletes_too(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is sent in parts is deleted after its complete download too."""
    monkeypatch.setattr(file_responses, "CHUNK", 1_000)
    url = deleting(admin)
    statuses = [admin.http.get(url).status_code < 400 for _ in range(2)]
    assert statuses == [True, False]


async def leave(_: object) -> None:
    """Take a message, as one who is no longer there."""


def test_a_broken_download_deletes_nothing(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a broken download, the client can download the file again."""
    monkeypatch.setattr(file_responses, "CHUNK", 1_000)
    url = deleting(admin)
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, object]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    path = httpx.URL(url).path
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": [(b"host", b"127.0.0.1:4747")], "scheme": "http"}
    admin.sim._run(lambda: admin.sim.app(scope, receive, leave))
    assert admin.http.get(url).status_code == 200


# -- what is too large to hold in memory


def test_a_large_output_comes_from_disk(admin: Admin) -> None:
    """A large file is made once, and every range comes from the same file."""
    admin.sim.app._media_service._renderer._largest = 10_000
    sample = SAMPLES["video-upscaler"]
    job = sample.job(admin.caller("wavespeed", "key"), clip("320x180_10fps_10s"))
    admin.sim.advance(10_000)
    url = f"/media/outputs/{job}.mp4"
    whole = admin.http.get(url)
    parts = [admin.http.get(url, headers={"Range": f"bytes={at}"}) for at in ("0-99", "100-")]
    assert whole.content == b"".join(part.content for part in parts)
    assert len({answer.headers["etag"] for answer in (whole, *parts)}) == 1


def test_an_output_without_room_is_refused(admin: Admin) -> None:
    """If the store is full of files in use, the download is refused without a crash."""
    admin.sim.app._media_service._renderer._largest = 1
    admin.sim.registry.blobs._max_bytes = 1
    sample = SAMPLES["video-upscaler"]
    job = sample.job(admin.caller("wavespeed", "key"), "https://clips.example/v.mp4")
    admin.sim.advance(10_000)
    assert admin.http.get(f"/media/outputs/{job}.mp4").status_code == 507


@pytest.mark.parametrize("size", ["16383x16383", "16383x5001", "4099x4099", "16384x16384"])
def test_an_output_of_any_size_is_made(admin: Admin, size: str, tmp_path: Path) -> None:
    """The largest frames, also with odd sides, have an output of exactly their size."""
    width, height = size.split("x")
    media = [{"url": "*", "duration": "1", "size": size, "fps": "10"}]
    (tmp_path / "large.yaml").write_text(
        json.dumps({"extends": "venice/baseline", "media": media}), "utf-8"
    )
    key = admin.sandbox(id="box", scenario=str(tmp_path / "large.yaml"))["keys"]["venice"]
    http = admin.caller("venice", key)
    job = SAMPLES["venice"].job(http, "https://clips.example/v.mp4", upscale_factor=1)
    admin.post("sandboxes/box/clock/advance", {"seconds": 50_000})
    found = measure_boxes(admin.http.get(SAMPLES["venice"].output(http, job)).content)
    assert found is not None
    assert (int(width), int(height), 10) == (found.width, found.height, found.frames)
