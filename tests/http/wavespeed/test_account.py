"""Keys, levels, balance, the webhook secret, the list of models and price quotes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    import httpx

    from tests.http.wavespeed.conftest import Api, Start

EXAMPLES = Path(__file__).parents[3] / "contracts" / "upsim_contracts" / "wavespeed" / "facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
UPSCALER = "wavespeed-ai/video-upscaler"
UPSCALE_V1 = "runwayml/upscale-v1"
VIDEO = "https://clips.example/12.mp4"
INVALID = (401, "invalid authentication")
CALLS = [
    ("POST", UPSCALER),
    ("GET", "predictions/x/result"),
    ("GET", "predictions/x"),
    ("POST", "media/uploads"),
    ("POST", "media/upload/binary"),
    ("GET", "balance"),
    ("GET", "webhook/secret"),
    ("GET", "models"),
    ("POST", "model/price"),
    ("POST", "model/pricing"),
    ("POST", "predictions"),
    ("POST", "predictions/delete"),
    ("POST", "billings/search"),
    ("POST", "user/usage_stats"),
]


def exact(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return the data of an answer, amounts as decimals."""
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=Decimal)["data"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and text of an error envelope, which has no data."""
    body = answer.json()
    assert set(body) <= {"code", "message", "error_code"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["message"]


# Keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic abc"},
        {"Authorization": "abc"},
        {"Authorization": "", "X-API-Key": "abc"},
    ],
)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_a_bearer_key(
    api: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    """A missing key, an empty key, another scheme and another header all get a 401."""
    answer = api.http.request(method, f"/api/v3/{path}", headers=headers)

    assert refusal(answer) == INVALID


@pytest.mark.parametrize(
    ("plan", "status", "message", "code"),
    [
        ("inactive", 401, "invalid authentication", None),
        ("suspended", 403, "account is suspended", "ACCOUNT_SUSPENDED"),
        ("restricted", 403, "permission denied", "PERMISSION_DENIED"),
    ],
)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_keys_without_access_are_refused(
    start: Start, method: str, path: str, plan: str, status: int, message: str, code: str | None
) -> None:
    """Keys without a top-up, of a suspended account or without the permission are refused."""
    answer = start(account={"plan": plan}).http.request(method, f"/api/v3/{path}")

    assert refusal(answer) == (status, message)
    assert answer.json().get("error_code") == code


def test_strict_keys_are_the_issued_ones(start: Start) -> None:
    """With strict keys, an unissued key gets a 401 and an issued key opens its account."""
    api = start(strict=True)
    key = api.sim.registry.issue_key(api.sim.sandbox, "wavespeed", owner="main")

    assert refusal(api.get("balance")) == INVALID
    assert api.of(key).get("/api/v3/balance").status_code == 200
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


# Levels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "per_minute", "concurrent"),
    [("bronze", 5, 3), ("silver", 60, 100), ("gold", 600, 2000), ("ultra", 5000, 5000)],
)
def test_account_levels_have_the_documented_limits(
    api: Api, plan: str, per_minute: int, concurrent: int
) -> None:
    """Each level has the documented limits of videos per minute and of concurrent tasks."""
    found = api.sim.sandbox.bound("wavespeed").rules.baseline.plans[plan]

    assert [(r.limit, r.per, r.counts) for r in found.rates] == [(per_minute, "minute", "submit")]
    assert found.concurrency == concurrent


def test_by_default_there_is_no_limit(api: Api) -> None:
    """An account without a configured level can submit without a rate limit."""
    assert {api.submit()["status"] for _ in range(20)} == {"created"}
    api.sim.advance(1)
    assert {job.state for job in api.sim.sandbox.state.jobs.values()} == {"processing"}


def test_submits_per_minute_are_limited_for_the_account(start: Start) -> None:
    """The sixth submit of a Bronze account within a minute gets a 429.

    Read requests still work, and the next minute allows submits again.
    """
    api = start(account={"plan": "bronze"})
    for model in (UPSCALER, UPSCALE_V1, UPSCALER, UPSCALE_V1, UPSCALER):
        api.submit(model)
    refused = api.post(UPSCALER, {"video": VIDEO})

    assert refusal(refused) == (429, "Too Many Requests")
    assert "retry-after" not in refused.headers
    assert api.get("balance").status_code == 200
    assert api.of("second").post(f"/api/v3/{UPSCALER}", json={"video": VIDEO}).status_code == 200
    api.sim.advance(60)
    assert api.post(UPSCALER, {"video": VIDEO}).status_code == 200


def test_an_invalid_submit_does_not_count_for_the_rate_limit(start: Start) -> None:
    """A submit that fails validation does not count against the limit per minute."""
    api = start(account={"plan": "bronze"})
    for _ in range(9):
        api.post(UPSCALER, {})

    assert api.submit()["status"] == "created"


def test_a_measured_submit_counts_once_for_the_rate_limit(start: Start) -> None:
    """A submit whose video must be measured first counts only once for the rate limit."""
    api = start(account={"plan": "bronze"})
    for seconds in (1, 2, 3, 4, 5):
        api.submit(video=f"http://upsim.test/media/synthetic/64x64_10fps_{seconds}s.mp4")

    assert api.post(UPSCALER, {"video": VIDEO}).status_code == 429


def test_retry_after_is_a_knob(start: Start) -> None:
    """With the knob, a 429 has a `Retry-After` with the seconds until the window ends."""
    api = start(account={"plan": "bronze"}, retry_after="seconds")
    for _ in range(5):
        api.submit()
    api.sim.advance(17.5)

    assert api.post(UPSCALER, {"video": VIDEO}).headers["retry-after"] == "43"


@pytest.mark.parametrize("first_status", ["created", "processing"])
def test_tasks_above_the_concurrency_wait_in_created(start: Start, first_status: str) -> None:
    """The fourth task of a Bronze account is charged, and waits in `created` for a slot."""
    api = start(
        account={"plan": "bronze"},
        media={"https://clips.example/*": "6"},
        first_status=first_status,
    )
    tasks = [api.submit()["id"] for _ in range(4)]
    api.sim.advance(36)
    before = [api.result(task)["status"] for task in tasks]
    api.sim.advance(1)
    after = [api.result(task)["status"] for task in tasks]

    assert before == ["processing"] * 3 + ["created"]
    assert after[:3] == ["completed"] * 3
    assert after[3] == first_status
    assert api.kinds == ["charge"] * 4


# Balance and secret ------------------------------------------------------------------------------


def test_the_balance_follows_the_ledger(api: Api) -> None:
    """The balance in dollars falls by each charge; another key has its own account."""
    before = exact(api.get("balance"))
    api.submit(target_resolution="1080p")
    after = exact(api.get("balance"))

    assert (before, after) == ({"balance": 100}, {"balance": Decimal("99.94")})
    assert exact(api.of("second").get("/api/v3/balance")) == {"balance": 100}


def test_a_balance_has_all_its_digits(start: Start) -> None:
    """The balance is not rounded to cents: 1 minus 0.025 is shown as 0.975."""
    api = start(account={"balance": "1.000"}, media={"https://clips.example/*": "3.2"})
    api.submit()

    assert api.get("balance").text == '{"code":200,"message":"success","data":{"balance":0.975}}'


def test_get_may_carry_a_content_type(api: Api) -> None:
    """A GET request with a `Content-Type` header is accepted."""
    assert api.get("balance", headers={"Content-Type": "application/json"}).status_code == 200


def test_the_webhook_secret_is_stable(api: Api) -> None:
    """The webhook secret is the same at every call and differs between accounts.

    It consists of `whsec_` and 44 characters of base64.
    """
    first, again = exact(api.get("webhook/secret")), exact(api.get("webhook/secret"))
    other = exact(api.of("second").get("/api/v3/webhook/secret"))

    assert first == again
    assert first != other
    assert first["secret"].startswith("whsec_")
    assert len(first["secret"]) == 6 + 44


# Models ------------------------------------------------------------------------------------------


def test_models_are_a_bare_array(api: Api) -> None:
    """The model list shows both models with their schemas, and ignores paging and search."""
    listed = exact(api.get("models?page=2&size=1&search=nothing"))
    by_id = {model["model_id"]: model for model in listed}
    schema = by_id[UPSCALER]["api_schema"]["api_schemas"][0]

    assert list(by_id) == [UPSCALER, UPSCALE_V1]
    assert {m["type"] for m in listed} == {"upscaler"}
    assert [m["base_price"] for m in listed] == [Decimal("0.025"), Decimal("0.02")]
    assert all(m["name"] == m["model_id"] and m["description"] and m["formula"] for m in listed)
    assert schema["server"] + schema["api_path"] == f"http://upsim.test/wavespeed/api/v3/{UPSCALER}"
    assert (schema["type"], schema["method"]) == ("model_run", "POST")


def test_a_request_schema_states_the_parameters(api: Api) -> None:
    """The request schema of a model has the documented types, defaults and allowed values."""
    first, second = (
        model["api_schema"]["api_schemas"][0]["request_schema"]
        for model in exact(api.get("models"))
    )
    described = first["properties"]

    assert first["required"] == second["required"] == ["video"]
    assert first["additionalProperties"] is False
    assert first["x-order-properties"] == ["video", "target_resolution", "copy_audio"]
    assert second["x-order-properties"] == ["video"]
    assert all(shape.pop("description") for shape in described.values())
    assert described == {
        "video": {"type": "string", "x-ui-component": "uploader"},
        "target_resolution": {
            "type": "string",
            "enum": ["720p", "1080p", "2k", "4k"],
            "default": "1080p",
        },
        "copy_audio": {"type": "boolean", "default": True},
    }


# Quotes ------------------------------------------------------------------------------------------


def test_both_quotes_have_their_shape(api: Api) -> None:
    """The current quote call returns a discount, the older call a unit price; both are free."""
    body = {"model_id": UPSCALER, "inputs": {"video": VIDEO}}

    assert exact(api.post("model/price", body)) == {
        "model_id": UPSCALER,
        "price": Decimal("0.06"),
        "discounted_price": Decimal("0.06"),
        "discount_rate": 100,
        "currency": "USD",
    }
    assert exact(api.post("model/pricing", body)) == {
        "model_id": UPSCALER,
        "unit_price": Decimal("0.06"),
        "currency": "USD",
    }
    assert api.kinds == []
    assert not api.sim.sandbox.state.jobs


@pytest.mark.parametrize("row", PUBLISHED["worked"], ids=lambda row: row["published"])
def test_a_quote_is_what_a_submit_charges(start: Start, row: dict[str, Any]) -> None:
    """A quote and a submit measure the same video, so both give the same price."""
    api = start(media={"https://clips.example/*": row["seconds"]})
    inputs = {"video": VIDEO} | {k: row[k] for k in ("target_resolution",) if k in row}
    quoted = exact(api.post("model/price", {"model_id": row["model"], "inputs": inputs}))["price"]
    api.submit(row["model"], **inputs)

    assert Decimal(row["usd"]) == quoted == 100 - api.balance


def test_a_quote_measures_clips(api: Api) -> None:
    """A quote for a clip that is not measured yet uses the real length of the clip."""
    clip = "http://upsim.test/media/synthetic/64x64_10fps_7s.mp4"
    body = {"model_id": UPSCALE_V1, "inputs": {"video": clip}}

    assert exact(api.post("model/pricing", body))["unit_price"] == Decimal("0.14")


@pytest.mark.parametrize(
    "inputs", [{}, {"video": ""}, {"video": None}, {"target_resolution": "4k"}]
)
@pytest.mark.parametrize(("model", "price"), [(UPSCALER, "0.025"), (UPSCALE_V1, "0.02")])
def test_a_quote_without_a_video_is_the_base_price(
    api: Api, model: str, price: str, inputs: dict[str, object]
) -> None:
    """A quote with empty or partial inputs returns the base price of the model's page."""
    quoted = exact(api.post("model/price", {"model_id": model, "inputs": inputs}))

    assert Decimal(price) == quoted["price"] == quoted["discounted_price"]


@pytest.mark.parametrize("price", ["0.02", "0.10", "0.11"])
def test_the_base_price_of_upscale_v1_is_a_knob(start: Start, price: str) -> None:
    """With the knob, the model list and empty quotes show a different base price."""
    api = start(base_price=price)
    quoted = exact(api.post("model/pricing", {"model_id": UPSCALE_V1, "inputs": {}}))
    listed = exact(api.get("models"))[1]

    assert Decimal(price) == quoted["unit_price"] == listed["base_price"]


def test_a_quote_for_an_unavailable_video_is_the_minimum(start: Start) -> None:
    """If the video cannot be fetched, a quote returns the minimum charge, as a submit would."""
    api = start(media={"https://clips.example/*": "unreachable"})
    quoted = exact(api.post("model/price", {"model_id": UPSCALE_V1, "inputs": {"video": VIDEO}}))

    assert quoted["price"] == Decimal("0.1")


@pytest.mark.parametrize("path", ["model/price", "model/pricing"])
@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, 'property "model_id" is missing'),
        ({"model_id": 1, "inputs": {}}, 400, "model_id must be a string"),
        ({"model_id": "x"}, 400, 'property "inputs" is missing'),
        ({"model_id": "x", "inputs": []}, 400, "inputs must be an object"),
        ({"model_id": "x", "inputs": {}}, 404, "model not found"),
        ({"model_id": UPSCALER, "inputs": {"video": 1}}, 400, "video must be a string"),
        (
            {"model_id": UPSCALER, "inputs": {"target_resolution": "8k"}},
            400,
            "target_resolution must be one of 720p, 1080p, 2k, 4k",
        ),
        (
            {"model_id": UPSCALER, "inputs": {"video": "https://clips.example/long"}},
            400,
            "video duration exceeds 600 seconds",
        ),
    ],
)
def test_bad_quotes_are_refused_in_order(
    start: Start, path: str, body: dict[str, object], status: int, text: str
) -> None:
    """A quote request is checked in order: its envelope, its model, then its inputs."""
    api = start(media={"https://clips.example/long": "601"})

    assert refusal(api.post(path, body)) == (status, text)
