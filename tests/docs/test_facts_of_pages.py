"""Tables of the pages that repeat a fact of the shipped files."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import httpx

from upsim import Simulator
from upsim.scenario.loader import Library

PAGES = Path(__file__).parents[2] / "docs/reference"
LIBRARY = Library()
ROOT = "http://127.0.0.1:4747"


def test_every_former_name_is_documented() -> None:
    """Each scenario with a former name is in the table of old names, and nothing else is."""
    text = (PAGES / "scenarios.md").read_text("utf-8")
    section = text.partition("| old name | present name |")[2].partition("\n\n")[0]

    assert dict(LIBRARY.aliases) == dict(re.findall(r"\| `(\S+)` \| `(\S+)` \|", section))


def test_opening_balances_are_documented() -> None:
    """The table of opening balances has those of the baselines."""
    text = (PAGES / "admin-api.md").read_text("utf-8")
    section = text.partition("| provider | opening balance |")[2].partition("\n\n")[0]
    found = re.findall(r"\| (\w+) \| ([0-9,]+) (USD|credit|point)s? \|", section)
    baselines = [LIBRARY.baseline(name).baseline for name in LIBRARY.providers()]

    assert sorted((f"{one.opening:,f}", one.unit) for one in baselines) == sorted(
        (amount, unit) for _, amount, unit in found
    )


def test_every_admin_request_is_documented() -> None:
    """The page on the admin API names the method and the path of each request that there is."""
    text = (PAGES / "admin-api.md").read_text("utf-8")
    with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
        calls = http.get(f"{ROOT}/__sim").json()["calls"]
    requests = [f"`{one['method']} {one['path']}`" for one in calls]

    missing = [one for one in requests if one.replace("/__sim/sandboxes/{id}/", "/") not in text]
    assert missing == []


def test_landing_page_polls_venice_for_the_url_that_it_downloads() -> None:
    """The poll without a model has the `url` of the next call; the one with it has the file."""
    with Simulator(clock="manual") as sim, httpx.Client(transport=sim.transport()) as http:
        page = html.unescape(http.get(f"{ROOT}/").text)
        base = f"{ROOT}/venice/api/v1/video"
        body = re.search(r"-d '(\{\"model\": \"topaz.*?\})'", page)
        assert body is not None
        key = {"Authorization": "Bearer any"}
        job = http.post(f"{base}/queue", json=json.loads(body[1]), headers=key).json()["queue_id"]
        http.post(f"{ROOT}/__sim/sandboxes/default/clock/advance", json={"to": "idle"})
        polls = [
            http.post(
                f"{base}/retrieve",
                json=json.loads(text.replace('\\"', '"').replace("$ID", job)),
                headers=key,
            )
            for text in re.findall(r'-d "(\{[^}]*\$ID[^}]*\})"', page)
        ]
        plain, naming = polls

        assert http.get(plain.json()["url"]).content == naming.content
        assert "video/mp4" == naming.headers["content-type"]
