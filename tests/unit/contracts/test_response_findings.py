"""One change in an answer is one finding, in one line that a person understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from unittest.mock import patch

import pytest

from upsim_contracts.documents.response_checks import check_response, contract
from upsim_contracts.documents.schemas import Schemas
from upsim_contracts.findings import Finding

JSON = {"Content-Type": "application/json; charset=utf-8"}
TOOL = ("POST", "/api/v1/tools/upscale-video")
PAGE = "Video Upscale, https://vicsee.com/docs/api/video-upscale, 2026-02-14"
SAMPLE: dict[str, Any] = {
    "success": True,
    "data": {
        "id": "task_xyz789",
        "model": "topaz-video-upscale",
        "status": "pending",
        "input": {
            "video_url": "https://example.com/clip.mp4",
            "upscale_factor": "2",
            "detected_duration": "8.5s",
            "billed_seconds": 9,
            "credits_per_second": 16,
        },
        "creditsUsed": 144,
        "creditsRemaining": 856,
        "createdAt": "2026-02-14T12:00:00.000Z",
    },
}


def judged(
    body: object,
    *,
    provider: str = "vicsee",
    dialect: str = "guide",
    to: tuple[str, str] = TOOL,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> list[Finding]:
    """Return what is found in an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    method, path = to
    return check_response(
        provider,
        dialect,
        method=method,
        path=path,
        status=status,
        headers=JSON if headers is None else headers,
        body=content,
    )


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return the page's sample answer with a change."""
    body = deepcopy(SAMPLE)
    change(body["data"])
    return body


def test_equal_responses_are_compared_once() -> None:
    """A repeated response gets the findings of the first one; another response is checked."""
    one = changed(lambda data: data.update(creditsUsed="a text of this test alone"))
    other = b"no JSON, and no other test has it"

    with patch.object(
        Schemas, "differences", autospec=True, side_effect=Schemas.differences
    ) as compared:
        first, again, different = judged(one), judged(one), judged(other)

    assert [finding.where for finding in first] == ["data.creditsUsed"]
    assert first == again
    assert [finding.where for finding in different] == ["body"]
    assert compared.call_count == 1


def test_the_documented_sample_has_no_finding() -> None:
    """The sample response in VicSee's documentation fits the contract."""
    assert [] == judged(SAMPLE)


@pytest.mark.parametrize(
    ("change", "where", "expected", "seen"),
    [
        (lambda d: d.pop("id"), "data.id", "this field", "none"),
        (lambda d: d.update(id=7), "data.id", "string", "7"),
        (lambda d: d.update(status="queued"), "data.status", '"pending"', '"queued"'),
        (lambda d: d.update(creditsRemaining=-1), "data.creditsRemaining", "at least 0", "-1"),
        (lambda d: d.update(createdAt="soon"), "data.createdAt", None, '"soon"'),
        (
            lambda d: d.update(creditsUsed=145),
            "data.creditsUsed",
            "a multiple of 16 or a multiple of 28",
            "145",
        ),
        (lambda d: d.update(creditsUsed=168), "data.creditsUsed", "a multiple of 16", "168"),
        (
            lambda d: d["input"].update(credits_per_second=18),
            "data.input.credits_per_second",
            "one of 16, 28",
            "18",
        ),
        (
            lambda d: d["input"].update(credits_per_second=28),
            "data.input.credits_per_second",
            "16",
            "28",
        ),
        (
            lambda d: d["input"].update(billed_seconds=8.5),
            "data.input.billed_seconds",
            "integer",
            "8.5",
        ),
    ],
)
def test_one_changed_field_is_one_finding(
    change: Callable[[dict[str, Any]], object], where: str, expected: str | None, seen: str
) -> None:
    """A changed field gives one finding with path, documented value, found value and source."""
    (found,) = judged(changed(change))
    assert (where, seen, PAGE) == (found.where, found.seen, found.evidence)
    assert expected in (None, found.expected)


def test_a_finding_is_one_line() -> None:
    """The line of a finding has provider, call, path, both values and source, in this order."""
    (found,) = judged(changed(lambda d: d.update(creditsUsed=145)))
    assert (
        "vicsee: POST /api/v1/tools/upscale-video 200: data.creditsUsed: "
        "expected a multiple of 16 or a multiple of 28, seen 145 "
        f"[{PAGE}]"
    ) == str(found)


def test_several_changes_are_several_findings() -> None:
    """Each changed field of a response gives its own finding."""
    body = changed(lambda d: d.update(id=None, model="other", creditsUsed="144"))
    places = {found.where for found in judged(body)}
    assert {"data.id", "data.model", "data.creditsUsed"} == places


def test_an_undocumented_status_is_a_finding() -> None:
    """The finding for an undocumented status lists the documented ones."""
    (found,) = judged({}, status=418)
    assert ("status", "418") == (found.where, found.seen)
    assert found.expected.startswith("one of 200, 400, 401, 402")


def test_another_error_code_is_a_finding() -> None:
    """The finding for an undocumented error code names the table of errors as its source."""
    body = {"success": False, "error": {"code": "VIDEO_LONG", "message": "x"}}
    (found,) = judged(body, status=422)
    assert ("error.code", 'one of "PROBE_FAILED", "VIDEO_TOO_LONG"', PAGE) == (
        found.where,
        found.expected,
        found.evidence,
    )


def test_another_content_type_is_a_finding() -> None:
    """A response that is HTML instead of JSON gives one finding."""
    (found,) = judged(b"<html>", headers={"content-type": "text/html"})
    told = (found.where, found.expected, found.seen)
    assert ("header Content-Type", "application/json", '"text/html"') == told


def test_a_body_that_is_no_json_is_a_finding() -> None:
    """The finding for a body that is not JSON shows the text of the body."""
    (found,) = judged(b"oops")
    assert ("body", "JSON", '"oops"') == (found.where, found.expected, found.seen)


def test_an_unknown_path_is_a_finding() -> None:
    """A response of an undocumented path gives a finding."""
    (found,) = judged({}, to=("GET", "/api/v1/nothing?x=1"))
    assert ("GET /api/v1/nothing", "request") == (found.operation, found.where)


def test_dialects_have_different_contracts() -> None:
    """VicSee's first status `processing` fits the live dialect, but not the guide dialect."""
    body = changed(lambda d: d.update(status="processing"))
    assert [1, 0] == [len(judged(body, dialect=name)) for name in ("guide", "live")]


VENICE = {**JSON, "CF-RAY": "8f2c1a9b7d3e4f60-SIM", "x-venice-version": "20260821.193530"}
QUEUE = ("POST", "/api/v1/video/queue")
QUEUED = {"model": "topaz-video-upscale", "queue_id": "7c1e0d52-5f0a-4f3e-9a54-2b8d6f1c0e77"}


@pytest.mark.parametrize(
    ("headers", "where", "seen"),
    [
        ({"CF-RAY": None}, "header CF-RAY", "none"),
        ({"x-venice-version": "1"}, "header x-venice-version", '"1"'),
        ({"x-ratelimit-limit-requests": "-4"}, "header x-ratelimit-limit-requests", "-4"),
        ({"x-ratelimit-limit-requests": "many"}, "header x-ratelimit-limit-requests", '"many"'),
    ],
)
def test_headers_are_checked(headers: dict[str, str | None], where: str, seen: str) -> None:
    """A missing required header and a wrong header value each give a finding."""
    given = {name: text for name, text in (VENICE | headers).items() if text is not None}
    (found,) = judged(QUEUED, provider="venice", to=QUEUE, headers=given)
    assert (where, seen) == (found.where, found.seen)


def test_a_closed_object_allows_no_further_field() -> None:
    """An additional field in Venice's two-field queue response gives a finding."""
    (found,) = judged({**QUEUED, "price": 1}, provider="venice", to=QUEUE, headers=VENICE)
    assert ("price", "no such field", "1") == (found.where, found.expected, found.seen)


QUOTE = ("POST", "/api/v1/video/quote")


@pytest.mark.parametrize(
    ("price", "findings"), [("1.0", 0), ("0.308625", 0), ("0.3086255", 1), ("-1", 1), ("60.1", 1)]
)
def test_prices_are_checked_exactly(price: str, findings: int) -> None:
    """A price with six decimals fits the contract, and a price with seven gives a finding."""
    body = f'{{"quote": {price}}}'.encode()
    found = judged(body, provider="venice", to=QUOTE, headers=VENICE)
    assert findings == len(found)


def test_a_changed_base_price_is_a_finding() -> None:
    """A changed base price in WaveSpeed's catalogue gives a finding with the page as source."""
    entry = {
        "model_id": "wavespeed-ai/video-upscaler",
        "name": "x",
        "base_price": 0.03,
        "description": "x",
        "type": "upscaler",
        "api_schema": {
            "api_schemas": [
                {
                    "type": "model_run",
                    "method": "POST",
                    "server": "https://api.wavespeed.ai",
                    "api_path": "/api/v3/wavespeed-ai/video-upscaler",
                    "request_schema": {},
                }
            ]
        },
    }
    body = {"code": 200, "message": "success", "data": [entry]}
    (found,) = judged(body, provider="wavespeed", to=("GET", "/api/v3/models"))
    assert ("data.0.base_price", "0.025", "0.03") == (found.where, found.expected, found.seen)
    assert found.evidence.endswith("$0.025 per 5 seconds")


def test_a_mismatch_is_reported_for_the_nearest_alternative() -> None:
    """A Venice failure without a key of its object form gives a finding for that key."""
    error = {"message": "x", "type": "provider_content_policy"}
    (found,) = judged(
        {"error": error},
        provider="venice",
        to=("POST", "/api/v1/video/retrieve"),
        status=422,
        headers=VENICE,
    )
    assert ("error.credits_refunded", "this field") == (found.where, found.expected)


def test_files_have_no_schema() -> None:
    """The contract does not check the bytes of a video."""
    headers = {**VENICE, "content-type": "video/mp4"}
    retrieve = ("POST", "/api/v1/video/retrieve")
    found = judged(b"\0\0", provider="venice", dialect="live", to=retrieve, headers=headers)
    assert [] == found


def test_plain_text_is_checked_as_text() -> None:
    """PiAPI's plain-text response for an unknown path fits the contract."""
    to = ("POST", "/api/v1/task/1/cancel")
    headers = {"content-type": "text/plain"}
    right, wrong = (
        judged(text, provider="piapi", to=to, status=404, headers=headers)
        for text in (b"404 page not found", b"not found")
    )
    assert ([], 1) == (right, len(wrong))


def test_a_second_host_is_known() -> None:
    """If the API's document lacks a path, the document of the upload host is used."""
    to = ("POST", "/api/ephemeral_resource")
    body = {"code": 400, "message": "Invalid request parameters"}
    assert [] == judged(body, provider="piapi", to=to, status=400)


def test_a_fixed_path_wins_over_a_parameter() -> None:
    """A POST to `/predictions/delete` is the delete call, not a call for the id `delete`."""
    found = contract("wavespeed").find("POST", "/api/v3/predictions/delete")
    assert found is not None
    assert "deletePredictions" == found.id


def test_contracts_are_compiled_once() -> None:
    """The validators of a dialect are compiled once, not for each response."""
    assert contract("vicsee", "live") is contract("vicsee", "live")


@pytest.mark.parametrize(
    ("change", "where", "expected"),
    [
        ({"body": {"credits": 1, "bonus": 2}}, "data.bonus", "no such field"),
        ({"headers": {"X-Plan": "free"}}, "header x-plan", "no such header"),
    ],
)
def test_an_undocumented_field_or_header_is_a_finding(
    change: dict[str, dict[str, object]], where: str, expected: str
) -> None:
    """A field or a header that the document does not name is reported, with its value."""
    body = {"success": True, "data": change.get("body", {"credits": 1})}
    headers = {"Content-Type": "application/json", "CF-Ray": "1", **change.get("headers", {})}
    found = check_response(
        "vicsee",
        "guide",
        method="GET",
        path="/api/v1/credits",
        status=200,
        headers={name: str(value) for name, value in headers.items()},
        body=json.dumps(body).encode(),
    )

    assert [(where, expected)] == [(one.where, one.expected) for one in found]
