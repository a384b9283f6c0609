"""Authorization headers, keys and accounts."""

from __future__ import annotations

import httpx
import pytest

from tests.http.vicsee.conftest import Api, Start, message, refusal

CREDITS = "/api/v1/credits"
ANSWERS = {
    "MISSING_AUTH_HEADER": "Missing Authorization header",
    "INVALID_AUTH_FORMAT": "Invalid Authorization format",
    "INVALID_KEY_FORMAT": "Invalid API key format",
    "INVALID_API_KEY": "Invalid or inactive API key",
}


def ask(api: Api, header: str | None) -> httpx.Response:
    """Ask for the credits with this Authorization header."""
    with httpx.Client(transport=api.sim.transport(), base_url=api.http.base_url) as http:
        return http.get(CREDITS, headers={} if header is None else {"Authorization": header})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "MISSING_AUTH_HEADER"),
        ("", "MISSING_AUTH_HEADER"),
        ("Token x", "INVALID_AUTH_FORMAT"),
        ("Bearer", "INVALID_AUTH_FORMAT"),
        ("Bearer   ", "INVALID_AUTH_FORMAT"),
        ("sk-alone", "INVALID_AUTH_FORMAT"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_headers_without_a_key(
    start: Start, header: str | None, code: str, *, strict: bool
) -> None:
    """A missing header and a header without a bearer token get different errors."""
    answer = ask(start(strict_keys=strict), header)

    assert refusal(answer) == (401, code)
    assert message(answer) == ANSWERS[code]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer abc", "INVALID_KEY_FORMAT"),
        ("Bearer YOUR_API_KEY", "INVALID_KEY_FORMAT"),
        ("Bearer sk-unknown", "INVALID_API_KEY"),
    ],
)
def test_unissued_keys(start: Start, header: str, code: str) -> None:
    """With strict keys, a key of the wrong form and an unknown key get different errors."""
    answer = ask(start(strict_keys=True), header)

    assert refusal(answer) == (401, code)
    assert message(answer) == ANSWERS[code]


@pytest.mark.parametrize(
    "header", ["Bearer abc", "Bearer YOUR_API_KEY", "bearer sk-unknown", "Bearer  sk-x"]
)
def test_any_bearer_token_works(api: Api, header: str) -> None:
    """Without strict keys, every non-empty token has an account with many credits."""
    assert ask(api, header).json() == {"success": True, "data": {"credits": 20_000}}


def test_an_issued_key_works(start: Start) -> None:
    """With strict keys, an issued key has the provider's form and is accepted."""
    api = start(strict_keys=True)
    key = api.sim.registry.issue_key(api.sim.sandbox, "vicsee", owner="main")

    assert key.startswith("sk-")
    assert ask(api, f"Bearer {key}").status_code == 200


def test_each_key_is_an_account(api: Api) -> None:
    """Two keys that were not issued have two balances."""
    api.task_of()

    with api.as_other() as http:
        assert http.get(CREDITS).json()["data"]["credits"] == 20_000


def test_keys_of_one_owner_share_the_account(api: Api) -> None:
    """Two keys that were issued to one owner have one balance."""
    issue = api.sim.registry.issue_key
    first, second = (issue(api.sim.sandbox, "vicsee", owner="main") for _ in range(2))

    with api.as_other(first) as http:
        http.post("/api/v1/tools/upscale-video", json={"video_url": api.clip()})

    with api.as_other(second) as http:
        assert http.get(CREDITS).json()["data"]["credits"] == 20_000 - 16


@pytest.mark.parametrize("path", [CREDITS, "/api/v1/tasks/task_x", "/api/v1/tasks/task_x/download"])
def test_reading_needs_a_key(api: Api, path: str) -> None:
    """Credits and tasks are refused without a key, before anything else."""
    with httpx.Client(transport=api.sim.transport(), base_url=api.http.base_url) as http:
        assert refusal(http.get(path)) == (401, "MISSING_AUTH_HEADER")


@pytest.mark.parametrize("path", ["tools/upscale-video", "generate", "upload"])
def test_writing_needs_a_key(api: Api, path: str) -> None:
    """A create without a key is refused before its body is read."""
    with httpx.Client(transport=api.sim.transport(), base_url=api.http.base_url) as http:
        assert refusal(http.post(f"/api/v1/{path}", content=b"{")) == (401, "MISSING_AUTH_HEADER")
