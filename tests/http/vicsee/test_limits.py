"""Plans: access, requests per day, and the headers that tell of them."""

from __future__ import annotations

import httpx
import pytest

from tests.http.vicsee.conftest import TOOL, Api, Start, message, refusal

CREDITS = "/api/v1/credits"
LIMIT, REMAINING, RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
MIDNIGHT = "2026-01-02T00:00:00.000Z"


def shown(answer: httpx.Response) -> tuple[str | None, str | None, str | None]:
    """Return the three headers of an answer."""
    limit, remaining, reset = (answer.headers.get(name) for name in (LIMIT, REMAINING, RESET))
    return limit, remaining, reset


def spend(api: Api, calls: int) -> httpx.Response:
    """Ask so many times for the credits and return the last answer."""
    answers = [api.http.get(CREDITS) for _ in range(calls)]
    return answers[-1]


@pytest.fixture
def pro(start: Start) -> Api:
    """Return a VicSee whose account is on the Pro plan."""
    return start(extends="vicsee/plan-pro")


@pytest.mark.parametrize("plan", ["unlimited", "enterprise"])
def test_plans_without_a_limit_show_none(start: Start, plan: str) -> None:
    """The default account and the plan Enterprise have no rate limit headers."""
    assert shown(spend(start(account={"plan": plan}), 1)) == (None, None, None)


def test_the_first_request_of_the_day(pro: Api) -> None:
    """The first of five hundred requests leaves 499, until the next midnight in UTC."""
    assert shown(spend(pro, 1)) == ("500", "499", MIDNIGHT)


def test_each_request_counts(pro: Api) -> None:
    """Polls, creates and refused requests count like any other authenticated request."""
    task = pro.task_of()
    pro.http.get(f"/api/v1/tasks/{task}")
    pro.tool()

    assert shown(spend(pro, 1)) == ("500", "496", MIDNIGHT)


def test_a_create_with_a_measurement_counts_once(pro: Api) -> None:
    """A create whose video is measured first counts once."""
    assert shown(pro.tool(pro.clip())) == ("500", "499", MIDNIGHT)


def test_the_last_request_is_accepted(pro: Api) -> None:
    """Five hundred requests are accepted, and the last one leaves none."""
    answer = spend(pro, 500)

    assert (answer.status_code, answer.headers[REMAINING]) == (200, "0")


def test_a_request_above_the_limit(pro: Api) -> None:
    """The 501st request of the day is refused, with all three headers."""
    answer = spend(pro, 501)

    assert refusal(answer) == (429, "RATE_LIMITED")
    assert message(answer) == f"Rate limit exceeded. Limit: 500/day. Resets at: {MIDNIGHT}"
    assert shown(answer) == ("500", "0", MIDNIGHT)
    assert "retry-after" not in answer.headers


def test_a_refused_request_uses_nothing(start: Start) -> None:
    """Requests above the quota do not reduce the quota of the next day."""
    api = start(extends="vicsee/plan-starter")
    spend(api, 110)
    api.sim.advance(86_400)

    assert shown(spend(api, 1)) == ("100", "99", "2026-01-03T00:00:00.000Z")


def test_the_day_ends_at_midnight(start: Start) -> None:
    """The quota is used up until midnight, and complete at midnight."""
    api = start(extends="vicsee/plan-starter")
    spend(api, 100)
    api.sim.advance(86_399)
    before = spend(api, 1)

    api.sim.advance(1)

    assert (before.status_code, spend(api, 1).status_code) == (429, 200)


def test_the_quota_is_checked_before_the_body(start: Start) -> None:
    """A used quota is reported before any mistake in the body."""
    api = start(extends="vicsee/plan-starter")
    spend(api, 100)

    assert refusal(api.http.post(TOOL, content=b"{"))[1] == "RATE_LIMITED"


def test_two_keys_share_the_quota(start: Start) -> None:
    """Two keys of one user share the quota."""
    api = start(extends="vicsee/plan-starter")
    issue = api.sim.registry.issue_key
    first, second = (issue(api.sim.sandbox, "vicsee", owner="main") for _ in range(2))

    with api.as_other(first) as one, api.as_other(second) as two:
        one.get(CREDITS)

        assert two.get(CREDITS).headers[REMAINING] == "98"


def test_another_user_has_another_quota(start: Start) -> None:
    """Requests of another user use nothing of the quota."""
    api = start(extends="vicsee/plan-starter")
    spend(api, 5)

    with api.as_other() as http:
        assert http.get(CREDITS).headers[REMAINING] == "99"


def test_only_creates_count_with_the_knob(start: Start) -> None:
    """With the knob, polls and credits use nothing, but every response has the headers."""
    api = start(extends="vicsee/plan-pro", knobs={"rate_scope": "submit"})
    api.task_of()

    assert shown(spend(api, 3)) == ("500", "499", MIDNIGHT)


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/api/v1/models"])
def test_every_response_has_the_headers(pro: Api, path: str) -> None:
    """An unknown path and the public list have the headers for a key, and use nothing."""
    pro.http.get(path)

    assert shown(pro.http.get(path)) == ("500", "500", MIDNIGHT)


def test_no_headers_without_an_account(pro: Api) -> None:
    """Without a key, a response has no quota headers."""
    with httpx.Client(transport=pro.sim.transport(), base_url=pro.http.base_url) as http:
        assert shown(http.get(CREDITS)) == (None, None, None)


def test_an_auto_clock_lets_the_day_pass(start: Start) -> None:
    """On an `auto` clock, a refused client finds the next window open."""
    api = start(extends="vicsee/plan-starter", clock="auto")
    spend(api, 101)

    assert shown(spend(api, 1)) == ("100", "99", "2026-01-03T00:00:00.000Z")


@pytest.mark.parametrize("path", [CREDITS, "/api/v1/tasks/task_x", "/api/v1/tasks/task_x/download"])
def test_a_free_account_may_not_read(start: Start, path: str) -> None:
    """An account without a plan or pack may not read anything that needs a key."""
    assert refusal(start(extends="vicsee/plan-free").http.get(path)) == (403, "FORBIDDEN")


@pytest.mark.parametrize("path", [TOOL, "/api/v1/generate", "/api/v1/upload"])
def test_a_free_account_may_not_create(start: Start, path: str) -> None:
    """An account without a plan or pack may not create, with any body."""
    answer = start(extends="vicsee/plan-free").http.post(path, content=b"{")

    assert refusal(answer) == (403, "FORBIDDEN")


def test_a_free_account_may_see_the_models(start: Start) -> None:
    """An account without a plan or pack may read the public list of models."""
    assert start(extends="vicsee/plan-free").http.get("/api/v1/models").status_code == 200
