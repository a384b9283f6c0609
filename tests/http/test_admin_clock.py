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
    """A GET of the clock returns its mode, its time with microseconds, and its pace."""
    expected = {"mode": "manual", "now": "2026-01-01T00:00:00.000000Z", "pace": None}
    assert expected == admin.get(CLOCK)


@pytest.mark.parametrize(
    ("seconds", "now"),
    [
        (0, "2026-01-01T00:00:00.000000Z"),
        (90, "2026-01-01T00:01:30.000000Z"),
        (0.1, "2026-01-01T00:00:00.100000Z"),
        ("0.000001", "2026-01-01T00:00:00.000001Z"),
        (31_536_000, "2027-01-01T00:00:00.000000Z"),
        ("250ms", "2026-01-01T00:00:00.250000Z"),
        ("90s", "2026-01-01T00:01:30.000000Z"),
        ("3h", "2026-01-01T03:00:00.000000Z"),
        ("2d", "2026-01-03T00:00:00.000000Z"),
    ],
)
def test_an_advance_by_seconds_is_exact(admin: Admin, seconds: float | str, now: str) -> None:
    """An advance moves the clock by exactly the given number of seconds or the given duration."""
    assert admin.post(ADVANCE, {"seconds": seconds})["now"] == now


def test_an_advance_to_a_time(admin: Admin) -> None:
    """An advance with `to` moves the clock to the given time, also one with an offset."""
    found = admin.post(ADVANCE, {"to": "2026-01-01T02:00:00+01:00"})
    assert found == {"now": "2026-01-01T01:00:00.000000Z", "fired": []}


def test_next_runs_one_deadline(admin: Admin) -> None:
    """An advance to `next` moves the clock to the next deadline and returns what happened."""
    job = admin.job()
    found = admin.post(ADVANCE, {"to": "next"})
    at = "2026-01-01T00:00:02.000000Z"
    fired = {"at": at, "kind": "step", "key": job, "state": "processing"}
    assert found == {"now": at, "fired": [fired]}


def test_next_without_a_deadline_does_not_move_the_clock(admin: Admin) -> None:
    """Without any deadline, an advance to `next` does not move the clock."""
    found = admin.post(ADVANCE, {"to": "next"})
    assert found == {"now": "2026-01-01T00:00:00.000000Z", "fired": []}


def test_idle_ends_every_job(admin: Admin) -> None:
    """An advance to `idle` runs until no job is unfinished."""
    for _ in range(3):
        admin.job()
        admin.post(ADVANCE, {"seconds": 1})
    admin.post(ADVANCE, {"to": "idle"})
    states = {job["state"] for job in admin.get("sandboxes/default/jobs")["jobs"]}
    assert states == {"completed"}


def test_idle_stops_at_the_end_of_the_last_job(admin: Admin) -> None:
    """An advance to `idle` stops at the end of the last job, after 2 s plus 66.5 s."""
    admin.job()
    assert admin.post(ADVANCE, {"to": "idle"})["now"] == "2026-01-01T00:01:08.500000Z"


def test_an_advance_runs_deadlines_in_order(admin: Admin) -> None:
    """An advance past many deadlines runs them in order of time, without skipping a state."""
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


def test_an_advance_of_one_sandbox_does_not_affect_another(admin: Admin) -> None:
    """An advance of one sandbox does not move the clock of another sandbox."""
    admin.sandbox(id="box")
    admin.post("sandboxes/box/clock/advance", {"seconds": 10})
    assert admin.get(CLOCK)["now"] == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("mode", ["auto", "manual", "scaled:60"])
def test_the_mode_of_a_clock_can_be_changed(admin: Admin, mode: str) -> None:
    """A clock continues from its present time after its mode is changed."""
    found = admin.call("PATCH", CLOCK, {"mode": mode}).json()
    assert (found["mode"], found["now"][:10]) == (mode, "2026-01-01")


def test_the_pace_of_a_clock_can_be_changed(admin: Admin) -> None:
    """A new pace is shown for a `real` clock; a clock in another mode shows no pace."""
    assert admin.call("PATCH", CLOCK, {"pace": 60}).json()["pace"] is None
    assert admin.call("PATCH", CLOCK, {"mode": "real"}).json()["pace"] == 60
    assert admin.call("PATCH", CLOCK, {"mode": "scaled:60"}).json()["pace"] is None


def test_a_clock_that_becomes_real_jumps_to_the_wall_clock(admin: Admin) -> None:
    """A `manual` clock jumps to the wall clock's time when its mode becomes `real`."""
    found = admin.call("PATCH", CLOCK, {"mode": "real"}).json()
    assert (found["mode"], found["now"] > "2026-01-01T00:00:01") == ("real", True)


def test_an_empty_change_of_a_clock_is_accepted(admin: Admin) -> None:
    """A PATCH with an empty body returns the clock unchanged."""
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
        ({"seconds": "soon"}, 400, "invalid", "seconds 'soon' is not a duration such as 90, 2.5"),
        ({"seconds": "9" * 5000}, 400, "invalid", "seconds '999"),
        ({"seconds": True}, 400, "invalid", "seconds: found"),
        ({"seconds": [1]}, 400, "invalid", "seconds: found"),
        ({"second": 1}, 400, "invalid", "did you mean seconds?"),
        ({"to": "soon"}, 400, "invalid", "to 'soon' is not next, idle or an ISO 8601 instant"),
        ({"to": "x" * 5000}, 400, "invalid", "is not next, idle or an ISO 8601 instant"),
        ({"to": "9999-12-31T23:59:59Z"}, 400, "invalid", "is not between the years 1970 and 9000"),
        ({"to": "1969-12-31"}, 400, "invalid", "is not between the years 1970 and 9000"),
        ({"to": "2025-12-31"}, 409, "clock", "the clock is at 2026-01-01T00:00:00.000000Z and"),
    ],
)
def test_an_impossible_advance_is_refused(
    admin: Admin, body: dict[str, object], status: int, code: str, message: str
) -> None:
    """An advance to an earlier time, beyond a limit or with invalid fields is refused."""
    found = admin.refusal("POST", ADVANCE, body)
    assert (status, code) == found[:2]
    assert message in found[2]


def test_an_advance_beyond_the_year_9000_is_refused(admin: Admin) -> None:
    """An advance beyond the year 9000 is refused with a 409."""
    admin.post(ADVANCE, {"to": "8999-12-31T23:59:59Z"})
    assert admin.refusal("POST", ADVANCE, {"seconds": 2}) == (
        409,
        "clock",
        "no clock goes beyond the year 9000",
    )


def test_a_real_clock_cannot_be_advanced(start_admin: Start) -> None:
    """An advance of a `real` clock is refused with a 409."""
    admin = start_admin(clock="real")
    message = "a real clock cannot be advanced; set its mode to manual, auto or scaled:<n> first"
    assert admin.refusal("POST", ADVANCE, {"seconds": 1}) == (409, "clock", message)


def test_a_clock_ahead_of_the_wall_clock_cannot_become_real(admin: Admin) -> None:
    """If the sandbox is ahead of the wall clock, its mode cannot become `real`."""
    admin.post(ADVANCE, {"to": "8000-01-01"})
    message = "the sandbox is ahead of the wall clock; a real clock would have to go back"
    assert admin.refusal("PATCH", CLOCK, {"mode": "real"}) == (409, "clock", message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            {"mode": "warp"},
            409,
            "clock 'warp' is unknown; allowed: real, manual, auto, scaled:<n> such as scaled:60",
        ),
        ({"mode": "x" * 5000}, 409, "is unknown; allowed: real, manual, auto, scaled"),
        ({"mode": "auto", "pace": 0}, 400, "pace 0 is not 1 or more"),
        ({"pace": 10**30}, 400, "pace: found"),
        ({"rate": 3}, 400, "unknown field `rate`"),
    ],
)
def test_an_invalid_change_of_a_clock_is_refused(
    admin: Admin, body: dict[str, object], status: int, message: str
) -> None:
    """An unknown mode or a pace below 1 is refused, and the request changes nothing."""
    before = admin.get(CLOCK)
    found = admin.refusal("PATCH", CLOCK, body)
    assert (status, before) == (found[0], admin.get(CLOCK))
    assert message in found[2]


def test_a_long_advance_charges_a_job_once(admin: Admin) -> None:
    """A job is charged once, at its acceptance, however far the clock is then advanced."""
    admin.job()
    admin.post(ADVANCE, {"seconds": 10**9})
    entries = admin.get("sandboxes/default/ledger")["entries"]
    assert [Decimal(entry["amount"]) for entry in entries] == [Decimal(-144)]


@pytest.mark.parametrize("seconds", ["3 h", "soon", "h", "1e", "", "NaN", "9" * 41])
def test_an_invalid_duration_is_refused_with_the_allowed_forms(admin: Admin, seconds: str) -> None:
    """The refusal of an invalid duration shows the value and the allowed forms."""
    status, code, message = admin.refusal("POST", ADVANCE, {"seconds": seconds})
    assert (status, code) == (400, "invalid")
    assert f"seconds {seconds[:40]!r} is not a duration such as 90, 2.5, 250ms" in message


@pytest.mark.parametrize("mode", ["real", "scaled:5", "manual", "auto"])
def test_a_returned_clock_can_be_sent_back(admin: Admin, mode: str) -> None:
    """The clock that a sandbox returns can be sent to create another sandbox.

    Sent in a PATCH to the same sandbox, it changes nothing.
    """
    made = admin.post("sandboxes", {"clock": mode, "pace": 7})
    shown = made["clock"]

    again = admin.post("sandboxes", {"clock": shown})["clock"]
    changed = admin.call("PATCH", f"sandboxes/{made['id']}/clock", shown)

    assert (again["mode"], again["pace"]) == (mode, 7 if mode == "real" else None)
    assert changed.status_code == 200, changed.text
    if mode in ("manual", "auto"):
        assert shown == again == changed.json()
    else:
        assert shown["now"] <= again["now"]
        assert shown["now"] <= changed.json()["now"]


def test_patch_with_a_later_now_advances_the_clock(admin: Admin) -> None:
    """A PATCH with a later `now` advances a `manual` clock and runs the deadlines on the way."""
    job = admin.job()
    later = "2026-01-02T00:00:00.000000Z"
    assert admin.call("PATCH", CLOCK, {"now": later}).json()["now"] == later
    assert admin.get(f"sandboxes/default/jobs/{job}")["state"] == "completed"


@pytest.mark.parametrize("now", ["2025-12-31T23:59:59Z"])
def test_patch_with_an_earlier_now_is_refused(admin: Admin, now: str) -> None:
    """A PATCH with an earlier `now` is refused, and its `mode` is not applied."""
    status, code, message = admin.refusal("PATCH", CLOCK, {"mode": "auto", "now": now})
    assert (status, code) == (409, "clock")
    assert "now: the clock is at 2026-01-01T00:00:00.000000Z and cannot go back" in message
    assert admin.get(CLOCK)["mode"] == "manual"


def test_patch_does_not_advance_a_real_clock(admin: Admin) -> None:
    """A PATCH with a later `now` is refused for a `real` clock."""
    made = admin.post("sandboxes", {"clock": "real"})
    body = {"now": "2999-01-01T00:00:00Z"}
    status, _, message = admin.refusal("PATCH", f"sandboxes/{made['id']}/clock", body)
    assert status == 409
    assert "a real clock cannot be advanced" in message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"clock": {"mod": "auto"}}, "did you mean mode?"),
        ({"clock": {"rate": 2}}, "allowed: mode, now, pace"),
        ({"clok": "auto"}, "did you mean clock?"),
        ({"pace": 2, "clock": {"pace": 3}}, "pace 2 and clock.pace 3 differ"),
        ({"ttl": "soon"}, "ttl 'soon' is not a duration such as"),
        ({"ttl": "-1"}, "ttl -1 is not 0 or more"),
    ],
)
def test_a_misspelt_field_of_clock_is_compared_with_the_fields_of_clock(
    admin: Admin, body: dict[str, object], expected: str
) -> None:
    """The refusal of a misspelt field in `clock` suggests a field of `clock`."""
    status, code, message = admin.refusal("POST", "sandboxes", body)
    assert (status, code) == (400, "invalid")
    assert expected in message


def test_ttl_accepts_a_duration_with_a_unit(admin: Admin) -> None:
    """`ttl` can be a duration such as `3h` instead of a number of seconds."""
    made = admin.post("sandboxes", {"ttl": "3h"})
    assert admin.sim.registry.sandboxes[made["id"]].choices.ttl == 10_800


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"knobs": {"venice": {"audoi": "keep"}}}, "no knob 'audoi'; did you mean audio? its kn"),
        ({"dialects": {"venice": "lve"}}, "no dialect 'lve'; did you mean live? it has auto"),
        ({"clock": "manuel"}, "clock 'manuel' is unknown; did you mean manual? allowed: real"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_name_first(
    admin: Admin, body: dict[str, object], says: str
) -> None:
    """The error names the nearest name first, then all allowed names."""
    answer = admin.call("POST", "sandboxes", body)
    assert (400, True) == (answer.status_code, says in answer.json()["error"]["message"])


def test_a_clock_error_names_its_field_and_an_unused_pace_gets_a_note(admin: Admin) -> None:
    """An error names the wrong field; a pace without effect is kept, and the response says so."""
    wrong = admin.call("PATCH", CLOCK, {"mode": "manuel"}).json()["error"]["message"]
    assert wrong.startswith("mode: clock 'manuel' is unknown; did you mean manual?")
    waits = admin.call("PATCH", CLOCK, {"pace": 7})
    assert waits.headers["x-upsim-note"].startswith("pace applies to a real clock alone")
    assert "x-upsim-note" not in admin.call("PATCH", CLOCK, {"mode": "real", "pace": 7}).headers
