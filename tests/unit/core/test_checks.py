"""The run of checks, and the checks that several providers share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.core.conftest import (
    BASELINE,
    PLAN,
    QUOTE,
    VIDEO,
    FakeWorld,
    account,
    call,
    fact,
    limited,
    ruled,
    video,
)
from upsim.core.baseline import RateLimit
from upsim.core.call import Call, Credential, Pending
from upsim.core.causes import kind_of
from upsim.core.checks import (
    COMMON,
    Check,
    Violation,
    affordable,
    authenticated,
    body_within_limit,
    first_violation,
    json_object,
    measurable,
    media_of,
    named,
    not_too_long,
    output_within_own_limit,
    plan_has_access,
    whole_number,
    within_rates,
)
from upsim.core.events import OutputPlan
from upsim.core.instants import DAY, SECOND
from upsim.core.job_spec import JobSpec
from upsim.core.json_bodies import Malformed
from upsim.core.media import Reason, Unmeasurable

DAILY = RateLimit("unlimited/0", 3, "day", "all")
CREATES = RateLimit("unlimited/1", 3, "day", "submit")


def passes(_call: Call) -> None:
    """Object to nothing."""


def objects(asked: Call) -> Violation:
    """Object to everything."""
    asked.options["ran"] = "objects"
    return Violation("objected")


def waits(_call: Call) -> Pending:
    """Wait for a video."""
    return Pending("clip", 9)


@pytest.mark.parametrize(
    ("checks", "outcome"),
    [
        ((), None),
        ((passes,), None),
        ((passes, objects), Violation("objected")),
        ((waits, objects), Pending("clip", 9)),
        ((objects, waits), Violation("objected")),
    ],
)
def test_the_first_refusal_wins(checks: tuple[Check, ...], outcome: object) -> None:
    """The first check that refuses a request decides the response."""
    assert outcome == first_violation(call(), checks)


def test_later_checks_do_not_run() -> None:
    """After a check that refuses or must wait, no later check runs."""
    asked = call()

    first_violation(asked, (waits, objects))

    assert asked.options == {}


@pytest.mark.parametrize(
    ("credential", "name"),
    [
        ("known", None),
        ("missing", "missing_key"),
        ("malformed", "unknown_key"),
        ("ill_formed", "unknown_key"),
        ("unknown", "unknown_key"),
    ],
)
def test_authenticated(credential: Credential, name: str | None) -> None:
    """A missing key and a key without an account get different refusals."""
    found = authenticated(call(credential=credential))

    assert (None if name is None else Violation(name)) == found


@pytest.mark.parametrize("oversized", [False, True])
def test_body_within_limit(*, oversized: bool) -> None:
    """A body above the limit is refused, and the refusal names the limit."""
    found = body_within_limit(call(oversized=oversized))

    assert (Violation("body_too_large", {"max": 1_048_576}) if oversized else None) == found


@pytest.mark.parametrize("access", [False, True])
def test_plan_has_access(*, access: bool) -> None:
    """A plan without access is named in the refusal."""
    asked = call(rules=ruled(plans=limited(access=access)))

    assert (None if access else Violation("no_access", {"plan": "unlimited"})) == plan_has_access(
        asked
    )


def rated(*rates: RateLimit, used: dict[str, int], scope: str = "", **fields: object) -> Call:
    """Return a call whose plan has these rates; VicSee's knob on what counts is `scope`, if any."""
    rules = ruled(plans=limited(*rates), knobs=BASELINE.knobs if scope else {})
    rules = replace(rules, knobs={**rules.knobs, "rate_scope": scope}) if scope else rules
    return call(FakeWorld(used=used), rules=rules, now=DAY - 90 * SECOND - 1, **fields)


def test_a_call_counts_for_its_limits() -> None:
    """A call within its limits is counted for each limit that applies to it."""
    asked = rated(DAILY, CREATES, used={DAILY.name: 2, CREATES.name: 0}, kind="submit")

    assert within_rates(asked) is None
    assert asked.uses == [DAILY, CREATES]


def test_a_limit_that_does_not_count_the_call() -> None:
    """A limit for creates does not affect a read request."""
    asked = rated(CREATES, used={CREATES.name: 3})

    assert within_rates(asked) is None
    assert asked.uses == []


@pytest.mark.parametrize("counts", ["all", "read", "credits"])
def test_what_a_limit_counts(counts: str) -> None:
    """A limit counts all calls, a kind of operation, or one operation."""
    asked = rated(replace(DAILY, counts=counts), used={})
    within_rates(asked)

    assert len(asked.uses) == 1


@pytest.mark.parametrize(
    ("scope", "counts", "kind", "counted"),
    [
        ("submit", "all", "read", False),
        ("submit", "read", "submit", True),
        ("all", "submit", "read", False),
        ("all", "submit", "submit", True),
    ],
)
def test_a_knob_selects_the_counted_calls(
    *, scope: str, counts: str, kind: str, counted: bool
) -> None:
    """A knob decides which calls a limit counts; with `all`, the limit decides."""
    asked = rated(replace(DAILY, counts=counts), used={DAILY.name: 0}, scope=scope, kind=kind)
    within_rates(asked)

    assert (len(asked.uses) == 1) is counted


def test_a_limit_that_is_used_up() -> None:
    """The refusal has the limit, its reset time and the remaining seconds, rounded up."""
    asked = rated(DAILY, used={DAILY.name: 3})

    assert within_rates(asked) == Violation(
        "rate_limited", {"limit": 3, "reset": "1970-01-02T00:00:00.000Z", "seconds": 91}
    )


def test_a_refused_call_does_not_count() -> None:
    """A request that the second limit refuses does not count for the first limit."""
    asked = rated(DAILY, CREATES, used={DAILY.name: 0, CREATES.name: 3}, kind="submit")
    within_rates(asked)

    assert asked.uses == []


@pytest.mark.parametrize(
    ("document", "violation"),
    [
        ({"a": 1}, None),
        ([], Violation("not_an_object", {"found": "array"})),
        ("text", Violation("not_an_object", {"found": "string"})),
        (Malformed("syntax", "why"), Violation("not_json", {"detail": "why"})),
        (Malformed("content_type", "why"), Violation("wrong_content_type", {"detail": "why"})),
    ],
)
def test_json_object(document: object, violation: Violation | None) -> None:
    """A body that is not a JSON object is refused, and the cause names its type."""
    assert violation == json_object(call(document=document))


def test_the_object_becomes_the_inputs() -> None:
    """The members of the body are the call's inputs."""
    asked = call(body=b'{"a": 1}')
    json_object(asked)

    assert asked.inputs == {"a": 1}


def test_a_video_that_is_known() -> None:
    """The check stores a known video in `call.media`."""
    asked = call(source="clip")

    assert measurable(asked) is None
    assert asked.media == VIDEO


def test_a_video_that_must_be_measured() -> None:
    """An unknown video must be measured, up to the provider's size limit."""
    assert measurable(call(FakeWorld(found=None), source="clip")) == Pending("clip", 536_870_912)


def test_a_video_that_was_measured() -> None:
    """A measurement of the request's video is used without another measurement."""
    world = FakeWorld(found=None)
    asked = call(world, source="clip", measured=video("2"))

    assert measurable(asked) is None
    assert (asked.media, world.asked) == (video("2"), [])


@pytest.mark.parametrize(
    "reason",
    ["unreachable", "not_a_video", "too_large", "not_decodable", "beyond_own_limits", "no_room"],
)
def test_a_video_that_is_unavailable(reason: Reason) -> None:
    """The reason why a video is unavailable is the name of the refusal."""
    asked = call(FakeWorld(found=Unmeasurable(reason, "why")))

    assert measurable(asked) == Violation(reason, {"detail": "why"})


@given(st.integers(0, 120_000_000))
def test_not_too_long(duration: int) -> None:
    """The exact duration is compared: one microsecond above the limit is too long."""
    asked = call(media=replace(VIDEO, duration=duration))

    assert (not_too_long(asked) is None) is (duration <= 60_000_000)


def test_too_long() -> None:
    """The refusal of a too long video has the limit and the duration."""
    found = not_too_long(call(media=video("60.000001")))

    assert found == Violation("too_long", {"max": 60, "found": Decimal("60.000001")})


@pytest.mark.parametrize(
    ("output", "fits"),
    [
        (None, True),
        (OutputPlan(16_384, 16_384, audio=True), True),
        (OutputPlan(16_385, 2, audio=True), False),
        (OutputPlan(2, 16_386, audio=True), False),
    ],
)
def test_output_within_own_limit(output: OutputPlan | None, *, fits: bool) -> None:
    """An output side above the limit is refused; a job without output is not checked."""
    offer = JobSpec(QUOTE, -QUOTE.amount, {}, output, PLAN)
    found = output_within_own_limit(call(FakeWorld(offer=offer), media=VIDEO))

    size = f"{output.width}x{output.height}" if output else ""
    broken = Violation("output_too_large", {"max": 16_384, "found": size})
    assert (None if fits else broken) == found


@pytest.mark.parametrize(("balance", "enough"), [(143, False), (144, True), (145, True)])
def test_affordable(balance: int, *, enough: bool) -> None:
    """A balance of exactly the price is enough; the refusal has balance and price."""
    refused = Violation("insufficient_funds", {"required": 144, "available": balance})

    assert (None if enough else refused) == affordable(call(account=account(balance), media=VIDEO))


def test_the_job_spec_is_kept() -> None:
    """The job is accepted with the same terms that the affordability check used."""
    asked = call(media=VIDEO)
    affordable(asked)

    assert asked.spec is not None
    assert asked.spec.quote == QUOTE


def test_the_job_spec_is_computed_once() -> None:
    """Terms that an earlier check computed are reused."""
    dear = JobSpec(replace(QUOTE, amount=Decimal(9_999)), Decimal(-9_999), {}, None, PLAN)
    asked = call(FakeWorld(offer=dear), media=VIDEO, spec=replace(dear, quote=QUOTE))

    assert affordable(asked) is None


def test_media_before_they_are_measured() -> None:
    """A check that needs media raises an error before they are measured."""
    with pytest.raises(LookupError, match="credits: a check that needs media is listed before"):
        media_of(call())


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
        (1, "number"),
        (1.5, "number"),
        (Decimal(1), "number"),
    ],
)
def test_kind_of(value: object, name: str) -> None:
    """Each JSON value is named by its type."""
    assert name == kind_of(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2),
        (2.0, 2),
        (-0.0, 0),
        (Decimal("2.0"), 2),
        (10**300, 10**300),
        (1e300, int(1e300)),
        (2.5, None),
        (Decimal("2.5"), None),
        (True, None),
        ("2", None),
        (None, None),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_whole_number(value: Any, number: int | None) -> None:  # noqa: ANN401 - any JSON
    """A JSON number that equals an integer counts as whole; a boolean does not."""
    assert number == whole_number(value)


def test_named() -> None:
    """Each check is registered under the name of its function."""
    assert named(passes, waits) == {"passes": passes, "waits": waits}


@pytest.mark.parametrize("name", sorted(COMMON))
def test_common_checks(name: str) -> None:
    """Each shared check is registered under its own name."""
    assert name == COMMON[name].__name__


def test_limits_are_read_from_the_rules() -> None:
    """A changed limit in the baseline changes the check."""
    rules = ruled(limits={"max_seconds": fact("8.5")})

    assert not_too_long(call(rules=rules, media=VIDEO)) is None
