"""The version, wherever the package runs from."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from importlib.metadata import PackageNotFoundError

import pytest

from upsim.scenario import versions


def test_version_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is the one that the installation records."""
    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1.2.3")

    assert versions.own_version() == "upsim 1.2.3"


def test_version_of_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version of a checkout that was never installed is `0 (not installed)`."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)

    assert versions.own_version() == "0 (not installed)"


def test_version_is_printed_without_the_server() -> None:
    """`upsim --version` imports neither the engine nor any web module."""
    code = (
        "import sys; from upsim.cli import main; main(['--version'], standalone_mode=False);"
        "print(*sorted({'upsim.engine', 'upsim.web', 'starlette'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout.splitlines()[1:] == [""], done.stdout
