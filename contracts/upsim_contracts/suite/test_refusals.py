"""Requests with one mistake or two mistakes, and requests with unknown fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import reject
from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.exceptions import UnpricedRequestError
from upsim_contracts.expected_responses import at
from upsim_contracts.suite.checked_account import CheckedAccount, expect
from upsim_contracts.suite.generate_table import Flaw, Submit
from upsim_contracts.suite.property_runs import SUBMITS, Explore
from upsim_contracts.suite.strategies.bodies import Options, options, unknown_fields
from upsim_contracts.suite.strategies.clips import clips
from upsim_contracts.suite.strategies.flaws import pairs, place_of_video

every_submit = pytest.mark.parametrize("submit", SUBMITS)


@every_submit
def test_each_mistake_is_answered_as_documented(explore: Explore, submit: Submit) -> None:
    """A request with one mistake gets the documented response for that mistake."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, flaw: Flaw) -> None:
        with explorer.account() as account:
            try:
                answer = account.wrong(submit, clip, flaw)
            except UnpricedRequestError:
                reject()  # a request of unknown cost is not sent
            expect(answer, flaw.expect, f"{flaw.name}: {account.last}")

    possible = [flaw for flaw in submit.flaws if explorer.target.simulator or flaw.balance is None]
    explorer.explore(prove, clip=clips(submit.clips), flaw=st.sampled_from(possible))


@every_submit
def test_refused_requests_change_nothing(explore: Explore, submit: Submit) -> None:
    """Refused requests do not change the balance, the lists and the earlier job."""
    explorer = explore(submit)
    explorer.need_controls("lists of a shared account may change by themselves")

    def prove(clip: ClipProperties, row: list[Flaw]) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, submit.defaults)
            before = _standing(account, job)
            for flaw in row:
                answer = account.wrong(submit, clip, flaw)
                assert not answer.response.is_success, account.last
            assert before == _standing(account, job)

    without_money = st.sampled_from([flaw for flaw in submit.flaws if flaw.balance is None])
    explorer.explore(
        prove, clip=clips(submit.clips), row=st.lists(without_money, min_size=1, max_size=4)
    )


@every_submit
def test_refusal_for_want_of_funds_leaves_nothing(explore: Explore, submit: Submit) -> None:
    """One unit less than the price buys nothing and is kept; exactly the price is enough."""
    explorer = explore(submit)
    explorer.need_controls("the balance has to be nearly zero")
    flaw = next(one for one in submit.flaws if one.balance is not None)

    def prove(clip: ClipProperties, chosen: Options, *, enough: bool) -> None:
        with explorer.account() as account:
            start = account.balance()
            job = account.accepted(submit, clip, chosen)
            price = start - account.balance()
            funds = explorer.table.funds(price, enough=enough)
            account.controls.account({"balance": funds})
            before = _standing(account, job)
            answer = account.submit(submit, clip, chosen)
            assert enough == answer.response.is_success, account.last
            if enough:
                assert account.balance() == 0
            else:
                expect(answer, flaw.expect, account.last)
                assert before == _standing(account, job)

    explorer.explore(prove, clip=clips(submit.clips), chosen=options(submit), enough=st.booleans())


@every_submit
def test_the_earlier_check_wins(explore: Explore, submit: Submit) -> None:
    """A request with two mistakes gets the error of the check that comes first."""
    explorer = explore(submit)
    explorer.need_controls("which check comes first is assumed")
    found = pairs(submit, explorer.table.book.calls[submit.call])

    def prove(clip: ClipProperties, pair: tuple[Flaw, Flaw]) -> None:
        first, second = pair
        with explorer.account() as account:
            both = account.wrong(submit, clip, first, second)
        with explorer.account() as account:
            alone = account.wrong(submit, clip, first)
        what = f"{first.name}, then {second.name}: {account.last}"
        expect(both, first.expect, what)
        assert _told(alone) == _told(both), what

    for pair in found:
        explorer.one(prove, clip=clips(submit.clips), pair=st.just(pair))


@every_submit
def test_unknown_fields_change_nothing(explore: Explore, submit: Submit) -> None:
    """Undocumented fields in a request are ignored: they do not change price or response."""
    explorer = explore(submit)
    place, _, _ = place_of_video(explorer.table.book.calls[submit.call].body).rpartition(".")

    def prove(
        clip: ClipProperties, chosen: Options, more: Mapping[str, Any], *, inside: bool
    ) -> None:
        path = f"{place}." if inside and place else ""
        unknown = {f"{path}{name}": value for name, value in more.items()}
        with explorer.account() as account:
            without = account.price_of(submit, clip, chosen)
            assert without == account.price_of(submit, clip, {**chosen, **unknown})

    explorer.explore(
        prove,
        clip=clips(submit.clips),
        chosen=options(submit),
        more=unknown_fields(),
        inside=st.booleans(),
    )


def _standing(account: CheckedAccount, job: str) -> dict[str, object]:
    """Return everything that a refused request must leave unchanged."""
    seen = account.poll(job)
    return {
        "balance": account.balance(),
        "lists": account.listings(),
        "job": seen.response.content,
        "status": at(seen.as_seen, "status"),
    }


def _told(answer: Any) -> tuple[int, str]:  # noqa: ANN401 - an answer
    return answer.response.status_code, answer.response.text
