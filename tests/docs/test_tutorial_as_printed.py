"""The tutorial, followed to the letter in an environment that holds only what it installs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.test_python_pages import ROOT, files_of

PAGE = ROOT / "docs" / "tutorial" / "first-upscale.md"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECKOUT = [
    *("simulator", "contracts", "scenarios", "scripts", "tests", "requirements"),
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"),
]
NO_PACKAGES = "This test needs the package index; the tutorial's pip install failed: {reason}"


def checkout(folder: Path) -> Path:
    """Return a copy of the project, tests and configuration of pytest included."""
    target = folder / "upsim"
    target.mkdir()
    for name in CHECKOUT:
        source = ROOT / name
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, target / name, ignore=skip)
        else:
            shutil.copy(source, target / name)
    return target


def shell(commands: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a block of the page in a new shell, as one that has no environment activated."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = f'python3() {{ {sys.executable} "$@"; }}\n' if "-m venv" in commands else ""
    return subprocess.run(
        ["bash", "-ec", f"{python}{commands}"],
        cwd=folder,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.slow
def test_tutorial_works_as_printed(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """Every block of the tutorial has the documented result, in the folder of the block before."""
    require_tool("bash")
    install, look, serve, program, test = SHELL.findall(PAGE.read_text("utf-8"))
    upsim, own = checkout(tmp_path), tmp_path / "first-upscale"
    installed = shell(install, upsim)
    if installed.returncode and "No matching distribution" in installed.stderr:
        pytest.skip(NO_PACKAGES.format(reason=installed.stderr.splitlines()[-1]))
    assert (installed.returncode, own.is_dir()) == (0, True), installed.stderr

    activated = ". .venv/bin/activate\n"
    looked = shell(activated + look, own)
    assert looked.returncode == 0, looked.stderr
    for name, text in files_of(PAGE).items():
        (own / f"{name}.py").write_text(text, "utf-8")

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    elsewhere = {"UPSIM_SERVE_PORT": port, "UPSIM_ENV_URL": f"http://127.0.0.1:{port}"}
    with (own / "server.log").open("w") as log:
        server = subprocess.Popen(
            ["bash", "-ec", f"{activated}exec {serve}"],
            cwd=own,
            env={**os.environ, **elsewhere},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        waiting = f"until upsim env >env.txt 2>&1; do kill -0 {server.pid}; sleep 0.1; done\n"
        ran = shell(activated + waiting + program, own, **elsewhere)
    finally:
        server.terminate()
        server.wait()
    assert (ran.returncode, ran.stdout) == (1, "charged 0.025 USD\n"), ran.stderr
    assert "not enlarged: nothere.mp4 cannot be read" in ran.stderr

    tested = shell(activated + test, own)
    count = files_of(PAGE)["test_enlarge"].count("\ndef test_")
    assert (tested.returncode, f"{count} passed" in tested.stdout) == (0, True), tested.stdout
