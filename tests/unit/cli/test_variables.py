"""Variables `UPSIM_…`: one name for the admin token, and a line for names that no command reads."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from upsim.cli import COMMANDS, main
from upsim.cli.variables import unknown_variables


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("UPSIM_SERVE_PROT", "did you mean UPSIM_SERVE_PORT?"),
        ("UPSIM_SERV_PORT", "did you mean UPSIM_SERVE_PORT?"),
        ("UPSIM_TOKEN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_SERVE_ADMIN_TOKEN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_VERIFY_ADMIN_TOKEN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_TRUSTED_HOST", "did you mean UPSIM_TRUSTED_HOSTS?"),
        ("UPSIM_XYZZY_QQQQ", "lists the options"),
    ],
)
def test_unknown_variable_names_the_nearest(name: str, near: str) -> None:
    """An unknown name is reported on stderr with the nearest one that is read."""
    result = CliRunner(env={name: "1"}).invoke(main, ["scenarios", "list", "credits"])

    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if name in line)
    assert line.startswith(f"upsim: {name} is set, but no command reads it; ")
    assert near in line
    assert name not in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_can_be_set_by_its_variable(command: str) -> None:
    """The variable of each option, as click reads it, counts as known."""
    loaded = main.get_command(click.Context(main), command)
    assert loaded is not None
    names = [
        option.envvar or f"UPSIM_{command.upper()}_{str(option.name).upper()}"
        for option in loaded.params
    ]
    assert list(unknown_variables(main, map(str, names))) == []


def test_known_variables_are_silent() -> None:
    """Names that the client, the plug-in or the tests read are not reported."""
    names = ["UPSIM_ADMIN_TOKEN", "UPSIM_TRUSTED_HOSTS", "UPSIM_URL", "UPSIM_REQUIRE_ALL", "HOME"]
    assert list(unknown_variables(main, names)) == []


@pytest.mark.parametrize("command", ["serve", "env", "verify"])
def test_admin_token_has_one_name(command: str) -> None:
    """Each command with an admin token shows the same variable in its help."""
    result = CliRunner().invoke(main, [command, "--help"])
    assert "UPSIM_ADMIN_TOKEN" in result.output
