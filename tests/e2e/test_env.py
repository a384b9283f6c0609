"""`upsim env` and `upsim completion`, as a shell uses them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.e2e.conftest import Server
from upsim.cli import main
from upsim_contracts.verify.command import run as verify

UPSIM = [sys.executable, "-m", "upsim"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it printed."""
    return subprocess.run([*UPSIM, *arguments], capture_output=True, text=True, check=False)


def settings(server: Server, *arguments: str) -> dict[str, str]:
    """Return what `upsim env --json` says of a server."""
    told = run("env", "--url", server.base_url, "--json", *arguments)
    assert told.returncode == 0, told.stderr
    found: dict[str, str] = json.loads(told.stdout)
    return found


def test_a_shell_with_the_settings_reaches_the_simulator(server: Server) -> None:
    """After `eval "$(upsim env --new)"`, curl with the variables gets a response."""
    script = (
        f'eval "$({sys.executable} -m upsim env --url {server.base_url} --new)"\n'
        'curl -s -H "x-api-key: $PIAPI_API_KEY" "$PIAPI_BASE_URL/account/info"'
    )

    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert "success" == json.loads(told.stdout)["message"]


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("sh", "export VICSEE_BASE_URL={0}/vicsee"),
        ("fish", "set -gx VICSEE_BASE_URL {0}/vicsee"),
        ("powershell", "$Env:VICSEE_BASE_URL = '{0}/vicsee'"),
        ("dotenv", "VICSEE_BASE_URL={0}/vicsee"),
    ],
)
def test_each_shell_has_its_own_spelling(server: Server, shell: str, line: str) -> None:
    """The lines are in the language of the named shell."""
    told = run("env", "--url", server.base_url, "--shell", shell)

    assert line.format(server.base_url) in told.stdout.splitlines()


def test_two_runs_give_two_accounts(server: Server) -> None:
    """Each run makes new keys, so two people do not share an account by accident."""
    first, second = settings(server), settings(server)

    assert first["VENICE_API_KEY"] != second["VENICE_API_KEY"]


def test_a_dialect_is_in_the_base_urls(server: Server) -> None:
    """With `--dialect`, each base URL has the dialect."""
    assert (
        f"{server.base_url}/venice/live" == settings(server, "--dialect", "live")["VENICE_BASE_URL"]
    )


def test_no_simulator_is_a_message(unused_port: int) -> None:
    """If no server answers, the message names the URL, and the exit code is 1."""
    told = run("env", "--url", f"http://127.0.0.1:{unused_port}")

    assert (1, "") == (told.returncode, told.stdout)
    assert f"no simulator responds at http://127.0.0.1:{unused_port}" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_wrong_admin_token_is_noted(server: Server) -> None:
    """On loopback, the keys are printed, and the server's note appears on stderr once.

    `verify` also prints the note once and continues.
    """
    told = run("env", "--url", server.base_url, "--admin-token", "wrong")

    assert 0 == told.returncode
    note = "the bearer token is not this server's admin token; on loopback none is needed"
    assert f"upsim: {note}\n" == told.stderr
    said: list[str] = []
    asked = {"providers": ("vicsee", "piapi"), "target": server.base_url, "only_plan": True}
    assert 0 == verify({**asked, "admin_token": "wrong"}, {}, said.append)
    noted = f"note: {note} (--admin-token, UPSIM_ADMIN_TOKEN)"
    assert [noted] == [line for line in said if "token" in line]


def test_unknown_dialects_and_providers_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A dialect, provider or URL that leads to a 404 is wrong usage; the message has the remedy."""
    url = server.base_url
    bare = url.removeprefix("http://")
    out = str(tmp_path / "out.mp4")
    upscale = f"upscale https://e.example/a.mp4 --model vicsee --to {out} --target"
    record = f"record --to {tmp_path / 'c.jsonl'} --port 0 --upstream"
    refused = [
        ("", "verify --provider vicsee --dialect liv", "vicsee has no dialect 'liv'; did you mean"),
        ("", "verify --provider vicsee --dialect auto", "vicsee has no dialect 'auto'; allowed: "),
        ("", "verify --dialect auto", "piapi has no dialect 'auto'; allowed: guide, live"),
        ("", f"verify --target {url}/vicsee/liv", f"--target {url}/vicsee/liv: vicsee has no"),
        ("", f"verify --target {url}/vicse", f"did you mean {url}/vicsee?"),
        ("", f"verify --target {url}/x", f"give {url}, or the URL of a provider"),
        ("", f"verify --target {url} --media {bare}/m", f"lacks http://: give {url}/m"),
        ("", f"verify --provider venice --target {url}/vicsee", "URL of vicsee, not of venice"),
        ("", f"verify --target {url}/vicsee/live --dialect guide", "names the dialect live"),
        ("", "verify --model topaz", "no provider has a model 'topaz'"),
        ("", f"verify --target {bare}", f"lacks http://: give {url}"),
        (bare, "verify --target server", f"UPSIM_URL is '{bare}': it lacks http://: give {url}"),
        (f"{url}/vicsee", "verify --target server", f"that of the server is {url}"),
        ("", f"env --url {url} --dialect liv", "has no dialect 'liv'; did you mean live?"),
        ("", f"env --url {url} --dialect auto", "piapi has no dialect 'auto'; it has guide, live"),
        (f"{url}/vicsee", "env", f"this is the URL of vicsee; that of the server is {url}"),
        (bare, "env", f"it lacks http://: give {url}"),
        ("", "env --url sim.example", "it lacks https://: give https://sim.example"),
        ("", "env --url ftp://x", "it is not http(s)://host[:port][/path], such as http://127"),
        ("", f"env --url {url}/__sim", f"the admin API; that of the server is {url}"),
        ("", f"env --url {url}/vicse", f"the URL of vicsee; that of the server is {url}"),
        ("", f"{upscale} {url}/venice", "is the URL of venice, not of vicsee"),
        ("", f"{upscale} {url}/venice/live", "is the URL of venice, not of vicsee"),
        ("", f"{upscale} {bare}", f"lacks http://: give {url}"),
        ("", f"{upscale} {url}/vicsee/liv", "vicsee has no dialect 'liv'; did you mean live?"),
        ("", f"{upscale} {url}/sandbox/a/vicsee/liv", "no dialect 'liv'; did you mean live?"),
        ("", f"{upscale} {url}/vicse", f"names no provider; did you mean {url}/vicsee?"),
        ("", f"{upscale} {url}/vicsee/api/v1", f"than a dialect after vicsee: give {url}/vicsee"),
        ("", f"{upscale} {url}/__sim", f"is the admin API: give {url}/vicsee"),
        ("", f"{record} {bare}/vicsee", f"lacks http://: give {url}/vicsee"),
        ("", f"{record} {url}/vicse", "names no provider; did you mean /vicsee in its path?"),
        ("", f"{record} {url}/vicsee/liv", "vicsee has no dialect 'liv'; did you mean live?"),
        ("", f"{record} {url}/vicsee --webhooks {bare}", f"lacks http://: give {url}"),
        ("", "serve --public-url sim.example/a", "lacks https://: give https://sim.example/a"),
    ]
    wrong = []
    for variable, line, reason in refused:
        monkeypatch.setenv("UPSIM_URL", variable)
        done = CliRunner().invoke(main, line.split())
        if (done.exit_code, done.stdout) != (2, "") or reason not in " ".join(done.stderr.split()):
            wrong.append((line, done.exit_code, done.output))

    assert [] == wrong


def test_a_url_with_a_provider_is_used(server: Server, tmp_path: Path) -> None:
    """A URL with a provider tests this provider in its dialect; `--model` finds its own."""
    url, judged = server.base_url, []
    for options in (
        {"target": f"{url}/vicsee/live"},
        {"target": url, "model": "topaz-video-upscale"},
        {"target": url, "providers": ("vicsee",), "model": "topaz-video-upscale"},
    ):
        said: list[str] = []
        assert 0 == verify({**options, "only_plan": True}, {}, said.append)
        judged.append([line.partition(":")[0] for line in said])
        assert "facts" in said[0]
    order = f"https://e.example/a.mp4 --model venice --to {tmp_path / 'o.mp4'} --target"
    done = CliRunner().invoke(main, ["upscale", *order.split(), f"{url}/venice/live"])

    assert [["vicsee"], ["venice", "vicsee"], ["vicsee"]] == judged
    assert done.exit_code == 0, done.output


def test_an_unknown_sandbox_is_a_message(server: Server) -> None:
    """The refusal names the unknown sandbox."""
    told = run("env", "--url", server.base_url, "--sandbox", "nowhere")

    assert 1 == told.returncode
    assert "there is no sandbox 'nowhere'" in told.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str) -> None:
    """The script of each shell asks upsim itself for completions."""
    told = run("completion", shell)

    assert 0 == told.returncode
    assert "_UPSIM_COMPLETE" in told.stdout


@pytest.fixture
def shells(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `upsim` is a program."""
    code = "from upsim.cli import main; main(prog_name='upsim')"
    program = tmp_path / "upsim"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n', "utf-8")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


LINES = [
    ("upsim q", ["quote"]),
    ("upsim quote --tar", ["--target-height"]),
    ("upsim upscale --model ven", ["venice/topaz-video-upscale", "venice"]),
    (
        "upsim scenarios show vicsee/insufficient-funds-w",
        ["vicsee/insufficient-funds-with-amounts"],
    ),
    (
        "upsim serve --scenario vicsee/insufficient-funds-w",
        ["vicsee/insufficient-funds-with-amounts"],
    ),
    ("upsim scenarios schema wa", ["wavespeed"]),
    ("upsim verify --provider pi", ["piapi"]),
    ("upsim completion f", ["fish"]),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash_completes(
    shells: dict[str, str], require_tool: Callable[[str], str], line: str, expected: list[str]
) -> None:
    """In bash, the printed script completes commands, options, scenarios and models."""
    words = line.split()
    script = (
        "source <(upsim completion bash)\n"
        f"COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}\n"
        '_upsim_completion upsim; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    told = subprocess.run(
        [require_tool("bash"), "-c", script], env=shells, capture_output=True, text=True, check=True
    )

    assert (expected, "") == (told.stdout.split(), told.stderr)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_names(shells: dict[str, str], shell: str) -> None:
    """Requests of zsh and fish get the same names, in click's protocol."""
    words = {"COMP_WORDS": "upsim scenarios show vicsee/insuf", "COMP_CWORD": "3"}
    if shell == "fish":
        words["COMP_CWORD"] = "vicsee/insuf"
    asked = {"_UPSIM_COMPLETE": f"{shell}_complete", **words}
    told = subprocess.run(
        ["upsim"], env={**shells, **asked}, capture_output=True, text=True, check=True
    )

    assert "vicsee/insufficient-funds" in told.stdout
    assert "" == told.stderr


def test_a_wrong_word_breaks_no_completion(shells: dict[str, str]) -> None:
    """After an unknown command, nothing is completed, and no error is printed."""
    words = {"COMP_WORDS": "upsim scenaros show vic", "COMP_CWORD": "3"}
    asked = {"_UPSIM_COMPLETE": "bash_complete", **words}
    told = subprocess.run(
        ["upsim"], env={**shells, **asked}, capture_output=True, text=True, check=False
    )

    assert "" == told.stderr
