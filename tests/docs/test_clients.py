"""The table of known clients on the page about dialects is that of the baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from upsim.scenario.loader import Library
from upsim.web.landing import clients_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "dialects.md"
LIBRARY = Library()


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_the_page_has_every_known_client(provider: str) -> None:
    """Name, version, path, how it is known: one row each, and no row is left of what is gone."""
    text = PAGE.read_text("utf-8")
    found = list(clients_of(LIBRARY.baseline(provider).baseline))
    rows = [
        f"| {one['client']} | {one['version']} | `…{one['base']}` | "
        f"{'; '.join(filter(None, (one['how'], one.get('note'))))} |"
        for one in found
    ]

    assert rows != []
    assert [row for row in rows if row not in text] == []
    assert text.count(f" | `…/{provider}") == len(rows)


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_a_base_of_a_client_names_a_dialect_that_exists(provider: str) -> None:
    """What follows the provider is a dialect, or the provider's own path."""
    baseline = LIBRARY.baseline(provider).baseline
    for one in clients_of(baseline):
        first, *rest = one["base"].strip("/").split("/")
        assert (first, not rest or rest[0] in (*baseline.dialects, "api")) == (provider, True)
        assert one["how"] in ("tested", "run", "read")
