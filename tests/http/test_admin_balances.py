"""The admin API and money: amounts that an account cannot have, resets, forced failures."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from upsim.providers import discover

if TYPE_CHECKING:
    from tests.http.conftest import Admin

BOX = "sandboxes/default"
ACCOUNT = f"{BOX}/accounts/vicsee"
IMPOSSIBLE = [
    ("vicsee", "-1", "is negative"),
    ("venice", "-0.01", "is negative"),
    ("vicsee", "0.5", "is not a whole number: a credit cannot be divided"),
    ("piapi", "10.000001", "is not a whole number: a point cannot be divided"),
]


@pytest.mark.parametrize(("provider", "balance", "message"), IMPOSSIBLE)
def test_a_sandbox_cannot_open_with_an_impossible_balance(
    admin: Admin, provider: str, balance: str, message: str
) -> None:
    """A balance is not negative, and credits and points are whole."""
    order = {"balances": {provider: balance}}
    found = admin.refusal("POST", "sandboxes", order)
    assert (400, "invalid", f"balances.{provider} '{balance}' {message}") == found


@pytest.mark.parametrize(("provider", "balance", "message"), IMPOSSIBLE)
def test_no_account_can_be_given_an_impossible_balance(
    admin: Admin, provider: str, balance: str, message: str
) -> None:
    """What a new sandbox cannot have, an account cannot be given."""
    admin.sandbox(id="box")
    path = f"sandboxes/box/accounts/{provider}"
    found = admin.refusal("PUT", path, {"balance": balance})
    assert (400, "invalid", f"balance '{balance}' {message}") == found


def test_dollars_have_parts(admin: Admin) -> None:
    """A balance in dollars may have twelve decimal places."""
    box = admin.sandbox(id="box", balances={"venice": "0.000000000001"})
    venice = admin.caller("venice", box["keys"]["venice"])
    shown = venice.get("/api/v1/billing/balance")
    header = shown.headers["x-venice-balance-usd"]
    assert "0.000000000001" == header


@pytest.mark.parametrize("end", ["failed", "cancelled", "timeout"])
def test_a_refund_after_a_reset_adds_nothing(admin: Admin, end: str) -> None:
    """A reset of the ledger gives back the charges of unfinished jobs; their refunds do not."""
    job = admin.job()
    admin.post(f"{BOX}/reset?what=ledger")
    admin.put(f"{BOX}/jobs/{job}/state", {"state": end})

    account = admin.sim.sandbox.state.accounts[1]
    kinds = [entry.kind for entry in account.entries.values()]

    assert ["charge", "adjustment", "refund", "adjustment"] == kinds
    assert account.opening == account.balance
    assert account.balance == account.opening + sum(e.amount for e in account.entries.values())


def test_two_resets_do_no_more_than_one(admin: Admin) -> None:
    """A second reset finds the balance as it was when new."""
    job = admin.job()
    admin.post(f"{BOX}/reset?what=ledger")
    admin.post(f"{BOX}/reset?what=ledger")
    admin.put(f"{BOX}/jobs/{job}/state", {"state": "failed"})
    assert Decimal(100_000_000) == admin.sim.sandbox.state.accounts[1].balance


def test_a_finished_job_is_not_refunded_after_a_reset(admin: Admin) -> None:
    """A job that succeeds after a reset leaves the balance as it is."""
    admin.job()
    admin.post(f"{BOX}/reset?what=ledger")
    admin.sim.advance(1000)
    assert Decimal(100_000_000) == admin.sim.sandbox.state.accounts[1].balance


FAILURES = [
    ("wavespeed", "failed", "task_failed"),
    ("wavespeed", "timeout", "timeout"),
    ("wavespeed", "cancelled", "cancelled"),
    ("venice", "failed", "inference_failed"),
    ("piapi", "failed", "generation_failed"),
    ("vicsee", "failed", "generation_failed"),
    ("vicsee", "timeout", "timeout"),
    ("vicsee", "cancelled", "cancelled"),
]


@pytest.mark.parametrize(("provider", "state", "name"), FAILURES)
def test_a_failure_without_a_reason_has_the_usual_one(
    admin: Admin, provider: str, state: str, name: str
) -> None:
    """A job that is forced to fail fails for the provider's usual reason."""
    from tests.http.conftest import SAMPLES

    sample = next(found for found in SAMPLES.values() if found.provider == provider)
    job = sample.job(admin.caller(provider, "sk-any"), "https://clips.example/8.mp4")
    shown = admin.put(f"{BOX}/jobs/{job}/state", {"state": state})
    assert name == shown["failure"]["name"]


def test_a_success_has_no_failure(admin: Admin) -> None:
    """A job that is forced to succeed has none."""
    shown = admin.put(f"{BOX}/jobs/{admin.job()}/state", {"state": "completed"})
    assert shown["failure"] is None


def test_a_new_sandbox_names_both_forms_of_address(admin: Admin) -> None:
    """Who cannot choose a key reaches the sandbox by its path."""
    made = admin.sandbox(id="box")
    local = "http://127.0.0.1:4747"
    expected = {name: f"{local}/sandbox/box/{name}" for name in discover()}
    assert expected == made["path_urls"]
    path = made["path_urls"]["vicsee"].removeprefix(local)
    key = made["keys"]["vicsee"]
    found = admin.http.get(f"{path}/api/v1/credits", headers={"Authorization": f"Bearer {key}"})
    assert 100_000_000 == found.json()["data"]["credits"]


@pytest.mark.parametrize("amount", ["1e99999999", "-1e99999999", "1e-99999999"])
def test_amounts_beyond_all_bounds_are_refused(admin: Admin, amount: str) -> None:
    """An amount that no decimal context can hold is a 400 that shows it."""
    found = admin.refusal("POST", "sandboxes", {"balances": {"vicsee": amount}})
    assert found[:2] == (400, "invalid")
    assert amount in found[2]
