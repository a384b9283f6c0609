"""The two tools at a stand-in: what `verify` as a stranger says, and `record` with `drift`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tests.drifts.stand_in import ROOT, Made
from tests.receivers import Hosts, Receiver
from upsim.cli.verify import LOCAL
from upsim_contracts.clip_properties import clip
from upsim_contracts.drift.command import run as run_drift
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.facts.account_client import body_of
from upsim_contracts.facts.fact_files import Book, filled
from upsim_contracts.record.command import recording
from upsim_contracts.suite.property_runs import table_of
from upsim_contracts.verify.reports import as_text
from upsim_contracts.verify.run import VerifyReport, book_of, verify
from upsim_contracts.yaml12 import read_exact

CALLERS: Mapping[str, Sequence[Mapping[str, Any]]] = read_exact(
    Path(__file__).parent / "callers.yaml"
)
CAP = Decimal(100_000)


def verified(made: Made, *, cap: Decimal = CAP) -> VerifyReport:
    """Verify a stand-in by all facts, without the admin API."""
    book = book_of(made.provider).under(made.dialect)
    target = made.target(cap)
    with target.http:
        return verify(book, book.facts, target, sleep=lambda _seconds: None)


def findings(report: VerifyReport) -> list[str]:
    """The lines that each report one thing; details below a line are indented."""
    *lines, _headline = as_text(report).splitlines()
    return [line for line in lines if not line.startswith(" ")]


def drifted(made: Made, folder: Path, **more: object) -> list[str]:
    """Record a caller's day at a stand-in; the lines of the drift report, without its headline."""
    file = folder / "cassette.jsonl"
    upstream = f"{ROOT}/{made.provider}"
    order = {"upstream": upstream, "to": file, "dialect": made.dialect or None, **more}
    order["webhooks"] = "http://recorder.test"
    transport = Hosts(made.transport, {"127.0.0.1": Receiver()})
    with recording(order, None, lambda _text: None, transport, seconds=made.now) as session:
        made.posts.apps["recorder.test"] = session.application
        asyncio.run(_call(session.application, made))
    said: list[str] = []
    run_drift({"cassettes": [file]}, LOCAL["sim"], said.append)
    return [line for text in said for line in text.splitlines()][:-1]


async def _call(application: Any, made: Made) -> None:  # noqa: ANN401 - ASGI
    book = book_of(made.provider).under(made.dialect)
    transport = httpx.ASGITransport(application)
    base = f"http://recorder.test/{made.provider}"
    async with httpx.AsyncClient(transport=transport, base_url=base) as http:
        caller = _Caller(book, http, made.key)
        for step in CALLERS.get(made.provider) or _plain_day(book):
            if "wait" in step:
                await made.simulator.advance_async(step["wait"])
            else:
                await caller.take(step)
        await made.simulator.app.deliverer.flush_all()


def _plain_day(book: Book) -> Iterator[Mapping[str, Any]]:
    """Yield the steps where the file names none of the provider: one job, and all reads."""
    submit = next(iter(table_of(book.provider).submits.values()))
    size, rate = submit.clips.sizes[0], submit.clips.rates[0]
    yield {"call": submit.call, "video": f"{size} {rate}fps 2s"}
    yield {"poll": 4}
    yield from ({"call": name} for name, form in book.calls.items() if form.method == "GET")


class _Caller:
    """A caller that continues after every response."""

    def __init__(self, book: Book, http: httpx.AsyncClient, key: str) -> None:
        self._book = book
        self._http = http
        self._names: dict[str, Any] = {"key": key, "job": "none", "output": f"{ROOT}/media/none"}
        self._names["hook"] = "http://127.0.0.1:9/hook"
        self._content = b""

    async def take(self, step: Mapping[str, Any]) -> None:
        """Make a call, or poll the last job."""
        for _ in range(step.get("poll", 0)):
            await self._send({"call": self._book.lifecycle.call})
        if "call" in step:
            await self._take_video(step.get("video"))
            await self._send(step)

    async def _take_video(self, wanted: Any) -> None:  # noqa: ANN401 - of a file
        text = wanted["data"] if isinstance(wanted, Mapping) else wanted
        if text is None:
            return
        self._names["video"] = f"{ROOT}{clip(text).path}"
        if isinstance(wanted, Mapping):
            self._content = (await self._http.get(f"http://recorder.test{clip(text).path}")).content
            encoded = base64.b64encode(self._content).decode()
            self._names |= {"base64": encoded, "bytes": len(self._content)}

    async def _send(self, step: Mapping[str, Any]) -> None:
        form = self._book.calls[step["call"]]
        headers = {**self._book.auth, **form.headers, **step.get("headers", {})}
        address = str(filled(form.path, self._names))
        answer = await self._http.request(
            form.method,
            address.removeprefix("/") if "://" not in address else address,
            headers={k: str(filled(v, self._names)) for k, v in headers.items() if v is not None},
            params=filled(step.get("query"), self._names),
            json=filled(body_of(form, step), self._names),
            content=self._content if step.get("file") else step.get("raw"),
        )
        document = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        wanted = {"job": form.job, **step.get("keep", {})}
        if step["call"] == self._book.lifecycle.call:
            wanted["output"] = next(iter(self._book.lifecycle.output), None)
        for name, path in wanted.items():
            found = at(document, path) if path else ABSENT
            if isinstance(found, str):
                self._names[name] = found
