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
def test_a_sandbox_with_an_invalid_balance_is_refused(
    admin: Admin, provider: str, balance: str, message: str
) -> None:
    """A new sandbox is refused if a balance is negative, or if credits or points are not whole."""
    order = {"balances": {provider: balance}}
    found = admin.refusal("POST", "sandboxes", order)
    assert (400, "invalid", f"balances.{provider} '{balance}' {message}") == found


@pytest.mark.parametrize(("provider", "balance", "message"), IMPOSSIBLE)
def test_an_invalid_balance_of_an_account_is_refused(
    admin: Admin, provider: str, balance: str, message: str
) -> None:
    """Setting an account's balance is refused if it is negative.

    It is also refused if credits or points are not whole.
    """
    admin.sandbox(id="box")
    path = f"sandboxes/box/accounts/{provider}"
    found = admin.refusal("PUT", path, {"balance": balance})
    assert (400, "invalid", f"balance '{balance}' {message}") == found


def test_a_dollar_balance_can_have_twelve_decimals(admin: Admin) -> None:
    """A balance in dollars can have twelve decimal places."""
    box = admin.sandbox(id="box", balances={"venice": "0.000000000001"})
    venice = admin.caller("venice", box["keys"]["venice"])
    shown = venice.get("/api/v1/billing/balance")
    header = shown.headers["x-venice-balance-usd"]
    assert "0.000000000001" == header


@pytest.mark.parametrize("end", ["failed", "cancelled", "timeout"])
def test_a_refund_after_a_ledger_reset_does_not_change_the_balance(admin: Admin, end: str) -> None:
    """A ledger reset refunds unfinished jobs, so their later failure does not refund them again."""
    job = admin.job()
    admin.post(f"{BOX}/reset?what=ledger")
    admin.put(f"{BOX}/jobs/{job}/state", {"state": end})

    account = admin.sim.sandbox.state.accounts[1]
    kinds = [entry.kind for entry in account.entries.values()]

    assert ["charge", "adjustment", "refund", "adjustment"] == kinds
    assert account.opening == account.balance
    assert account.balance == account.opening + sum(e.amount for e in account.entries.values())


def test_a_second_ledger_reset_changes_nothing(admin: Admin) -> None:
    """After two ledger resets and a failed job, the balance is the opening balance."""
    job = admin.job()
    admin.post(f"{BOX}/reset?what=ledger")
    admin.post(f"{BOX}/reset?what=ledger")
    admin.put(f"{BOX}/jobs/{job}/state", {"state": "failed"})
    assert Decimal(100_000_000) == admin.sim.sandbox.state.accounts[1].balance


def test_a_completed_job_after_a_ledger_reset_keeps_the_balance(admin: Admin) -> None:
    """If a job completes after a ledger reset, the balance stays the same."""
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
def test_a_forced_failure_without_a_reason_has_the_default_reason(
    admin: Admin, provider: str, state: str, name: str
) -> None:
    """A job that is forced to fail without a reason has the provider's default failure."""
    from tests.http.conftest import SAMPLES

    sample = next(found for found in SAMPLES.values() if found.provider == provider)
    job = sample.job(admin.caller(provider, "sk-any"), "https://clips.example/8.mp4")
    shown = admin.put(f"{BOX}/jobs/{job}/state", {"state": state})
    assert name == shown["failure"]["name"]


def test_a_forced_success_has_no_failure(admin: Admin) -> None:
    """A job that is forced to complete has no `failure`."""
    shown = admin.put(f"{BOX}/jobs/{admin.job()}/state", {"state": "completed"})
    assert shown["failure"] is None


def test_a_new_sandbox_returns_urls_that_name_it(admin: Admin) -> None:
    """A new sandbox returns `path_urls`, with which a client reaches it by the path."""
    made = admin.sandbox(id="box")
    local = "http://127.0.0.1:4747"
    expected = {name: f"{local}/sandbox/box/{name}" for name in discover()}
    assert expected == made["path_urls"]
    path = made["path_urls"]["vicsee"].removeprefix(local)
    key = made["keys"]["vicsee"]
    found = admin.http.get(f"{path}/api/v1/credits", headers={"Authorization": f"Bearer {key}"})
    assert 100_000_000 == found.json()["data"]["credits"]


@pytest.mark.parametrize("amount", ["1e99999999", "-1e99999999", "1e-99999999"])
def test_an_amount_too_large_or_small_is_refused(admin: Admin, amount: str) -> None:
    """A balance with an enormous or tiny exponent gets a 400 that shows the value."""
    found = admin.refusal("POST", "sandboxes", {"balances": {"vicsee": amount}})
    assert found[:2] == (400, "invalid")
    assert amount in found[2]
