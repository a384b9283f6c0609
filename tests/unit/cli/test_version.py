"""The version, wherever the package runs from."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from upsim.web.admin import probes


def test_version_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is the one that the installation records."""
    monkeypatch.setattr(probes, "version", lambda name: f"{name} 1.2.3")

    assert probes.own_version() == "upsim 1.2.3"


def test_version_of_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that was never installed says so, and its commands and probes still work."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(probes, "version", missing)

    assert probes.own_version() == "0 (not installed)"
