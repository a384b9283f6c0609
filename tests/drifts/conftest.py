"""The table that a night run prints: each drift, and what each tool reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Matrix:
    """How each tool reported each drift."""

    rows: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def add(self, provider: str, name: str, tool: str, seen: str) -> None:
        """Note an outcome."""
        self.rows.setdefault((provider, name), {})[tool] = seen

    def lines(self) -> Iterator[str]:
        """Return the table, a line for each drift."""
        yield f"{'provider':10} {'drift':45} {'verify':9} drift"
        for (provider, name), seen in self.rows.items():
            yield f"{provider:10} {name:45} {seen.get('verify', ''):9} {seen.get('drift', '')}"


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the simulator in this process be a host that is trusted."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "upsim.test")


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """Return what collects the outcomes; a run of the night prints them."""
    found = Matrix()
    yield found
    if "not nightly" not in request.config.getoption("-m"):
        writer = request.config.get_terminal_writer()
        writer.line()
        for line in found.lines():
            writer.line(line)
