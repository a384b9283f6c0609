"""The table of known clients on the page about dialects is that of the baselines."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from upsim import Simulator
from upsim.cli.env import client_variables
from upsim.scenario.loader import Library
from upsim.web.landing_page import clients_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "dialects.md"
LIBRARY = Library()


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_the_page_lists_exactly_the_known_clients(provider: str) -> None:
    """The page has one row for each known client, with name, version and path, and no other row."""
    text = PAGE.read_text("utf-8")
    found = list(clients_of(LIBRARY.baseline(provider).baseline))
    rows = [
        f"| {one['client']} | {one['version']} | `…{one['base']}` | "
        f"{'`' + one['variable'] + '` ' if 'variable' in one else ''}| "
        f"{'; '.join(filter(None, (one['how'], one.get('note'))))} |"
        for one in found
    ]

    assert [row for row in rows if row not in text] == []
    assert text.count(f" | `…/{provider}") == len(rows)


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_a_base_of_a_client_names_a_dialect_that_exists(provider: str) -> None:
    """The provider in a base URL is followed by a dialect or by the provider's own path."""
    baseline = LIBRARY.baseline(provider).baseline
    for one in clients_of(baseline):
        first, *rest = one["base"].strip("/").split("/")
        assert (first, not rest or rest[0] in (*baseline.dialects, "api")) == (provider, True)
        assert one["how"] in ("tested", "run", "read")


FIRST_CALLS = {
    "piapi-mcp-server": "/task",
    "venice-py (Python)": "/video/queue",
    "veniceai-cli (status and download of a job)": "/video/retrieve",
    "vicsee-mcp-server": "/tools/upscale-video",
    "wavespeed (Python) 0.0.5": "wavespeed-ai/video-upscaler",
    "wavespeed (Python) 2.0.5 and 1.0.14": "/api/v3/wavespeed-ai/video-upscaler",
    "the snippets of the guide (Python, Node.js, curl)": "/api/v1/video/queue",
    "venice-video-harness": "/api/v1/video/queue",
}
"""What each client appends to its base URL; any other one appends `/api/v1/task`."""


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_first_call_of_each_client_is_served_at_its_base_url(provider: str) -> None:
    """The server has a route for each client's first call under the base URL in the table."""
    with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
        root = sim.base_url(provider).removesuffix(f"/{provider}")
        missed: dict[str, int] = {}
        for one in clients_of(LIBRARY.baseline(provider).baseline):
            name = f"{one['client']} {one['version']}"
            call = FIRST_CALLS.get(one["client"]) or FIRST_CALLS.get(name, "/api/v1/task")
            status = http.post(f"{root}{one['base']}{call}", json={}).status_code
            missed |= {name: status} if status in {404, 405} else {}
        assert missed == {}


def test_env_sets_the_base_url_that_each_client_needs() -> None:
    """`upsim env` sets each client's base URL, with the dialect that the client's note names."""
    names = LIBRARY.providers()
    rows = [row for name in names for row in clients_of(LIBRARY.baseline(name).baseline)]
    with_variable = [row for row in rows if "variable" in row]
    wrong = []
    for row in with_variable:
        dialect = (re.findall(r"upsim env --dialect (\w+) sets", row.get("note", "")) or [""])[0]
        settings = dict(reversed([*client_variables(names, dialect)]))
        if settings[row["variable"]] != row["base"]:
            wrong.append(row["client"])

    assert len(with_variable) > 4
    assert wrong == []


def test_env_sets_the_variable_of_each_client() -> None:
    """`upsim env` uses the first row of a variable; `--dialect` replaces the dialect of a row."""
    providers = [*LIBRARY.providers(), "of-another-package"]
    usual, live = (dict(reversed([*client_variables(providers, d)])) for d in ("", "live"))

    assert usual["VENICE_API_BASE_URL"] == "/venice/api/v1"
    assert live["VENICE_API_BASE_URL"] == "/venice/live/api/v1"
    assert usual["PIAPI_API_BASE_URL"] == "/piapi/api/v1"
    assert usual["PIAPI_API_BASE"] == "/piapi"
