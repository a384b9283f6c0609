"""Variables of the environment in scenario files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from upsim.scenario.loader import Library
from upsim.scenario.yaml_tree import parse_tree

VARIABLES = {"SEED": "7", "NAME": "Ada", "EMPTY": "", "EVIL": "x}\nseed: 1", "SELF": "${SEED}"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${SEED}", 7),
        ("${SEED:-9}", 7),
        ("${NONE:-9}", 9),
        ("${NONE:-0.5}", Decimal("0.5")),
        ("${NONE:-true}", True),
        ("'${SEED}'", "7"),
        ('"${NAME} and ${NONE:-nobody}"', "Ada and nobody"),
        ("a ${NAME}", "a Ada"),
        ("${EMPTY}", None),
        ("${EMPTY:-9}", 9),
        ("'${EMPTY}'", ""),
        ("'${NONE:-}'", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${SEED}", "${SEED}"),
        ("'$${SEED} ${SEED}'", "${SEED} 7"),
        ("$SEED", "$SEED"),
        ("$5", "$5"),
        ("${SELF}", "${SEED}"),
        ("${EVIL}", "x}\nseed: 1"),
    ],
)
def test_values_of_variables(text: str, value: object) -> None:
    """A variable is replaced by one plain value, never by a structure or another variable."""
    tree = parse_tree(f"key: {text}\n", "f.yaml", VARIABLES)

    assert (tree.mistakes, tree.value) == ([], {"key": value})


def test_a_block_of_text() -> None:
    """Variables are also replaced in block texts."""
    assert {"key": "by Ada\n"} == parse_tree("key: |\n  by ${NAME}\n", "f", VARIABLES).value


@pytest.mark.parametrize("key", ["${NAME}", "${NONE:-x}"])
def test_variables_in_keys_stay(key: str) -> None:
    """Variables in keys are not replaced."""
    tree = parse_tree(f"'{key}': 1\n", "f.yaml", VARIABLES)

    assert (tree.mistakes, tree.value) == ([], {key: 1})


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("${NONE}", "variable NONE is not set; set it, or write ${NONE:-default}"),
        ("${", "write a variable as ${NAME} or ${NAME:-default}, and $${ for a literal ${"),
        ("${NAME", "write a variable as ${NAME} or ${NAME:-default}, and $${ for a literal ${"),
        ("${1A}", "write a variable as ${NAME} or ${NAME:-default}, and $${ for a literal ${"),
    ],
)
def test_invalid_variables(text: str, mistake: str) -> None:
    """A variable without a value or with a wrong spelling is a mistake at its place."""
    (found,) = parse_tree(f"a:\n  key: {text}\n", "f.yaml", VARIABLES).mistakes

    assert f"f.yaml:2:8: a.key: {mistake}" == str(found)


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario file can use the environment variables of the process."""
    monkeypatch.setenv("UPSIM_TEST_BALANCE", "12.5")
    path = tmp_path / "a.yaml"
    balance = '"${UPSIM_TEST_BALANCE:-1}"'
    path.write_text(f"extends: venice/baseline\naccounts: {{venice: {{balance: {balance}}}}}\n")

    assert Decimal("12.5") == Library().load(str(path)).accounts["venice"].balance
