"""Each job keeps its own rules, in every order of submits, waits and edited files."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.http.fault_client import patient
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.core.states import JobState
from upsim.engine.reload import reload

BILLED_SECONDS = 9
FAILS_AFTER = 20
TEXT = """extends: vicsee/baseline
models: {{topaz-video-upscale: {{billing: {{rate: {{table: {{"2": "{rate}"}}}}}}}}}}
refund: {{states: {states}, after: "{after}"}}
jobs: [{{lifecycle: [{{waiting: 20s}}, {{failed: generation_failed}}]}}]
changes: [{{after: {change}s, set: {{refund: {{states: []}}}}}}]
"""


class File(NamedTuple):
    """One version of the file, with the number of seconds after the start at which refunds end."""

    rate: int
    states: str
    after: int
    change: int

    def expected(self, seconds: int) -> tuple[Decimal, int | None]:
        """Return the price of a job that is accepted then, and when it comes back, if it does."""
        back = self.states != "[]" and seconds < self.change
        return Decimal(self.rate * BILLED_SECONDS), FAILS_AFTER + self.after if back else None


FILES = [
    File(10, "[failed]", 0, 10_000),
    File(20, "[]", 0, 10_000),
    File(30, "[failed]", 15, 40),
]
steps = st.one_of(st.just("submit"), st.integers(1, 30), st.sampled_from(FILES))


@settings(deadline=None, max_examples=20)
@given(st.lists(steps, max_size=25))
@example(["submit", FILES[1], "submit", 30])
@example([FILES[2], "submit", 30, 30, "submit", 30])
@example(["submit", FILES[1], FILES[0], 30])
@example([FILES[2], 25, "submit", FILES[1], 15, "submit"])
def test_money_follows_the_rules_at_acceptance(chosen: list[str | int | File]) -> None:
    """The charge and the refund of a job follow the rules at the time of its acceptance."""
    expected: dict[str, tuple[Decimal, int | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, present, now = Path(folder) / "mine.yaml", FILES[0], 0
        path.write_text(TEXT.format(**present._asdict()), "utf-8")
        with Simulator(str(path), clock="manual", seed=1) as sim:
            client = patient(sim)
            for step in chosen:
                if isinstance(step, File):
                    present = step
                    path.write_text(TEXT.format(**present._asdict()), "utf-8")
                    reload(sim.registry, sim.registry.library.renewed())
                elif isinstance(step, int):
                    sim.advance(step)
                    now += step
                else:
                    expected[client.job()] = present.expected(now)
            sim.advance(100)

            assert expected == {job: money(sim, job) for job in expected}
            balances(sim)


def money(sim: Simulator, name: str) -> tuple[Decimal, int | None]:
    """Return what a job was charged, and how long after its acceptance that came back."""
    state = sim.sandbox.state
    job, charge, refund = state.jobs[name], state.charge_of(name), state.refund_of(name)
    assert JobState.FAILED is job.state
    assert charge is not None
    assert refund is None or refund.amount == -charge.amount
    back = None if refund is None else (refund.at - job.accepted.at) // SECOND
    return -charge.amount, back


def balances(sim: Simulator) -> None:
    """Every balance is the opening plus the sum of its entries."""
    for account in sim.sandbox.state.accounts.values():
        entries = sum(entry.amount for entry in account.entries.values())
        assert account.balance == account.opening + entries
