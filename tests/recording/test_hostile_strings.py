"""Strings of a server mean the same in a scenario file, and nothing more than text in reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.recording.test_reports import HEAD, exchange, vicsee
from upsim.cli import main
from upsim.scenario.loader import Library
from upsim.scenario.yaml_tree import parse_tree
from upsim_contracts.cassettes.cassette import (
    Cassette,
    Charge,
    RecordedExchange,
    RecordedMessage,
    Writer,
)
from upsim_contracts.drift import reports as drift_reports
from upsim_contracts.drift.run import drift
from upsim_contracts.expected_responses import Mismatch
from upsim_contracts.facts.fact_runner import Outcome, Verdict
from upsim_contracts.spending_guard import PriceDifference
from upsim_contracts.verify import reports
from upsim_contracts.verify.planning import VerifyPlan
from upsim_contracts.verify.run import VerifyReport, book_of
from upsim_contracts.yaml_writer import scenario_text

ODD = (
    *("\x7f", "\x80\x9f", "\x85", "\u2028\u2029", "\ufeff", "\0\x1b]0;x\x07", "\ud7ff\ue000\ufffd"),
    *("${HOME}", "$${HOME}", "$$${HOME:-x}", '"\'\\"', "!!python/object:x", "&a *a", "<<", "# x"),
    *(
        "1_000",
        "0x10",
        "1e3",
        ".inf",
        "NaN",
        "null",
        "~",
        "true",
        "2026-01-01",
        "1:30",
        "- a",
        "a: b",
    ),
    *(
        " a ",
        "a\n\n b\t",
        "\r\n",
        "x" * 5000,
        "\U000e0001\U0001f600",
        "\ufffe\uffff",
        "%YAML",
        "---",
    ),
)
texts = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(-(10**28), 10**28) | st.decimals(-1000, 1000, places=6)
documents = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(documents, texts)
@settings(max_examples=100)
@example({text: [text] for text in ODD}, "a\n!b\x85\x1b")
def test_scenario_text_is_read_as_it_was_written(document: object, heading: str) -> None:
    """Any document of a recording can be written to a scenario and read back unchanged."""
    found = parse_tree(scenario_text({"a": document, "b": [document]}, heading), "told.yaml")

    assert [] == found.mistakes
    assert {"a": document, "b": [document]} == found.value


def test_recorded_refusals_become_faults(tmp_path: Path) -> None:
    """A scenario of `drift --scenario` repeats a recorded refusal with exactly the same text."""
    words: dict[str, Any] = {text: text for text in ODD} | {"n": Decimal("1.50"), "deep": [[{}]]}
    json_type = {"content-type": "application/json"}
    sent = RecordedMessage(json_type, {"json": {"video_url": "https://a.example/\u2028.mp4"}})
    refused = RecordedExchange(
        *(1, Decimal(0), Decimal(0), "POST", "/api/v1/tools/upscale-video", sent, 418),
        RecordedMessage(json_type | {"retry-after": "\x7f"}, {"json": words}),
        charge=Charge("credit", None, Decimal(0)),
    )
    text = RecordedMessage({"content-type": "text/\x1b\xff"}, {"text": "".join(ODD)})
    others = [replace(refused, number=2, status=799), replace(refused, number=3, answer=text)]
    cassette, made = tmp_path / "c\x1b\u2028.jsonl", tmp_path / "made.yaml"
    with cassette.open("wb", buffering=0) as file:
        writer = Writer(file, HEAD)
        for one in (refused, *others):
            writer.add(one)
    line = ["drift", str(cassette), "--scenario", str(made)]
    done = CliRunner().invoke(main, line, catch_exceptions=False)
    assert made.exists(), done.output
    rules = Library().load(str(made)).faults

    assert "exchange 2: POST /api/v1/tools/upscale-video is left out" in done.output
    assert [words, "".join(ODD)] == [plain(rule.do.body) for rule in rules]  # type: ignore[union-attr]


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a frozen document as JSON has it."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


HOSTILE = (
    "<script>x</script>\"' onload=x ><img src=x onerror=x>]]>&amp;\0\x1b\ufffe\ud800 --><!--\n"
)


class Page(HTMLParser):
    """Collects what a page has beside text."""

    def __init__(self, page: str) -> None:
        """Read it all."""
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def check_page(page: str, words: str) -> None:
    """Check that a page holds hostile words as text only."""
    found = Page(page.encode("utf-8", "backslashreplace").decode())
    assert not found.names & {"script", "img", "iframe", "object", "svg"}
    assert found.attributes <= {"lang", "charset", "name", "content", "class", "id", "href"}
    assert all(link.startswith("https://") for link in found.links)
    assert words in page


def test_drift_reports_escape_hostile_text() -> None:
    """The HTML report of `drift` escapes all server text, and its JSON is valid."""
    words = HOSTILE.replace("\ud800", "")  # no document of a cassette has half of a pair
    body = {"success": words, words: words, "data": {"credits": words}}
    bad = replace(exchange(body=body), path=f"/api/v1/credits?{HOSTILE}", method="GET")
    cassette = Cassette(HOSTILE, replace(HEAD, upstream=HOSTILE), (bad,))
    report = drift(cassette, vicsee(), [], today=date(2026, 11, 2), stale_after=1)
    (told,) = json.loads(drift_reports.as_json([report]).encode("utf-8", "backslashreplace"))

    assert report.drifts
    assert len(report.drifts) == len(told["findings"])
    check_page(drift_reports.as_html([report]), "&lt;script&gt;")


@pytest.mark.parametrize("outcome", ["broken", "untestable", "held"])
def test_verify_reports_escape_hostile_text(outcome: Outcome) -> None:
    """The HTML, JUnit and JSON reports of `verify` are valid with any text of a target."""
    book = book_of("vicsee")
    told = (Mismatch(HOSTILE, HOSTILE, HOSTILE),)
    verdicts = [Verdict(fact, outcome, told, HOSTILE, HOSTILE) for fact in book.facts[:2]]
    difference = PriceDifference(HOSTILE, Decimal(1), Decimal(2))
    plan = VerifyPlan("credit", ())
    report = VerifyReport(book, HOSTILE, plan, verdicts, differences=[difference])
    junit = reports.as_junit([report]).encode("utf-8", "backslashreplace")

    cases = ET.fromstring(junit).findall("testsuite/testcase")  # noqa: S314 - our own
    assert [verdict.fact.id for verdict in verdicts] == [case.get("name") for case in cases]
    failures = ET.fromstring(junit).findall("testsuite/testcase/failure")  # noqa: S314 - our own
    assert (len(verdicts) if outcome == "broken" else 0) == len(failures)
    (found,) = json.loads(reports.as_json([report]))["reports"]
    assert HOSTILE == found["target"]
    check_page(reports.as_html([report]), "&lt;script&gt;")
