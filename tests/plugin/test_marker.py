"""The marker `upsim` shapes the sandbox of a test, and says what it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

SHAPES = """
import pytest
from decimal import Decimal

pytestmark = pytest.mark.upsim(clock="manual")


@pytest.mark.upsim(scenario="vicsee/insufficient-funds")
def test_scenario(upsim):
    assert "vicsee/insufficient-funds" == upsim.scenario


@pytest.mark.upsim(scenario="vicsee/insufficient-funds", balance=7)
def test_balance_of_the_scenario(upsim):
    assert Decimal(7) == upsim.ledger.balance("vicsee")
    assert Decimal(1000000) == upsim.ledger.balance("venice")


@pytest.mark.upsim(balance={"venice": "0.01"})
def test_balance_by_provider(upsim):
    assert Decimal("0.01") == upsim.ledger.balance("venice")
    assert Decimal(100000000) == upsim.ledger.balance("vicsee")


@pytest.mark.upsim(scenario={"extends": "vicsee/baseline", "account": {"opening": "7"}})
def test_scenario_of_a_mapping(upsim):
    assert ("request body", Decimal(7)) == (upsim.scenario, upsim.ledger.balance("vicsee"))


def test_clock_of_the_module(upsim):
    assert "manual" == upsim.clock.mode


@pytest.mark.upsim(clock={"mode": "manual", "now": "2030-05-06T07:08:09Z"})
def test_nearest_marker_wins(upsim):
    assert 2030 == upsim.clock.now.year


@pytest.mark.upsim(clock={"now": "2030-05-06T07:08:09Z"})
def test_start_alone(upsim):
    assert ("auto", 2030) == (upsim.clock.mode, upsim.clock.now.year)


@pytest.mark.upsim(seed=5)
def test_seed(upsim):
    assert 5 == upsim.seed


@pytest.mark.upsim(dialect="live")
def test_dialect(upsim):
    answer = upsim.http("vicsee").post(
        "/api/v1/tools/upscale-video", json={"video_url": upsim.clip()})
    assert "processing" == answer.json()["data"]["status"]


@pytest.mark.upsim(strict_keys=True)
def test_strict_keys(upsim):
    assert upsim.strict_keys
"""


def test_marker_shapes_the_sandbox(run_tests: RunTests) -> None:
    """Each marker argument has an effect; a test's marker overrides that of its class or module."""
    run_tests(SHAPES).assert_outcomes(passed=10)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("scenari='x'", "has no argument 'scenari'; did you mean scenario[?]"),
        ("zzz=1", "allowed: scenario, balance, clock, seed, dialect, strict_keys"),
        ("'vicsee/no-funds'", "accepts no positional argument such as 'vicsee/no-funds'"),
        ("scenario='vicsee/out-of-credit'", "did you mean vicsee/insufficient-funds"),
        ("scenario='nowhere.yaml'", "no scenario file '.*nowhere.yaml': the file does not exist"),
        ("scenario={'extends': 'vicsee/basline'}", "did you mean vicsee/baseline"),
        ("clock='fast'", "clock 'fast' is unknown; allowed: real, manual, auto"),
        ("dialect='life'", "no provider has a dialect 'life'; did you mean live[?]"),
        ("balance={'venize': 1}", "there is no provider 'venize'; did you mean venice[?]"),
        ("balance='much'", "'much' is not a decimal number"),
    ],
)
def test_marker_mistake_is_named(run_tests: RunTests, mark: str, expected: str) -> None:
    """A marker with an invalid value fails its test with an error message, without a traceback."""
    text = f"import pytest\n\n@pytest.mark.upsim({mark})\ndef test_it(upsim):\n    pass\n"
    result = run_tests(text, "-rE")

    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines([f".*{expected}.*"])
    result.stdout.no_re_match_line(r".*Traceback|.*\.py:\d+: .*Error")


POOR = "extends: vicsee/baseline\naccounts: {vicsee: {balance: '10'}}\n"
RICH = "extends: vicsee/baseline\naccounts: {vicsee: {balance: '1000'}}\n"
OWN = """
import pathlib

import pytest


@pytest.mark.upsim(scenario="own.yaml")
def test_beside(upsim):
    assert 10 == upsim.ledger.balance("vicsee")


@pytest.mark.upsim(scenario=pathlib.Path("../elsewhere.yaml"))
def test_above(upsim):
    assert 1000 == upsim.ledger.balance("vicsee")


@pytest.mark.upsim(scenario="elsewhere.yaml")
def test_where_pytest_was_started(upsim):
    assert 1000 == upsim.ledger.balance("vicsee")


@pytest.mark.upsim(scenario=str(pathlib.Path(__file__).with_name("own.yaml")))
def test_absolute(upsim):
    assert 10 == upsim.ledger.balance("vicsee")


@pytest.mark.upsim(scenario="vicsee/insufficient-funds")
def test_one_that_ships(upsim):
    assert 15 == upsim.ledger.balance("vicsee")


def test_further_sandbox(upsim_sandboxes):
    assert 10 == upsim_sandboxes(scenario="own.yaml").ledger.balance("vicsee")
"""


@pytest.mark.parametrize("target", ["sim", "socket"])
def test_a_scenario_path_is_relative_to_the_test(
    run_tests: RunTests, pytester: pytest.Pytester, target: str
) -> None:
    """A scenario file is searched beside the test, then in the folder where pytest started."""
    below = pytester.mkdir("below")
    (below / "test_own.py").write_text(OWN, "utf-8")
    (below / "own.yaml").write_text(POOR, "utf-8")
    for name in ("own", "elsewhere"):
        (pytester.path / f"{name}.yaml").write_text(RICH, "utf-8")
    result = run_tests("", "below", f"--upsim-target={target}")

    result.assert_outcomes(passed=6)


def test_a_scenario_file_with_mistakes_is_named(
    run_tests: RunTests, pytester: pytest.Pytester
) -> None:
    """Each mistake in a user's scenario file is one line of the error, without a traceback."""
    pytester.makefile(".yaml", own="extends: vicsee/baseline\nseed: x\nkobs: {}\n")
    text = "import pytest\n\n@pytest.mark.upsim(scenario='own.yaml')\ndef test_it(upsim): pass\n"
    result = run_tests(text, "-rE")

    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines([r".*own.yaml:2:1: seed: .*'x'", r".*own.yaml:3:1: kobs: unknown"])
    result.stdout.no_re_match_line(r".*Traceback|.*\.py:\d+: .*Error|.*another exception")


def test_marker_is_declared(run_tests: RunTests) -> None:
    """`pytest --markers` explains the marker, and `--strict-markers` accepts it."""
    result = run_tests("", "--markers", "--strict-markers")

    result.stdout.fnmatch_lines(["@pytest.mark.upsim(scenario=*"])
