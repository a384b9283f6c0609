"""Submitting a task: the answer, the price, and every refusal in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and text of an error envelope, which has no data."""
    body = answer.json()
    assert set(body) <= {"code", "message", "error_code"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["message"]


# The answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [UPSCALER, UPSCALE_V1])
def test_a_submit_response_has_every_field(api: Api, model: str) -> None:
    """The response to a submit has exactly the documented fields, with the right types."""
    answer = api.post(model, {"video": VIDEO})
    body = answer.json()
    task = body["data"]["id"]

    assert answer.status_code == 200
    assert body == {
        "code": 200,
        "message": "success",
        "data": {
            "id": task,
            "model": model,
            "outputs": [],
            "urls": {"get": f"http://upsim.test/wavespeed/api/v3/predictions/{task}/result"},
            "has_nsfw_contents": [],
            "status": "created",
            "created_at": "2026-01-01T00:00:00.000Z",
            "error": "",
            "executionTime": 0,
            "timings": {"inference": 0},
        },
    }
    assert len(task) == 32
    assert set(task) <= set("0123456789abcdef")


def test_every_submit_makes_and_bills_a_new_task(api: Api) -> None:
    """Two submits with the same body create two tasks and two charges."""
    first, second = api.submit(), api.submit()

    assert first["id"] != second["id"]
    assert api.kinds == ["charge", "charge"]
    assert Decimal("99.88") == api.balance


@pytest.mark.parametrize(
    "body",
    [
        {"target_resolution": "4k", "copy_audio": False},
        {"target_resolution": None, "copy_audio": None, "enable_sync_mode": None},
        {"enable_base64_output": True, "model": UPSCALER, "webhook_url": 7, "anything": [1]},
        {"enable_sync_mode": False},
    ],
)
def test_optional_unknown_and_null_keys_are_accepted(api: Api, body: dict[str, Any]) -> None:
    """A submit may set parameters to null, and unknown keys are ignored."""
    assert api.submit(**body)["status"] == "created"


def test_content_type_and_client_headers_do_not_matter(api: Api) -> None:
    """The server reads JSON with any content type and ignores attribution headers."""
    answer = api.http.post(
        f"/api/v3/{UPSCALER}",
        content=b'{"video": "https://clips.example/12.mp4"}',
        headers={"Content-Type": "text/plain", "X-Client-Name": "t", "X-Client-OS": "linux"},
    )

    assert answer.status_code == 200


def test_the_old_prefix_is_the_same_api(api: Api) -> None:
    """Requests to `/api/v2` work as version 3, and the responses link to version 3."""
    answer = api.http.post(f"/api/v2/{UPSCALER}", json={"video": VIDEO}).json()["data"]
    again = api.http.get(f"/api/v2/predictions/{answer['id']}/result").json()["data"]

    assert "/api/v3/predictions/" in answer["urls"]["get"]
    assert again == answer


@pytest.mark.parametrize(
    ("dialect", "created_at"),
    [("", "2026-01-01T00:00:00.000Z"), ("live", "2026-01-01T00:00:00.000000000Z")],
)
def test_times_have_the_digits_of_their_dialect(
    start: Start, dialect: str, created_at: str
) -> None:
    """`created_at` has three or nine fractional digits, depending on the dialect."""
    assert start(dialect=dialect).submit()["created_at"] == created_at


def test_the_webhook_is_recorded_with_the_secret(api: Api) -> None:
    """The server stores the `?webhook=` URL, raw or encoded, with the secret of the key."""
    secret = api.get("webhook/secret").json()["data"]["secret"]
    path = f"/api/v3/{UPSCALER}?webhook=http://127.0.0.1:9/hook?a=1&b=2"
    task = api.http.post(path, json={"video": VIDEO}).json()["data"]["id"]
    webhook = api.sim.sandbox.state.jobs[task].accepted.webhook

    assert webhook is not None
    assert (webhook.url, webhook.secret) == ("http://127.0.0.1:9/hook?a=1", secret)


# Prices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", PUBLISHED["worked"], ids=lambda row: row["published"])
def test_the_ledger_shows_the_published_price(start: Start, row: dict[str, Any]) -> None:
    """Each worked example of the pages is charged to the last digit."""
    api = start(media={"https://clips.example/*": row["seconds"]})
    chosen = {k: row[k] for k in ("target_resolution",) if k in row}
    api.submit(row["model"], **chosen)

    assert Decimal(row["usd"]) == 100 - api.balance


@pytest.mark.parametrize("length_limit", ["raw", "rounded", "clamp"])
@pytest.mark.parametrize(("model", "side"), [(UPSCALER, "up"), (UPSCALE_V1, "down")])
@pytest.mark.parametrize("row", PUBLISHED["limits"], ids=lambda row: row["seconds"])
def test_the_length_limit_is_read_in_one_of_three_ways(
    start: Start, row: dict[str, Any], model: str, side: str, length_limit: str
) -> None:
    """A knob sets how the 600 s limit applies: exact length, rounded length or only the price."""
    api = start(media={"https://clips.example/*": row["seconds"]}, length_limit=length_limit)
    answer = api.post(model, {"video": VIDEO})
    price = row[length_limit][side]

    if price is None:
        assert refusal(answer) == (400, "video duration exceeds 600 seconds")
        assert api.kinds == []
    else:
        assert Decimal(price) == 100 - api.balance


@pytest.mark.parametrize(
    ("minimum", "seconds", "price", "other"),
    [
        ("5", "2", "0.025", "0.10"),
        ("3", "2", "0.015", "0.10"),
        ("3", "4", "0.02", "0.10"),
        ("3", "12", "0.06", "0.24"),
    ],
)
def test_the_billed_minimum_of_the_first_model_is_a_knob(
    start: Start, minimum: str, seconds: str, price: str, other: str
) -> None:
    """With the knob, the first model bills at least 3 seconds; the second model still bills 5."""
    api = start(media={"https://clips.example/*": seconds}, minimum_seconds=minimum)
    api.submit(UPSCALER)
    first = 100 - api.balance
    api.submit(UPSCALE_V1)

    assert Decimal(price) == first
    assert Decimal(other) == 100 - first - api.balance


def test_a_measured_clip_is_billed_by_its_own_length(api: Api) -> None:
    """The server measures a clip of the simulator: its 6 seconds cost 0.03 and 0.12."""
    clip = "http://upsim.test/media/synthetic/320x240_10fps_6s.mp4"
    api.submit(video=clip)
    api.submit(UPSCALE_V1, video=clip)

    assert Decimal("99.85") == api.balance


def test_a_balance_of_exactly_the_price_suffices(start: Start) -> None:
    """A balance of exactly the price pays for one task; the next submit is refused."""
    api = start(account={"balance": "0.06"})
    api.submit()

    assert api.balance == 0
    assert refusal(api.post(UPSCALER, {"video": VIDEO})) == (
        400,
        "Insufficient credits. Please top up.",
    )
    assert api.kinds == ["charge"]


# Refusals ----------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """A submit in the making: each violation changes something about it."""

    model: str = UPSCALER
    body: dict[str, object] = field(default_factory=lambda: {"video": VIDEO})
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    plan: str = "unlimited"
    poor: bool = False

    def send(self, api: Api) -> httpx.Response:
        """Bring the account into its state, and submit."""
        sandbox = api.sim.sandbox
        sandbox.accounts.set_plan(api.account, self.plan)
        if self.plan == "bronze":
            for _ in range(5):
                api.submit()
        if self.poor:
            sandbox.money.post(api.account, "adjustment", Decimal("0.01") - api.balance)
        path = f"/api/v3/{self.model}"
        if self.raw is not None:
            return api.http.post(path, content=self.raw, headers=self.headers)
        return api.http.post(path, json=self.body, headers=self.headers)


def change(**values: object) -> Callable[[Attempt], None]:
    """Return a violation that sets fields of the attempt."""

    def apply(attempt: Attempt) -> None:
        for name, value in values.items():
            setattr(attempt, name, value)

    return apply


def put(**values: object) -> Callable[[Attempt], None]:
    """Return a violation that sets keys of the body."""
    return lambda attempt: attempt.body.update(values)


INVALID = "invalid authentication"
ALLOWED = "video, target_resolution, copy_audio"
TARGETS = "720p, 1080p, 2k, 4k"
LONG = "https://clips.example/long"
WIDE = "https://clips.example/wide"
IN_ORDER: list[tuple[str, Callable[[Attempt], None], int, str]] = [
    ("no key", change(headers={"Authorization": ""}), 401, INVALID),
    ("suspended", change(plan="suspended"), 403, "account is suspended"),
    ("model", change(model="wavespeed-ai/video-upscaler-pro"), 404, "model not found"),
    ("size", change(raw=b" " * 1_048_577), 413, "request body is larger than 1048576 bytes"),
    ("not JSON", change(raw=b"{"), 400, "the request body is not valid JSON"),
    ("array", change(raw=b"[]"), 400, "the request body must be a JSON object, not array"),
    ("video", put(video=""), 400, 'property "video" is missing'),
    ("key", put(fps=60), 400, f"only these properties are allowed: {ALLOWED}"),
    ("null", put(enable_base64_output=None), 400, "enable_base64_output must not be null"),
    ("choice", put(target_resolution="8k"), 400, f"target_resolution must be one of {TARGETS}"),
    ("type", put(copy_audio="yes"), 400, "copy_audio must be a boolean"),
    ("sync", put(enable_sync_mode=1), 400, "enable_sync_mode must be a boolean"),
    ("rate", change(plan="bronze"), 429, "Too Many Requests"),
    ("length", put(video=LONG), 400, "video duration exceeds 600 seconds"),
    ("side", put(video=WIDE), 400, "the output would be larger than 16384 pixels a side"),
    ("funds", change(poor=True), 400, "Insufficient credits. Please top up."),
]
PAIRS = [
    pytest.param(first, second, id=f"{first[0]} before {second[0]}")
    for i, first in enumerate(IN_ORDER)
    for second in IN_ORDER[i + 1 :]
    if not {first[0], second[0]} <= {"length", "side"}
]
MEDIA = {
    "media": [
        {"url": LONG, "duration": "600.4"},
        {"url": WIDE, "duration": "6", "size": "4000x100"},
    ]
}


@pytest.mark.parametrize("row", IN_ORDER, ids=lambda row: row[0])
def test_each_refusal_has_its_status_and_text(
    start: Start, row: tuple[str, Callable[[Attempt], None], int, str]
) -> None:
    """Each kind of invalid request has its own status and text, and nothing is charged."""
    _, spoil, status, text = row
    api = start(more=MEDIA, unknown_keys="refuse")
    api.get("balance")
    attempt = Attempt()
    spoil(attempt)
    answer = attempt.send(api)

    assert (status, text) == refusal(answer)
    assert len(api.sim.sandbox.state.jobs) == (5 if attempt.plan == "bronze" else 0)
    assert api.kinds.count("charge") == len(api.sim.sandbox.state.jobs)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_first_failed_check_decides_the_error(
    start: Start,
    first: tuple[str, Callable[[Attempt], None], int, str],
    second: tuple[str, Callable[[Attempt], None], int, str],
) -> None:
    """If a request has two mistakes, the response reports the one that is checked first."""
    api = start(more=MEDIA, unknown_keys="refuse")
    api.get("balance")
    attempt = Attempt()
    second[1](attempt)
    first[1](attempt)

    assert first[2:] == refusal(attempt.send(api))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, 'property "video" is missing'),
        ({"target_resolution": "1080p", "copy_audio": True}, 'property "video" is missing'),
        ({"video": None}, 'property "video" is missing'),
        ({"video": 7}, "video must be a string"),
        ({"video": [VIDEO]}, "video must be a string"),
        ({"video": VIDEO, "target_resolution": 1080}, "target_resolution must be a string"),
        (
            {"video": VIDEO, "target_resolution": "2K"},
            "target_resolution must be one of 720p, 1080p, 2k, 4k",
        ),
        (
            {"video": VIDEO, "target_resolution": ""},
            "target_resolution must be one of 720p, 1080p, 2k, 4k",
        ),
        ({"video": VIDEO, "copy_audio": "true"}, "copy_audio must be a boolean"),
        ({"video": VIDEO, "copy_audio": 1}, "copy_audio must be a boolean"),
    ],
)
def test_bad_bodies_name_the_property(api: Api, body: dict[str, object], text: str) -> None:
    """A missing video, a wrong type or a value outside the list gets a 400 with a text."""
    assert refusal(api.post(UPSCALER, body)) == (400, text)
    assert api.kinds == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b'{"video": "\\ud800"}',
        b'{"video": NaN}',
        b'{"video": 1e999}',
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b"[" * 100_000,
        b"video=https%3A%2F%2Fclips.example",
    ],
    ids=["empty", "utf-8", "surrogate", "nan", "infinite", "deep", "deeper", "form"],
)
def test_a_body_that_is_not_json_gets_a_400(api: Api, raw: bytes) -> None:
    """A submit whose body is not valid JSON gets a 400, never a 500."""
    answer = api.http.post(f"/api/v3/{UPSCALER}", content=raw)

    assert refusal(answer) == (400, "the request body is not valid JSON")


def test_a_400_digit_number_is_a_wrong_type(api: Api) -> None:
    """If `video` is a number with 400 digits, the submit is refused for its wrong type."""
    answer = api.http.post(f"/api/v3/{UPSCALER}", content=b'{"video": ' + b"9" * 400 + b"}")

    assert refusal(answer) == (400, "video must be a string")


@pytest.mark.parametrize("model", [UPSCALER + "-pro", "x", "a/b/c", "predictions/x/y", "account"])
def test_other_models_are_unknown(api: Api, model: str) -> None:
    """The flagship model and all other model ids are refused as unknown models."""
    assert refusal(api.post(model, {"video": VIDEO})) == (404, "model not found")


# Knobs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["2K", "2k", "4K", "1080P"])
def test_the_resolution_may_be_read_without_case(start: Start, written: str) -> None:
    """With the knob `resolution_case`, resolutions written as in the price table are accepted."""
    api = start(resolution_case="any")
    task = api.submit(target_resolution=written)["id"]

    assert api.sim.sandbox.state.jobs[task].accepted.options["target_resolution"] == written.lower()


def test_strict_keys_still_allow_platform_parameters(start: Start) -> None:
    """If unknown body keys are refused, the platform's own keys are still accepted."""
    api = start(unknown_keys="refuse")

    assert api.submit(enable_sync_mode=False, enable_base64_output=False, webhook_url="http://h")


@pytest.mark.parametrize(
    ("value", "expected"), [("http://h/p", "http://h/p"), ("", None), (None, None)]
)
def test_the_body_key_of_a_webhook_is_a_knob(
    start: Start, value: str | None, expected: str | None
) -> None:
    """With the knob `webhook_key`, the server uses `webhook_url` from the body."""
    api = start(webhook_key="body")
    webhook = api.sim.sandbox.state.jobs[api.submit(webhook_url=value)["id"]].accepted.webhook

    assert expected == (webhook.url if webhook else None)


def test_a_webhook_url_in_the_body_must_be_a_string(start: Start) -> None:
    """With the knob `webhook_key`, a `webhook_url` that is not a string is refused."""
    answer = start(webhook_key="body").post(UPSCALER, {"video": VIDEO, "webhook_url": 7})

    assert refusal(answer) == (400, "webhook_url must be a string")


def test_short_funds_may_be_402(start: Start) -> None:
    """With the knob, a submit with too low a balance gets a 402 with the same text."""
    api = start(account={"balance": "0"}, funds_refusal="402")

    assert refusal(api.post(UPSCALER, {"video": VIDEO})) == (
        402,
        "Insufficient credits. Please top up.",
    )


def test_short_funds_may_fail_the_task_instead(start: Start) -> None:
    """With the knob, a task that the balance cannot pay is accepted and fails with 1407.

    A task that can be paid does not fail.
    """
    api = start(account={"balance": "0.06"}, funds_refusal="task")
    paid, unpaid = api.submit()["id"], api.submit()["id"]
    ended = api.finish(unpaid)

    assert (ended["status"], ended["code"]) == ("failed", 1407)
    assert ended["error"] == "Insufficient credits. Please top up."
    assert api.result(paid)["status"] == "completed"
    assert api.balance == 0
    rows = api.post("billings/search", {"page": 1, "page_size": 10}).json()["data"]
    assert [row["prediction"]["uuid"] for row in rows["items"]] == [paid]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"{", "the request body is not valid JSON"),
        (b"[]", "the request body must be a JSON object, not array"),
        (b"{}", 'property "video" is missing'),
    ],
)
def test_validation_may_return_422(start: Start, raw: bytes, text: str) -> None:
    """With the knob `validation_status`, validation errors have status 422 and the same texts."""
    answer = start(validation_status="422").http.post(f"/api/v3/{UPSCALER}", content=raw)

    assert refusal(answer) == (422, text)


@pytest.mark.parametrize(("knob", "status"), [("last", 200), ("refuse", 400)])
def test_a_repeated_key_is_a_knob(start: Start, knob: str, status: int) -> None:
    """If a JSON key appears twice, a knob decides: the last value wins or the body is refused."""
    raw = b'{"video": 7, "video": "https://clips.example/12.mp4"}'

    assert (
        start(duplicate_keys=knob).http.post(f"/api/v3/{UPSCALER}", content=raw).status_code
        == status
    )


@pytest.mark.parametrize("shown", ["created", "processing"])
def test_the_first_status_is_a_knob(start: Start, shown: str) -> None:
    """With the knob, a new task starts in `processing`; its work still begins after a second."""
    api = start(first_status=shown)
    task = api.submit()

    assert task["status"] == shown
    api.sim.advance(1)
    assert api.result(task["id"])["status"] == "processing"
