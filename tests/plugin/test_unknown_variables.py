"""A run names the variables that somebody misspelt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]
TEXT = "def test_nothing(): pass"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("UPSIM_ULR", "did you mean UPSIM_URL?"),
        ("UPSIM_ADMIN_TOKN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_FLUX", "`upsim COMMAND --help` lists the options"),
    ],
)
def test_an_unknown_variable_is_named_at_the_start(
    run_tests: RunTests, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    """The head of the report has a line for it, with the nearest name."""
    monkeypatch.setenv(name, "http://127.0.0.1:4747")

    lines = run_tests(TEXT).outlines

    assert f"upsim: {name} is set, but no command reads it; {hint}" in lines


@pytest.mark.parametrize("name", ["UPSIM_URL", "UPSIM_SERVE_PORT", "UPSIM_TEST_KEY"])
def test_a_known_variable_is_not_named(
    run_tests: RunTests, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Variables of other commands may be set, and those of this project's tests."""
    monkeypatch.setenv(name, "1")

    assert "is set, but no command reads it" not in "\n".join(run_tests(TEXT).outlines)
