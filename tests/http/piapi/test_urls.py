"""Where PiAPI answers: paths, hosts, dialects, and what it says elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.piapi.conftest import Api, Start


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/v1/task/"),
        ("POST", "/api/v1/tasks/x"),
        ("GET", "/api/v1/account/info"),
        ("POST", "/api/v2/task"),
    ],
)
def test_an_unknown_path_gets_a_plain_text_404(api: Api, method: str, path: str) -> None:
    """An unknown path gets a plain-text 404 without the JSON envelope, even without a key."""
    del api.http.headers["x-api-key"]

    answer = api.http.request(method, path)

    assert (answer.status_code, answer.text) == (404, "404 page not found")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/task", "POST"),
        ("POST", "/account/info", "GET"),
        ("GET", "/api/ephemeral_resource", "POST"),
        ("PUT", "/api/v1/task/1", "DELETE, GET"),
    ],
)
def test_a_wrong_method_gets_a_plain_text_405(
    api: Api, method: str, path: str, allowed: str
) -> None:
    """A known path with a wrong method gets a plain-text 405; `Allow` lists the right methods."""
    answer = api.http.request(method, path)

    assert (answer.status_code, answer.text) == (405, "405 method not allowed")
    assert allowed == answer.headers["allow"]


def test_the_key_header_can_have_any_case(api: Api) -> None:
    """The server accepts `X-API-KEY` as well as `x-api-key`."""
    key = api.http.headers.pop("x-api-key")
    api.http.headers["X-API-KEY"] = key

    assert api.create()["status"] == "pending"


def test_every_key_has_its_own_account(api: Api) -> None:
    """A charge of one key does not reduce the balance of another key."""
    api.create()

    other = api.http.get("/account/info", headers={"x-api-key": "another"}).json()["data"]

    assert other["wallet"]["point_used"] == 0


@pytest.mark.parametrize(
    ("knob", "header", "status"),
    [
        ("refuse", "Bearer {key}", 401),
        ("accept", "Bearer {key}", 200),
        ("accept", "bearer {key}", 200),
        ("accept", "Basic {key}", 401),
        ("accept", "Bearer ", 401),
    ],
)
def test_a_bearer_token_is_accepted_only_with_the_bearer_knob(
    start: Start, knob: str, header: str, status: int
) -> None:
    """With `bearer: accept` a key is accepted as a bearer token; by default only as `x-api-key`."""
    api = start(knobs={"bearer": knob})
    key = api.http.headers.pop("x-api-key")

    answer = api.http.get("/account/info", headers={"authorization": header.format(key=key)})

    assert status == answer.status_code


def test_a_bearer_token_and_x_api_key_lead_to_the_same_account(start: Start) -> None:
    """A task made with `x-api-key` can be read with the same key as a bearer token.

    If both headers are sent, `x-api-key` decides.
    """
    api = start(knobs={"bearer": "accept"})
    task_id = api.create()["task_id"]
    api.http.headers["authorization"] = f"Bearer {api.http.headers['x-api-key']}"
    del api.http.headers["x-api-key"]

    assert api.task(task_id)["status"] == "pending"
    wrong = api.http.get(f"/api/v1/task/{task_id}", headers={"x-api-key": "another"})
    assert wrong.status_code == 404


@pytest.mark.parametrize("host", ["api.piapi.ai", "upload.theapi.app"])
def test_piapi_host_names_need_no_prefix(api: Api, host: str) -> None:
    """A request to PiAPI's own host name needs no prefix, and links in the response keep it."""
    base = api.sim.base_url("piapi").removesuffix("/piapi")
    body = {"file_name": "a.mp4", "file_data": "AAAA"}

    answer = api.http.post(f"{base}/api/ephemeral_resource", json=body, headers={"host": host})

    assert answer.json()["data"]["url"].startswith(f"http://{host}/media/uploads/")


def test_the_live_dialect_returns_only_the_envelope(api: Api) -> None:
    """With the `live` dialect, create and upload return `code`, `data` and `message` alone."""
    created = api.http.post("live/api/v1/task", json=api.body()).json()
    body = {"file_name": "a.mp4", "file_data": "AAAA"}
    uploaded = api.http.post("live/api/ephemeral_resource", json=body).json()

    assert {"code", "data", "message"} == set(created) == set(uploaded)
    read = api.http.get(f"live/api/v1/task/{created['data']['task_id']}").json()
    assert read["data"] == created["data"]


def test_the_guide_dialect_can_be_named(api: Api) -> None:
    """A path with `guide`, the default dialect, gives the same form as a path without a dialect."""
    assert "task_id" in api.http.post("guide/api/v1/task", json=api.body()).json()
