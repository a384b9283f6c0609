"""A target that passes the preflight, and then does harm: the run ends, and reports it safely."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.drifts.stand_in import Made, stand_in
from tests.drifts.verify_and_record import CAP
from tests.hosts import UNUSABLE_URLS
from upsim import Simulator
from upsim.client import clocks
from upsim.client.http.bounded_responses import SECONDS, BoundedTransport
from upsim_contracts.spending_guard import GuardedTransport, SpendingBudget
from upsim_contracts.target import Patience, Target
from upsim_contracts.verify.planning import plan
from upsim_contracts.verify.reports import as_html, as_json, as_junit, as_text
from upsim_contracts.verify.run import VerifyReport, book_of, pricer, verify

Change = Callable[[Any], Any]
EVIL = "evil.test"
HOSTILE = "\x1b]0;owned\x07\x9b31m\u202e\ud800<script>"
PIECE = b"x" * 2**16


class Clock:
    """The client's stopwatch, which only waiting moves."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait without real time."""
        self.now += seconds


class Body(httpx.SyncByteStream):
    """A body made by a generator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class Hostile(httpx.BaseTransport):
    """Answers as the stand-in does, until `change` has its way with answers of the API."""

    def __init__(self, made: Made, change: Callable[[httpx.Response], httpx.Response]) -> None:
        self._made = made
        self._change = change
        self.told: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, also one to another host."""
        self.told.append(request)
        if request.url.host == EVIL:
            return httpx.Response(200, stream=httpx.ByteStream(b"no video"))
        answer = self._made.transport.handle_request(request)
        content = answer.read()
        headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
        same = httpx.Response(answer.status_code, headers=headers, stream=httpx.ByteStream(content))
        is_spared = request.url.path.startswith("/media/") or "balance" in request.url.path
        return same if is_spared else self._change(same)

    @property
    def strangers_know_the_key(self) -> bool:
        """Whether the key was sent to another host."""
        return any(
            self._made.key in str(one.url) or self._made.key in str(one.headers.raw)
            for one in self.told
            if one.url.host != "upsim.test"
        )


def judged(
    made: Made, change: Callable[[httpx.Response], httpx.Response], clock: Clock
) -> tuple[VerifyReport, Hostile]:
    """Check some facts, and write all reports, which must be whole."""
    book = book_of(made.provider)
    facts = [fact for fact in book.facts if fact.steps and fact.needs_control is None][:12]
    facts += [fact for fact in book.facts if any(step.get("call") == "link" for step in fact.steps)]
    hostile = Hostile(made, change)
    target = made.target(CAP)
    guarded = GuardedTransport(BoundedTransport(hostile), target.purse)
    with httpx.Client(transport=guarded) as http:
        target = replace(target, http=http, patience=Patience(20, refund=0))
        report = verify(book, facts, target, sleep=clock.sleep)
    page = as_html([report])
    assert "<script>" not in page
    json.loads(as_json([report]))
    ET.fromstring(as_junit([report]).encode("utf-8", "backslashreplace"))  # noqa: S314 - our own
    assert as_text(report).splitlines()[-1] == report.headline
    return report, hostile


def endless() -> Iterator[bytes]:
    """Yield without end."""
    while True:
        yield PIECE


def half() -> Iterator[bytes]:
    """Yield the beginning, and lose the connection."""
    yield b'{"code": 2'
    raise httpx.ReadError("peer closed")


def dripping(clock: Clock) -> Iterator[bytes]:
    """Yield a byte a second."""
    while True:
        clock.sleep(1)
        yield b"x"


def streamed(pieces: Callable[[Clock], Iterator[bytes]]) -> Any:  # noqa: ANN401 - a change
    """Return a change by which the body is another one."""
    return lambda clock: (
        lambda answer: httpx.Response(
            answer.status_code, headers=answer.headers, stream=Body(pieces(clock))
        )
    )


def redirected(answer: httpx.Response) -> httpx.Response:
    """Send to another host."""
    return httpx.Response(302, headers={"location": f"http://{EVIL}/"}, stream=answer.stream)


def edited(change: Change) -> Any:  # noqa: ANN401 - a change
    """Return a change of JSON bodies."""

    def edit(answer: httpx.Response) -> httpx.Response:
        if "json" not in answer.headers["content-type"]:
            return answer
        made = change(json.loads(answer.read()))
        content = made if isinstance(made, bytes) else json.dumps(made).encode()
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(content)
        )

    return lambda _clock: edit


def leaves(value: object, *, links: bool = False) -> Any:  # noqa: ANN401 - a change
    """Return a change of every text, or of every link."""

    def change(found: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(found, Mapping):
            return {key: change(inner) for key, inner in found.items()}
        if isinstance(found, list):
            return [change(inner) for inner in found]
        is_meant = str(found).startswith("http") if links else True
        return value if is_meant else found

    return edited(change)


def widened(found: Any) -> Any:  # noqa: ANN401 - JSON
    """Add very many fields."""
    new = dict.fromkeys(map(str, range(5_000)))
    return {**found, "data": {**(found.get("data") or {}), **new}}


LOST = {
    "endless": (streamed(lambda _clock: endless()), "has more than"),
    "a byte a second": (streamed(dripping), f"not ended within {SECONDS:.3g} s"),
    "half": (streamed(lambda _clock: half()), "peer closed"),
}
ODD = {
    "redirects": lambda _clock: redirected,
    "brackets": edited(lambda _found: b"[" * 200_000),
    "objects": edited(lambda _found: b'{"data":' * 900 + b"1" + b"}" * 900),
    "many fields": edited(widened),
    "control characters": leaves(HOSTILE),
    "null": leaves(None),
    "no number": leaves(float("nan")),
    "a long number": leaves(10**4000),
    "a huge number": edited(lambda found: json.dumps(found).replace("200", "1e999999999").encode()),
    "line ends": leaves("a\r\nb\x00"),
    "long text": leaves("x" * 100_000),
    "links elsewhere": leaves(f"http://{EVIL}/x.mp4", links=True),
    "links with names": leaves(f"http://a:b@{EVIL}:9/", links=True),
    "links to files": leaves("file:///etc/passwd", links=True),
    "broken links": leaves("http://[", links=True),
    "no hosts": leaves("http://\ud800/", links=True),
}


@pytest.mark.parametrize("name", LOST)
def test_run_ends_if_no_response_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After five facts with endless responses the run stops, and each wait had a time limit."""
    clock = Clock()
    monkeypatch.setattr(clocks, "stopwatch", clock)
    make, says = LOST[name]
    with stand_in("wavespeed") as made:
        report, hostile = judged(made, make(clock), clock)

    assert "5 facts in a row got no answer, so the run stopped: " in report.refused
    assert says in report.refused
    assert [cause.key[0] for cause in report.causes] == ["connection"]
    assert len(report.causes[0].unjudged) == len(report.verdicts)
    assert clock.now <= 6 * SECONDS
    assert len(hostile.told) < 30


@pytest.mark.parametrize("name", ODD)
def test_run_ends_for_any_response(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any response the run ends with all reports, and the key reaches no other host.

    No cause in the reports is endless.
    """
    clock = Clock()
    monkeypatch.setattr(clocks, "stopwatch", clock)
    with stand_in("wavespeed") as made:
        report, hostile = judged(made, ODD[name](clock), clock)

        assert report.spent <= CAP
    assert report.broken
    assert not report.stopped
    assert not hostile.strangers_know_the_key
    assert len(as_text(report)) < 100_000


@pytest.mark.parametrize("told", ["12345.678", "risen", "NaN", "Infinity", "1e999999", "abc", None])
def test_cap_holds_for_any_reported_balance(told: str | None) -> None:
    """The cap limits the charges if the balance rises, does not change, or is not a number."""
    rises = iter(range(1000, 10**9, 1000))
    book = book_of("vicsee")
    with stand_in("vicsee") as made:
        facts = [fact for fact in book.facts if fact.id.startswith(("rate-", "credits-at-"))]
        target = made.target(CAP)
        cap = plan(book, facts, target, pricer("vicsee")).worst / 2

        def lie(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
            if not request.url.path.endswith("/credits"):
                return answer
            document = json.loads(answer.read())
            document["data"]["credits"] = next(rises) if told == "risen" else told
            return httpx.Response(200, headers=answer.headers, content=json.dumps(document))

        class Liar(httpx.BaseTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                return lie(request, made.transport.handle_request(request))

        target.purse.cap = cap
        guarded = GuardedTransport(Liar(), target.purse)
        with httpx.Client(transport=guarded) as http:
            for fact in facts:
                verify(book, [fact], replace(target, http=http), sleep=lambda _seconds: None)

        assert made.spent() <= cap
        assert target.purse.left is not None
        assert target.purse.left >= Decimal(0)


FOREIGN = {
    "ids with half a character": (rb'"id":"[^"]*"', rb'"id":"\\ud800"'),
    "ids that climb": (rb'"id":"[^"]*"', rb'"id":"../../../x?y#z"'),
    "ids that are long": (rb'"id":"[^"]*"', b'"id":"' + b"x" * 70_000 + b'"'),
    **{
        f"links with {name}": (rb'"http://[^"]*"', json.dumps(url).encode().replace(b"\\", b"\\\\"))
        for name, url in UNUSABLE_URLS.items()
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_unusable_ids_and_links_are_findings(name: str) -> None:
    """A run checks every fact although the ids and links of the provider cannot be sent.

    No id of the provider leads the admin API to another path.
    """
    pattern, other = FOREIGN[name]
    book = book_of("vicsee")
    chosen = [
        next(fact for fact in book.facts if any(kind in step for step in fact.steps))
        for kind in ("force", "output", "until")
    ]
    admin: list[str] = []

    class Lying(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = sim_transport.handle_request(request)
            content = answer.read()
            path = request.url.raw_path.decode()
            if path.startswith("/__sim"):
                admin.append(path)
            elif not path.startswith("/media"):
                content = re.sub(pattern, other, content)
            stream = httpx.ByteStream(content)
            headers = {"content-type": answer.headers.get("content-type", "")}
            return httpx.Response(answer.status_code, headers=headers, stream=stream)

    with Simulator() as sim, httpx.Client(transport=Lying()) as http:
        sim_transport = sim.transport()
        purse = SpendingBudget(None, book.unit)
        target = Target("sim", "vicsee", "http://127.0.0.1", http, purse, simulator=True)
        report = verify(book, chosen, target, sleep=lambda _seconds: None)

    assert len(report.verdicts) == len(chosen)
    assert "broken" in {one.outcome for one in report.verdicts} <= {"broken", "held"}
    deepest = "/__sim/sandboxes/i/jobs/j/state"
    assert max(path.count("/") for path in admin) <= deepest.count("/")
    for write in (as_html, as_json, as_junit):
        assert write([report])
