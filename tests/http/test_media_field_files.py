"""Files that users sent, through the providers' own APIs: price, refusal and output."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.conftest import SAMPLES

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

FILES = Path(__file__).parents[1] / "fixtures" / "media"
POINTS = 10_000_000
"""PiAPI's points in a dollar."""
RENDERS = ("synthetic", "resample")

Probe = Callable[[bytes], dict[str, Any]]


@pytest.fixture
def probe(require_tool: Callable[[str], str], tmp_path: Path) -> Probe:
    """Return a function that shows what `ffprobe` says of a video, by `format` and track."""
    program = require_tool("ffprobe")
    shown = "format=duration:stream=codec_type,codec_name,width,height,avg_frame_rate,duration,"
    command = [program, "-v", "error", "-count_frames", "-show_entries", f"{shown}nb_read_frames"]

    def measure(data: bytes) -> dict[str, Any]:
        path = tmp_path / "probed"
        path.write_bytes(data)
        done = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True)
        told = json.loads(done.stdout)
        tracks = {stream["codec_type"]: stream for stream in told["streams"]}
        return {"format": told["format"], **tracks}

    return measure


def uploaded(admin: Admin, name: str) -> str:
    """Upload a field file and return its URL, which every provider takes."""
    content = (FILES / name).read_bytes()
    kind = f"video/{name.rpartition('.')[2]}"
    asked = {"contentType": kind, "sizeBytes": len(content)}
    ticket = admin.vicsee().post("/api/v1/upload", json=asked).json()["data"]
    answer = admin.http.put(ticket["uploadUrl"], content=content, headers={"content-type": kind})
    assert answer.status_code == 200, answer.text
    url: str = ticket["publicUrl"]
    return url


def charged(admin: Admin, model: str, name: str) -> Decimal:
    """Return what a field file costs."""
    sample = SAMPLES[model]
    job = sample.job(admin.caller(sample.provider, "sk-any"), uploaded(admin, name))
    return Decimal(admin.get(f"sandboxes/default/jobs/{job}")["charged"])


def output(admin: Admin, model: str, name: str, **inputs: object) -> bytes:
    """Upscale a field file and download the result."""
    sample = SAMPLES[model]
    http = admin.caller(sample.provider, "sk-any")
    job = sample.job(http, uploaded(admin, name), **inputs)
    admin.sim.advance(10_000)
    answer = admin.http.get(sample.output(http, job))
    assert answer.status_code == 200, answer.text
    return answer.content


def test_piapi_bills_the_shown_frames(admin: Admin) -> None:
    """A trimmed clip with 60 shown and 240 stored frames costs $0.018, also by the task itself."""
    http = admin.caller("piapi", "sk-any")
    task = SAMPLES["piapi"].job(http, uploaded(admin, "trim_tiny.mp4"))
    used = http.get(f"/api/v1/task/{task}").json()["data"]["meta"]["usage"]
    points = max(used["frozen"], used["consume"])
    assert Decimal("0.018") == Decimal(points) / POINTS


@pytest.mark.parametrize("name", ["trim_264of240.mp4", "free_first.mp4", "mvhd_rot90.mp4"])
def test_piapi_accepts_what_is_within_its_limits(admin: Admin, name: str) -> None:
    """PiAPI accepts hidden frames, a leading `free` box and a rotation of the movie."""
    sample = SAMPLES["piapi"]
    answer = sample.submit(admin.caller("piapi", "sk-any"), uploaded(admin, name))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("model", "price"), [("venice", Decimal("0.26")), ("upscale-v1", Decimal("0.40"))]
)
def test_a_browser_recording_costs_what_its_twin_costs(
    admin: Admin, model: str, price: Decimal
) -> None:
    """A recording without a duration in its header is billed for all of its audio."""
    prices = [
        charged(admin, model, name)
        for name in ("webm_static_screen_sound.webm", "same_with_duration.webm")
    ]
    assert [price, price] == [found.quantize(Decimal("0.01")) for found in prices]


@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize(
    ("name", "seconds", "pictures", "size"),
    [
        ("trim_tiny.mp4", "2.000000", 60, (128, 96)),
        ("trim_264of240.mp4", "8.000000", 240, (128, 96)),
        ("mvhd_rot90.mp4", "8.000000", 240, (96, 128)),
    ],
)
def test_an_output_shows_what_its_input_shows(
    start_admin: Start,
    probe: Probe,
    render: str,
    name: str,
    seconds: str,
    pictures: int,
    size: tuple[int, int],
) -> None:
    """Track and file have the same length, and every shown frame is in the output."""
    found = probe(output(start_admin(render=render), "vicsee", name))
    video = found["video"]
    assert (seconds, seconds) == (found["format"]["duration"], video["duration"])
    assert (pictures, *size) == (int(video["nb_read_frames"]), video["width"], video["height"])
    assert Fraction(video["avg_frame_rate"]) == 30


@pytest.mark.parametrize("model", list(SAMPLES))
def test_a_clip_beyond_our_limits_is_refused_with_the_limit(admin: Admin, model: str) -> None:
    """Refusal and journal name the value and the limit, in the provider's own form."""
    data = (FILES / "trim_264of240.mp4").read_bytes()
    at = data.index(b"mdhd") + 16
    (scale,) = struct.unpack_from(">I", data, at)
    fast = data[:at] + struct.pack(">I", scale * 50) + data[at + 4 :]
    asked = {"contentType": "video/mp4", "sizeBytes": len(fast)}
    ticket = admin.vicsee().post("/api/v1/upload", json=asked).json()["data"]
    headers = {"content-type": "video/mp4"}
    assert admin.http.put(ticket["uploadUrl"], content=fast, headers=headers).status_code == 200
    sample = SAMPLES[model]
    answer = sample.submit(admin.caller(sample.provider, "sk-any"), ticket["publicUrl"])
    why = "it has 1500 frames per second; 1/3600 to 1000 are allowed"
    assert 400 <= answer.status_code < 500
    assert why in answer.text
    found = admin.get("sandboxes/default/journal")["exchanges"][-1]
    assert (found["refused_by"], found["why"]["compared"]["detail"]) == ("beyond_own_limits", why)
