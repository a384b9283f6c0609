"""Check the progress of a job: documented transitions and times, and an end that stays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.suite.checked_account import CheckedAccount
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.property_runs import SUBMITS, Explore, submits_where
from upsim_contracts.suite.strategies.clips import clips

every_submit = pytest.mark.parametrize("submit", SUBMITS)


@every_submit
def test_statuses_move_along_declared_edges(explore: Explore, submit: Submit) -> None:
    """After every event, the status of a job is one that may follow its last status."""
    explorer = explore(submit)
    explorer.need_controls("time has to pass event by event")
    table = explorer.table

    def prove(clip: ClipProperties, fails_after: int | None) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, submit.defaults)
            words = [account.word(account.poll(job))]
            assert words[0] == table.unfinished[0]
            while account.end_of(words[-1]) is None:
                if len(words) - 1 == fails_after:
                    account.controls.force(job, "failed", None)
                else:
                    account.controls.advance(to="next")
                words.append(account.word(account.poll(job)))
        for before, after in pairwise(words):
            assert after == before or after in table.edges[str(before)], words
        assert fails_after is None or account.end_of(words[-1]) in ("failed", "completed")

    explorer.explore(prove, clip=clips(submit.clips), fails_after=st.none() | st.integers(0, 2))


@every_submit
def test_statuses_never_go_back(explore: Explore, submit: Submit) -> None:
    """A polled status can follow the status of the poll before, however long the pause is."""
    explorer = explore(submit)
    explorer.need_controls("time has to pass")
    table = explorer.table

    def prove(clip: ClipProperties, pauses: list[int]) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, submit.defaults)
            words = [account.word(account.poll(job))]
            for pause in pauses:
                account.controls.advance(seconds=pause)
                words.append(account.word(account.poll(job)))
        for before, after in pairwise(words):
            assert after in table.reachable(str(before)), words

    pauses = st.lists(st.integers(0, 120), min_size=1, max_size=6)
    explorer.explore(prove, clip=clips(submit.clips), pauses=pauses)


@every_submit
def test_ended_jobs_keep_their_response(explore: Explore, submit: Submit) -> None:
    """After the end of a job, every poll gets the same response, byte for byte."""
    explorer = explore(submit)
    explorer.need_controls("time has to pass")

    def prove(clip: ClipProperties, pauses: list[int], *, fails: bool) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, submit.defaults)
            if fails:
                account.controls.force(job, "failed", None)
            first = account.finish(job)
            for pause in pauses:
                account.controls.advance(seconds=pause)
                again = account.poll(job)
                assert _told(first) == _told(again)

    most = explorer.table.keeps // 4
    explorer.explore(
        prove,
        clip=clips(submit.clips),
        pauses=st.lists(st.integers(0, most), min_size=1, max_size=3),
        fails=st.booleans(),
    )


@pytest.mark.parametrize("submit", submits_where(lambda table, _submit: table.time[1] is not None))
def test_jobs_take_the_documented_time(explore: Explore, submit: Submit) -> None:
    """A job runs at least the documented minimum time and at most the documented maximum time."""
    explorer = explore(submit)
    explorer.need_controls("time has to pass")
    least, most = explorer.table.time
    assert most is not None

    def prove(clip: ClipProperties, at: int) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, submit.defaults)
            account.controls.advance(seconds=at)
            end = account.end_of(account.word(account.poll(job)))
        if at < least:
            assert end is None
        if at >= most:
            assert end == "completed"

    times = st.sampled_from([least - 1, most, most + 1]) | st.integers(0, 2 * most)
    explorer.explore(prove, clip=clips(submit.clips), at=times)


@every_submit
def test_other_accounts_change_nothing(explore: Explore, submit: Submit) -> None:
    """Responses, balance and lists of an account do not depend on what another account does."""
    explorer = explore(submit)
    explorer.need_controls("a second account is needed")

    def prove(
        clip: ClipProperties, pauses: list[int], other_clip: ClipProperties, others: list[str]
    ) -> None:
        seen = []
        for acts in ([], others):
            with explorer.account(seed=7) as account:
                other = account.other()
                seen.append(_life(account, other, submit, clip, pauses, (other_clip, acts)))
        assert seen[0] == seen[1]

    explorer.explore(
        prove,
        clip=clips(submit.clips),
        pauses=st.lists(st.integers(0, 90), min_size=1, max_size=4),
        other_clip=clips(submit.clips),
        others=st.lists(
            st.sampled_from(["submit", "poll mine", "poll its own", "poor"]), min_size=1, max_size=4
        ),
    )


def _life(
    account: CheckedAccount,
    other: CheckedAccount,
    submit: Submit,
    clip: ClipProperties,
    pauses: list[int],
    others: tuple[ClipProperties, list[str]],
) -> list[object]:
    """Return all responses about a job while another account is busy, without ids."""
    job = account.accepted(submit, clip, submit.defaults)
    theirs: list[str] = []
    seen: list[object] = []
    for pause in pauses:
        account.controls.advance(seconds=pause)
        for act in others[1]:
            if act == "submit":
                theirs.append(other.accepted(submit, others[0], submit.defaults))
            elif act == "poor":
                flaw = next(one for one in submit.flaws if one.balance is None)
                other.wrong(submit, others[0], flaw)
            else:
                other.poll(job if act == "poll mine" or not theirs else theirs[-1])
        names = {job: "$job", account.controls.sandbox: "$sandbox"}
        answer = account.poll(job)
        status, text = answer.response.status_code, answer.response.text
        seen.append((status, _without(text, names), account.balance()))
        seen.append([_without(repr(one), names) for one in account.listings()])
    return seen


def _without(text: str, names: dict[str, str]) -> str:
    for name, stands_for in names.items():
        text = text.replace(name, stands_for)
    return text


def _told(answer: Any) -> tuple[int, bytes]:  # noqa: ANN401 - an answer
    return answer.response.status_code, answer.response.content
