"""Amounts of a unit that cannot be divided."""

from __future__ import annotations

from pathlib import Path

import pytest

from upsim.providers import discover, folders
from upsim.scenario.loader import Library

MODEL = "models: {topaz-video-upscale: {billing: "
VICSEE = {
    'accounts: {vicsee: {balance: "500.5"}}': "2:21: accounts.vicsee.balance: 500.5 is not",
    'accounts: {piapi: {balance: "1.5"}}': "accounts.piapi.balance: 1.5 is not a whole number: a p",
    'account: {opening: "0.5"}': "2:11: account.opening: 0.5 is not",
    f'{MODEL}{{rate: {{by: upscale_factor, table: {{"4": "28.5"}}}}}}}}}}': (
        "table.4: a price of 28.5 is not"
    ),
    f'{MODEL}{{rate: {{per: "3"}}}}}}}}': "table.1: a price of 5.333",
    f"{MODEL}{{quantity: {{of: seconds, round: exact}}}}}}}}": (
        "quantity.round: a charge for exact seconds is not"
    ),
    'account: {unit: coin, opening: "0.5"}': "account.opening: 0.5 is not a whole number: a coin",
    'changes: [{after: 1h, set: {accounts: {vicsee: {balance: "7.25"}}}}]': "balance: 7.25 is not",
    f'changes: [{{after: 1h, set: {{{MODEL}{{rate: {{table: {{"2": "1.5"}}}}}}}}}}}}}}]': (
        "table.2: a price of 1.5 is not"
    ),
}
WHOLE = {
    "vicsee": [
        'accounts: {vicsee: {balance: "500"}}',
        'accounts: {vicsee: {balance: "500.0"}}',
        f"{MODEL}{{places: 0, quantity: {{of: seconds, round: exact}}}}}}}}",
    ],
    "venice": ['accounts: {venice: {balance: "5.25"}}'],
    "piapi": ['account: {divisible: true, opening: "0.5"}'],
}


def mistakes(folder: Path, provider: str, text: str) -> list[str]:
    """Return what `upsim validate` prints of a file."""
    path = folder / "a.yaml"
    path.write_text(f"extends: {provider}/baseline\n{text}\n", "utf-8")
    library = Library(folders=folders)
    return [str(one) for one in library.mistakes_in(library.resolve(path), discover())]


@pytest.mark.parametrize("text", VICSEE)
def test_part_of_a_credit_is_a_mistake(tmp_path: Path, text: str) -> None:
    """A fraction of a credit in a balance or price is a mistake, also inside changes."""
    found = mistakes(tmp_path, "vicsee", text)

    assert any(VICSEE[text] in one for one in found), found
    assert all("is not a whole number: a " in one for one in found)


@pytest.mark.parametrize(
    ("provider", "text"), [(name, text) for name, texts in WHOLE.items() for text in texts]
)
def test_whole_amounts_and_parts_of_a_dollar_are_accepted(
    tmp_path: Path, provider: str, text: str
) -> None:
    """Fractions of a dollar are accepted, and so is a charge rounded to a whole number."""
    assert mistakes(tmp_path, provider, text) == []


@pytest.mark.parametrize("provider", ["wavespeed", "venice", "piapi", "vicsee"])
def test_negative_balances_are_mistakes(tmp_path: Path, provider: str) -> None:
    """A negative opening balance is a mistake in a scenario, a change or a baseline."""
    written = (f'accounts: {{{provider}: {{balance: "-5"}}}}', 'account: {opening: "-0.5"}')
    for text in (*written, f"changes: [{{after: 1h, set: {{{written[0]}}}}}]"):
        found = mistakes(tmp_path, provider, text)
        assert ["A number from 0" in one for one in found] == [True], (text, found)
