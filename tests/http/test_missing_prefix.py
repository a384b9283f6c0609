"""Requests without a provider's prefix are told what was probably meant."""

from __future__ import annotations

import pytest

from tests.http.conftest import Admin

UPSCALER = "wavespeed-ai/video-upscaler"


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "/api/v1/video/queue", "/venice/api/v1/video/queue"),
        ("GET", "/api/v1/video/queue", "/venice/api/v1/video/queue"),
        ("POST", "/api/v3/runwayml/upscale-v1", "/wavespeed/api/v3/runwayml/upscale-v1"),
        ("GET", "/account/info", "/piapi/account/info"),
        ("GET", "/api/v1/models", "/venice/api/v1/models or /vicsee/api/v1/models"),
        ("GET", "/wavspeed/api/v3/balance", "/wavespeed/api/v3/balance"),
        ("GET", "/venise", "/venice"),
        ("POST", "/v1/video/queue", "/venice/api/v1/video/queue"),
        ("POST", "/v1/video/queue/", "/venice/api/v1/video/queue"),
        ("POST", "/queue", "/venice/api/v1/video/queue"),
        ("GET", "/task", "/piapi/api/v1/task/{id}"),
        ("POST", "/wavespeed-ai/video-upscaler", f"/wavespeed/api/v3/{UPSCALER}"),
        ("GET", "/predictions/x/result", "/wavespeed/api/v3/predictions/{id}/result"),
        ("POST", "/api/venice/api/v1/video/queue", "/venice/api/v1/video/queue"),
        # base URLs alone, and pasted behind this server's own
        (
            "POST",
            "/api",
            (
                "/piapi/api/v1/task or /venice/api/v1/video/queue or "
                f"/vicsee/api/v1/tools/upscale-video or /wavespeed/api/v3/{UPSCALER}"
            ),
        ),
        ("GET", "/api/v3", "/wavespeed/api/v3/predictions/{id}/result"),
        ("POST", "/https://api.venice.ai/api/v1/video/queue", "/venice/api/v1/video/queue"),
        ("POST", "/https:/api.venice.ai/api/v1", "/venice/api/v1/video/queue"),
        ("POST", "/api.venice.ai", "/venice/api/v1/video/queue"),
        ("GET", "/HTTPS://vicsee.com/v1/credits", "/vicsee/api/v1/credits"),
        ("POST", "/http://other.example/v1/video/queue", "/venice/api/v1/video/queue"),
    ],
)
def test_the_prefix_is_suggested(admin: Admin, method: str, path: str, meant: str) -> None:
    """The 404 of a path without its prefix, or with a misspelt one, names the right URL."""
    answer = admin.http.request(method, path, content=b"any")
    message = f"no provider is at {path!r}; did you mean {meant}?"

    expected = {"error": {"code": "not_found", "message": message}}
    assert (404, expected) == (answer.status_code, answer.json())


@pytest.mark.parametrize("path", ["/nosuch", "/no/such", "/__sim/nosuch", "/favicon.ico"])
def test_other_paths_get_no_suggestion(admin: Admin, path: str) -> None:
    """A path that resembles no known path gets no suggestion."""
    answer = admin.http.get(path)

    assert (404, False) == (answer.status_code, "did you mean" in answer.text)


def test_unprintable_paths_are_not_repeated(admin: Admin) -> None:
    """A suggestion never repeats control characters."""
    answer = admin.http.get("/vicse/a%1b%5b31m")

    assert answer.json()["error"]["message"].endswith("did you mean /vicsee/…?")


@pytest.mark.parametrize(
    ("host", "status"),
    [("upsim.test", 404), ("localhost:1", 404), ("[::1]:1", 404), ("rebound.example", 401)],
)
def test_only_own_hosts_get_suggestions(admin: Admin, host: str, status: int) -> None:
    """With a foreign host, the access rule of the admin API applies to all paths."""
    assert status == admin.http.get("/account/info", headers={"Host": host}).status_code


def test_observers_get_stray_requests(admin: Admin) -> None:
    """Each observer is called with each request to an unknown path."""
    told: list[tuple[str, str]] = []
    admin.sim.app.missing_prefix.observers.append(
        lambda method, path, *_: told.append((method, path))
    )
    admin.http.get("/account/info")

    assert [("GET", "/account/info")] == told


def test_a_doubled_slash_is_reported(admin: Admin) -> None:
    """A base URL with a final slash gives `//vicsee/…`, which gets a 404 and a log line."""
    found: list[tuple[str, str, int, str]] = []
    admin.sim.app.missing_prefix.observers.append(lambda *stray: found.append(stray))
    for path in ("//vicsee/api/v1/credits", "//nosuch/a"):
        answer = admin.http.get(f"http://localhost:4747{path}")
        assert answer.status_code == 404

    said = "no provider is at '//vicsee/api/v1/credits'; did you mean /vicsee/api/v1/credits?"
    assert [("GET", "//vicsee/api/v1/credits", 404, said)] == found


def test_a_path_in_a_sandbox_gets_a_suggestion_in_it(admin: Admin) -> None:
    """The suggestion keeps the sandbox of the path."""
    answer = admin.http.post("/sandbox/x/v1/video/queue")
    expected = "/media/; did you mean /sandbox/x/venice/api/v1/video/queue?"
    assert answer.json()["error"]["message"].endswith(expected)
