"""Variables `UPSIM_…`: one name for the admin token, and a line for names that no command reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from upsim.cli import COMMANDS, env, main
from upsim.cli.environment_variables import unknown_variables
from upsim.testing.running_server import at_running_server


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("UPSIM_SERVE_PROT", "did you mean UPSIM_SERVE_PORT?"),
        ("UPSIM_SERV_PORT", "did you mean UPSIM_SERVE_PORT?"),
        ("UPSIM_TOKEN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_SERVE_ADMIN_TOKEN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_VERIFY_ADMIN_TOKEN", "did you mean UPSIM_ADMIN_TOKEN?"),
        ("UPSIM_TRUSTED_HOST", "did you mean UPSIM_TRUSTED_HOSTS?"),
        ("UPSIM_BASE_URL", "did you mean UPSIM_URL?"),
        ("UPSIM_SERVER_URL", "did you mean UPSIM_URL?"),
        ("UPSIM_ULR", "did you mean UPSIM_URL?"),
        ("UPSIM_SERVER_PUBLIC_URL", "did you mean UPSIM_SERVE_PUBLIC_URL?"),
        ("UPSIM_ENV_ULR", "did you mean UPSIM_ENV_URL?"),
        ("UPSIM_XYZZY_QQQQ", "lists the options"),
        ("UPSIM_PCAE", "did you mean UPSIM_SERVE_PACE or UPSIM_DEMO_PACE?"),
    ],
)
def test_unknown_variable_names_the_nearest(name: str, near: str) -> None:
    """An unknown variable is reported on stderr with the nearest known name."""
    result = CliRunner(env={name: "1"}).invoke(main, ["scenarios", "list", "credits"])

    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if name in line)
    assert line.startswith(f"upsim: {name} is set, but no command reads it; ")
    assert near in line
    assert name not in result.stdout


@pytest.mark.parametrize(
    ("running", "name", "near"),
    [
        ("serve", "UPSIM_SCENARIO", "UPSIM_SERVE_SCENARIO"),
        ("serve", "UPSIM_CLOK", "UPSIM_SERVE_CLOCK"),
        ("env", "UPSIM_SCENARIO", "UPSIM_ENV_SCENARIO"),
        ("serve", "UPSIM_ENV_SCENRIO", "UPSIM_ENV_SCENARIO"),
        ("serve", "UPSIM_TOKEN", "UPSIM_ADMIN_TOKEN"),
        ("no-such-command", "UPSIM_TOKEN", "UPSIM_ADMIN_TOKEN"),
    ],
)
def test_variable_of_the_running_command_comes_first(running: str, name: str, near: str) -> None:
    """The suggestion prefers a variable of the running command."""
    (line,) = unknown_variables(main, [name], running)
    assert line.endswith(f"did you mean {near}?")


def _commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand, by its words."""
    waiting: list[tuple[str, click.Command]] = [
        (name, found)
        for name in COMMANDS
        if (found := main.get_command(click.Context(main), name)) is not None
    ]
    while waiting:
        name, command = waiting.pop()
        yield name, command
        if isinstance(command, click.Group):
            waiting += [(f"{name} {inner}", one) for inner, one in command.commands.items()]


@pytest.mark.parametrize(("words", "command"), list(_commands()), ids=str)
def test_help_shows_the_variable_of_every_option(words: str, command: click.Command) -> None:
    """Every option has a known environment variable that `--help` prints."""
    text = " ".join(CliRunner().invoke(main, [*words.split(), "--help"]).output.split())
    for option in command.params:
        if isinstance(option, click.Option):
            given = option.envvar or ()
            names = [given] if isinstance(given, str) else list(given)
            assert names
            assert all(name.startswith("UPSIM_") for name in names)
            assert f"[env var: {', '.join(names)}" in text
            assert list(unknown_variables(main, names)) == []


@pytest.mark.parametrize(
    ("name", "value", "command", "message"),
    [
        (
            "UPSIM_SERVE_PORT",
            "abc",
            ["serve"],
            "UPSIM_SERVE_PORT: 'abc' is not a port: use 0 or a number from 1 to 65535",
        ),
        ("UPSIM_SERVE_FETCH", "maybe", ["serve"], "for UPSIM_SERVE_FETCH: 'maybe' is not"),
        ("UPSIM_ALLOW_HOST", "*.x", ["serve"], "for UPSIM_ALLOW_HOST: '*.x' is not the name"),
        ("UPSIM_SERVE_CLOCK", "warp", ["serve"], "scaled:60 (n is a whole number from 1 to"),
        ("UPSIM_SERVE_CLOCK", "warp", ["serve"], "(the environment sets UPSIM_SERVE_CLOCK)"),
        ("UPSIM_SERVE_SCENARIO", "nope", ["serve"], "sets UPSIM_SERVE_SCENARIO)"),
        ("UPSIM_VERIFY_CAP", "-1", ["verify"], "for UPSIM_VERIFY_CAP: '-1' is not 0 or more"),
        ("UPSIM_ADMIN_TOKEN", "a b", ["serve"], "for UPSIM_ADMIN_TOKEN: a token is 1 to 512"),
        ("UPSIM_QUOTE_FPS", "x", ["quote"], "for UPSIM_QUOTE_FPS: 'x' is not a frame rate"),
        ("UPSIM_SERVE_PACE", "30", ["serve", "--port", "x"], "for '--port': 'x' is not a port"),
    ],
)
def test_wrong_value_names_its_variable(
    name: str, value: str, command: list[str], message: str
) -> None:
    """The error for a wrong value names the variable, or the option if the value was typed.

    The message also has the value and the allowed values.
    """
    result = CliRunner(env={name: value}).invoke(main, command)

    assert (2, True) == (result.exit_code, message in result.stderr), result.stderr


WRONG = """
serve --port 0           | --scenario nope            | UPSIM_SERVE_PACE=3
serve --port 0           | --clock warp               | UPSIM_SERVE_PACE=3
serve --port 0           | --dialect liv              | UPSIM_SERVE_PACE=3
serve --port 0           | --tls-key mine             | UPSIM_SERVE_PACE=3
serve --port 0           | --ready-file mine          | UPSIM_SERVE_PACE=3
demo                     | --pace x                   | UPSIM_DEMO_RENDER=synthetic
demo                     | --out folder               | UPSIM_DEMO_RENDER=synthetic
quote CLIP               | --model nope               | UPSIM_QUOTE_FPS=30
quote CLIP               | --option a=b               | UPSIM_QUOTE_FPS=30
quote CLIP --factor 2    | --target-height 720        | UPSIM_QUOTE_FPS=30
upscale VENICE           | --scenario nope            | UPSIM_UPSCALE_TIMEOUT=3s
upscale VENICE           | --scenario vicsee/baseline | UPSIM_UPSCALE_TIMEOUT=3s
upscale VENICE           | --target live              | UPSIM_UPSCALE_TIMEOUT=3s
upscale VENICE           | --target nope              | UPSIM_UPSCALE_TIMEOUT=3s
upscale VENICE           | --job x                    | UPSIM_UPSCALE_TIMEOUT=3s
upscale VENICE           | --option a=b               | UPSIM_UPSCALE_TIMEOUT=3s
upscale VENICE LIVE      | --api-key a\\b             | UPSIM_UPSCALE_TIMEOUT=3s
replay mine              | --to new.py                | UPSIM_REPLAY_JSON=1
replay mine --pytest     | --to mine                  | UPSIM_REPLAY_JSON=0
verify                   | --provider nope            | UPSIM_VERIFY_PATIENCE=3s
verify                   | --model nope               | UPSIM_VERIFY_PATIENCE=3s
verify                   | --target live              | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --dialect liv              | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --fact nope                | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --scenario nope            | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --scenario venice/baseline | UPSIM_VERIFY_PATIENCE=3s
verify --model MODEL     | --scenario piapi/baseline  | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --uses nope                | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --accept-new x             | UPSIM_VERIFY_PATIENCE=3s
verify --provider vicsee | --json no/x                | UPSIM_VERIFY_PATIENCE=3s
record --to a --port 0   | --upstream nope            | UPSIM_RECORD_CAP=3
record VICSEE --to a     | --provider nope            | UPSIM_RECORD_CAP=3
record VICSEE --to a     | --dialect liv              | UPSIM_RECORD_CAP=3
record VICSEE --to a     | --clip x                   | UPSIM_RECORD_CAP=3
record VICSEE            | --to mine                  | UPSIM_RECORD_CAP=3
drift mine               | --uses nope                | UPSIM_DRIFT_STALE_AFTER=3
drift mine               | --json no/x                | UPSIM_DRIFT_STALE_AFTER=3
env                      | --shell nope               | UPSIM_ENV_SANDBOX=x
env                      | --url ftp://x              | UPSIM_ENV_SANDBOX=x
env                      | --clock real               | UPSIM_ENV_SANDBOX=x
env --new                | --sandbox y                | UPSIM_ENV_SHELL=sh
env                      | --dialect liv              | UPSIM_ENV_URL=http://127.0.0.1:9
"""
SHORT = {
    "CLIP": "--size 2x2 --duration 5",
    "MODEL": "topaz-video-upscale",
    "VENICE": "https://e.example/a.mp4 --model venice --to new.mp4",
    "LIVE": "--target live --cap 1",
    "VICSEE": "--upstream http://127.0.0.1:9/vicsee --port 0",
}


@pytest.mark.parametrize("row", WRONG.strip().splitlines())
def test_a_wrong_value_blames_no_other_variable(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a typed value names no variable; for a variable's value only that variable."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for file in ("mine", "folder/input.mp4"):
        Path(file).write_text("mine", "utf-8")
    monkeypatch.setattr(env, "_ask", lambda *_: {"vicsee": {}})
    line, wrong, other = (part.strip() for part in row.split("|"))
    option, value = wrong.replace("\\", " ").split(" ", 1)
    words = " ".join(SHORT.get(word, word) for word in line.split()).split()
    unrelated, harmless = other.split("=", 1)
    variable = f"UPSIM_{words[0]}_{option[2:].replace('-', '_')}".upper()

    typed = CliRunner(env={unrelated: harmless}).invoke(main, [*words, option, value])
    assert (2, []) == (typed.exit_code, re.findall(r"UPSIM_\w+", typed.stderr)), typed.stderr
    read = CliRunner(env={unrelated: harmless, variable: value}).invoke(main, words)
    assert (2, {variable}) == (read.exit_code, {*re.findall(r"UPSIM_\w+", read.stderr)})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("*.example.com", "wildcards are not supported: name each host in full"),
        ("http://sim.example", "without scheme, port and path: sim.example"),
        ("sim.example:8000/x", "without scheme, port and path: sim.example"),
        ("a b", "use the host only, without scheme, port and path\n"),
        ("http://[", "use the host only, without scheme, port and path\n"),
    ],
)
def test_wrong_host_gets_a_hint(name: str, hint: str) -> None:
    """If `--allow-host` gets a wildcard, a URL or a port, the error shows the correct form."""
    result = CliRunner().invoke(main, ["serve", "--allow-host", name])

    assert (2, True) == (result.exit_code, hint in result.stderr), result.stderr


def test_version_variable_is_no_setting() -> None:
    """If `UPSIM_VERSION` is set, a command warns that it is unused, and works normally."""
    result = CliRunner(env={"UPSIM_VERSION": "1.2"}).invoke(main, ["scenarios", "list", "credits"])

    assert 0 == result.exit_code
    assert "UPSIM_VERSION is set, but no command reads it" in result.stderr


@pytest.mark.parametrize(
    ("target", "url", "expected"),
    [
        ("server", "", "http://127.0.0.1:4747"),
        ("server", "http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("sim", "http://127.0.0.1:9", "sim"),
        ("http://127.0.0.1:8", "http://127.0.0.1:9", "http://127.0.0.1:8"),
    ],
)
def test_one_variable_finds_the_running_server(
    monkeypatch: pytest.MonkeyPatch, target: str, url: str, expected: str
) -> None:
    """The target `server` uses the URL in `UPSIM_URL`; other targets ignore the variable."""
    monkeypatch.setenv("UPSIM_URL", url)
    assert expected == at_running_server(target)


@pytest.mark.parametrize(
    "command",
    [
        ["env"],
        ["upscale", "https://a.example/b.mp4", "--model", "venice", "--target", "server"],
        ["verify", "--provider", "vicsee", "--target", "server", "--plan"],
    ],
    ids=lambda words: words[0],
)
def test_commands_read_the_url_of_the_running_server(command: list[str], tmp_path: Path) -> None:
    """Each command that connects to a running server uses the URL in `UPSIM_URL`."""
    if command[0] == "upscale":
        command = [*command, "--to", str(tmp_path / "a.mp4")]
    url = "127.0.0.1:1"
    result = CliRunner(env={"UPSIM_URL": url}).invoke(main, command)

    assert result.exit_code != 0
    assert url in result.stderr
    assert "/__sim" not in result.stderr


def test_known_variables_are_silent() -> None:
    """Variables that the client, the plug-in or the tests read are not reported."""
    names = ["UPSIM_ADMIN_TOKEN", "UPSIM_TRUSTED_HOSTS", "UPSIM_URL", "UPSIM_REQUIRE_ALL", "HOME"]
    assert list(unknown_variables(main, names)) == []


@pytest.mark.parametrize("command", ["serve", "env", "verify"])
def test_admin_token_has_one_name(command: str) -> None:
    """The help of each command with an admin token shows the same variable."""
    result = CliRunner().invoke(main, [command, "--help"])
    assert "UPSIM_ADMIN_TOKEN" in result.output
