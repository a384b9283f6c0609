"""What callers send as a video: measured by content, wherever it comes from."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest

from tests.hosts import IPV6, LOOPBACK
from tests.http.conftest import LOCAL, SAMPLES
from upsim.app import App
from upsim.engine.settings import ServerSettings
from upsim.media.mp4_measuring import measure_boxes
from upsim.transport import Transport
from upsim.web import media_service

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

CLIPS = "/media/synthetic/"
EVERY = pytest.mark.parametrize("name", list(SAMPLES))


def submit(admin: Admin, name: str, video: str, **inputs: object) -> httpx.Response:
    """Submit a video to a model with some key."""
    sample = SAMPLES[name]
    return sample.submit(admin.caller(sample.provider, "key"), video, **inputs)


def accepts(answer: httpx.Response, admin: Admin) -> bool:
    """Return whether a video was taken; WaveSpeed takes all and lets bad ones fail."""
    if not answer.is_success:
        return False
    admin.sim.advance(100_000)
    return list(admin.sim.sandbox.state.jobs.values())[-1].state == "completed"


def measured(admin: Admin, name: str, video: str) -> dict[str, Any]:
    """Return what was measured of a video that must be accepted."""
    answer = submit(admin, name, video)
    assert answer.is_success, answer.text
    found: dict[str, Any] = admin.get("sandboxes/default/jobs")["jobs"][-1]["media"]
    return found


def content(admin: Admin, name: str) -> bytes:
    """Return the bytes of a synthetic clip."""
    return admin.http.get(CLIPS + name).raise_for_status().content


# -- data URLs and base64


@pytest.mark.parametrize("name", ["venice", "piapi"])
def test_a_data_url_is_measured(admin: Admin, name: str) -> None:
    """A video in the request is measured like a video at a URL."""
    data = base64.b64encode(content(admin, "64x36_10fps_1.5s.mp4")).decode()
    media = measured(admin, name, f"data:video/mp4;base64,{data}")
    assert (media["duration"], media["size"], media["frames"]) == ("1.5", "64x36", 15)


def test_piapi_takes_bare_base64(admin: Admin) -> None:
    """PiAPI also takes the base64 text alone."""
    data = base64.b64encode(content(admin, "64x36_10fps_1.5s.mp4")).decode()
    assert measured(admin, "piapi", data)["duration"] == "1.5"


@EVERY
@pytest.mark.parametrize(
    "video",
    [
        "data:video/mp4;base64,!!!!",
        "data:video/mp4;base64," + base64.b64encode(b"<html></html>").decode(),
        "data:video/mp4;base64,",
        "data:,x",
        "data:",
        "data:video/mp4;base64",
    ],
)
def test_a_data_url_without_a_video_is_refused(admin: Admin, name: str, video: str) -> None:
    """A data URL that cannot be decoded, or has no video, is refused."""
    assert not accepts(submit(admin, name, video), admin)


# -- rotation


@pytest.fixture
def turned(require_tool: Callable[[str], str], admin: Admin, tmp_path: Path) -> str:
    """A data URL of a clip of 64x36 whose flag turns it upright."""
    given, made = tmp_path / "given.mp4", tmp_path / "made.mp4"
    given.write_bytes(content(admin, "64x36_10fps_1s.mp4"))
    ffmpeg = [require_tool("ffmpeg"), "-v", "error", "-i", str(given), "-c", "copy"]
    subprocess.run([*ffmpeg, "-metadata:s:v", "rotate=90", str(made)], check=True)
    return "data:video/mp4;base64," + base64.b64encode(made.read_bytes()).decode()


def test_a_rotation_flag_turns_the_size(admin: Admin, turned: str) -> None:
    """The displayed size counts, not the coded one."""
    assert measured(admin, "venice", turned)["size"] == "36x64"


def test_a_rotated_video_has_an_upright_output(admin: Admin, turned: str) -> None:
    """The output has the displayed orientation of its input."""
    submit(admin, "venice", turned, upscale_factor=4)
    assert admin.get("sandboxes/default/jobs")["jobs"][0]["output"]["size"] == "144x256"


# -- loopback URLs


class Files(BaseHTTPRequestHandler):
    """Serves files by path, and misbehaves where the path says so."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    release: ClassVar[threading.Event] = threading.Event()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the path says."""
        self.asked.append(self.path)
        if self.path in self.files:
            self._send(200, self.files[self.path], "video/mp4")
        elif self.path == "/redirect":
            self._send(302, b"", "text/plain", {"Location": "/clip.mp4"})
        elif self.path == "/hang":
            self.release.wait(300)
        elif self.path == "/announced":
            self._send(200, b"", "video/mp4", {"Content-Length": "99999999999999"})
        elif self.path == "/endless":
            self._endless()
        else:
            self._send(404, b"<html>no</html>", "text/html")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for _ in range(100_000):
                self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        except ConnectionError:
            self.close_connection = True


@pytest.fixture
def files(admin: Admin) -> Iterator[str]:
    """The address of a small file server on this machine."""
    Files.files = {
        "/clip.mp4": content(admin, "64x36_10fps_1.5s.mp4"),
        "/clip": content(admin, "64x36_10fps_1.5s.webm"),
        "/page.mp4": b"<!doctype html><title>not a video</title>",
        "/empty.mp4": b"",
        "/a%20b.mp4?x=1": content(admin, "64x36_10fps_2.5s.mp4"),
        "/11MB.mp4": content(admin, "64x36_10fps_1.5s.mp4?bytes=11000000"),
    }
    Files.asked, Files.release = [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Files.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@EVERY
def test_a_loopback_url_is_fetched_and_measured(admin: Admin, files: str, name: str) -> None:
    """A file of a local server is measured, not assumed."""
    assert measured(admin, name, f"{files}/clip.mp4")["duration"] == "1.5"


@pytest.mark.parametrize("host", [h for h in LOOPBACK if h not in IPV6 and "255" not in h])
def test_every_name_of_loopback_is_fetched(admin: Admin, files: str, host: str) -> None:
    """Each spelling of loopback works like the address, also one that no resolver knows."""
    video = files.replace("127.0.0.1", host) + "/clip.mp4"
    assert measured(admin, "venice", video)["size"] == "64x36"


def test_a_query_and_escapes_are_kept(admin: Admin, files: str) -> None:
    """A URL is fetched exactly as it was given."""
    assert measured(admin, "venice", f"{files}/a%20b.mp4?x=1")["duration"] == "2.5"


def test_the_content_decides_the_format(admin: Admin, files: str) -> None:
    """A WebM file is measured as WebM, whatever its name is."""
    assert measured(admin, "video-upscaler", f"{files}/clip")["container"] == "webm"


@EVERY
@pytest.mark.parametrize(
    "path", ["none.mp4", "page.mp4", "empty.mp4", "redirect", "announced", "endless"]
)
def test_a_url_without_a_video_is_refused(admin: Admin, files: str, name: str, path: str) -> None:
    """A missing file, a page, a redirect and an endless file are no videos."""
    if path == "endless":
        admin.sim.registry.blobs._max_bytes = 50_000_000
    assert not accepts(submit(admin, name, f"{files}/{path}"), admin)


def test_a_redirect_is_not_followed(admin: Admin, files: str) -> None:
    """The target of a redirect is never fetched."""
    submit(admin, "venice", f"{files}/redirect")
    assert Files.asked == ["/redirect"]


def test_a_hanging_server_ends_the_fetch(
    admin: Admin, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch ends after a limited time."""
    monkeypatch.setattr(media_service, "FETCH_SECONDS", 0.2)
    assert submit(admin, "vicsee", f"{files}/hang").status_code == 422


def test_a_closed_port_is_unreachable(admin: Admin) -> None:
    """A URL with a closed port is unreachable."""
    assert submit(admin, "vicsee", "http://127.0.0.1:1/x.mp4").status_code == 422


@EVERY
def test_a_very_long_url_is_refused(admin: Admin, name: str) -> None:
    """A URL of more than 8,192 characters is unreachable, because a job keeps its URL."""
    url = "https://clips.example/".ljust(8_192, "x")
    found = [accepts(submit(admin, name, video), admin) for video in (url, f"{url}x")]
    assert [True, False] == found


def test_remembered_measurements_are_small(admin: Admin, files: str) -> None:
    """The kept names of measured files are short, even for a very long URL."""
    query = "?" + "x" * 4_000
    Files.files[f"/clip.mp4{query}"] = Files.files["/clip.mp4"]
    for url in (f"{files}/clip.mp4{query}", f"{LOCAL}{CLIPS}64x64_10fps_1s.mp4{query}"):
        assert submit(admin, "venice", url).status_code == 200
    desk = admin.sim.app.dispatch.media_service
    remembered = [*desk._measured, *desk._registry.media_lookup.measurements._found]
    assert [len(repr(key)) < 1_000 for key in remembered] == [True] * 2


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "https://",
        "http:///x.mp4",
        "http://[::1/x.mp4",
        "http://127.0.0.1:99999/x.mp4",
        "http://127.0.0.1:x/x.mp4",
        "http://127.0.0.1:0/x.mp4",
        "http://user:pw@127.0.0.1:1/x.mp4",
        "http://127.0.0.1\0/x.mp4",
        "http://127.0.0.1/\r\nHost: x",
        "http://localhost:1/" + "x" * 100_000,
        "http://0.0.0.0:1/x.mp4",
        "http://[::ffff:127.0.0.1]:1/x.mp4",
        "ftp://127.0.0.1/x.mp4",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "x",
        " ",
        "\0",
    ],
)
@EVERY
def test_odd_urls_get_a_response(admin: Admin, name: str, url: str) -> None:
    """Any text in the place of a URL gets a response of the provider, and never a crash."""
    assert submit(admin, name, url).status_code < 500


@pytest.mark.parametrize("scheme", ["http", "HTTP", "Http"])
def test_the_scheme_has_no_case(admin: Admin, files: str, scheme: str) -> None:
    """A scheme may be in capital letters."""
    video = f"{scheme}{files[4:]}/clip.mp4"
    assert measured(admin, "venice", video)["duration"] == "1.5"


def test_ten_megabytes_are_the_limit_of_piapi_by_url(admin: Admin, files: str) -> None:
    """A file of eleven megabytes at a URL is too large."""
    assert submit(admin, "piapi", f"{files}/11MB.mp4").status_code == 413


# -- rules of a scenario


def with_media(folder: Path, start: Start, *rules: dict[str, object]) -> Admin:
    """Start a simulator with these rules for media."""
    path = folder / "scenario.yaml"
    path.write_text(json.dumps({"extends": "vicsee/baseline", "media": rules}), "utf-8")
    return start(scenario=str(path))


def test_a_rule_says_what_is_at_a_url(start_admin: Start, tmp_path: Path) -> None:
    """A video has the properties of the first rule that matches its URL."""
    admin = with_media(
        tmp_path,
        start_admin,
        {"url": "https://a.example/*", "duration": "12.5", "size": "320x240", "fps": "25"},
        {"url": "*", "duration": "1"},
    )
    media = measured(admin, "vicsee", "https://a.example/v.mp4")
    assert (media["duration"], media["size"], media["fps"], media["frames"]) == (
        "12.5",
        "320x240",
        "25",
        312,
    )


@pytest.mark.parametrize("rule", ["unreachable", "not_a_video"])
def test_a_rule_can_make_a_url_fail(start_admin: Start, tmp_path: Path, rule: str) -> None:
    """A rule may say that a URL has nothing, or no video."""
    admin = with_media(tmp_path, start_admin, {"url": "*", rule: True})
    assert submit(admin, "vicsee", "https://a.example/v.mp4").status_code == 422


def test_a_rule_can_name_a_local_file(start_admin: Start, tmp_path: Path) -> None:
    """A URL with such a rule is measured by the file beside the scenario."""
    admin = with_media(tmp_path, start_admin, {"url": "*", "file": "clip.mp4"})
    (tmp_path / "clip.mp4").write_bytes(content(admin, "64x36_10fps_1.5s.mp4"))
    assert measured(admin, "vicsee", "https://a.example/v.mp4")["duration"] == "1.5"


def test_a_missing_local_file_is_unreachable(start_admin: Start, tmp_path: Path) -> None:
    """A URL is unreachable if the file of its rule is missing."""
    admin = with_media(tmp_path, start_admin, {"url": "*", "file": "none.mp4"})
    assert submit(admin, "vicsee", "https://a.example/v.mp4").status_code == 422


def test_a_rule_beats_our_own_files(start_admin: Start, tmp_path: Path) -> None:
    """A rule also applies to synthetic clips."""
    admin = with_media(tmp_path, start_admin, {"url": "*", "unreachable": True})
    assert submit(admin, "vicsee", f"{LOCAL}{CLIPS}64x36_10fps_1s.mp4").status_code == 422


def test_other_providers_keep_their_defaults(start_admin: Start, tmp_path: Path) -> None:
    """Media rules of a provider's scenario apply to this provider alone."""
    admin = with_media(tmp_path, start_admin, {"url": "*", "unreachable": True})
    assert submit(admin, "venice", "https://a.example/v.mp4").status_code == 200


# -- limits, by content

LIMITS = [
    ("vicsee", "64x36_10fps_60s.mp4", True),
    ("vicsee", "64x36_10fps_60.1s.mp4", False),
    ("venice", "64x36_10fps_300s.mp4", True),
    ("venice", "64x36_10fps_300.1s.mp4", False),
    ("video-upscaler", "64x36_10fps_600s.mp4", True),
    ("video-upscaler", "64x36_10fps_600.1s.mp4", False),
    ("piapi", "1280x720_10fps_2s.mp4", True),
    ("piapi", "720x1280_10fps_2s.mp4", True),
    ("piapi", "1281x720_10fps_2s.mp4", False),
    ("piapi", "1282x720_10fps_2s.mp4", False),
    ("piapi", "1280x722_10fps_2s.mp4", False),
    ("piapi", "722x1280_10fps_2s.mp4", False),
    ("piapi", "64x36_10fps_1s.mp4", True),
    ("piapi", "64x36_10fps_0.9s.mp4", False),
    ("piapi", "64x36_10fps_24s.mp4", True),
    ("piapi", "64x36_10fps_24.1s.mp4", False),
    ("piapi", "64x36_10fps_1s.mov", False),
    ("piapi", "64x36_10fps_1s.mkv", False),
    ("piapi", "64x36_10fps_1s.webm", False),
    ("vicsee", "64x36_10fps_1s.mov", True),
    ("vicsee", "64x36_10fps_1s.mkv", True),
    ("vicsee", "64x36_10fps_1s.webm", False),
    ("piapi", "64x36_10fps_1s.mp4?bytes=10485760", True),
    ("piapi", "64x36_10fps_1s.mp4?bytes=10485761", False),
]


@pytest.mark.parametrize(("name", "video", "accepted"), LIMITS)
def test_a_limit_is_exact(admin: Admin, name: str, video: str, *, accepted: bool) -> None:
    """The limit itself is accepted, and one frame, pixel or byte more is refused."""
    answer = submit(admin, name, f"{LOCAL}{CLIPS}{video}")
    assert (answer.status_code == 200) is accepted, answer.text


@pytest.mark.parametrize(
    ("name", "seconds"), [("vicsee", 60), ("venice", 300), ("video-upscaler", 600)]
)
@pytest.mark.parametrize(("beyond", "accepted"), [("", True), (".000001", False)])
def test_a_length_is_compared_to_the_microsecond(
    start_admin: Start, tmp_path: Path, name: str, seconds: int, beyond: str, *, accepted: bool
) -> None:
    """A length limit compares the measured duration, not the billed seconds."""
    provider = SAMPLES[name].provider
    media = [{"url": "*", "duration": f"{seconds}{beyond}", "size": "64x36"}]
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({"extends": f"{provider}/baseline", "media": media}), "utf-8")
    admin = start_admin(scenario=str(path))
    answer = submit(admin, name, "https://a.example/v.mp4")
    assert (answer.status_code == 200) is accepted, answer.text


@pytest.mark.parametrize(("size", "status"), [(10_485_760, 200), (10_485_761, 413)])
@pytest.mark.parametrize("form", ["base64", "data URL"])
def test_ten_megabytes_are_counted_decoded(admin: Admin, size: int, status: int, form: str) -> None:
    """PiAPI's limit counts the bytes of the file, not of its base64 text."""
    data = base64.b64encode(content(admin, f"64x36_10fps_1s.mp4?bytes={size}")).decode()
    video = data if form == "base64" else f"data:video/mp4;base64,{data}"
    assert submit(admin, "piapi", video).status_code == status


def test_each_provider_has_its_own_limit(admin: Admin) -> None:
    """A file that one provider accepted can be too large for another."""
    video = f"{LOCAL}{CLIPS}64x36_10fps_1s.mp4?bytes=11000000"
    statuses = [submit(admin, name, video).status_code for name in ("vicsee", "piapi", "vicsee")]
    assert statuses == [200, 413, 200]


@EVERY
def test_a_refused_video_costs_nothing(admin: Admin, name: str) -> None:
    """A video that is refused for its content is not charged."""
    submit(admin, name, f"{LOCAL}{CLIPS}64x36_10fps_700s.mp4")
    entries = admin.get("sandboxes/default/ledger")["entries"]
    jobs = admin.get("sandboxes/default/jobs")["total"]
    assert len(entries) == jobs


# -- what a URL of ours leads to


def uploaded(admin: Admin, key: str, name: str) -> str:
    """Upload a clip with this key and return its public address."""
    data = content(admin, name)
    asked = {"contentType": "video/mp4", "sizeBytes": len(data)}
    ticket = admin.vicsee(key).post("/api/v1/upload", json=asked).json()["data"]
    announced = {"Content-Type": "video/mp4"}
    admin.http.put(ticket["uploadUrl"], content=data, headers=announced).raise_for_status()
    url: str = ticket["publicUrl"]
    return url


def in_box(admin: Admin, video: str) -> httpx.Response:
    """Submit a video in a sandbox of its own."""
    key = admin.sandbox(id="box")["keys"]["vicsee"]
    return SAMPLES["vicsee"].submit(admin.vicsee(key), video)


def media_in_box(admin: Admin, video: str) -> dict[str, Any]:
    """Return what was measured of a video in a sandbox of its own."""
    assert in_box(admin, video).status_code == 200
    found: dict[str, Any] = admin.get("sandboxes/box/jobs")["jobs"][-1]["media"]
    return found


def test_a_file_of_the_default_sandbox_is_measured_as_it_is_served(admin: Admin) -> None:
    """A file URL without a sandbox is that of the default sandbox, for every client."""
    url = uploaded(admin, "sk-any", "64x36_10fps_4s.mp4")
    assert media_in_box(admin, url)["duration"] == "4"


def test_a_file_of_another_sandbox_is_measured_by_its_url(admin: Admin) -> None:
    """A provider can measure a file of another sandbox, because its URL can be downloaded."""
    key = admin.sandbox(id="other")["keys"]["vicsee"]
    url = uploaded(admin, key, "64x36_10fps_4s.mp4")
    assert media_in_box(admin, url)["duration"] == "4"


@pytest.mark.parametrize(
    "path",
    [
        "/sandbox/nope/media/synthetic/64x36_10fps_1s.mp4",
        "/sandbox//media/synthetic/64x36_10fps_1s.mp4",
        "/venice/media/synthetic/64x36_10fps_1s.mp4",
        "/media/synthetic/64x36.mp4",
        "/media/outputs/nobody.mp4",
        "/media/other/64x36_10fps_1s.mp4",
        "/media/",
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_an_unserved_url_is_not_measured(admin: Admin, path: str, *, known: bool) -> None:
    """A media URL that a GET does not find is no video."""
    if known:
        assert submit(admin, "vicsee", f"{LOCAL}{CLIPS}64x36_10fps_1s.mp4").status_code == 200
    statuses = admin.http.get(path).status_code, submit(admin, "vicsee", LOCAL + path).status_code
    assert statuses == (404, 422)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4747/%6dedia/synthetic/64x36_10fps_1%2e5s.mp4",
        "http://127.0.0.1:4747/sandbox/default/media/synthetic/64x36_10fps_1.5s.mp4",
        "http://127.0.0.1:4747/sandbox/box/media/synthetic/64x36_10fps_1.5s.mp4",
        "http://UPSIM.test:80/media/synthetic/64x36_10fps_1.5s.mp4",
    ],
)
def test_every_form_of_our_own_url_is_measured(admin: Admin, url: str) -> None:
    """A URL of our own files may have any escapes, case, port and sandbox that a GET accepts."""
    assert media_in_box(admin, url)["duration"] == "1.5"


def test_a_rule_for_a_clip_stays_in_its_scenario(start_admin: Start, tmp_path: Path) -> None:
    """Other providers see the synthetic clip, not the file that a scenario puts at its URL."""
    url = f"{LOCAL}{CLIPS}64x36_10fps_1s.mp4"
    admin = with_media(tmp_path, start_admin, {"url": "*", "file": "clip.mp4"})
    (tmp_path / "clip.mp4").write_bytes(content(admin, "64x36_10fps_2.5s.mp4"))
    found = [measured(admin, name, url)["duration"] for name in ("vicsee", "venice")]
    assert found == ["2.5", "1"]


# -- servers that callers elsewhere can reach


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_server_on_a_network_fetches_no_loopback(files: str, host: str) -> None:
    """With `--fetch`, clients on other machines cannot make the server request itself."""
    app = App(ServerSettings(hosts=("upsim.test",), loopback=False, fetch=True, clock="manual"))
    transport = Transport(app, lambda call: asyncio.run(call()))
    body = {"video_url": files.replace("127.0.0.1", host) + "/clip.mp4"}
    with httpx.Client(transport=transport, base_url="http://upsim.test") as http:
        headers = {"Authorization": "Bearer sk-any"}
        answer = http.post("/vicsee/api/v1/tools/upscale-video", json=body, headers=headers)
    app.close()
    assert (answer.status_code, Files.asked) == (422, [])


# -- videos that no output could be made for


def hostile(*, frames: int = 60, timescale: int = 30, delta: int = 1) -> bytes:
    """Return a small MP4 whose tables claim these pictures in two seconds."""
    mvhd = _full(b"mvhd", struct.pack(">4I", 0, 0, 1000, 2000), bytes(80))
    ticks = frames * delta & 0xFFFFFFFF
    mdhd = _full(b"mdhd", struct.pack(">4I", 0, 0, timescale, ticks), bytes(4))
    entry = _box(b"avc1", bytes(7), b"\1", bytes(16), struct.pack(">2H", 640, 360), bytes(50))
    stbl = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), entry),
        _full(b"stts", struct.pack(">3I", 1, frames, delta)),
        _full(b"stsz", struct.pack(">2I", 1, frames)),
        _full(b"stco", bytes(4)),
    )
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    tkhd = _full(b"tkhd", bytes(36), matrix, struct.pack(">2I", 640 << 16, 360 << 16))
    hdlr = _full(b"hdlr", bytes(4), b"vide", bytes(13))
    trak = _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, _box(b"minf", stbl)))
    ftyp = _box(b"ftyp", b"isom", bytes(4), b"isom")
    return ftyp + _box(b"moov", mvhd, trak) + _box(b"mdat", bytes(frames))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, *parts: bytes) -> bytes:
    return _box(kind, bytes(4), *parts)


BEYOND = {
    "too many": {"frames": 1_000_000, "timescale": 100_000},
    "too fast": {"timescale": 4_294_967_295},
    "too slow": {"timescale": 1, "delta": 4_294_967_295},
}


@EVERY
@pytest.mark.parametrize("which", list(BEYOND))
def test_an_absurd_video_is_not_decodable(admin: Admin, files: str, name: str, which: str) -> None:
    """A file with properties that no output can have is refused like a damaged file."""
    Files.files["/absurd.mp4"] = hostile(**BEYOND[which])
    assert not accepts(submit(admin, name, f"{files}/absurd.mp4"), admin)


@pytest.mark.parametrize(
    "given",
    [
        {"frames": 2_000, "timescale": 1_000},
        {"frames": 11, "timescale": 1, "delta": 3_600},
        {"frames": 100, "timescale": 4_294_967_295, "delta": 4_294_968},
    ],
)
def test_every_accepted_video_has_an_output(
    admin: Admin, files: str, given: dict[str, int]
) -> None:
    """A file at the limits is upscaled, and its output has as many frames."""
    Files.files["/odd.mp4"] = hostile(**given)
    sample = SAMPLES["video-upscaler"]
    http = admin.caller("wavespeed", "key")
    job = sample.job(http, f"{files}/odd.mp4")
    admin.sim.advance(10_000)
    media = measure_boxes(admin.http.get(sample.output(http, job)).raise_for_status().content)
    assert media is not None
    assert given["frames"] == media.frames


def test_a_rule_beyond_the_limits_is_not_decodable(start_admin: Start, tmp_path: Path) -> None:
    """A scenario cannot describe a video for which no output can be made."""
    admin = with_media(
        tmp_path, start_admin, {"url": "*", "duration": "2", "fps": "100000", "size": "64x36"}
    )
    assert submit(admin, "vicsee", "https://a.example/v.mp4").status_code == 422
