"""Lists of `checks` in another order, or without some: refused, or answered without a 500."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.engine.conftest import SUBMITS
from tests.stateful.asgi_client import ADMIN, Answer, Request, exchange
from tests.stateful.provider_calls import FACES
from upsim.app import App
from upsim.engine.settings import ServerSettings
from upsim.scenario.loader import Library

VIDEO = "https://example.com/clip.mp4"
UPLOAD = {"file_name": "clip.mp4", "file_data": "aGVsbG8="}
V3 = "/api/v3"
PRICE = {"model_id": "wavespeed-ai/video-upscaler", "inputs": {"video": VIDEO}}
TOPAZ = "topaz-video-upscale"
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nx\r\n--b--\r\n'
PERIOD = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z"}
QUERY = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-02T00:00:00Z"
GOOD: dict[str, dict[str, tuple[str, str, Any]]] = {
    "wavespeed": {
        "submit": ("POST", f"{V3}/wavespeed-ai/video-upscaler", {"video": VIDEO}),
        "result": ("GET", f"{V3}/predictions/JOB/result", None),
        "prediction": ("GET", f"{V3}/predictions/JOB", None),
        "media/uploads": ("POST", f"{V3}/media/uploads", {"filename": "a.mp4", "size": 5}),
        "media/upload/binary": ("POST", f"{V3}/media/upload/binary", FORM),
        "balance": ("GET", f"{V3}/balance", None),
        "webhook/secret": ("GET", f"{V3}/webhook/secret", None),
        "models": ("GET", f"{V3}/models", None),
        "model/price": ("POST", f"{V3}/model/price", PRICE),
        "model/pricing": ("POST", f"{V3}/model/pricing", PRICE),
        "predictions": ("POST", f"{V3}/predictions", {"page": 1, "page_size": 10}),
        "predictions/delete": ("POST", f"{V3}/predictions/delete", {"ids": ["x"]}),
        "billings/search": ("POST", f"{V3}/billings/search", {"page": 1, "page_size": 10}),
        "user/usage_stats": ("POST", f"{V3}/user/usage_stats", PERIOD),
        "not-a-task": ("GET", f"{V3}/wavespeed-ai/video-upscaler", None),
        "old/predictions": ("GET", f"{V3}/predictions?page=1&page_size=3", None),
        "old/account/balance": ("GET", f"{V3}/account/balance", None),
        "old/account/billings": ("GET", f"{V3}/account/billings?page=1&page_size=3", None),
        "old/account/usage": ("GET", f"{V3}/account/usage?{QUERY}", None),
        "old/upload": ("POST", f"{V3}/upload", FORM),
    },
    "venice": {
        "video/queue": ("POST", "/api/v1/video/queue", {"model": TOPAZ, "video_url": VIDEO}),
        "video/retrieve": ("POST", "/api/v1/video/retrieve", {"model": TOPAZ, "queue_id": "JOB"}),
        "video/complete": ("POST", "/api/v1/video/complete", {"model": TOPAZ, "queue_id": "JOB"}),
        "video/quote": (
            "POST",
            "/api/v1/video/quote",
            {"model": TOPAZ, "duration": "5s", "input_height": 480, "upscale_factor": 2},
        ),
        "billing/balance": ("GET", "/api/v1/billing/balance", None),
        "billing/usage-history": ("GET", "/api/v1/billing/usage-history", None),
        "billing/usage": ("GET", "/api/v1/billing/usage", None),
        "api_keys/rate_limits": ("GET", "/api/v1/api_keys/rate_limits", None),
        "models": ("GET", "/api/v1/models", None),
    },
    "piapi": {
        "task/create": ("POST", *SUBMITS["piapi"]),
        "task/get": ("GET", "/api/v1/task/JOB", None),
        "task/cancel": ("DELETE", "/api/v1/task/JOB", None),
        "task/cancel-by-post": ("POST", "/api/v1/task/JOB/cancel", None),
        "tasks/cancel": ("DELETE", "/api/v1/tasks?created_before=1&model=all", None),
        "account/info": ("GET", "/account/info", None),
        "account/active_tasks": ("GET", "/account/active_tasks", None),
        "tasks/histories": ("GET", "/api/open/tasks/histories", None),
        "ephemeral_resource": ("POST", "/api/ephemeral_resource", UPLOAD),
    },
    "vicsee": {
        "tools/upscale-video": ("POST", "/api/v1/tools/upscale-video", {"video_url": VIDEO}),
        "generate": ("POST", "/api/v1/generate", {"model": TOPAZ, "input": {"video_url": VIDEO}}),
        "tasks/get": ("GET", "/api/v1/tasks/JOB", None),
        "tasks/download": ("GET", "/api/v1/tasks/JOB/download", None),
        "credits": ("GET", "/api/v1/credits", None),
        "models": ("GET", "/api/v1/models", None),
        "upload": ("POST", "/api/v1/upload", {"contentType": "video/mp4", "sizeBytes": 5}),
    },
}
"""A request of each operation that the shipped checks let pass; JOB is the id of a job."""
FURTHER: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("venice", "video/quote"): [{"model": TOPAZ, "video_url": VIDEO}],
    ("wavespeed", "submit"): [
        {"video": VIDEO, "target_resolution": "2k", "webhook_url": VIDEO, "enable_sync_mode": False}
    ],
    ("piapi", "task/create"): [
        {
            **SUBMITS["piapi"][1],
            "config": {"service_mode": "", "webhook_config": {"endpoint": "", "secret": ""}},
        }
    ],
}
"""Requests of the same operations that take another way through the checks."""
REFUSED = ("not-a-task", "billing/usage", "tasks/download")
"""Operations that exist only to be refused, or need the file of a finished job."""
KNOBS = {"piapi": {"cancel_by_post": "present"}, "wavespeed": {"old_paths": "served"}}
"""Knobs that open what is closed by default."""
LISTS = {name: Library().baseline(name).baseline.checks for name in GOOD}
PLACES = [(name, operation) for name in GOOD for operation in GOOD[name]]


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    """Return a server, at which a bug is answered with 500."""
    made = App(ServerSettings(hosts=("upsim.test",), clock="manual", admin_token="in-process"))
    yield made
    made.close()


def sandbox(app: App, provider: str, checks: dict[str, list[str]]) -> tuple[int, Any]:
    """Make a sandbox whose scenario has these lists of checks; return status and answer."""
    scenario = {
        "extends": f"{provider}/baseline",
        "summary": "Other checks.",
        "knobs": KNOBS.get(provider, {}),
        "checks": checks,
    }
    answer = send(app, Request("POST", "/__sim/sandboxes", {"scenario": scenario}), ADMIN)
    return answer.status, answer.json()


def send(app: App, request: Request, headers: Mapping[str, str]) -> Answer:
    """Send one request to the application."""
    return asyncio.run(exchange(app, request, headers))


def changed(body: object) -> Iterator[object]:
    """Yield a body, the same with each field missing or wrong, and what is no such body."""
    yield body
    if not isinstance(body, dict):
        yield from (b"", b"{", {})
        return
    yield from ({}, [], b"{not", b"")
    for name, value in body.items():
        yield {key: inner for key, inner in body.items() if key != name}
        others = changed(value) if isinstance(value, dict) else ("", "x", 7, None, [])
        yield from ({**body, name: other} for other in others if not isinstance(other, bytes))


def requests_of(provider: str, operation: str, job: str) -> Iterator[Request]:
    """Yield requests of an operation, good and bad ones."""
    method, path, good = GOOD[provider][operation]
    path = f"/{provider}{path.replace('JOB', job)}"
    for body in (good, *FURTHER.get((provider, operation), ())):
        for one in changed(body):
            if isinstance(one, dict) and one.get("queue_id") == "JOB":
                yield Request(method, path, {**one, "queue_id": job})
            else:
                yield Request(method, path, one)
    for query in ("", "?page=x&page_size=x&limit=x", "?cursor=x", "?type=x&model=x&start_time=x"):
        yield Request(method, f"{path.partition('?')[0]}{query}", good)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_accepted_order_of_checks_crashes(app: App, data: st.DataObject) -> None:
    """A changed list of checks is refused with its place, or every request works with it."""
    provider, operation = data.draw(st.sampled_from(PLACES))
    names = list(LISTS[provider][operation])
    place = st.integers(0, max(0, len(names) - 1))
    for out, into in data.draw(st.lists(st.tuples(place, place | st.none()), max_size=3)):
        moved = [names.pop(out)] if out < len(names) else []
        if into is not None:
            names[into:into] = moved

    status, made = sandbox(app, provider, {operation: names})

    if status == 400:
        assert f"checks.{operation}" in made["error"]["message"]
        return
    face = FACES[provider]
    key = made["keys"][provider]
    first = send(app, face.submit(VIDEO, face.options[0]), face.headers(key))
    job = face.job_of(first.json()) if first.status == 200 else "none"
    for request in requests_of(provider, operation, job):
        headers = dict(face.headers(key))
        if request.body is FORM:
            headers["content-type"] = "multipart/form-data; boundary=b"
        for one in (headers, face.headers(None)):
            answer = send(app, request, one)
            assert answer.status != 500, (names, request, answer.body)


def test_shipped_orders_pass_good_requests(app: App) -> None:
    """Each operation accepts the good request of this module, so all of its checks run."""
    for provider, operations in GOOD.items():
        _, made = sandbox(app, provider, {})
        face, key = FACES[provider], made["keys"][provider]
        for operation, (method, path, body) in operations.items():
            first = send(app, face.submit(VIDEO, face.options[0]), face.headers(key))
            job = face.job_of(first.json())
            headers = dict(face.headers(key))
            if body is FORM:
                headers["content-type"] = "multipart/form-data; boundary=b"
            named = isinstance(body, dict) and "queue_id" in body
            sent = {**body, "queue_id": job} if named else body
            request = Request(method, f"/{provider}{path.replace('JOB', job)}", sent)
            answer = send(app, request, headers)
            assert (answer.status < 300) is (operation not in REFUSED), (operation, answer.body)
