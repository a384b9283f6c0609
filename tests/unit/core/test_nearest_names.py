"""The nearest known name: near enough to be meant, or none, decided in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import upsim
from upsim.cli import main
from upsim.cli.environment_variables import unknown_variables
from upsim.core.nearest_names import closest, near_names

VARIABLES = ("UPSIM_ADMIN_TOKEN", "UPSIM_URL", "UPSIM_SERVE_PORT", "UPSIM_TRUSTED_HOSTS")
OTHERS = ("upscale_factor", "target_resolution", "fps", "jobs", "vicsee/fails", "venice/live")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("UPSIM_FOO", ""),
        ("UPSIM_BAR_BAZ", ""),
        ("UPSIM_TOKEN", "UPSIM_ADMIN_TOKEN"),
        ("UPSIM_ULR", "UPSIM_URL"),
        ("UPSIM_SERVE_PROT", "UPSIM_SERVE_PORT"),
        ("upscale_facto", "upscale_factor"),
        ("target_res", ""),
        ("factor", "upscale_factor"),
        ("actor", ""),
        ("fsp", "fps"),
        ("jbos", "jobs"),
        ("vicsee/reset", ""),
        ("venice/liev", "venice/live"),
        ("x" * 10_000, ""),
        ("", ""),
    ],
)
def test_a_common_prefix_makes_no_suggestion(name: str, meant: str) -> None:
    """A common prefix alone does not make a name the nearest name."""
    assert meant == closest(name, (*VARIABLES, *OTHERS))


def test_several_near_names_come_nearest_first() -> None:
    """The nearest names come first, at most as many as requested."""
    assert ["fails", "fail"] == near_names("failss", ["other", "fail", "fails"], 2)


def test_a_distant_variable_is_not_suggested() -> None:
    """For `UPSIM_FOO`, the message refers to the help instead of a suggestion."""
    said = "UPSIM_FOO is set, but no command reads it; `upsim COMMAND --help` lists the options"
    assert [said] == list(unknown_variables(main, ["UPSIM_FOO"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--nope"], r"No such option:? '?--nope'?\.?\n"),
        (["doctor", "--jsn"], r"Did you mean '?--json'?\?"),
        (["serve", "--dialect", "lve"], r"no provider has a dialect 'lve'; did you mean live\?"),
        (["serve", "--dialect", "french"], r"no provider has a dialect 'french'; allowed: "),
    ],
)
def test_a_distant_option_is_not_suggested(arguments: list[str], said: str) -> None:
    """An option that differs too much is not suggested, even if click would suggest it."""
    result = CliRunner().invoke(main, arguments)
    assert (2, True) == (result.exit_code, re.search(said, result.output) is not None), (
        result.output
    )


def test_only_one_module_compares_names() -> None:
    """All suggestions use the same rule, because one module alone imports difflib."""
    package = Path(upsim.__file__).parent
    found = [p.name for p in package.rglob("*.py") if "difflib import" in p.read_text("utf-8")]
    assert ["nearest_names.py"] == found
