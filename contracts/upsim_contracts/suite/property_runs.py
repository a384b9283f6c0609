"""Run a property on a number of examples, from a seed, each example in its own sandbox.

At a target that costs money only a few examples run, without shrinking, and the spending cap
always applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as Settings  # noqa: N812 - a class
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

from upsim_contracts.exceptions import SpendingError
from upsim_contracts.facts.account_client import NotRunError
from upsim_contracts.suite.checked_account import CheckedAccount
from upsim_contracts.suite.generate_table import Generation, Submit, generation
from upsim_contracts.target import Target, TargetSettings
from upsim_contracts.verify.run import book_of, pricer, providers

DATABASE = ".hypothesis/contracts"
AMPLE = "10000000000"
"""Funds for any number of jobs, in the unit of any provider."""
BILLED_EXAMPLES = 3
BILLED_STEPS = 8
SEARCH = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
BILLED = (Phase.explicit, Phase.generate)


@dataclass(frozen=True, slots=True)
class Effort:
    """The amount of searching: examples of a property; runs of a state machine and their steps.

    With `random` each run uses other examples and stores failures. Without `shrink` the first
    failing example is reported unchanged.
    """

    examples: int
    runs: int
    steps: int
    random: bool = False
    shrink: bool = True


EFFORTS = {
    "ci": Effort(examples=15, runs=12, steps=25),
    "mutants": Effort(examples=15, runs=12, steps=25, shrink=False),
    "nightly": Effort(examples=400, runs=400, steps=50, random=True),
}


def tables() -> Iterator[Generation]:
    """Yield the `generate` tables of all providers that have one."""
    for provider in providers():
        found = generation(book_of(provider))
        if found is not None:
            yield found


@cache
def table_of(provider: str) -> Generation:
    """Return the table of a provider, which must have one."""
    return next(table for table in tables() if table.provider == provider)


def submits_where(holds: Callable[[Generation, Submit], bool]) -> list[Any]:
    """Return the submits that satisfy a condition, each as a pytest parameter."""
    return [
        pytest.param(submit, id=submit.id)
        for table in tables()
        for submit in table.submits.values()
        if holds(table, submit)
    ]


SUBMITS = submits_where(lambda _table, _submit: True)


Explore = Callable[[Submit | Generation], "Explorer"]


class Explorer:
    """Checks properties of one provider at one target."""

    def __init__(self, target: Target, table: Generation, effort: Effort) -> None:
        """Store the provider, the target and the effort."""
        self.target = target
        self.table = table
        self.effort = effort
        self._price = pricer(table.book.provider)

    def need_controls(self, why: str) -> None:
        """Skip the test unless the target is a simulator with controls."""
        if not self.target.simulator:
            pytest.skip(f"only a simulator can show it: {why}")

    @property
    def settings(self) -> Settings:
        """Return the Hypothesis settings of a property."""
        billed = self.target.purse.cap is not None
        random = self.effort.random and not billed
        return Settings(
            max_examples=BILLED_EXAMPLES if billed else self.effort.examples,
            phases=SEARCH if self.effort.shrink and not billed else BILLED,
            derandomize=not random,
            database=DirectoryBasedExampleDatabase(DATABASE) if random else None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=random,
        )

    @property
    def settings_of_machine(self) -> Settings:
        """Return the Hypothesis settings of a machine."""
        billed = self.target.purse.cap is not None
        return Settings(
            self.settings,
            max_examples=1 if billed else self.effort.runs,
            stateful_step_count=BILLED_STEPS if billed else self.effort.steps,
        )

    def explore(self, prove: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
        """Run a property on generated examples; skip those that cost too much or cannot be made."""
        try:
            self.settings(given(**strategies)(prove))()
        except (SpendingError, NotRunError) as error:
            pytest.skip(str(error))

    def one(self, prove: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
        """Check a property of one table row: once, or more often in nightly runs."""
        few = Settings(self.settings, max_examples=max(1, self.effort.examples // 40))
        few(given(**strategies)(prove))()

    @contextmanager
    def account(self, *, balance: str = AMPLE, seed: int = 0) -> Iterator[CheckedAccount]:
        """Yield an account in a new sandbox; at a target without sandboxes, the only account."""
        with self.target.world(TargetSettings(balance=balance, seed=seed)) as world:
            yield CheckedAccount(self.table, self.target, world=world, price=self._price)

    def oracle(self, submit: Submit, clip: Any, body: Any) -> Any:  # noqa: ANN401 - as the oracle
        """Return the price that the contracts compute themselves."""
        found = self._price(submit.call, clip, body)
        assert found is not None
        return found
