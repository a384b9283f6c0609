"""The admin API: reading, changing and advancing the clock of a sandbox."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

CLOCK = "sandboxes/default/clock"
ADVANCE = "sandboxes/default/clock/advance"


def test_the_clock_is_shown(admin: Admin) -> None:
    """Mode, present instant with microseconds, and pace."""
    expected = {"mode": "manual", "now": "2026-01-01T00:00:00.000000Z", "pace": 1}
    assert expected == admin.get(CLOCK)


@pytest.mark.parametrize(
    ("seconds", "now"),
    [
        (0, "2026-01-01T00:00:00.000000Z"),
        (90, "2026-01-01T00:01:30.000000Z"),
        (0.1, "2026-01-01T00:00:00.100000Z"),
        ("0.000001", "2026-01-01T00:00:00.000001Z"),
        (31_536_000, "2027-01-01T00:00:00.000000Z"),
    ],
)
def test_seconds_pass(admin: Admin, seconds: float | str, now: str) -> None:
    """So many seconds pass, exactly; a text or a number says how many."""
    assert admin.post(ADVANCE, {"seconds": seconds})["now"] == now


def test_an_instant_is_reached(admin: Admin) -> None:
    """The clock goes to an instant that is named, with or without an offset."""
    found = admin.post(ADVANCE, {"to": "2026-01-01T02:00:00+01:00"})
    assert found == {"now": "2026-01-01T01:00:00.000000Z", "fired": []}


def test_next_runs_one_deadline(admin: Admin) -> None:
    """`next` goes to the next thing that is due, and says what it was."""
    job = admin.job()
    found = admin.post(ADVANCE, {"to": "next"})
    at = "2026-01-01T00:00:02.000000Z"
    fired = {"at": at, "kind": "step", "key": job, "state": "processing"}
    assert found == {"now": at, "fired": [fired]}


def test_next_of_nothing_stays(admin: Admin) -> None:
    """Without anything due the clock stands still."""
    found = admin.post(ADVANCE, {"to": "next"})
    assert found == {"now": "2026-01-01T00:00:00.000000Z", "fired": []}


def test_idle_ends_every_job(admin: Admin) -> None:
    """`idle` goes on until no job is unfinished."""
    for _ in range(3):
        admin.job()
        admin.post(ADVANCE, {"seconds": 1})
    admin.post(ADVANCE, {"to": "idle"})
    states = {job["state"] for job in admin.get("sandboxes/default/jobs")["jobs"]}
    assert states == {"completed"}


def test_idle_stops_at_the_last_job(admin: Admin) -> None:
    """`idle` does not go beyond the end of the last job: 2 s, then 58 s and one a second."""
    admin.job()
    assert admin.post(ADVANCE, {"to": "idle"})["now"] == "2026-01-01T00:01:08.500000Z"


def test_what_fired_is_in_order(admin: Admin) -> None:
    """A jump over many deadlines runs them in order of instant, skipping no state."""
    first = admin.job()
    admin.post(ADVANCE, {"seconds": 1})
    second = admin.job()
    fired = admin.post(ADVANCE, {"seconds": 600})["fired"]
    expected = [
        (first, "processing"),
        (second, "processing"),
        (first, "completed"),
        (second, "completed"),
    ]
    assert expected == [(item["key"], item["state"]) for item in fired]


def test_the_jump_of_one_sandbox_leaves_the_others(admin: Admin) -> None:
    """Every sandbox has a clock of its own."""
    admin.sandbox(id="box")
    admin.post("sandboxes/box/clock/advance", {"seconds": 10})
    assert admin.get(CLOCK)["now"] == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("mode", ["auto", "manual", "scaled:60"])
def test_the_mode_changes(admin: Admin, mode: str) -> None:
    """A clock goes on in another mode from its present instant."""
    found = admin.call("PATCH", CLOCK, {"mode": mode}).json()
    assert (found["mode"], found["now"][:10]) == (mode, "2026-01-01")


def test_the_pace_changes(admin: Admin) -> None:
    """The pace of a sandbox holds for the jobs that follow."""
    assert admin.call("PATCH", CLOCK, {"pace": 60}).json()["pace"] == 60


def test_a_real_clock_joins_the_present(admin: Admin) -> None:
    """A clock that stood still goes to the wall clock's time when it becomes real."""
    found = admin.call("PATCH", CLOCK, {"mode": "real"}).json()
    assert (found["mode"], found["now"] > "2026-01-01T00:00:01") == ("real", True)


def test_a_change_of_nothing_is_no_mistake(admin: Admin) -> None:
    """An empty change answers the clock as it is."""
    assert admin.call("PATCH", CLOCK, {}).json() == admin.get(CLOCK)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({}, 400, "invalid", 'send one of {"seconds": n} and {"to": ...}'),
        ({"seconds": 1, "to": "next"}, 400, "invalid", "send one of"),
        ({"seconds": -1}, 400, "invalid", "seconds -1: from 0 to 10^10; a clock never goes back"),
        ({"seconds": 10**11}, 400, "invalid", "from 0 to 10^10"),
        ({"seconds": 10**100}, 400, "invalid", "seconds"),
        ({"seconds": 1e300}, 400, "invalid", "seconds '1e+300'"),
        ({"seconds": "1e999999"}, 400, "invalid", "seconds '1e999999'"),
        ({"seconds": "NaN"}, 400, "invalid", "seconds 'NaN'"),
        ({"seconds": "soon"}, 400, "invalid", "seconds 'soon' is not a decimal number"),
        ({"seconds": "9" * 5000}, 400, "invalid", "seconds '999"),
        ({"seconds": True}, 400, "invalid", "$.seconds"),
        ({"seconds": [1]}, 400, "invalid", "$.seconds"),
        ({"second": 1}, 400, "invalid", "did you mean seconds?"),
        ({"to": "soon"}, 400, "invalid", "to 'soon' is not next, idle or an ISO 8601 instant"),
        ({"to": "x" * 5000}, 400, "invalid", "is not next, idle or an ISO 8601 instant"),
        ({"to": "9999-12-31T23:59:59Z"}, 400, "invalid", "is not between the years 1970 and 9000"),
        ({"to": "1969-12-31"}, 400, "invalid", "is not between the years 1970 and 9000"),
        ({"to": "2025-12-31"}, 409, "clock", "the clock stands at 2026-01-01T00:00:00.000000Z and"),
    ],
)
def test_an_advance_that_cannot_be_is_refused(
    admin: Admin, body: dict[str, object], status: int, code: str, message: str
) -> None:
    """Going back, beyond all bounds, or to nowhere is refused."""
    found = admin.refusal("POST", ADVANCE, body)
    assert (status, code) == found[:2]
    assert message in found[2]


def test_no_clock_leaves_the_calendar(admin: Admin) -> None:
    """The last instant is the year 9000; a step beyond is refused."""
    admin.post(ADVANCE, {"to": "8999-12-31T23:59:59Z"})
    assert admin.refusal("POST", ADVANCE, {"seconds": 2}) == (
        409,
        "clock",
        "no clock goes beyond the year 9000",
    )


def test_a_real_clock_cannot_be_advanced(start_admin: Start) -> None:
    """A real clock is only moved by time itself."""
    admin = start_admin(clock="real")
    message = "a real clock cannot be advanced; set its mode to manual, auto or scaled:<n> first"
    assert admin.refusal("POST", ADVANCE, {"seconds": 1}) == (409, "clock", message)


def test_a_clock_ahead_cannot_become_real(admin: Admin) -> None:
    """The wall clock's time is behind, and no clock goes back."""
    admin.post(ADVANCE, {"to": "8000-01-01"})
    message = "the sandbox is ahead of the wall clock; a real clock would have to go back"
    assert admin.refusal("PATCH", CLOCK, {"mode": "real"}) == (409, "clock", message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"mode": "warp"}, 409, "clock 'warp' is unknown; allowed: real, manual, auto, scaled"),
        ({"mode": "x" * 5000}, 409, "is unknown; allowed: real, manual, auto, scaled"),
        ({"mode": "auto", "pace": 0}, 400, "pace 0 is not 1 or more"),
        ({"pace": 10**30}, 400, "$.pace"),
        ({"rate": 3}, 400, "unknown field `rate`"),
    ],
)
def test_a_clock_that_cannot_be_is_refused(
    admin: Admin, body: dict[str, object], status: int, message: str
) -> None:
    """Unknown modes and paces below one are refused, and nothing of the call takes effect."""
    before = admin.get(CLOCK)
    found = admin.refusal("PATCH", CLOCK, body)
    assert (status, before) == (found[0], admin.get(CLOCK))
    assert message in found[2]


def test_time_that_was_set_is_paid_for_once(admin: Admin) -> None:
    """A job is charged when it is accepted, however far the clock then jumps."""
    admin.job()
    admin.post(ADVANCE, {"seconds": 10**9})
    entries = admin.get("sandboxes/default/ledger")["entries"]
    assert [Decimal(entry["amount"]) for entry in entries] == [Decimal(-144)]
