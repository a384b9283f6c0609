"""A provider that changed one thing is reported as exactly that, in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.recording.conftest import Altered, Studio
from tests.recording.sample_requests import CALLERS

Change = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Alteration:
    """What the provider changed, and the line that says so, up to its evidence."""

    provider: str
    name: str
    line: str
    scenario: str | None = None
    altered: Altered | None = None


def document(call: str, change: Change, *, status: int = 200) -> Altered:
    """Return an alteration of the answers to a call: a field, a word, a type."""

    def altered(seen: str, answer: httpx.Response) -> httpx.Response:
        if not re.fullmatch(call, seen) or answer.status_code != status:
            return answer
        body = json.loads(answer.content)
        change(body)
        headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
        return httpx.Response(status, headers=headers, content=json.dumps(body))

    return altered


def status(call: str, before: int, after: int) -> Altered:
    """Return an alteration of a status."""

    def altered(seen: str, answer: httpx.Response) -> httpx.Response:
        found = re.fullmatch(call, seen) and answer.status_code == before
        return (
            httpx.Response(after, headers=answer.headers, content=answer.content)
            if found
            else answer
        )

    return altered


def without_header(call: str, name: str) -> Altered:
    """Return an alteration that leaves a header out."""

    def altered(seen: str, answer: httpx.Response) -> httpx.Response:
        if re.fullmatch(call, seen):
            del answer.headers[name]
        return answer

    return altered


def renamed(old: str, new: str) -> Change:
    """Return a change of a field's name; a dot leads deeper."""

    def change(body: Any) -> None:  # noqa: ANN401 - JSON
        *parents, last = old.split(".")
        for name in parents:
            body = body[name]
        if last in body:
            body[new] = body.pop(last)

    return change


def become(path: str, value: object, *, of: object = ...) -> Change:
    """Return a change of a field's value, where it is `of` if that is given."""

    def change(body: Any) -> None:  # noqa: ANN401 - JSON
        *parents, last = path.split(".")
        for name in parents:
            body = body[name]
        if of is ... or body[last] == of:
            body[last] = value(body[last]) if callable(value) else value

    return change


def plain_text(call: str, answer: httpx.Response) -> httpx.Response:
    """Call the credits a text."""
    if call.endswith("/credits"):
        answer.headers["content-type"] = "text/plain"
    return answer


SUBMIT = {
    "wavespeed": r"POST .*/video-upscaler",
    "venice": r"POST .*/video/queue",
    "piapi": r"POST .*/api/v1/task",
    "vicsee": r"POST .*/tools/upscale-video",
}
POLL = {
    "wavespeed": r"GET .*/predictions/(?!0{32}).*/result",
    "venice": r"POST .*/video/retrieve",
    "piapi": r"GET .*/api/v1/task/.*",
    "vicsee": r"GET .*/tasks/.*",
}
ALTERATIONS = [
    Alteration(
        "vicsee",
        "price doubled",
        "POST /api/v1/tools/upscale-video: charge: expected 80 credits, seen 160 credits",
        scenario="vicsee/price-change",
    ),
    Alteration(
        "venice",
        "price doubled",
        "POST /api/v1/video/queue: charge: expected 0.1125 USD, seen 0.225 USD",
        scenario="venice/price-change",
    ),
    Alteration(
        "piapi",
        "price doubled",
        "POST /api/v1/task: charge: expected 0.018 USD, seen 0.036 USD",
        scenario="piapi/price-change",
    ),
    Alteration(
        "wavespeed",
        "price doubled",
        "POST /api/v3/runwayml/upscale-v1: charge: expected 0.12 USD, seen 0.24 USD",
        scenario="""
extends: wavespeed/baseline
summary: One of the models costs twice as much.
models: {runwayml/upscale-v1: {billing: {rate: {flat: "0.04"}}}}
""",
    ),
    Alteration(
        "vicsee",
        "field renamed",
        "POST /api/v1/tools/upscale-video 200: data.creditsUsed: expected this "
        "field, seen credits_used in its place",
        altered=document(SUBMIT["vicsee"], renamed("data.creditsUsed", "credits_used")),
    ),
    Alteration(
        "venice",
        "field renamed",
        "POST /api/v1/video/queue 200: queue_id: expected this field, seen queueId in its place",
        altered=document(SUBMIT["venice"], renamed("queue_id", "queueId")),
    ),
    Alteration(
        "piapi",
        "field renamed",
        "GET /api/v1/task/{id} 200: data.task_type: expected this field, seen "
        "taskType in its place",
        altered=document(POLL["piapi"], renamed("data.task_type", "taskType")),
    ),
    Alteration(
        "wavespeed",
        "field renamed",
        "POST /api/v3/wavespeed-ai/video-upscaler 200: data.urls: expected "
        "this field, seen links in its place",
        altered=document(SUBMIT["wavespeed"], renamed("data.urls", "links")),
    ),
    Alteration(
        "vicsee",
        "type changed",
        'GET /api/v1/credits 200: data.credits: expected integer, seen "100000000"',
        altered=document(r"GET .*/credits", become("data.credits", str)),
    ),
    Alteration(
        "venice",
        "type changed",
        'POST /api/v1/video/quote 200: quote: expected number, seen "0.25"',
        altered=document(r"POST .*/quote", become("quote", str)),
    ),
    Alteration(
        "piapi",
        "type changed",
        'GET /api/v1/task/{id} 200: code: expected 200, seen "200"',
        altered=document(POLL["piapi"], become("code", str)),
    ),
    Alteration(
        "wavespeed",
        "type changed",
        'GET /api/v3/balance 200: data.balance: expected number, seen "1000000"',
        altered=document(r"GET .*/balance", become("data.balance", str)),
    ),
    Alteration(
        "vicsee",
        "status changed",
        "POST /api/v1/tools/upscale-video: status: expected one of 200, 400, "
        "401, 402, 403, 413, 422, 429, 500, 502, seen 202",
        altered=status(SUBMIT["vicsee"], 200, 202),
    ),
    Alteration(
        "venice",
        "status changed",
        'POST /api/v1/video/queue: status: expected 400, seen 422 "Invalid request parameters"',
        altered=status(SUBMIT["venice"], 400, 422),
    ),
    Alteration(
        "piapi",
        "status changed",
        "POST /api/v1/task: status: expected one of 200, 400, 401, 402, 403, "
        "413, 429, 500, seen 201",
        altered=status(SUBMIT["piapi"], 200, 201),
    ),
    Alteration(
        "wavespeed",
        "status changed",
        "GET /api/v3/predictions/{id}/result: status: expected one of 200, "
        '401, 403, 404, 500, 502, 503, 504, seen 410 "prediction not found"',
        altered=status(r"GET .*/0{32}/result", 404, 410),
    ),
    Alteration(
        "vicsee",
        "error code changed",
        "POST /api/v1/tools/upscale-video 400: error.code: expected one of "
        '"MISSING_VIDEO_URL", "INVALID_UPSCALE_FACTOR", "INVALID_JSON", '
        '"MISSING_MODEL", "INVALID_MODEL", seen "BAD_FACTOR"',
        altered=document(SUBMIT["vicsee"], become("error.code", "BAD_FACTOR"), status=400),
    ),
    Alteration(
        "vicsee",
        "error status changed",
        "POST /api/v1/tools/upscale-video: status: expected 400, seen 422 "
        'INVALID_UPSCALE_FACTOR: "Factor not in allowed values (1, 2, 4)"',
        altered=status(SUBMIT["vicsee"], 400, 422),
    ),
    Alteration(
        "piapi",
        "error code changed",
        "GET /api/v1/task/{id} 404: code: expected 404, seen 4040",
        altered=document(POLL["piapi"], become("code", 4040), status=404),
    ),
    Alteration(
        "wavespeed",
        "code changed",
        "GET /api/v3/predictions/{id}/result 404: code: expected 404, seen 1404",
        altered=document(r"GET .*/0{32}/result", become("code", 1404), status=404),
    ),
    Alteration(
        "vicsee",
        "new status word",
        'GET /api/v1/tasks/{id} 200: data.status: expected one of "pending", '
        '"processing", "completed", "failed", seen "reviewing"',
        altered=document(POLL["vicsee"], become("data.status", "reviewing", of="processing")),
    ),
    Alteration(
        "venice",
        "new status word",
        "POST /api/v1/video/retrieve 200: status: expected one of "
        '"PROCESSING", "completed", seen "RUNNING"',
        altered=document(POLL["venice"], become("status", "RUNNING", of="PROCESSING")),
    ),
    Alteration(
        "piapi",
        "new status word",
        'GET /api/v1/task/{id} 200: data.status: expected one of "pending", '
        '"processing", "completed", "failed", "staged", seen "reviewing"',
        altered=document(POLL["piapi"], become("data.status", "reviewing", of="processing")),
    ),
    Alteration(
        "wavespeed",
        "new status word",
        "GET /api/v3/predictions/{id}/result 200: data.status: expected one of "
        '"created", "processing", "completed", "failed", "cancelled", '
        '"timeout", "deleted", seen "reviewing"',
        altered=document(POLL["wavespeed"], become("data.status", "reviewing", of="processing")),
    ),
    Alteration(
        "venice",
        "header missing",
        "GET /api/v1/billing/balance 200: header x-venice-balance-usd: "
        "expected this header, seen none",
        altered=without_header(r"GET .*/billing/balance", "x-venice-balance-usd"),
    ),
    Alteration(
        "vicsee",
        "new field",
        "POST /api/v1/tools/upscale-video 200: data.queue: expected no such field, seen 3",
        altered=document(SUBMIT["vicsee"], lambda body: body["data"].update(queue=3)),
    ),
    Alteration(
        "wavespeed",
        "price quoted doubled",
        "POST /api/v3/model/price 200: data.price: expected 0.03, seen 0.06",
        altered=document(r"POST .*/model/price", become("data.price", lambda v: v * 2)),
    ),
    Alteration(
        "venice",
        "quote doubled",
        "POST /api/v1/video/quote 200: quote: expected 0.25, seen 0.5",
        altered=document(r"POST .*/quote", become("quote", lambda v: v * 2)),
    ),
    Alteration(
        "piapi",
        "no usage",
        "GET /api/v1/task/{id} 200: data.meta.usage: expected this field, seen none",
        altered=document(POLL["piapi"], lambda body: body["data"]["meta"].pop("usage", None)),
    ),
    Alteration(
        "vicsee",
        "content type",
        "GET /api/v1/credits 200: header Content-Type: expected "
        'application/json, seen "text/plain"',
        altered=plain_text,
    ),
]


@pytest.mark.parametrize("one", ALTERATIONS, ids=lambda one: f"{one.provider}, {one.name}")
def test_one_change_is_one_line(studio: Studio, one: Alteration) -> None:
    """Each change of a provider is one `drift` line that names the place and the difference."""
    cassette = studio.record(
        one.provider, CALLERS[one.provider], scenario=one.scenario, altered=one.altered
    )
    lines = studio.drift(cassette)

    told, headline = lines
    assert f"{one.provider}: {one.line}" == told.partition(" [")[0]
    assert re.search(
        r" \[.+\], read (\d+ days? ago|today|at an unknown date), recorded today, exchange \d", told
    )
    assert ": 1 difference in " in headline
