"""Tables of the pages that repeat a fact of the shipped files."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import httpx

from upsim import Simulator
from upsim.cli import COMMANDS
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


def test_every_command_is_documented() -> None:
    """The page on the command line has a row for each command, in the order of `upsim --help`."""
    text = (PAGES / "command-line.md").read_text("utf-8")

    assert [*COMMANDS] == re.findall(r"^\| `upsim (\w+)` \|", text, re.MULTILINE)


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


def _messages(http: httpx.Client) -> dict[str, str]:
    """Return messages that the simulator gives, each with the page that quotes it."""
    admin, vicsee = f"{ROOT}/__sim/sandboxes", f"{ROOT}/vicsee/api/v1"
    key = {"Authorization": "Bearer any"}
    patch = {"id": "odd", "provider": "vicsee", "at": "poll", "do": {"patch": {"data.staus": "x"}}}
    http.post(f"{admin}/default/faults", json=patch).raise_for_status()
    clip = "/media/synthetic/640x360_30fps_"

    def submit(seconds: str) -> httpx.Response:
        body = {"video_url": f"{ROOT}{clip}{seconds}s.mp4"}
        return http.post(f"{vicsee}/tools/upscale-video", json=body, headers=key)

    def why() -> dict[str, Any]:
        found: dict[str, Any] = http.get(f"{admin}/default/journal").json()["exchanges"][-1]["why"]
        return found

    http.get(f"{vicsee}/tasks/{submit('4').json()['data']['id']}", headers=key)
    unfired = why()["unfired"][0]
    submit("61.5")
    order = {"task/create": ["authenticated", "within_frames", "measurable"]}
    checks = {"extends": "piapi/baseline", "checks": order}
    mistakes = http.post(admin, json={"scenario": checks}).json()["error"]["message"]
    return {
        unfired: "how-to/faults.md",
        why()["cause"]: "how-to/control-a-sandbox.md",
        http.get(f"{ROOT}/media/synthetic/1280x720_29.97fps_2.5s.mp4").text.strip(): (
            "how-to/your-own-video.md"
        ),
        http.post(admin, json={"sed": 1}).json()["error"]["message"]: "reference/admin-api.md",
        mistakes.partition("[1]: ")[2].partition("\n")[0]: "reference/scenarios.md",
    }


def test_pages_quote_messages_as_they_are() -> None:
    """Each message that a page quotes is, word for word, the one that the simulator gives."""
    with Simulator(clock="auto") as sim, httpx.Client(transport=sim.transport()) as http:
        messages = _messages(http)

    assert len(messages) == 5
    assert {
        message: page
        for message, page in messages.items()
        if not message or message not in (PAGES.parent / page).read_text("utf-8")
    } == {}
