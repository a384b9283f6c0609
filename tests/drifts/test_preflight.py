"""Mistakes that are found before a run at an unknown server spends anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.drifts.stand_in import ROOT, Made, stand_in
from tests.drifts.verify_and_record import CAP, verified
from upsim import Simulator
from upsim_contracts.exceptions import UsageError
from upsim_contracts.target import Target
from upsim_contracts.verify.planning import plan
from upsim_contracts.verify.preflight import check
from upsim_contracts.verify.run import book_of, pricer

LIMITED = {"success": False, "error": {"code": "RATE_LIMITED", "message": "Too many requests"}}


@dataclass(frozen=True)
class Mistake:
    """A mistake, and the sentence that reports it."""

    name: str
    says: str
    provider: str = "vicsee"
    dialect: str = ""
    target: Callable[[Target], Target] = lambda target: target
    alter: list[dict[str, Any]] = field(default_factory=list)
    scenario: dict[str, object] | None = None


def lost(_request: httpx.Request) -> httpx.Response:
    """Refuse a connection."""
    raise httpx.ConnectError("connection refused")


MISTAKES = [
    Mistake(
        "nothing listens",
        "upsim.test/vicsee does not answer (connection refused): is this the base URL of vicsee?",
        target=lambda one: replace(one, http=httpx.Client(transport=httpx.MockTransport(lost))),
    ),
    Mistake(
        "another path",
        "does not answer as vicsee: GET http://upsim.test/api/v1/credits gave no json.data.credits",
        target=lambda one: replace(one, url=ROOT),
    ),
    Mistake(
        "another provider",
        "does not answer as venice: GET http://upsim.test/vicsee/api/v1/billing/balance gave no",
        provider="venice",
        target=lambda one: replace(one, url=f"{ROOT}/vicsee"),
    ),
    Mistake(
        "a key that was not issued",
        "the key is refused (401 ",
        target=lambda one: replace(one, key="sk-0123456789abcdef"),
    ),
    Mistake(
        "a dialect that is not spoken",
        "does not speak the dialect live: leave out --dialect live",
        provider="venice",
        target=lambda one: replace(one, dialect="live"),
    ),
    Mistake(
        "a dialect that was not named",
        "speaks the dialect live: add --dialect live",
        provider="venice",
        dialect="live",
        target=lambda one: replace(one, dialect=""),
    ),
    Mistake(
        "no media",
        "facts need a clip: give by --media a public address",
        target=lambda one: replace(one, media=None),
    ),
    Mistake(
        "media elsewhere",
        "--media http://upsim.test/clips serves no clips (",
        target=lambda one: replace(one, media=f"{ROOT}/clips"),
    ),
    Mistake(
        "media that serve another file",
        "--media http://upsim.test serves another file than 320x240 10fps 1s",
        alter=[{"on": "GET /media/.*", "output": {"wider": 2}}],
    ),
    Mistake(
        "media that the provider cannot reach",
        "upsim.test cannot fetch clips from http://127.0.0.1:4747: give a public address",
        target=lambda one: replace(one, media="http://127.0.0.1:4747"),
    ),
    Mistake(
        "too small a balance",
        "the balance of 100 credits does not cover the plan, which could cost 10564 credits",
        scenario={"extends": "vicsee/baseline", "accounts": {"vicsee": {"balance": "100"}}},
    ),
    Mistake(
        "a rate limit in the way",
        "a rate limit is in the way (429 ",
        alter=[{"on": "balance", "answer": {"status": 429, "json": LIMITED}}],
    ),
    Mistake(
        "an outage",
        "is answered with 503 ",
        alter=[{"on": "balance", "answer": {"status": 503, "json": {}}}],
    ),
]


def looked_at(made: Made, target: Target) -> None:
    """Look before a run of all facts."""
    book = book_of(made.provider)
    price = pricer(made.provider)
    facts = book.under(target.dialect).facts
    check(book, plan(book, facts, target, price), target, price, lambda _seconds: None)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.name)
def test_mistake_is_one_sentence(mistake: Mistake) -> None:
    """Each mistake is reported in its own sentence, and nothing is spent."""
    with stand_in(
        mistake.provider, mistake.alter, scenario=mistake.scenario, dialect=mistake.dialect
    ) as made:
        with made.target(CAP).http as http, pytest.raises(UsageError) as told:
            looked_at(made, mistake.target(made.target(CAP, http)))

        assert made.spent() == 0
    assert mistake.says in str(told.value)
    assert "\n" not in str(told.value)


def test_lenient_stand_in_is_refused() -> None:
    """A server that accepts a key that was never issued cannot show facts about keys."""
    with Simulator() as simulator:
        http = httpx.Client(transport=simulator.transport())
        made = Made("vicsee", "", simulator, simulator.transport(), "sk-" + "0" * 48)
        with pytest.raises(UsageError, match="accepts a key that was never issued"):
            looked_at(made, made.target(CAP, http))


@pytest.mark.parametrize(
    ("provider", "dialect"),
    [("wavespeed", ""), ("venice", ""), ("venice", "live"), ("piapi", ""), ("vicsee", "live")],
)
def test_correct_stand_in_passes(provider: str, dialect: str) -> None:
    """A stand-in server without mistakes passes the checks before the run, without a charge."""
    with stand_in(provider, dialect=dialect) as made, made.target(CAP).http as http:
        looked_at(made, made.target(CAP, http))

        assert made.spent() == 0


def test_run_stops_after_identical_refusals() -> None:
    """A run stops after many facts fail with the same refusal, and reports the refusal."""
    alter = [{"on": "submit", "answer": {"status": 429, "json": LIMITED}}]
    with stand_in("vicsee", alter) as made:
        report = verified(made)

        assert made.spent() == 0
    assert [cause.key[0] for cause in report.causes] == ["refusal"]
    assert "5 facts in a row were refused alike, so the run stopped: 429" in report.refused
    assert "RATE_LIMITED" in report.refused
    assert report.spent == Decimal(0)
