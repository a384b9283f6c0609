"""The documented response headers, on every answer."""

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice


def test_every_response_has_an_id_a_version_and_a_time(venice: "Venice") -> None:
    """Success and error responses have the headers, on known and unknown paths."""
    answers = [venice.queue(), venice.queue(1), venice.get("models"), venice.get("nothing")]
    ids = [answer.headers["cf-ray"] for answer in answers]

    assert len(set(ids)) == len(ids)
    assert all(len(ray) == 20 and ray.endswith("-SIM") for ray in ids)
    assert {answer.headers["x-venice-version"] for answer in answers} == {"20260821.193530"}
    assert {a.headers["x-venice-timestamp"] for a in answers} == {"2026-01-01T00:00:00.000Z"}


def test_errors_name_the_host(venice: "Venice") -> None:
    """Only errors have the header with the host name."""
    assert "x-venice-host-name" in venice.queue(1).headers
    assert "x-venice-host-name" not in venice.queue().headers


def test_inference_endpoints_name_the_model(venice: "Venice") -> None:
    """Queue, retrieve, complete and quote name the model; account endpoints do not."""
    queue_id = venice.queued()
    inference = [
        venice.queue(),
        venice.retrieve(queue_id),
        venice.complete(queue_id),
        venice.quote(duration="10"),
    ]
    named = {(a.headers["x-venice-model-id"], a.headers["x-venice-model-name"]) for a in inference}

    assert named == {("topaz-video-upscale", "Topaz Video Upscale")}
    assert "x-venice-model-id" not in venice.get("billing/balance").headers


def test_the_balance_is_that_before_the_request(venice: "Venice") -> None:
    """A queue response shows the balance without its own charge."""
    answers = [venice.queue(), venice.queue(1), venice.queue(), venice.get("billing/balance")]
    shown = [answer.headers.get_list("x-venice-balance-usd") for answer in answers]

    assert shown == [["100"], ["99"], ["99"], ["98"]]
    assert {answer.headers["x-venice-balance-diem"] for answer in answers} == {"0"}


def test_a_request_without_a_key_sees_no_balance(venice: "Venice") -> None:
    """Only a response to an authenticated request has balances."""
    answer = venice.request("GET", "models", headers={"authorization": None})

    assert "x-venice-balance-usd" not in answer.headers


def test_the_video_itself_has_the_headers(live: "Venice") -> None:
    """A response that is the MP4 has the headers as well."""
    answer = live.retrieve(live.finished(live.clip("160x90_10fps_1s.mp4")))

    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["x-venice-model-id"] == "topaz-video-upscale"
    assert answer.headers["x-venice-balance-usd"] == "99.987"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "video/queue"),
        ("POST", "video/retrieve"),
        ("POST", "video/complete"),
        ("GET", "billing/balance"),
        ("GET", "billing/usage-history"),
        ("GET", "api_keys/rate_limits"),
    ],
)
def test_live_sends_the_discovery_document_without_a_key(
    method: str, path: str, live: "Venice"
) -> None:
    """The response is a 402 that says how to pay and how to get a key, also in a header."""
    json_body: dict[str, Any] = {"json": {}} if method == "POST" else {}
    answer = live.request(method, path, headers={"authorization": None}, **json_body)
    body = answer.json()
    required = json.loads(base64.b64decode(answer.headers["payment-required"]))

    assert (answer.status_code, body["error"]) == (402, "Authentication required")
    assert body["x402Version"] == 2
    assert body["resource"]["url"] == f"http://upsim.test/venice/live/api/v1/{path}"
    assert body["authOptions"]["apiKey"]["header"] == "Authorization: Bearer YOUR_API_KEY"
    assert [rail["network"] for rail in body["accepts"]] == ["eip155:8453", "solana"]
    assert required == {key: value for key, value in body.items() if key != "authOptions"}


def test_live_refuses_a_wrong_key_plainly(live: "Venice") -> None:
    """Only a request without a key gets the discovery document."""
    answer = live.with_key("x").request("POST", "video/queue", json={}, by_path=True)

    assert (answer.status_code, answer.json()) == (401, {"error": "Authentication failed"})


def test_equal_seeds_and_requests_give_equal_bytes(make: Callable[..., "Venice"]) -> None:
    """Bodies, headers, ids and times repeat exactly."""

    def run(venice: "Venice") -> list[object]:
        answers = [venice.queue(), venice.queue(1)]
        queue_id = answers[0].json()["queue_id"]
        venice.until_done(queue_id)
        answers += [venice.retrieve(queue_id), venice.complete(queue_id)]
        answers.append(venice.get("billing/usage-history"))
        return [
            (
                a.status_code,
                a.text.replace(venice.sandbox.id, ""),
                dict(a.headers) | {"content-length": ""},
            )
            for a in answers
        ]

    assert run(make()) == run(make())
