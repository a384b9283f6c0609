"""`upsim verify`: the facts over a socket, the reports, and the cap against a stand-in for live."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.conftest import Server

DEAR = """\
extends: vicsee/baseline
summary: Every second costs twice what is documented.
models: {topaz-video-upscale: {billing: {rate: {table: {"1": "32", "2": "32", "4": "56"}}}}}
"""
LOST = """\
extends: vicsee/baseline
summary: The job is accepted and charged, the answer is a 500.
faults: [{at: after_accept, do: {respond: {status: 500, body: broken}}}]
"""
STUCK = """\
extends: vicsee/baseline
summary: No job ever ends.
jobs: [{lifecycle: [{processing: command}, {completed: }]}]
"""


def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it printed."""
    command = [sys.executable, "-m", "upsim", "verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def stranger(
    start_server: Callable[..., Server], tmp_path: Path
) -> Callable[..., tuple[Server, Callable[..., subprocess.CompletedProcess[str]]]]:
    """Return a function that starts a simulator to be judged as if it were the live API."""

    def start(
        scenario: str = "",
    ) -> tuple[Server, Callable[..., subprocess.CompletedProcess[str]]]:
        options = ["--host", "127.0.0.2", "--clock", "auto", "--strict-keys"]
        if scenario:
            file = tmp_path / "scenario.yaml"
            file.write_text(scenario, encoding="utf-8")
            options += ["--scenario", str(file)]
        server = start_server(*options)
        path = "sandboxes/default/accounts/vicsee/keys"
        key = server.admin("POST", path, {"account": "main"})["key"]
        fixed = ["--provider", "vicsee", "--target", f"{server.base_url}/vicsee", "--as-live"]
        fixed += ["--api-key", key, "--media", server.base_url]
        return server, lambda *arguments: verify(*fixed, *arguments)

    return start


def spent(server: Server) -> Decimal:
    """Return what the account has really lost."""
    entries: list[dict[str, Any]] = server.admin("GET", "sandboxes/default/ledger")["entries"]
    return -sum((Decimal(entry["amount"]) for entry in entries), Decimal(0))


def test_all_facts_hold_over_a_socket() -> None:
    """Every documented fact of every provider holds at a server in another process."""
    told = verify("--target", "socket")

    assert 0 == told.returncode, told.stdout
    held, documented = re.findall(r"\d+", told.stdout.splitlines()[-1])
    assert held == documented
    assert int(held) >= 320


def test_reports_agree(tmp_path: Path) -> None:
    """The JSON, JUnit and HTML reports of one run tell of the same facts."""
    paths = {name: tmp_path / f"report.{name}" for name in ("json", "xml", "html")}
    files = ["--json", str(paths["json"]), "--junit", str(paths["xml"])]

    told = verify("--provider", "piapi", *files, "--html", str(paths["html"]))

    assert 0 == told.returncode
    (report,) = json.loads(paths["json"].read_text("utf-8"))["reports"]
    suite = ET.parse(paths["xml"]).getroot()[0]  # noqa: S314 - our own file
    names = [fact["id"] for fact in report["facts"]]
    assert names == [case.get("name") for case in suite]
    assert str(report["untestable"]) == suite.get("skipped")
    assert all(f'<tr id="{name}">' in paths["html"].read_text("utf-8") for name in names)


def test_a_broken_fact_is_one_line_that_a_person_understands(tmp_path: Path) -> None:
    """A target with another price is one line: how much more, and which facts follow from it."""
    scenario = tmp_path / "dear.yaml"
    scenario.write_text(DEAR, encoding="utf-8")

    told = verify("--provider", "vicsee", "--fact", "rate-factor-4", "--scenario", str(scenario))

    assert 1 == told.returncode
    assert "CHANGED VicSee charges twice as much as documented (" in told.stdout
    assert "): 1 fact\n        rate-factor-4\n" in told.stdout


def test_a_plan_beyond_the_cap_is_refused(stranger: Callable[..., Any]) -> None:
    """A plan that could cost more than the cap exits with 2, and nothing is sent that costs."""
    server, judge = stranger()

    told = judge("--fact", "credits-at-4.5-s*", "--cap", "219")

    assert 2 == told.returncode
    assert "could cost 220 credits, the cap is 219 credits" in told.stderr
    assert spent(server) == 0


def test_a_plan_at_the_cap_is_run(stranger: Callable[..., Any]) -> None:
    """A plan that costs exactly the cap runs, and costs what was planned."""
    server, judge = stranger()

    told = judge("--fact", "credits-at-4.5-s*", "--cap", "220")

    assert 0 == told.returncode, told.stdout
    assert spent(server) == 220


def test_a_server_that_charges_more_than_documented(stranger: Callable[..., Any]) -> None:
    """Each difference is told with both amounts; what was learnt keeps the run below the cap."""
    server, judge = stranger(DEAR)

    told = judge("--fact", "credits-at-*", "--cap", "10000")

    assert 1 == told.returncode
    assert (
        "VicSee charges twice as much as documented (documented 16 credits, charged 32"
        in told.stdout
    )
    assert spent(server) <= 10_000


def test_a_server_that_fails_after_charging(stranger: Callable[..., Any]) -> None:
    """Charges without an answer are seen in the balance, and count against the cap."""
    server, judge = stranger(LOST)

    told = judge("--fact", "credits-at-*", "--cap", "8000")

    assert 1 == told.returncode
    assert 'answers 500 "broken" and is charged: ' in told.stdout
    assert 0 < spent(server) <= 8000


def test_a_server_that_never_ends_its_jobs(stranger: Callable[..., Any]) -> None:
    """A job that does not end within the patience is a broken fact, not an endless wait."""
    server, judge = stranger(STUCK)

    told = judge("--fact", "factor-1-keeps-the-size", "--cap", "32", "--patience", "1")

    assert 1 == told.returncode
    assert 'expected "completed", saw still' in told.stdout.replace("completed,", '"completed",')
    assert spent(server) == 32


@pytest.mark.nightly
@pytest.mark.parametrize("clock", ["real", "auto"])
@pytest.mark.parametrize("dialect", ["", "live"])
@pytest.mark.parametrize("provider", ["wavespeed", "venice", "piapi", "vicsee"])
def test_url_of_an_unaltered_server_shows_no_difference(
    start_server: Callable[..., Server], provider: str, dialect: str, clock: str
) -> None:
    """A server that is judged by its URL alone passes on either clock, with progress printed."""
    server = start_server("--clock", clock, "--strict-keys")
    path = f"sandboxes/default/accounts/{provider}/keys"
    key = server.admin("POST", path, {"account": "main"})["key"]
    url = f"{server.base_url}/{provider}/{dialect}".rstrip("/")

    told = verify(
        *("--provider", provider, "--target", url, "--as-live", "--api-key", key),
        *("--cap", "100000", "--media", server.base_url),
    )

    assert 0 == told.returncode, told.stdout + told.stderr
    assert re.search(r"\d+/\d+ facts, 0 broken, ", told.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "live"], "give --cap"),
        (["--target", "https://api.example.com", "--cap", "1"], "UPSIM_TRUSTED_HOSTS"),
        (["--target", "ftp://x"], "is not sim, socket, server, live or a URL"),
        (["--provider", "visee"], "did you mean vicsee?"),
        (["--provider", "venice", "--model", "topaz"], "no model 'topaz'"),
        (["--fact", "nothing-*"], "no fact of piapi has a name like 'nothing-*'"),
        (["--cap", "much"], "'much' is not an amount"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    """Wrong usage exits with 2 and says what was wrong, before anything is sent."""
    told = verify(*arguments)

    assert 2 == told.returncode
    assert message in told.stderr
