"""Rate limits and the error budget, which scenarios put in place."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

QUOTE = {"duration": "10"}
LOCKED_OUT = (
    "Too many failed attempts (> 20) resulting in a non-success status code. "
    "Please wait 30s and try again."
)
LOCKED_OUT_LIVE = (
    "Too many failed attempts (> 50) resulting in a non-success status code. "
    "Please wait 30 seconds and try again. "
    "See https://docs.venice.ai/api-reference/rate-limiting for more information."
)


def use_up(venice: "Venice", operation: str, times: int) -> list[int]:
    """Send so many good requests and return their statuses."""
    queue_id = venice.queued() if operation == "retrieve" else ""
    send: Callable[[], object] = {
        "queue": lambda: venice.queue().status_code,
        "retrieve": lambda: venice.retrieve(queue_id).status_code,
        "quote": lambda: venice.quote(**QUOTE).status_code,
    }[operation]
    return [int(str(send())) for _ in range(times)]


@pytest.mark.parametrize(("operation", "limit"), [("queue", 40), ("retrieve", 120), ("quote", 40)])
def test_each_operation_has_a_limit_a_minute(operation: str, limit: int, venice: "Venice") -> None:
    """One request above the limit is a 429 until the window ends."""
    venice.on_plan("limited")
    seen = use_up(venice, operation, limit + 1)
    venice.advance(60)

    assert seen == [200] * limit + [429]
    assert use_up(venice, operation, 1) == [200]


def test_limits_of_operations_are_separate(venice: "Venice") -> None:
    """A used limit of one operation leaves the limits of other operations."""
    venice.on_plan("limited")
    use_up(venice, "quote", 41)

    assert use_up(venice, "queue", 1) == [200]
    assert venice.complete("x").status_code == 400
    assert venice.get("billing/balance").status_code == 200


def test_headers_show_the_state_of_the_limit(venice: "Venice") -> None:
    """The headers have limit, remaining and reset in Unix milliseconds; a 429 names the limit."""
    venice.on_plan("limited")
    venice.advance(10)
    first = venice.quote(**QUOTE)
    use_up(venice, "quote", 39)
    last = venice.quote(**QUOTE)
    shown = [
        {k: v for k, v in answer.headers.items() if k.startswith("x-ratelimit")}
        for answer in (first, last)
    ]
    reset = str(1_767_225_660_000)

    assert shown[0] == {
        "x-ratelimit-limit-requests": "40",
        "x-ratelimit-remaining-requests": "39",
        "x-ratelimit-reset-requests": reset,
    }
    assert (last.status_code, last.json()) == (429, {"error": "Rate limit exceeded"})
    assert shown[1] == {
        "x-ratelimit-limit-requests": "40",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": reset,
        "x-ratelimit-type": "api_key",
    }


def test_without_a_limit_there_are_no_such_headers(venice: "Venice") -> None:
    """An account without limits gets no rate-limit headers."""
    answer = venice.queue()

    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_unlimited_operations_have_no_such_headers(venice: "Venice") -> None:
    """On a limited plan, the account endpoints have no rate-limit headers."""
    answer = venice.on_plan("limited").get("billing/balance")

    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_a_refused_request_counts(venice: "Venice") -> None:
    """A request that breaks a rule counts for the limit as well."""
    venice.on_plan("limited")
    seen = [venice.queue(upscale_factor=3).status_code for _ in range(41)]

    assert seen == [400] * 40 + [429]


@pytest.mark.parametrize(
    ("plan", "dialect", "limit", "text"),
    [
        ("error_budget", "", 20, LOCKED_OUT),
        ("error_budget_live", "live", 50, LOCKED_OUT_LIVE),
    ],
)
def test_too_many_failures_lock_the_key(
    plan: str, dialect: str, limit: int, text: str, venice: "Venice"
) -> None:
    """After too many failures in 30 s, every request is a 429 until the window ends."""
    venice.under(dialect).on_plan(plan)
    venice = venice.under(dialect)
    seen = [venice.queue(upscale_factor=3).status_code for _ in range(limit + 1)]
    locked = venice.queue()
    balance = venice.get("api_keys/rate_limits")
    venice.advance(30)

    assert seen == [400] * (limit + 1)
    assert (locked.status_code, locked.json()) == (429, {"error": text})
    assert balance.status_code == 429
    assert venice.queue().status_code == 200


def test_the_failure_budget_has_its_own_headers(venice: "Venice") -> None:
    """The headers have the remaining failures, and the end of the window in Unix milliseconds."""
    venice.on_plan("error_budget")
    good, bad = venice.queue(), venice.queue(upscale_factor=3)
    shown = [
        {k: v for k, v in answer.headers.items() if k.startswith("x-ratelimit")}
        for answer in (good, bad)
    ]
    resets = str(1_767_225_630_000)

    assert shown == [
        {"x-ratelimit-remaining": "20", "x-ratelimit-resets": resets},
        {"x-ratelimit-remaining": "19", "x-ratelimit-resets": resets},
    ]


def test_early_refusals_do_not_count_as_failures(venice: "Venice") -> None:
    """A wrong content type, bad JSON, the retired endpoint and a success do not count."""
    venice.on_plan("error_budget")
    for _ in range(10):
        venice.request("POST", "video/queue", content="{")
        venice.request(
            "POST", "video/queue", content="{", headers={"content-type": "application/json"}
        )
        venice.get("billing/usage")
        venice.quote(**QUOTE)

    assert venice.quote(**QUOTE).headers["x-ratelimit-remaining"] == "20"


def test_failures_of_the_service_do_not_count(venice: "Venice") -> None:
    """A repeated 422 counts as a failed request, and a 500 does not."""
    venice.on_plan("error_budget")
    broken, refused = venice.queued(), venice.queued()
    venice.fail(broken, "inference_failed")
    venice.fail(refused, "provider_failed")
    remaining = [
        venice.retrieve(name).headers["x-ratelimit-remaining"] for name in (broken, refused)
    ]

    assert remaining == ["20", "19"]
