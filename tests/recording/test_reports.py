"""What the report says of ages, in its files, and where nothing can be compared."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recording.conftest import Studio
from tests.recording.sample_requests import CALLERS, CLIP
from upsim_contracts.cassettes.cassette import (
    Cassette,
    Charge,
    Header,
    RecordedExchange,
    RecordedMessage,
    Writer,
    read_cassette,
)
from upsim_contracts.documents.wrong_paths import unknown_path_note
from upsim_contracts.drift.run import drift
from upsim_contracts.exceptions import UsageError
from upsim_contracts.request_costs import CostTable
from upsim_contracts.verify.run import book_of, pricer

HEAD = Header("vicsee", "guide", "127.0.0.1", "2026-11-01T10:00:00Z")


def vicsee() -> CostTable:
    """Return the price list of a provider."""
    return CostTable(book_of("vicsee"), pricer("vicsee"))


def exchange(status: int = 200, body: object = None, **more: object) -> RecordedExchange:
    """Return a look at the credits."""
    answer = RecordedMessage({"content-type": "application/json"}, {"json": body})
    zero = Decimal(0)
    path = "/api/v1/credits"
    return RecordedExchange(1, zero, zero, "GET", path, RecordedMessage(), status, answer, **more)  # type: ignore[arg-type]


def test_old_evidence_is_a_finding() -> None:
    """Documents and recordings that are too old are reported with their age."""
    good = exchange(body={"success": True, "data": {"credits": 1}})
    cassette = Cassette("c.jsonl", HEAD, (good,))
    today = date(2026, 12, 1)
    fresh = drift(cassette, vicsee(), [], today=today, stale_after=30)
    stale = drift(cassette, vicsee(), [], today=today, stale_after=29)

    assert [] == fresh.drifts
    assert [("evidence", "30 days", 30), ("recording", "30 days", 30)] == [
        (one.finding.operation, one.finding.seen, one.recorded_age) for one in stale.drifts
    ]


def test_a_lost_connection_is_a_finding() -> None:
    """`drift` reports an exchange that got no response."""
    cassette = Cassette("c.jsonl", HEAD, (exchange(0),))
    found = drift(cassette, vicsee(), [], today=date(2026, 11, 2))

    assert ["vicsee: GET /api/v1/credits: connection: expected an answer, seen none"] == [
        str(one).partition(" [")[0] for one in found.drifts
    ]


def test_the_same_difference_is_reported_once() -> None:
    """Two responses that differ in the same place are one line that names both."""
    bad = exchange(body={"success": True, "data": {"credits": "1"}})
    cassette = Cassette("c.jsonl", HEAD, (bad, replace(bad, number=2)))
    found = drift(cassette, vicsee(), [], today=date(2026, 11, 2))

    assert [(1, 2)] == [one.exchanges for one in found.drifts]
    assert str(found.drifts[0]).endswith("recorded 1 day ago, exchange 1 and 1 more")


def test_reports_hold_the_same(studio: Studio) -> None:
    """The JSON and HTML reports hold the same differences with values, evidence and ages."""
    cassette = studio.record("vicsee", CALLERS["vicsee"], scenario="vicsee/price-change")
    as_json, as_html = studio.folder / "d.json", studio.folder / "d.html"
    lines = studio.drift(cassette, json=as_json, html=as_html)
    (report,) = json.loads(as_json.read_text("utf-8"))
    (finding,) = report["findings"]

    assert lines[0] == finding["line"]
    assert ("charge", "80 credits", "160 credits", 0, [2]) == tuple(
        finding[key] for key in ("where", "expected", "seen", "recorded_days_ago", "exchanges")
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", finding["read"])
    page = as_html.read_text("utf-8")
    assert "<td>80 credits</td><td>160 credits</td>" in page
    assert "http" not in re.sub(r"https?://(vicsee\.com|upsim\.test)[^<]*", "", page)


def test_without_a_simulator_only_contract_and_price_are_checked(studio: Studio) -> None:
    """With `--no-simulator`, `drift` checks only contract and price, and replays no exchange."""
    cassette = studio.record("piapi", CALLERS["piapi"])
    lines = studio.drift(cassette, simulator=False)

    assert ["no differences in 7 exchanges, 0 of them replayed"] == [
        line.partition("): ")[2] for line in lines
    ]


def test_documented_429s_are_only_counted(studio: Studio) -> None:
    """A documented 429 is not a difference; a note says that it was not compared."""
    scenario = """
extends: vicsee/baseline
summary: The first submit meets a full house.
faults:
  - at: before_accept
    first: 1
    do: {respond: {error: rate_limited, values: {limit: 1, reset: 1}}}
"""

    async def caller(http: httpx.AsyncClient) -> None:
        for _ in range(2):
            await http.post("/api/v1/tools/upscale-video", json={"video_url": CLIP})

    note, line = studio.drift(studio.record("vicsee", caller, scenario=scenario))

    assert note.startswith("note: vicsee: 1 of 2 submits answered 429 RATE_LIMITED")
    assert line.endswith("1 of them replayed; 1 not replayed: a refusal of the moment")


def test_synthetic_clip_is_known_after_its_server_ended(studio: Studio) -> None:
    """A synthetic clip URL shows no difference, even if its simulator no longer runs."""
    scenario = """
extends: vicsee/baseline
summary: A clip of another simulator, which runs.
media: [{url: "http://127.0.0.1:9/media/*", duration: 4.5, size: 854x480, fps: 30}]
"""

    async def caller(http: httpx.AsyncClient) -> None:
        url = "http://127.0.0.1:9/media/synthetic/854x480_30fps_4.5s.mp4"
        await http.post("/api/v1/tools/upscale-video", json={"video_url": url})

    clips = ["http://127.0.0.1:9/*=854x480 30fps 4.5s"]
    (line,) = studio.drift(studio.record("vicsee", caller, scenario=scenario, clips=clips))

    assert line.endswith("no differences in 1 exchange, 1 of them replayed")


def test_ids_without_a_digit_are_ids(studio: Studio) -> None:
    """`drift` also follows a job in the replay if its id has letters only."""

    def lettered(call: str, answer: httpx.Response) -> httpx.Response:
        if "upscale-video" in call or "tasks" in call:
            text = re.sub(r"task_\w{8}", "task_abcdefgh", answer.text)
            return httpx.Response(answer.status_code, headers=answer.headers, content=text)
        return answer

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post("/api/v1/tools/upscale-video", json={"video_url": CLIP})

    cassette = studio.record("vicsee", caller, altered=lettered)
    head, line = cassette.read_text("utf-8").split("\n")[:2]
    poll = {"number": 2, "method": "GET", "path": "/api/v1/tasks/task_abcdefgh", "charge": None}
    found = json.loads(line) | poll | {"media": {}}
    task = {"id": "task_abcdefgh", "model": "topaz-video-upscale", "status": "pending"}
    rest = {"mediaType": "video", "prompt": None, "result": None, "error": None}
    made = {"createdAt": "2026-01-01T00:00:00.000Z"}
    found["request"].pop("body")
    found["answer"]["body"]["json"] = {"success": True, "data": task | rest | made}
    del found["charge"]
    cassette.write_text("\n".join([head, line, json.dumps(found)]), encoding="utf-8")

    assert ["no differences in 2 exchanges, 2 of them replayed"] == [
        line.partition("): ")[2] for line in studio.drift(cassette)
    ]


def test_a_scenario_is_made_of_one_cassette(studio: Studio) -> None:
    """`drift --scenario` with two cassettes is refused."""
    cassette = studio.record("vicsee", CALLERS["vicsee"])
    with pytest.raises(UsageError, match="one cassette"):
        studio.drift(cassette, cassettes=[cassette, cassette], scenario=studio.folder / "s.yaml")


texts = st.text(st.characters(codec="utf-8"), max_size=20)
amounts = st.decimals(-1000, 1000, places=6)
numbers = st.integers(-(2**53), 2**53) | amounts
documents = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(documents, amounts, st.none() | amounts, texts)
@settings(max_examples=50, deadline=None)
def test_a_cassette_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    body: object,
    at: Decimal,
    documented: Decimal | None,
    text: str,
) -> None:
    """Any document, amount and text can be written to a cassette and read back exactly."""
    message = RecordedMessage({"x": text}, {"json": body})
    charge = Charge("USD", documented, at)
    written = RecordedExchange(1, at, at, "POST", "/x", message, 200, message, "api", charge)
    file = BytesIO()
    Writer(file, HEAD).add(written)
    path: Path = tmp_path_factory.getbasetemp() / "round-trip.jsonl"
    path.write_bytes(file.getvalue())
    found = read_cassette(path)

    assert (HEAD, (written,)) == (found.header, found.exchanges)


def test_wrong_path_of_the_client_is_a_note(studio: Studio) -> None:
    """A refused wrong path is only a note; a path that the provider serves is a difference."""
    wrong = {
        "GET /api/v1/task/some-id": "did you mean GET /api/v1/tasks/{id}?",
        "GET /api/v1/credit": "did you mean GET /api/v1/credits?",
        "GET /api/v1/nothing/at/all": "(answered 404)",
    }

    async def caller(http: httpx.AsyncClient) -> None:
        for call in wrong:
            method, path = call.split()
            await http.request(method, path)

    cassette = studio.record("vicsee", caller)
    assert studio.session is not None
    lines = studio.drift(cassette)

    assert studio.session.application.logbook.findings == 0
    for said in (studio.said, lines):
        notes = [line for line in said if line.startswith("note: ")]
        assert len(notes) == len(wrong)
        for (call, end), one in zip(wrong.items(), notes, strict=True):
            assert call in one
            assert one.endswith(end)
    assert lines[-1].startswith("cassette.jsonl")
    assert "no differences" in lines[-1]

    def served(call: str, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(200, json={}) if "nothing" in call else answer

    cassette.unlink()
    found = studio.drift(studio.record("vicsee", caller, altered=served))
    assert studio.session.application.logbook.findings == 1
    call = "vicsee: GET /api/v1/nothing/at/all"
    assert any(line.startswith(f"{call}: request: expected a documented") for line in studio.said)
    assert found[0].startswith(f"{call}: status: expected 404, seen 200")


def test_free_path_is_suggested_before_a_paid_path() -> None:
    """For a wrong Venice status path, the note suggests a free operation, not the paid `queue`."""
    costs = CostTable(book_of("venice"), pricer("venice"))
    said = unknown_path_note(costs, "guide", "POST", "/api/v1/video/status", 404)

    assert said is not None
    assert "did you mean POST /api/v1/video/" in said
    assert "queue" not in said
