"""Check refunds of failed jobs over generated clips and options, by the provider's balance."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.property_runs import SUBMITS, Explore
from upsim_contracts.suite.strategies.bodies import Options, options
from upsim_contracts.suite.strategies.clips import clips

every_submit = pytest.mark.parametrize("submit", SUBMITS)


@every_submit
def test_refund_is_the_charge(explore: Explore, submit: Submit) -> None:
    """A failed job refunds exactly its charge, once, whenever it fails."""
    explorer = explore(submit)
    explorer.need_controls("a job has to fail on command")

    def prove(clip: ClipProperties, chosen: Options, *, started: bool) -> None:
        with explorer.account() as account:
            opening = account.balance()
            job = account.accepted(submit, clip, chosen)
            charged = opening - account.balance()
            if started:
                account.controls.force(job, "processing", None)
            assert charged == opening - account.balance()
            account.controls.force(job, "failed", None)
            assert account.end_of(account.word(account.poll(job))) == "failed"
            assert opening == account.balance()
            account.controls.advance(to="idle")
            account.poll(job)
            assert opening == account.balance()

    later = len(explorer.table.unfinished) > 1  # else a job is started from the beginning
    explorer.explore(
        prove,
        clip=clips(submit.clips),
        chosen=options(submit),
        started=st.booleans() if later else st.just(value=False),
    )
