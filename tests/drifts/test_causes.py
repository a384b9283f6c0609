"""One thing that the provider changes is one cause, in all reports, with the facts below it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.drifts.stand_in import stand_in
from upsim.cli.verify import LOCAL
from upsim_contracts.verify.command import VerifyOptions, open_target, run
from upsim_contracts.verify.reports import as_html, as_json, as_junit, as_text
from upsim_contracts.verify.run import STOPPED, VerifyReport, book_of, not_begun, providers, verify

Alter = Callable[[httpx.Request, httpx.Response], httpx.Response | None]
CAP = Decimal(100_000)
SUBMITS = re.compile(r"/upscale-video|/generate|/video/queue|/v1/task|-upscaler|/upscale-v1")
DEAR = """\
extends: vicsee/baseline
summary: A second costs another amount than documented.
models:
"""
RATES = """\
  topaz-video-upscale: {{billing: {{rate: {{table: {{"1": "{}", "2": "{}", "4": "{}"}}}}}}}}
"""


class Altered(httpx.BaseTransport):
    """Changes the answers of a provider, not those of the admin API."""

    def __init__(self, inner: httpx.BaseTransport, alter: Alter) -> None:
        """Pass requests on to another transport."""
        self._inner = inner
        self._alter = alter

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        response = self._inner.handle_request(request)
        if "/__sim" in request.url.path:
            return response
        response.read()
        return self._alter(request, response) or response


def unaltered(_request: httpx.Request, _response: httpx.Response) -> None:
    """Leave an answer as it is."""


def remade(answer: httpx.Response, body: object = None, status: int = 0) -> httpx.Response:
    """Return an answer with another body or status."""
    headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
    content = answer.content if body is None else json.dumps(body).encode()
    return httpx.Response(status or answer.status_code, headers=headers, content=content)


def fields(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Alter:
    """Return an alteration of every object in every JSON body."""

    def deep(value: object) -> object:
        if isinstance(value, dict):
            return change({key: deep(inner) for key, inner in value.items()})
        return [deep(one) for one in value] if isinstance(value, list) else value

    def alter(_request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
        if "json" not in answer.headers.get("content-type", ""):
            return None
        return remade(answer, deep(json.loads(answer.content)))

    return alter


def renamed(old: str, new: str) -> Alter:
    """Return an alteration of a field's name."""
    return fields(lambda found: {new if k == old else k: v for k, v in found.items()})


def word(old: str, new: str, name: str = "status") -> Alter:
    """Return an alteration of one value of a field."""
    return fields(lambda f: {k: new if (k, v) == (name, old) else v for k, v in f.items()})


def as_text_field(name: str) -> Alter:
    """Return an alteration of a number to a text."""
    return fields(lambda found: {k: str(v) if k == name else v for k, v in found.items()})


def refused(status: int, code: str, message: str) -> Alter:
    """Return an alteration by which no submit is accepted."""
    body = {"success": False, "error": {"code": code, "message": message}}

    def alter(request: httpx.Request, _answer: httpx.Response) -> httpx.Response | None:
        if request.method == "POST" and SUBMITS.search(request.url.path):
            return httpx.Response(status, json=body)
        return None

    return alter


def of_status(before: int, after: int) -> Alter:
    """Return an alteration of a status."""
    return lambda _request, answer: (
        remade(answer, status=after) if answer.status_code == before else None
    )


def header(name: str, value: str | None) -> Alter:
    """Return an alteration of a header; None takes it away."""

    def alter(_request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if value is None:
            answer.headers.pop(name, None)
        else:
            answer.headers[name] = value
        return answer

    return alter


def judged(
    provider: str, alter: Alter = unaltered, scenario: Path | None = None, *, as_live: bool = True
) -> VerifyReport:
    """Return what a run at an altered simulator finds."""

    @contextmanager
    def local() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
        with LOCAL["sim"]() as (url, transport, token):
            yield url, Altered(transport, alter), token

    order = VerifyOptions(
        providers=(provider,),
        as_live=as_live,
        cap=CAP if as_live else None,
        scenario=str(scenario) if scenario else None,
    )
    with ExitStack() as stack:
        target = open_target(stack, order, book_of(provider), {"sim": local})
        book = book_of(provider).under(target.dialect)
        return verify(book, book.facts, target, sleep=lambda _seconds: None)


SLOW_DOWN = "Slow down, 5 requests a day"
CHANGES = [
    ("vicsee", word("processing", "rendering"), "`rendering` is an undocumented status (doc"),
    ("venice", word("PROCESSING", "RUNNING"), "`RUNNING` is an undocumented status (documented: P"),
    ("vicsee", renamed("creditsUsed", "credits_used"), "`creditsUsed` is now `credits_used` in P"),
    ("piapi", renamed("task_id", "taskId"), "`task_id` is now `taskId` in POST /api/v1/task: "),
    ("wavespeed", renamed("outputs", "results"), "`outputs` is now `results` in POST /api/v3/"),
    ("vicsee", as_text_field("creditsUsed"), '`creditsUsed` is "16" in POST /api/v1/tools/'),
    (
        "vicsee",
        refused(429, "RATE_LIMITED", SLOW_DOWN),
        f'every submit answers 429 RATE_LIMITED: "{SLOW_DOWN}" and is charged: ',
    ),
    (
        "vicsee",
        of_status(422, 200),
        'errors are answered with 200 (documented: 422): VIDEO_TOO_LONG: "Video exceeds 60-sec',
    ),
    (
        "vicsee",
        of_status(400, 422),
        "the status of refusals documented as 400 is now 422 (MISSING_VIDEO_URL: ",
    ),
    (
        "vicsee",
        word("INVALID_UPSCALE_FACTOR", "BAD_FACTOR", "code"),
        '`error.code` "INVALID_UPSCALE_FACTOR" is now "BAD_FACTOR" in POST /api/v1/tools/upscale-',
    ),
    (
        "venice",
        header("x-venice-balance-usd", None),
        "header `x-venice-balance-usd` is missing in GET /api/v1/billing/balance: ",
    ),
    ("piapi", header("x-plan", "free"), "header `x-plan` is new in GET /account/info, POST "),
    (
        "vicsee",
        fields(lambda found: {**found, "queue": 3} if "creditsUsed" in found else found),
        "`queue` is an undocumented field in POST /api/v1/tools/upscale-video, POST /api/v1/gen",
    ),
]
SHOWN = ("20", "20", "35")
PAGE = Path(__file__).parents[2] / "docs/how-to/verify.md"
"""Shows what is printed where a second costs so much."""
PRICES = [
    (SHOWN, "VicSee charges 25 % more than documented"),
    (("16", "16", "32"), "VicSee charges 14.3 % more than documented for `upscale_factor` 4 ("),
]


@pytest.mark.parametrize(("provider", "alter", "line"), CHANGES, ids=[c[2][:40] for c in CHANGES])
def test_one_change_is_one_cause(provider: str, alter: Alter, line: str) -> None:
    """The report of a live run names each change once, with all facts that fail because of it."""
    (cause,) = judged(provider, alter).causes

    assert str(cause).startswith(line)


@pytest.mark.parametrize(("rates", "line"), PRICES)
@pytest.mark.parametrize("as_live", [True, False])
def test_a_changed_price_is_one_cause(
    tmp_path: Path, rates: tuple[str, ...], line: str, *, as_live: bool
) -> None:
    """The report names a changed price by its ratio and, if the run shows it, by its option."""
    scenario = tmp_path / "dear.yaml"
    scenario.write_text(DEAR + RATES.format(*rates), encoding="utf-8")
    report = judged("vicsee", scenario=scenario, as_live=as_live)
    (cause,) = report.causes

    assert str(cause).startswith(line if as_live else line.partition(" for ")[0])
    assert len(cause.broken) >= 10
    if rates == SHOWN and not as_live:
        printed = re.search(r"CHANGED .*\n(?: .*\n)*", f"{as_text(report)}\n")
        assert printed is not None
        assert f"```text\n{printed[0]}```" in PAGE.read_text("utf-8")


def test_reports_show_one_line_per_cause() -> None:
    """The text, JSON, JUnit and HTML reports name one cause; JSON and JUnit also list the facts."""
    report = judged("vicsee", renamed("creditsUsed", "credits_used"), as_live=False)
    sentence = report.causes[0].sentence
    (document,) = json.loads(as_json([report]))["reports"]
    (suite,) = ET.fromstring(as_junit([report]))  # noqa: S314 - our own text
    changed = [line for line in as_text(report).splitlines() if line.startswith("CHANGED")]
    facts = [one for one in suite if one.get("classname") == "vicsee"]

    assert changed == [f"CHANGED {report.causes[0]}"]
    assert [sentence] == [one["sentence"] for one in document["causes"]]
    assert ("1", sentence) == (suite.get("failures"), suite[0].get("name"))
    assert len(report.verdicts) == len(document["facts"]) == len(facts)
    assert int(suite.get("skipped", "0")) == sum(one.find("skipped") is not None for one in facts)
    assert as_html([report]).count("<summary") == 1


@pytest.mark.parametrize("provider", providers())
def test_every_fact_fits_every_report(provider: str) -> None:
    """Every report format can be written for all facts of every provider."""
    report = not_begun(book_of(provider), book_of(provider).facts, "sim")

    for text in (as_html([report]), as_json([report]), as_junit([report])):
        assert all(fact.id in text for fact in report.book.facts)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_writes_all_reports(tmp_path: Path, sent: signal.Signals) -> None:
    """After Ctrl-C or SIGTERM the reports list every fact; facts that did not run are skipped."""
    asked = {"providers": ("vicsee", "piapi"), "junit": tmp_path / "j", "json": tmp_path / "d"}
    calls = 0

    def interrupt(_request: httpx.Request, _answer: httpx.Response) -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            os.kill(os.getpid(), sent)

    def local() -> AbstractContextManager[tuple[str, httpx.BaseTransport, str]]:
        @contextmanager
        def lent() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
            with LOCAL["sim"]() as (url, transport, token):
                yield url, Altered(transport, interrupt), token

        return lent()

    code = run(asked, {"sim": local}, lambda _line: None)
    vicsee, piapi = json.loads((tmp_path / "d").read_text("utf-8"))["reports"]
    first, second = ET.fromstring((tmp_path / "j").read_text("utf-8"))  # noqa: S314 - our own file

    assert code == 1
    assert 0 < vicsee["held"] < len(vicsee["facts"]) == len(book_of("vicsee").facts)
    assert {STOPPED} == {one["reason"] for one in piapi["facts"]}
    assert len(book_of("piapi").facts) == len(second) == int(second.get("skipped", "0"))
    assert int(first.get("tests", "0")) - int(first.get("skipped", "0")) == vicsee["held"]


def test_a_changed_default_is_one_cause() -> None:
    """A changed default is one line that has the new cost of requests without the option."""
    scenario = {
        "extends": "vicsee/baseline",
        "models": {"topaz-video-upscale": {"options": {"upscale_factor": {"default": "4"}}}},
    }
    book = book_of("vicsee")
    names = ("factor-is-optional", "default-costs-what-2-costs", "factor-is-shown-when-left-out")
    facts = [one for one in book.facts if one.id in (*names, "rate-factor-1")]
    with stand_in("vicsee", scenario=scenario) as made:
        target = made.target(CAP)
        with target.http:
            report = verify(book, facts, target, sleep=lambda _seconds: None)

    (cause,) = report.causes
    assert cause.sentence.startswith(
        'the default of `upscale_factor` is now "4" (documented: "2") in POST'
    )
    assert set(cause.broken) == set(names)
