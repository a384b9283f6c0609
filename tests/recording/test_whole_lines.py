"""Whatever a recording writes, the reader reads: bodies near each bound, alone and in pairs."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio import events
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.slowness import TRIES, slowness
from upsim_contracts.cassettes.bodies import recorded_body
from upsim_contracts.cassettes.bounded_json import BODY, MAX_LETTERS, parsed
from upsim_contracts.cassettes.cassette import (
    Header,
    RecordedExchange,
    RecordedMessage,
    Writer,
    read_cassette,
)
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.record import reservations as charging_module
from upsim_contracts.record.command import recording

JSON = "application/json"
QUEUE = "/api/v1/video/queue"
SECRET = "sk-abc"
"""Shorter than what stands for it in a cassette."""


def nested(levels: int) -> bytes:
    """Return lists within each other."""
    return b"[" * levels + b"]" * levels


KINDS: dict[str, Callable[[int], bytes]] = {
    "values": lambda by: b"[" + b"0," * (BODY.values - 2 + by) + b"0]",
    "objects": lambda by: b"[" + b"{}," * (BODY.values // 2 - 1 + by) + b"{}]",
    "commas in a text": lambda by: b'"' + b"," * (BODY.values + by) + b'"',
    "escaped commas": lambda by: b'"' + rb"\u002c" * (BODY.values + by) + b'"',
    "levels": lambda by: nested(BODY.levels + by),
    "digits": lambda by: b"9" * (BODY.digits + by),
    "digits with an exponent": lambda by: b"9" * (BODY.digits - 4 + by) + b"e4",
    "places": lambda by: b"1e-%d" % (BODY.digits + by),
    "letters": lambda by: b'"' + b"!" * (MAX_LETTERS + by) + b'"',
    "secrets": lambda by: json.dumps(f"{SECRET} " * (MAX_LETTERS // 7 + by)).encode(),
    "backslashes": lambda by: b'"' + rb"\\" * (MAX_LETTERS + by) + b'"',
    "files": lambda by: b'["' + b'","'.join([b"QUFB" * 1100] * (200 + by)) + b'"]',
}
"""Bodies at a bound of a document, and some steps beyond or below it."""
near = st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from([-4, 0, 1]))


@cache
def kept_one(kind: str, by: int) -> Mapping[str, Any]:
    """Return what is kept of such a body; a document only if it is within the bounds."""
    redactor = Redactor()
    redactor.learn(SECRET)
    body = KINDS[kind](by)
    found = recorded_body(body, JSON, redactor)
    assert "json" not in found or parsed(body) is not None
    return found


@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(near, near)
def test_a_pair_of_bodies_is_read_as_it_was_kept(
    tmp_path_factory: pytest.TempPathFactory, sent: tuple[str, int], answered: tuple[str, int]
) -> None:
    """An exchange with two stored bodies is one cassette line and is read back exactly."""
    request, answer = (RecordedMessage({"a": "b"}, kept_one(*one)) for one in (sent, answered))
    written = RecordedExchange(1, Decimal(0), Decimal(0), "POST", "/x", request, 200, answer)
    file = BytesIO()
    Writer(file, Header("venice", "guide", "x", "2026-01-01")).add(written)
    path: Path = tmp_path_factory.getbasetemp() / "pair.jsonl"
    path.write_bytes(file.getvalue())

    assert (written,) == read_cassette(path).exchanges


PATHS = ["a%20b=1", "a%0Ab%7F=%00", "%E9%FF=1", "a[]=1&b:c,d=2", "a=" + "%25" * 9_000]


def test_no_limit_loses_an_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchanges with long bodies, odd queries or amounts are all recorded, with the reasons."""
    cassette, said = tmp_path / "c.jsonl", list[str]()
    asked = {"upstream": "http://127.0.0.1:9", "to": cassette, "provider": "venice"}
    balances = iter([Decimal("1e25"), Decimal(0)])

    async def balance(*_: object) -> Decimal | None:
        return next(balances, None)

    monkeypatch.setattr(charging_module.Reservations, "balance", balance)

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"content-type": JSON}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(request.content))

    async def run() -> list[int]:
        with recording(asked, None, said.append, httpx.MockTransport(answer)) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                types = {"content-type": JSON}
                found = [
                    await http.post(QUEUE, content=KINDS[kind](by), headers=types)
                    for kind in ("values", "levels", "digits with an exponent", "escaped commas")
                    for by in (0, 2)
                ]
                found += [await http.get(f"{QUEUE}?{query}") for query in PATHS]
            assert session.application.logbook.lost == 0
        return [one.status_code for one in found]

    statuses = asyncio.run(run())
    exchanges = read_cassette(cassette).exchanges

    assert [200] * (8 + len(PATHS)) == statuses
    assert [*range(1, len(statuses) + 1)] == [one.number for one in exchanges]
    for number, one in enumerate(exchanges[:8]):
        form = "json" if number % 2 == 0 else ("text" if number in (3, 5) else "file")
        assert ([form], [form]) == ([*one.request.body], [*one.answer.body]), number
    notes = [line.rpartition(": ")[2] for line in said if "only size and hash" in line]
    assert ["it holds more than 200,000 values"] * 4 == notes


@contextmanager
def longest_callback() -> Iterator[list[float]]:
    """Give the seconds of CPU time of each callback of event loops."""
    took: list[float] = []
    usual = events.Handle._run

    def measured(handle: events.Handle) -> None:
        began = time.thread_time()
        usual(handle)
        took.append(time.thread_time() - began)

    events.Handle._run = measured  # type: ignore[method-assign,assignment]  # there is no other hold on it
    try:
        yield took
    finally:
        events.Handle._run = usual  # type: ignore[method-assign]  # as before


LONGEST = 0.03
"""Seconds of CPU time that a callback may take here."""


def test_a_long_line_is_written_outside_the_event_loop(tmp_path: Path) -> None:
    """Writing a long line does not block the event loop, and lines keep the order of responses."""
    body = b"[" + b'{"a":"bcdef"},' * 75_000 + b"{}]"
    longest: list[float] = []

    async def run(folder: Path) -> None:
        asked = {"upstream": "http://127.0.0.1:9", "to": folder, "provider": "venice"}
        transport = httpx.MockTransport(
            lambda one: httpx.Response(
                200, stream=httpx.ByteStream(body if "long" in one.url.path else b"{}")
            )
        )
        with recording(asked, None, lambda _: None, transport) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                with longest_callback() as took:
                    paths = [f"/api/v1/{name}" for name in ("long", "a", "b", "c")]
                    await asyncio.gather(*map(http.get, paths))
                longest.append(max(took))

    for number in range(TRIES):
        asyncio.run(run(tmp_path / f"{number}.jsonl"))
        found = read_cassette(tmp_path / f"{number}.jsonl").exchanges
        assert [1, 2, 3, 4] == [one.number for one in found]
        assert {"long", "a", "b", "c"} == {one.path.rpartition("/")[2] for one in found}
        if longest[-1] < LONGEST:  # a busy machine only adds, so one short run is enough
            break
    assert min(longest) < LONGEST * slowness(), longest
