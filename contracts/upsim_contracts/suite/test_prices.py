"""Check prices of jobs over generated clips and options, by the provider's own balance."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.expected_responses import at
from upsim_contracts.suite.generate_table import Submit, TierEdge
from upsim_contracts.suite.property_runs import SUBMITS, Explore, submits_where
from upsim_contracts.suite.strategies.bodies import Options, options
from upsim_contracts.suite.strategies.clips import bounds, clips, frame_counts, with_frames

every_submit = pytest.mark.parametrize("submit", SUBMITS)
SMALLEST = Decimal("0.000001")
"""The unit in which the provider that rounds nothing else writes amounts."""


@every_submit
def test_charge_is_the_documented_price(explore: Explore, submit: Submit) -> None:
    """The loss of the balance equals the published price, for any clip and options."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, chosen: Options) -> None:
        with explorer.account() as account:
            documented = explorer.oracle(submit, clip, account.body(submit, clip, chosen))
            charged = account.price_of(submit, clip, chosen)
        assert documented == charged

    explorer.explore(prove, clip=clips(submit.clips), chosen=options(submit))


@every_submit
def test_price_never_falls_with_length(explore: Explore, submit: Submit) -> None:
    """If two clips differ only in length, the longer clip does not cost less."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, chosen: Options, data: st.DataObject) -> None:
        longer = with_frames(clip, data.draw(frame_counts(submit.clips, clip.fps)))
        shorter, longer = sorted((clip, longer), key=lambda one: one.frames)
        with explorer.account() as account:
            less = account.price_of(submit, shorter, chosen)
            more = account.price_of(submit, longer, chosen)
        assert less <= more

    explorer.explore(prove, clip=clips(submit.clips), chosen=options(submit), data=st.data())


@every_submit
def test_rounding_stays_within_its_bound(explore: Explore, submit: Submit) -> None:
    """The charge for a clip is exactly the price of its length, rounded as documented."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, chosen: Options) -> None:
        with explorer.account() as account:
            charged = account.price_of(submit, clip, chosen)
            if submit.price.round == "none":
                assume(2 * clip.frames <= bounds(submit.clips, clip.fps)[1])
                twice = account.price_of(submit, with_frames(clip, 2 * clip.frames), chosen)
                assert abs(twice - 2 * charged) <= SMALLEST
            else:
                whole = _rounded(submit, clip)
                assume(whole is not None)
                assert whole is not None
                assert charged == account.price_of(submit, whole, chosen)

    explorer.explore(prove, clip=clips(submit.clips), chosen=options(submit))


TIERS = [
    pytest.param(submit.values[0], tier, id=f"{submit.id}-{tier.of}-{tier.at}")
    for submit in SUBMITS
    for tier in submit.values[0].tiers
]


@pytest.mark.parametrize(("submit", "tier"), TIERS)
def test_tier_changes_exactly_at_its_edge(explore: Explore, submit: Submit, tier: TierEdge) -> None:
    """The last value of a price tier costs the price of the tier; the next value costs more."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, chosen: Options) -> None:
        chosen = {**chosen, **tier.set}
        under, over = _at(clip, tier.of, tier.at), _at(clip, tier.of, tier.above)
        with explorer.account() as account:
            low = account.price_of(submit, under, chosen)
            high = account.price_of(submit, over, chosen)
        assert low < high

    small = replace(submit.clips, sizes=["320x240"], near={"seconds": [1]}, rates=["10"])
    explorer.explore(prove, clip=clips(small), chosen=options(submit))


@pytest.mark.parametrize("submit", submits_where(lambda _table, submit: submit.quote is not None))
def test_quote_is_the_charge(explore: Explore, submit: Submit) -> None:
    """The quote of a request equals its charge, if the provider offers quotes."""
    quote = submit.quote
    assert quote is not None
    explorer = explore(submit)

    def prove(clip: ClipProperties, chosen: Options) -> None:
        with explorer.account() as account:
            opening = account.balance()
            account.names["body"] = account.body(submit, clip, chosen)
            answer = account.call({"call": quote.call, "body": quote.body})
            quoted = at(answer.as_seen, quote.read)
            assert opening == account.balance()
            charged = account.price_of(submit, clip, chosen)
        assert charged == quoted

    explorer.explore(prove, clip=clips(submit.clips), chosen=options(submit))


@every_submit
def test_defaults_cost_what_they_say(explore: Explore, submit: Submit) -> None:
    """A request without an option costs the same as a request with its documented default."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, chosen: Options) -> None:
        with explorer.account() as account:
            implicit = account.price_of(submit, clip, chosen)
            explicit = account.price_of(submit, clip, {**submit.defaults, **chosen})
        assert explicit == implicit

    explorer.explore(prove, clip=clips(submit.clips), chosen=options(submit))


@every_submit
def test_polls_are_free(explore: Explore, submit: Submit) -> None:
    """Polls do not change the balance, while a job runs and after its end."""
    explorer = explore(submit)
    explorer.need_controls("time has to pass")

    def prove(clip: ClipProperties, polls: list[int]) -> None:
        with explorer.account() as account:
            before = account.balance()
            job = account.accepted(submit, clip, submit.defaults)
            left = account.balance()
            assert left < before
            for pause in polls:
                account.poll(job)
                account.controls.advance(seconds=pause)
            account.finish(job)
            account.poll(job)
            assert left == account.balance()

    pauses = st.lists(st.integers(0, 90), max_size=5)
    explorer.explore(prove, clip=clips(submit.clips), polls=pauses)


def _rounded(submit: Submit, clip: ClipProperties) -> ClipProperties | None:
    """Return the clip with its length rounded as it is billed; None if it is not accepted."""
    up = submit.price.round == "up"
    whole = clip.seconds.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    frames = Fraction(max(whole, submit.price.least)) * clip.fps
    fewest, most = bounds(submit.clips, clip.fps)
    if frames.denominator != 1 or not fewest <= frames <= most:
        return None
    return with_frames(clip, int(frames))


def _at(clip: ClipProperties, dimension: str, value: Any) -> ClipProperties:  # noqa: ANN401 - of the table
    """Return the clip with another value in one property; a new frame rate sets 2 seconds."""
    if dimension == "fps":
        return replace(clip, fps=Fraction(str(value)), seconds=Decimal(2))
    return replace(clip, **{dimension: value})
