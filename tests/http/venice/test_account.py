"""The account endpoints are views of the ledger; the list of models is public."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

MODEL = "topaz-video-upscale"
HISTORY = "billing/usage-history"
START = "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("balance", "usd", "can_consume"),
    [
        ("42.37", Decimal("42.37"), True),
        ("0.10", Decimal("0.1"), True),
        ("0.09", Decimal("0.09"), False),
        ("0", None, False),
    ],
)
def test_balance_shows_the_usable_amount(
    balance: str,
    usd: Decimal | None,
    can_consume: bool,  # noqa: FBT001 - a table
    make: Callable[..., "Venice"],
) -> None:
    """Spending is possible from 0.10; a balance that is not positive is null."""
    answer = make(balance=balance).get("billing/balance")
    shown = answer.json(parse_float=Decimal)

    assert answer.status_code == 200
    assert shown == {
        "canConsume": can_consume,
        "consumptionCurrency": "USD" if usd else None,
        "balances": {"diem": None, "usd": usd},
        "diemEpochAllocation": 0,
    }


def test_balance_follows_the_ledger(venice: "Venice") -> None:
    """A charge and its refund change the balance immediately."""
    queue_id = venice.queued()
    charged = venice.get("billing/balance").json()["balances"]["usd"]
    venice.fail(queue_id)

    assert (charged, venice.get("billing/balance").json()["balances"]["usd"]) == (99, 100)


def test_rate_limits_has_all_six_keys(venice: "Venice") -> None:
    """Video models report an empty list, and the next epoch begins at midnight UTC."""
    venice.advance(3600)

    assert venice.get("api_keys/rate_limits").json() == {
        "data": {
            "accessPermitted": True,
            "apiTier": {"id": "paid", "isCharged": True},
            "balances": {"USD": 100, "DIEM": 0},
            "keyExpiration": None,
            "nextEpochBegins": "2026-01-02T00:00:00.000Z",
            "rateLimits": [{"apiModelId": MODEL, "rateLimits": []}],
        }
    }


def test_rate_limits_says_when_access_is_not_permitted(venice: "Venice") -> None:
    """A blocked account can still read its rate limits."""
    answer = venice.on_plan("blocked").get("api_keys/rate_limits")

    assert answer.json()["data"]["accessPermitted"] is False


@pytest.mark.parametrize(
    ("params", "kind"), [({}, "all"), ({"type": "all"}, "all"), ({"type": "video"}, "video")]
)
def test_models_lists_this_model_without_a_key(
    params: dict[str, str], kind: str, venice: "Venice"
) -> None:
    """The entry is the published one; a video model has no pricing, and durations has Auto."""
    answer = venice.request("GET", "models", params=params, headers={"authorization": None})

    assert answer.json() == {
        "object": "list",
        "type": kind,
        "data": [
            {
                "id": MODEL,
                "object": "model",
                "owned_by": "venice.ai",
                "type": "video",
                "created": 1775174400,
                "model_spec": {
                    "name": "Topaz Video Upscale",
                    "privacy": "anonymized",
                    "offline": False,
                    "traits": [],
                    "model_sets": ["high_resolution", "ultra_high_resolution"],
                    "constraints": {
                        "model_type": "video",
                        "aspect_ratios": [],
                        "resolutions": ["2x", "4x"],
                        "durations": ["Auto"],
                        "audio": False,
                        "audio_configurable": False,
                        "audio_input": False,
                        "video_input": True,
                    },
                },
            }
        ],
    }


@pytest.mark.parametrize("kind", ["upscale", "text", "image"])
def test_other_types_of_models_are_empty(kind: str, venice: "Venice") -> None:
    """The type `upscale` is for images, so its list is empty."""
    assert venice.get("models", type=kind).json() == {"object": "list", "type": kind, "data": []}


def test_an_unknown_type_of_models_is_refused(venice: "Venice") -> None:
    """An unknown type is a 400 that names the known types."""
    answer = venice.get("models", type="bogus")
    message = answer.json()["issues"][0]["message"]

    assert answer.status_code == 400
    assert message.startswith("Invalid enum value. Expected 'all' | ")
    assert message.endswith("received 'bogus'")


@pytest.mark.parametrize("headers", [{}, {"authorization": None}], ids=["key", "no key"])
def test_billing_usage_is_gone(headers: dict[str, Any], venice: "Venice") -> None:
    """The retired endpoint is always a 410 that names its successor."""
    answer = venice.request("GET", "billing/usage", headers=headers)

    assert answer.status_code == 410
    assert "/billing/usage-history" in answer.json()["error"]
    assert 'rel="successor-version"' in answer.headers["link"]
    assert answer.headers["sunset"] == "Wed, 16 Sep 2026 00:00:00 GMT"


def test_history_has_a_row_for_each_entry(venice: "Venice") -> None:
    """A charge is negative and its refund positive, both with quantity and rate."""
    queue_id = venice.queued(venice.clip("854x480_60fps_2s.mp4"))
    venice.advance(5)
    venice.fail(queue_id)
    lines = venice.get(HISTORY).json(parse_float=Decimal)["data"]
    details = {"requestId": queue_id, "promptTokens": None, "completionTokens": None}

    assert lines == [
        {
            "timestamp": at,
            "sku": "topaz-video-upscale-1080p-second",
            "units": 2,
            "pricePerUnitUsd": Decimal("0.05"),
            "amount": amount,
            "currency": "USD",
            "notes": notes,
            "inferenceDetails": {**details, "inferenceExecutionTime": 5000},
        }
        for at, amount, notes in [
            (START, Decimal("-0.1"), "API Inference"),
            ("2026-01-01T00:00:05.000Z", Decimal("0.1"), "API Inference Refund"),
        ]
    ]


def test_history_shows_other_entries(venice: "Venice") -> None:
    """A top-up has no inference details."""
    venice.sandbox.money.post(venice.account, "top_up", Decimal("5.5"))
    (line,) = venice.get(HISTORY).json()["data"]

    assert (line["sku"], line["units"], line["pricePerUnitUsd"]) == ("top_up", 1, 5.5)
    assert (line["amount"], line["inferenceDetails"]) == (5.5, None)


def test_an_unfinished_job_has_no_execution_time(venice: "Venice") -> None:
    """The execution time is known once the job has ended."""
    venice.queued()
    (line,) = venice.get(HISTORY).json()["data"]

    assert line["inferenceDetails"]["inferenceExecutionTime"] is None


def test_history_has_pages(venice: "Venice") -> None:
    """The cursor continues at the end of the page, even if new rows were added."""
    ids = [venice.queued() for _ in range(25)]
    page = venice.get(HISTORY, pageSize="10").json()
    seen = page["data"]
    ids.append(venice.queued())
    while page["nextCursor"] is not None:
        page = venice.get(HISTORY, cursor=page["nextCursor"]).json()
        seen += page["data"]
        assert len(page["data"]) <= 10

    assert [line["inferenceDetails"]["requestId"] for line in seen] == ids


def test_a_full_last_page_has_no_cursor(venice: "Venice") -> None:
    """A history with exactly one page of rows has no cursor."""
    for _ in range(10):
        venice.queued()

    assert venice.get(HISTORY, pageSize="10").json()["nextCursor"] is None


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, [0, 1, 2]),
        ({"startTimestamp": "2026-01-01T00:01:00Z"}, [1, 2]),
        ({"endTimestamp": "2026-01-01T00:01:00Z"}, [0]),
        ({"startTimestamp": START, "endTimestamp": "2026-01-01T00:02:00.000Z"}, [0, 1]),
        ({"currency": "USD"}, [0, 1, 2]),
        ({"currency": "DIEM"}, []),
        ({"currency": "BUNDLED_CREDITS"}, []),
        ({"pageSize": "1000"}, [0, 1, 2]),
    ],
    ids=str,
)
def test_history_can_be_filtered(
    params: dict[str, str], found: list[int], venice: "Venice"
) -> None:
    """The lower bound is inclusive, and the upper bound exclusive."""
    ids = []
    for _ in range(3):
        ids.append(venice.queued())
        venice.advance(60)
    lines = venice.get(HISTORY, **params).json()["data"]

    assert [line["inferenceDetails"]["requestId"] for line in lines] == [ids[i] for i in found]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"page": "1"}, "page"),
        ({"startTimestamp": "yesterday"}, "startTimestamp"),
        ({"startTimestamp": "nonsenseZ"}, "startTimestamp"),
        ({"startTimestamp": "2026-01-01T00:00:00"}, "startTimestamp"),
        ({"startTimestamp": "2026-01-01T00:00:00+01:00"}, "startTimestamp"),
        ({"startTimestamp": f"2026-01-01T00:00:00.{'0' * 30}Z"}, "startTimestamp"),
        ({"endTimestamp": ""}, "endTimestamp"),
        ({"startTimestamp": START, "endTimestamp": START}, "endTimestamp"),
        ({"currency": "VCU"}, "currency"),
        ({"currency": "usd"}, "currency"),
        ({"pageSize": "9"}, "pageSize"),
        ({"pageSize": "1001"}, "pageSize"),
        ({"pageSize": "ten"}, "pageSize"),
        ({"pageSize": "-10"}, "pageSize"),
        ({"cursor": "abc", "pageSize": "10"}, "cursor"),
    ],
    ids=str,
)
def test_a_wrong_filter_is_refused(params: dict[str, str], field: str, venice: "Venice") -> None:
    """Unknown parameters, invalid values, and a cursor with a filter are a 400."""
    answer = venice.get(HISTORY, **params)

    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid request parameters")
    assert answer.json()["issues"][0]["path"] == [field]


def test_a_cursor_is_sealed(venice: "Venice") -> None:
    """A changed or invented cursor, or one of another account, is refused."""
    for _ in range(11):
        venice.queued()
    cursor = venice.get(HISTORY, pageSize="10").json()["nextCursor"]
    other = venice.second_key()
    wrong = ["", "abc", "abcde", "not base64!", cursor[:-2] + "AA", "A" + cursor[1:], "x" * 600]
    answers = [venice.get(HISTORY, cursor=text) for text in wrong]
    answers.append(other.get(HISTORY, cursor=cursor))
    expected = {"error": "Invalid or expired cursor; restart from the first page"}

    assert [(a.status_code, a.json()) for a in answers] == [(400, expected)] * len(answers)
    assert venice.get(HISTORY, cursor=cursor).is_success


@pytest.mark.parametrize("path", ["billing/balance", HISTORY, "api_keys/rate_limits"])
def test_account_endpoints_need_a_key(path: str, venice: "Venice") -> None:
    """A missing key, another scheme and an unissued key are a 401."""
    wrong = [None, "", "Basic abc", "Bearer", "Bearer VENICE_INFERENCE_KEY_none", "Bearer x"]
    answers = [
        venice.request("GET", path, headers={"authorization": text}, by_path=True) for text in wrong
    ]
    seen = [(answer.status_code, answer.json()) for answer in answers]

    assert seen == [(401, {"error": "Authentication failed"})] * len(wrong)


@pytest.mark.parametrize("path", ["billing/balance", HISTORY])
def test_live_billing_needs_an_admin_key(path: str, live: "Venice") -> None:
    """An inference key is a 401, and a key with the prefix of admin keys is accepted."""
    refused = live.get(path)
    key = live.sim.registry.issue_key(
        live.sandbox, "venice", owner="main", key=f"VENICE_ADMIN_KEY_{live.sandbox.id}"
    )
    admin = live.with_key(key)

    assert (refused.status_code, refused.json()) == (401, {"error": "Admin API key required"})
    assert admin.get(path).status_code == 200
    assert live.get("api_keys/rate_limits").status_code == 200


def test_accounts_of_one_sandbox_are_separate(venice: "Venice") -> None:
    """Another account neither pays for the job nor sees it."""
    venice.queued()
    other = venice.second_key()

    assert other.get("billing/balance").json()["balances"]["usd"] == 100
    assert other.get(HISTORY).json()["data"] == []
