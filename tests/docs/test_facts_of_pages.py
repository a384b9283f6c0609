"""Tables of the pages that repeat a fact of the shipped files."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
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
    """The table of old names lists exactly the scenarios that have a former name."""
    text = (PAGES / "scenarios.md").read_text("utf-8")
    section = text.partition("| old name | present name |")[2].partition("\n\n")[0]

    assert dict(LIBRARY.aliases) == dict(re.findall(r"\| `(\S+)` \| `(\S+)` \|", section))


def test_opening_balances_are_documented() -> None:
    """The table of opening balances agrees with the baseline of each provider in the table."""
    text = (PAGES / "admin-api.md").read_text("utf-8")
    section = text.partition("| provider | opening balance |")[2].partition("\n\n")[0]
    found = re.findall(r"\| (\w+) \| ([0-9,]+) (\w+?)s? \|", section)
    baselines = {name: LIBRARY.baseline(name).baseline for name in LIBRARY.providers()}
    openings = {name: (f"{one.opening:,f}", one.unit) for name, one in baselines.items()}
    named = {name.lower(): (amount, unit) for name, amount, unit in found}

    assert named
    assert {name: openings[name] for name in named} == named


def test_every_admin_request_is_documented() -> None:
    """The page on the admin API has the method and path of each admin request."""
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
    """On the landing page, the Venice poll without a model gets the URL of the next call.

    The poll with a model gets the file.
    """
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


ADMIN = f"{ROOT}/__sim/sandboxes"
KEY = {"Authorization": "Bearer any"}


def _why(http: httpx.Client) -> dict[str, Any]:
    """Return the reason of the newest response in the journal."""
    exchanges = http.get(f"{ADMIN}/default/journal").json()["exchanges"]
    found: dict[str, Any] = exchanges[-1]["why"]
    return found


def _vicsee_messages(http: httpx.Client) -> Iterator[tuple[str, str]]:
    """Yield a fault that cannot fire and the cause of a refusal, each with its page."""
    patch = {"id": "odd", "provider": "vicsee", "at": "poll", "do": {"patch": {"data.staus": "x"}}}
    refused = http.post(f"{ADMIN}/default/faults", json=patch).json()["error"]["message"]
    yield refused, "how-to/faults.md"
    http.post(f"{ADMIN}/default/faults", json={**patch, "on": "*"}).raise_for_status()
    api = f"{ROOT}/vicsee/api/v1"
    short, long = (f"{ROOT}/media/synthetic/640x360_30fps_{n}s.mp4" for n in ("4", "61.5"))
    job = http.post(f"{api}/tools/upscale-video", json={"video_url": short}, headers=KEY).json()
    http.get(f"{api}/tasks/{job['data']['id']}", headers=KEY)
    yield _why(http)["unfired"][0], "how-to/faults.md"
    http.post(f"{api}/tools/upscale-video", json={"video_url": long}, headers=KEY)
    yield _why(http)["cause"], "how-to/control-a-sandbox.md"


def _venice_hints(http: httpx.Client) -> Iterator[tuple[str, str]]:
    """Yield the hints about a refused field and a finished job, each with its page."""
    api = f"{ROOT}/venice/api/v1/video"
    body = {"model": "topaz-video-upscale", "video_url": "https://a.example/b.mp4"}
    http.post(f"{api}/queue", json={**body, "prompt": "sharp"}, headers=KEY)
    yield _why(http)["hint"], "reference/dialects.md"
    job = http.post(f"{api}/queue", json=body, headers=KEY).json()["queue_id"]
    http.post(f"{ADMIN}/default/clock/advance", json={"to": "idle"}).raise_for_status()
    for _ in range(4):
        http.post(f"{api}/retrieve", json={"queue_id": job}, headers=KEY)
    yield _why(http)["hint"], "reference/dialects.md"


def _admin_messages(http: httpx.Client) -> Iterator[tuple[str, str]]:
    """Yield mistakes in a clip's name, a sandbox and a scenario, each with its page."""
    clip = http.get(f"{ROOT}/media/synthetic/1280x720_29.97fps_2.5s.mp4")
    yield clip.text.strip(), "how-to/your-own-video.md"
    order = {"task/create": ["authenticated", "within_frames", "measurable"]}
    scenario = {"extends": "piapi/baseline", "checks": order}
    field, checks = (
        http.post(ADMIN, json=body).json()["error"]["message"]
        for body in ({"sed": 1}, {"scenario": scenario})
    )
    yield field, "reference/admin-api.md"
    yield checks.partition("[1]: ")[2].partition("\n")[0], "reference/scenarios.md"


def test_pages_quote_messages_exactly() -> None:
    """Each message that a page quotes is, word for word, a message of the simulator."""
    with Simulator(clock="auto") as sim, httpx.Client(transport=sim.transport()) as http:
        messages = [*_vicsee_messages(http), *_venice_hints(http), *_admin_messages(http)]

    assert len(messages) == 8
    assert [
        (message, page)
        for message, page in messages
        if not message or message not in (PAGES.parent / page).read_text("utf-8")
    ] == []
