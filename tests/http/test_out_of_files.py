"""A process that may open no further file refuses what needs one, and tells it in a line."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import httpx
import pytest

from tests.http.conftest import LOCAL
from upsim import Simulator
from upsim.app import App
from upsim.providers import discover
from upsim.web import file_responses
from upsim.web.whole_responses import HttpResponse

if TYPE_CHECKING:
    from tests.http.conftest import Admin
    from upsim.core.provider import Provider

CLIP = "/media/synthetic/640x360_30fps_4s.mp4?bytes=20000000"
KEY = {"Authorization": "Bearer k"}
SUBMIT = "/wavespeed/api/v3/wavespeed-ai/video-upscaler"
FORM = "/wavespeed/api/v3/media/upload/binary"


@pytest.fixture
def lent_workers() -> None:
    """Leave worker processes as they are: one that runs already would need no file to start."""


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let nothing be opened that is not open yet."""
    resource = pytest.importorskip("resource", reason="this system has no limit of open files")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_first_admin_call_is_refused_while_modules_cannot_be_read(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin API is imported at its first call; if that fails, the next call tries again."""
    real = App._add_admin_calls
    none_free = OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr(App, "_add_admin_calls", Mock(side_effect=none_free))
    refused = admin.http.get("/__sim/sandboxes")
    monkeypatch.setattr(App, "_add_admin_calls", real)

    assert (503, 200) == (refused.status_code, admin.http.get("/__sim/sandboxes").status_code)


def test_requests_that_need_a_file_are_refused(
    admin: Admin, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Without free file descriptors, each such request is refused, and no crash is counted."""
    http = admin.http
    _ = admin.sim.app._media_service._prober, http.get("/__sim")  # modules are files, too
    assert http.get(CLIP).status_code == 200
    sent = {"file": ("a.webm", b"\x1aE\xdf\xa3" + bytes(9_000), "video/webm")}
    uploaded = http.post(FORM, headers=KEY, files=sent).json()["data"]["download_url"]
    asked = {"video": uploaded, "target_resolution": "1080p"}
    scenario = tmp_path / "unread.yaml"
    scenario.write_text("extends: vicsee/bad-gateway-502\nsummary: Not read yet.\n", "utf-8")
    order = {"scenario": str(scenario)}
    caplog.set_level("WARNING", "upsim")
    with no_more_files():
        found = {
            "clip": http.get(CLIP),
            "new clip": http.get(CLIP.replace("20000000", "20000001")),
            "upload": http.get(uploaded),
            "sent": http.post(FORM, headers=KEY, files=sent),
            "video": http.post(SUBMIT, headers=KEY, json=asked),
            "scenarios": http.get("/__sim/scenarios"),
            "order": http.post("/__sim/sandboxes", json=order),
            "sandboxes": http.get("/__sim/sandboxes"),
        }
    assert {
        "clip": 503,
        "new clip": 507,
        "upload": 503,
        "sent": 507,
        "video": 507,
        "scenarios": 503,
        "order": 503,
        "sandboxes": 200,
    } == {name: answer.status_code for name, answer in found.items()}
    assert ("5", "short") == (
        found["clip"].headers["retry-after"],
        found["scenarios"].json()["error"]["code"],
    )
    assert 2 == len(caplog.records)  # the others have their lines as refusals of files
    assert 0 == admin.sim.registry.crashes
    again = (http.get(CLIP), http.get(uploaded), http.post("/__sim/sandboxes", json=order))
    assert [200, 200, 201] == [answer.status_code for answer in again]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.ENFILE])
def test_a_failing_disk_is_no_bug(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A file that cannot be opened is a 503, and other errors remain visible."""
    assert admin.http.get(CLIP).status_code == 200

    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_responses._File, "__init__", failing)
    refused = admin.http.get(CLIP)
    assert (503, "5", 0) == (
        refused.status_code,
        refused.headers["retry-after"],
        admin.sim.registry.crashes,
    )
    number = errno.EACCES
    with pytest.raises(PermissionError):
        admin.http.get(CLIP)


def test_a_video_without_a_process_to_read_it_is_refused(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no worker can start, the submit is a 507, and no job fails."""

    def short(*_: object, **_named: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    file = ("a.webm", b"\x1aE\xdf\xa3" + bytes(9_000), "video/webm")
    sent = admin.http.post(FORM, headers=KEY, files={"file": file})
    video = sent.json()["data"]["download_url"]
    monkeypatch.setattr(subprocess, "Popen", short)
    refused = admin.http.post(SUBMIT, headers=KEY, json={"video": video})
    assert (507, 0) == (refused.status_code, admin.sim.registry.crashes), refused.text


def test_a_provider_that_cannot_be_imported_now(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first request is refused in one line, without a traceback; the next one succeeds."""
    found = discover()
    provider = found["venice"]

    def imported() -> Provider:
        Path(__file__).read_bytes()
        return provider

    monkeypatch.setattr(found, "_loaders", {**found._loaders, "venice": imported})
    monkeypatch.delitem(found._loaded, "venice")
    with Simulator() as sim, httpx.Client(transport=sim.transport(), base_url=LOCAL) as http:
        path = "/venice/api/v1/models"
        http.get("/wavespeed/api/v3/balance")
        with no_more_files():
            refused = http.get(path)
        again = http.get(path, headers=KEY)
    assert (503, "5", "short") == (
        refused.status_code,
        refused.headers["retry-after"],
        refused.json()["error"]["code"],
    )
    assert [None] == [record.exc_info for record in caplog.records]
    assert (200, 0) == (again.status_code, sim.registry.crashes)


@pytest.mark.parametrize("host", [b"localhost", b"api.venice.ai"])
def test_rules_that_cannot_be_read_now(host: bytes) -> None:
    """The first request of a socket is refused if the rules cannot be read."""
    scope = {"type": "http", "method": "GET", "path": "/venice/api/v1/models", "query_string": b""}
    scope |= {"headers": [(b"host", host)], "scheme": "http", "server": ("127.0.0.1", 80)}
    with Simulator() as sim, httpx.Client(transport=sim.transport(), base_url=LOCAL) as http:
        http.get("/__sim/livez")
        door = sim.app.door(LOCAL)
        with no_more_files():
            refused = (door.fast_path(scope, b""), http.get("/venice/api/v1/models"))
        again = door.fast_path(scope, b"")
    assert isinstance(refused[0], HttpResponse)
    assert isinstance(again, HttpResponse)
    assert [503, 503, 200] == [refused[0].status, refused[1].status_code, again.status]
