"""Run jobs, clock, money and receivers in any order, and compare the target with a small model."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from upsim_contracts.exceptions import SpendingError
from upsim_contracts.facts.account_client import NotRunError
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.property_runs import SUBMITS, Explore
from upsim_contracts.suite.state_machine import machine_of


@pytest.mark.timeout(1800)  # at night
@pytest.mark.parametrize("submit", SUBMITS)
def test_machine(explore: Explore, submit: Submit) -> None:
    """No order of calls, commands and time brings a provider where the model cannot follow."""
    explorer = explore(submit)
    try:
        run_state_machine_as_test(
            machine_of(explorer, submit), settings=explorer.settings_of_machine
        )
    except (SpendingError, NotRunError) as error:
        pytest.skip(str(error))
