"""Check that job ids are unique and opaque, and useless for other accounts."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.facts.account_client import FactResponse
from upsim_contracts.suite.checked_account import CheckedAccount, expect
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.property_runs import SUBMITS, Explore, submits_where
from upsim_contracts.suite.strategies.clips import clips
from upsim_contracts.suite.strategies.ids import beside

every_submit = pytest.mark.parametrize("submit", SUBMITS)


@every_submit
def test_ids_are_unique(explore: Explore, submit: Submit) -> None:
    """Equal requests get different job ids, from one account or from two accounts."""
    explorer = explore(submit)
    explorer.need_controls("a second account is needed")

    def prove(clip: ClipProperties, count: int) -> None:
        with explorer.account() as account:
            other = account.other()
            ids = [account.accepted(submit, clip, submit.defaults) for _ in range(count)]
            ids += [other.accepted(submit, clip, submit.defaults) for _ in range(count)]
        assert sorted(set(ids)) == sorted(ids)

    explorer.explore(prove, clip=clips(submit.clips), count=st.integers(1, 6))


@every_submit
def test_ids_are_opaque(explore: Explore, submit: Submit) -> None:
    """A job id with one changed character does not lead to a job."""
    explorer = explore(submit)

    def prove(clip: ClipProperties, place: int, by: int) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, submit.defaults)
            first, second = beside(job, place, by), beside(job, place + 1, by)
            assert without_id(account.poll(first), first) == without_id(
                account.poll(second), second
            )
            assert not account.poll(first).response.is_success
            assert account.poll(job).response.is_success

    explorer.explore(prove, clip=clips(submit.clips), place=st.integers(0, 7), by=st.integers(1, 9))


@every_submit
def test_ids_of_another_account(explore: Explore, submit: Submit) -> None:
    """A request for another account's job gets the declared response, without facts about it."""
    explorer = explore(submit)
    explorer.need_controls("a second account is needed")

    def prove(clip: ClipProperties) -> None:
        with explorer.account() as account:
            other = account.other()
            job = account.accepted(submit, clip, submit.defaults)
            early = other.poll(job)
            account.finish(job)
            late = other.poll(job)
            nowhere = beside(job, 0, 1)
            unknown = other.poll(nowhere)
            if explorer.table.foreign is None:
                assert without_id(unknown, nowhere) == without_id(early, job)
            else:
                expect(early, explorer.table.foreign, other.last)
            assert without_id(early, job) == without_id(late, job)
            assert account.names["video"] not in early.response.text

    explorer.explore(prove, clip=clips(submit.clips))


@every_submit
def test_ids_of_another_sandbox(explore: Explore, submit: Submit) -> None:
    """A sandbox answers an id of another sandbox exactly like an id that never existed."""
    explorer = explore(submit)
    explorer.need_controls("a second sandbox is needed")

    def prove(clip: ClipProperties, seed: int) -> None:
        with explorer.account() as here, explorer.account(seed=seed) as there:
            job = here.accepted(submit, clip, submit.defaults)
            nowhere = beside(job, 0, 1)
            assert without_id(there.poll(nowhere), nowhere) == without_id(there.poll(job), job)

    explorer.explore(prove, clip=clips(submit.clips), seed=st.integers(1, 99))


@pytest.mark.parametrize("submit", submits_where(lambda table, _submit: bool(table.actions)))
def test_others_cannot_act_on_a_job(explore: Explore, submit: Submit) -> None:
    """Requests of another account with a job's id leave the job and its price unchanged."""
    explorer = explore(submit)
    explorer.need_controls("a second account is needed")
    calls = [action.call for action in explorer.table.actions.values()]

    def prove(clip: ClipProperties, call: str, *, ended: bool) -> None:
        with explorer.account() as account:
            other = account.other()
            job = account.accepted(submit, clip, submit.defaults)
            if ended:
                account.finish(job)
            before = (account.poll(job).response.content, account.balance())
            nowhere = beside(job, 0, 1)
            assert without_id(_act(other, call, nowhere), nowhere) == without_id(
                _act(other, call, job), job
            )
            assert before == (account.poll(job).response.content, account.balance())

    explorer.explore(
        prove, clip=clips(submit.clips), call=st.sampled_from(calls), ended=st.booleans()
    )


def without_id(answer: FactResponse, job: str) -> tuple[int, str]:
    """Return a response's status and text, with a placeholder for the job's id."""
    return answer.response.status_code, answer.response.text.replace(job, "$job")


def _act(account: CheckedAccount, call: str, job: str) -> FactResponse:
    account.names["job"] = job
    return account.call({"call": call})
