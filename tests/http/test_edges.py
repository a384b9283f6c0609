"""Edges that no provider documents: long addresses, the end of time, numbers with many digits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

END = "8999-12-31T23:59:50Z"


def test_a_huge_host_is_not_kept(admin: Admin) -> None:
    """A Host header of many kilobytes is neither kept nor repeated in URLs."""
    long = "h" * 20_000
    admin.vicsee().get("/api/v1/credits")
    admin.vicsee().get("/api/v1/credits", headers={"host": long})
    origins = admin.sim.app._url_parser._origins
    assert ["http://127.0.0.1:4747"] * 2 == [found.base for found in origins.values()]


def test_a_huge_path_is_not_kept(admin: Admin) -> None:
    """The parsed form of a path of many kilobytes is not cached."""
    admin.vicsee().post(f"/{'x' * 20_000}")
    assert {} == admin.sim.app._url_parser._known


def test_a_usual_host_is_kept_in_urls(admin: Admin) -> None:
    """Absolute URLs keep the host of the request."""
    host = "a.example:4747"
    answer = admin.vicsee().post(
        "/api/v1/upload",
        json={"contentType": "video/mp4", "sizeBytes": 10},
        headers={"host": host},
    )
    assert answer.json()["data"]["publicUrl"].startswith(f"http://{host}/")


@pytest.mark.parametrize("path", ["/api/v1/credits", "/api/v1/models"])
def test_an_auto_clock_may_reach_the_last_instant(start_admin: Start, path: str) -> None:
    """Near the year 9000 a poll gets a response, and later deadlines never run."""
    admin = start_admin(clock="auto")
    box = admin.sandbox(clock={"mode": "auto", "now": END})
    caller = admin.vicsee(box["keys"]["vicsee"])
    job = admin.job(box["keys"]["vicsee"])
    polled = [caller.get(f"/api/v1/tasks/{job}") for _ in range(4)]
    assert [200] * 4 == [answer.status_code for answer in polled]
    assert "processing" == polled[-1].json()["data"]["status"]
    now = admin.get(f"sandboxes/{box['id']}/clock")["now"]
    assert "9000-01-01T00:00:00.000000Z" == now
    assert 200 == caller.get(path).status_code


def test_a_full_window_may_end_after_the_last_instant(start_admin: Start) -> None:
    """A 429 moves an `auto` clock at most to the last instant."""
    admin = start_admin(clock="auto")
    box = admin.sandbox(
        scenario="venice/two-a-minute", clock={"mode": "auto", "now": "8999-12-31T23:59:59Z"}
    )
    venice = admin.caller("venice", box["keys"]["venice"])
    body = {"model": "topaz-video-upscale", "video_url": "https://clips.example/8.mp4"}
    statuses = [venice.post("/api/v1/video/queue", json=body).status_code for _ in range(4)]
    assert 429 in statuses
    assert set(statuses) <= {200, 429}


def test_a_held_request_ends_at_the_last_instant(start_admin: Start) -> None:
    """A request that is held at the last instant gets the response of a timeout."""
    admin = start_admin(clock="auto")
    box = admin.sandbox(clock={"mode": "auto", "now": END})
    wavespeed = admin.caller("wavespeed", box["keys"]["wavespeed"])
    body = {"video": "https://clips.example/8.mp4", "enable_sync_mode": True}
    answer = wavespeed.post("/api/v3/wavespeed-ai/video-upscaler", json=body)
    assert 200 == answer.status_code
    assert [] == answer.json()["data"]["outputs"]


QUOTES = [
    ("300.0", 200),
    ("300.00000000000000000001", 400),
    ("300", 200),
    ("1e400", 400),
    ("1e-400", 400),
]


@pytest.mark.parametrize(("spelt", "status"), QUOTES)
def test_numbers_are_exact(admin: Admin, spelt: str, status: int) -> None:
    """A duration just above the limit is refused, because numbers never become floats."""
    body = f'{{"model": "topaz-video-upscale", "duration": {spelt}}}'
    venice = admin.caller("venice", "k")
    headers = {"content-type": "application/json"}
    found = venice.post("/api/v1/video/quote", content=body, headers=headers)
    assert status == found.status_code, found.text


def test_a_quote_keeps_every_digit(admin: Admin) -> None:
    """The price of a clip uses all digits of the given duration."""
    quotes: list[Any] = []
    for spelt in ("10.1", "10.10000000000000000000"):
        body = f'{{"model": "topaz-video-upscale", "duration": {spelt}, "input_height": 720}}'
        headers = {"content-type": "application/json"}
        answer = admin.caller("venice", "k").post(
            "/api/v1/video/quote", content=body, headers=headers
        )
        quotes.append(Decimal(str(answer.json()["quote"])))
    assert quotes[0] == quotes[1]
