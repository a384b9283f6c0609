"""Everything else below the prefix: unknown paths, wrong methods, and an older generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.http.wavespeed.conftest import Api, Start

UPSCALER = "wavespeed-ai/video-upscaler"
OLD = ["predictions", "account/balance", "account/billings", "account/usage"]
PERIOD = "start_time=2026-01-01&end_time=2026-01-02"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and text of an error envelope, which has no data."""
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v3", 404),
        ("GET", "/api/v1/balance", 404),
        ("GET", "/api/v3/nothing/here", 404),
        ("POST", "/api/v3/", 404),
        ("GET", f"/api/v3/{UPSCALER}", 405),
        ("PUT", f"/api/v3/{UPSCALER}", 405),
        ("POST", "/api/v3/balance", 405),
        ("GET", "/api/v3/media/uploads", 405),
        ("DELETE", "/api/v3/predictions/x", 405),
    ],
)
def test_unknown_paths_and_wrong_methods_have_the_error_envelope(
    api: Api, method: str, path: str, status: int
) -> None:
    """An unknown path gets a 404 and a wrong method a 405, both in the error envelope."""
    found = {404: (404, "not found"), 405: (405, "method not allowed")}[status]

    assert found == refusal(api.http.request(method, path))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"/api/v3/{UPSCALER}", "POST"),
        ("PUT", f"/api/v3/{UPSCALER}", "POST"),
        ("PUT", "/api/v3/balance", "GET"),
        ("DELETE", "/api/v3/predictions/x", "GET"),
        ("PUT", "/api/v3/predictions/delete", "POST"),
    ],
)
def test_allow_header_names_only_usable_methods(
    api: Api, method: str, path: str, allowed: str
) -> None:
    """The `Allow` header of a 405 names only methods that the path accepts."""
    assert allowed == api.http.request(method, path).headers["allow"]


@pytest.mark.parametrize("path", OLD)
def test_old_paths_are_not_found(api: Api, path: str) -> None:
    """Paths that later pages replaced get a 404, with or without a key."""
    assert refusal(api.get(path)) == (404, "not found")
    assert refusal(api.get(path, headers={"Authorization": ""})) == (404, "not found")
    assert refusal(api.post("upload")) == (404, "not found")


def test_old_paths_are_a_knob(start: Start) -> None:
    """With the knob, the old paths read from the query what the newer calls read from the body."""
    api = start(old_paths="served")
    task = api.submit()["id"]
    listed = api.get("predictions?include_inputs=true").json()["data"]
    rows = api.get(f"account/billings?page=1&page_size=5&prediction_uuids={task},x").json()["data"]
    uploaded = api.http.post("/api/v3/upload", files={"file": ("a.mp4", b"abc")}).json()["data"]

    assert [item["id"] for item in listed["items"]] == [task]
    assert listed["items"][0]["inputs"] == {"video": "https://clips.example/12.mp4"}
    assert [row["prediction"]["uuid"] for row in rows["items"]] == [task]
    assert api.get("account/balance").json()["data"] == {"balance": 99.94}
    assert api.get(f"account/usage?{PERIOD}").json()["data"]["summary"]["total_requests"] == 1
    assert uploaded["size"] == 3


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("predictions?page=x", "page must be an integer"),
        ("predictions?page_size=101", "page_size must be at most 100"),
        (
            "account/billings?start_time=x",
            "start_time must be a string of milliseconds since the epoch",
        ),
        ("account/usage", 'property "start_time" is missing'),
    ],
)
def test_old_paths_check_their_query(start: Start, path: str, text: str) -> None:
    """The old paths check their query values by the same rules as the newer calls."""
    assert refusal(start(old_paths="served").get(path)) == (400, text)


@pytest.mark.parametrize("path", OLD)
def test_old_paths_need_a_key_too(start: Start, path: str) -> None:
    """If the old paths are served, they refuse requests without a valid key."""
    answer = start(old_paths="served").get(path, headers={"Authorization": ""})

    assert refusal(answer) == (401, "invalid authentication")


def test_the_default_dialect_may_be_named(start: Start) -> None:
    """If a request names the default dialect in its path, the links keep that dialect."""
    task = start(dialect="guide").submit()

    assert task["urls"]["get"].startswith("http://upsim.test/wavespeed/guide/api/v3/")
