"""Credits, the public list of models, and what is not there."""

from __future__ import annotations

import httpx
import pytest

from tests.http.vicsee.conftest import Api, Start, refusal
from upsim.engine.sandbox_request import SandboxRequest

MODELS = "/api/v1/models"
UPSCALE = {
    "id": "topaz-video-upscale",
    "name": "Topaz Video Upscale",
    "type": "video",
    "credits": {"1": 16, "2": 16, "4": 28},
    "unit": "second",
    "options": {"upscale_factor": ["1", "2", "4"], "maxDuration": 60},
}


def test_credits_are_one_integer(api: Api) -> None:
    """The default account has many credits, as a whole number."""
    assert api.http.get("/api/v1/credits").json() == {"success": True, "data": {"credits": 20_000}}


def test_credits_after_a_task(api: Api) -> None:
    """The credits are those that the response to the create announced."""
    left = api.tool(api.clip()).json()["data"]["creditsRemaining"]

    assert left == api.credits()


@pytest.mark.parametrize("query", ["", "?type=video"])
def test_the_models_list(api: Api, query: str) -> None:
    """The emulated model is listed with its type, credits and options."""
    assert api.data(MODELS + query) == [UPSCALE]


@pytest.mark.parametrize("kind", ["image", "music", "", "nothing"])
def test_models_of_another_type(api: Api, kind: str) -> None:
    """The list of another type is empty."""
    assert api.data(f"{MODELS}?type={kind}") == []


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Token x"}, {"Authorization": "Bearer x"}]
)
def test_the_models_are_public(start: Start, header: dict[str, str]) -> None:
    """The list needs no key and ignores one, also with strict keys."""
    api = start(strict_keys=True)

    with httpx.Client(transport=api.sim.transport(), base_url=api.http.base_url) as http:
        assert http.get(MODELS, headers=header).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/v1"),
        ("GET", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks/"),
        ("GET", "/api/v1/tasks/task_x/cancel"),
        ("POST", "/api/v1/tools/upscale-image"),
        ("POST", "/api/v2/generate"),
        ("POST", "/api/v1/webhooks"),
    ],
)
def test_unknown_paths_are_404(api: Api, method: str, path: str) -> None:
    """An unknown path is a 404 in the usual error form."""
    assert refusal(api.http.request(method, path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/v1/tools/upscale-video", "POST"),
        ("PUT", "/api/v1/generate", "POST"),
        ("DELETE", "/api/v1/tasks/task_x", "GET"),
        ("POST", "/api/v1/credits", "GET"),
        ("PATCH", "/api/v1/upload", "POST"),
    ],
)
def test_wrong_methods_name_the_right_ones(api: Api, method: str, path: str, allowed: str) -> None:
    """A wrong method gets an error that names the right methods."""
    answer = api.http.request(method, path)

    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed


def test_urls_keep_the_sandbox_of_the_path(start: Start) -> None:
    """URLs in a response have the sandbox of the request's path."""
    api = start()
    sandbox, keys = api.sim.registry.create(SandboxRequest())
    url = api.sim.base_url("vicsee", sandbox=sandbox.id)

    with httpx.Client(transport=api.sim.transport(), base_url=url) as http:
        http.headers["Authorization"] = f"Bearer {keys['vicsee']}"
        ticket = http.post("/api/v1/upload", json={"contentType": "video/mp4", "sizeBytes": 9})

    own = f"http://upsim.test/sandbox/{sandbox.id}/media/uploads/"
    assert ticket.json()["data"]["publicUrl"].startswith(own)
