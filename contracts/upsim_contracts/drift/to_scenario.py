"""Convert a cassette to a scenario with the recorded videos, prices, job times and refusals.

A first replay under the baseline shows the differences of a simulator; only these are written
to the scenario. A second replay, under the scenario, shows the differences that remain.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upsim_contracts.cassettes.bodies import strings
from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.cassettes.redaction import PLACEHOLDER
from upsim_contracts.charge_check import plain
from upsim_contracts.documents.openapi import default_dialect
from upsim_contracts.drift.cassette_replay import Replayed, replay
from upsim_contracts.drift.inferred_prices import infer_prices
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.request_costs import CostTable
from upsim_contracts.target import Target, TargetSettings
from upsim_contracts.yaml_writer import address, media_rules, scenario_text

_REFUSED = 400
_LAST_STATUS = 599
"""The highest status that a scenario can send."""
_ENDS = ("completed", "failed")
_UNSEEN = "processing"
_KEPT = ("retry-after",)


@dataclass(frozen=True, slots=True)
class GeneratedScenario:
    """A generated scenario, and the differences that it does not reproduce."""

    text: str
    differences: tuple[str, ...]
    replayed: int


def to_scenario(cassette: Cassette, costs: CostTable, target: Target) -> GeneratedScenario:
    """Return a scenario under which the cassette's requests get the same statuses and amounts."""
    plain_replay = replay(cassette, costs.book, costs, target)
    baseline = _baseline(target)
    teller = _Teller(cassette, costs, plain_replay, baseline)
    head = cassette.header
    parts: dict[str, Any] = {
        "extends": f"{head.provider}/baseline",
        "summary": f"As {head.upstream} answered on {head.recorded[:10]}.",
        "evidence": {"grade": "observed", "source": cassette.name, "date": head.recorded[:10]},
    }
    if head.dialect != default_dialect(head.provider):
        parts["dialect"] = head.dialect
    found = {
        "media": media_rules(cassette.clips),
        "models": infer_prices(plain_replay, costs, baseline),
        "jobs": [*teller.jobs()],
        "faults": [*teller.faults()],
    }
    parts |= {name: value for name, value in found.items() if value}
    text = scenario_text(parts, f"Made of {cassette.name} by upsim drift --scenario.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "told.yaml"
        file.write_text(text, encoding="utf-8")
        again = replay(cassette, costs.book, costs, target, file)
    replayed = sum(not one.skipped for one in again)
    return GeneratedScenario(text, (*teller.notes, *_unlike(again)), replayed)


class _Teller:
    """Translates the jobs and refusals of a cassette to rules of a scenario."""

    def __init__(
        self,
        cassette: Cassette,
        costs: CostTable,
        replayed: Sequence[Replayed],
        baseline: Mapping[str, Any],
    ) -> None:
        self.notes: list[str] = []
        self._cassette = cassette
        self._costs = costs
        self._replayed = replayed
        self._inputs = tuple(map(str, baseline.get("facts.inputs.value", ())))
        self._failures = {
            str(value): path.split(".")[1]
            for path, value in baseline.items()
            if path.startswith("failures.") and path.endswith(".message")
        }

    def jobs(self) -> Iterator[dict[str, Any]]:
        """Yield a rule for each job with the time until its end, as far as polls show it."""
        told: list[Mapping[str, object]] = []
        for exchange in self._cassette.exchanges:
            form = self._costs.call(exchange.method, exchange.path)
            if form is None or form.job is None or exchange.status >= _REFUSED:
                continue
            job = at(exchange.answer.body.get("json", ABSENT), form.job)
            steps = self._steps(exchange, str(job)) if isinstance(job, str) else []
            when = self._when(exchange, dotted=False)
            if not steps:
                continue
            if when in told:
                self.notes.append(
                    f"exchange {exchange.number}: like an earlier job; its times are left out"
                )
                continue
            told.append(when)
            yield {"when": when, "lifecycle": steps} if when else {"lifecycle": steps}

    def faults(self) -> Iterator[dict[str, Any]]:
        """Yield the refusals that the simulator lacks, each with its place in the request order."""
        submits: list[Mapping[str, object]] = []
        polls_refused = 0
        for one in self._replayed:
            exchange = one.exchange
            form = self._costs.call(exchange.method, exchange.path)
            is_poll = form is not None and form.name == self._costs.book.lifecycle.call
            is_submit = form is not None and form.paid
            when = self._when(exchange, dotted=True) if is_submit else {}
            refused = exchange.status >= _REFUSED and one.status != exchange.status
            # A fault does not count the requests at which one above it fired.
            before = one.polls_before - polls_refused if is_poll else submits.count(when)
            if is_submit and not refused:
                submits.append(when)
            if not refused or exchange.part == "file":
                continue
            if exchange.status > _LAST_STATUS or not (is_poll or is_submit):
                self.notes.append(f"exchange {exchange.number}: {exchange.call} is left out")
                continue
            polls_refused += is_poll
            fault: dict[str, Any] = {"at": "poll" if is_poll else "before_accept"}
            if when:
                fault["when"] = when
            if before:
                fault["after"] = before
            yield {**fault, "first": 1, "do": {"respond": _answer(exchange)}}

    def _steps(self, submit: RecordedExchange, job: str) -> list[dict[str, Any]]:
        """Return the lifecycle of one job; empty if the recording does not show its end."""
        seen = [
            one
            for one in self._replayed
            if one.state and (job in one.exchange.path or job in _texts(one.exchange))
        ]
        began, steps, last = submit.at + submit.took, [], ""
        for one in seen:
            if one.state == last:
                continue
            if one.state in _ENDS or last:
                length = max(1, round((one.exchange.at - began) * 1000))
                steps.append({last or _UNSEEN: f"{length}ms"})
                began = one.exchange.at
            last = one.state
            if last in _ENDS:
                return [*steps, {last: self._failure(one.exchange) if last == "failed" else None}]
        return []

    def _failure(self, exchange: RecordedExchange) -> str | None:
        told = (self._failures[text] for text in _texts(exchange) if text in self._failures)
        return next(told, next(iter(self._failures.values()), None))

    def _when(self, exchange: RecordedExchange, *, dotted: bool) -> dict[str, object]:
        """Return the fields by which a rule recognizes a request."""
        document = exchange.request.body.get("json")
        found: dict[str, object] = {}
        for name in self._inputs:
            for place in (name, f"input.{name}"):
                value = at(document, place)
                if isinstance(value, str | int) and PLACEHOLDER not in str(value):
                    is_clip = str(value).partition("?")[0] in self._cassette.clips
                    found[place if dotted else name] = address(str(value)) if is_clip else value
        return found


def _texts(exchange: RecordedExchange) -> list[str]:
    bodies = (exchange.request.body, exchange.answer.body)
    return [text for body in bodies for text in strings(body.get("json"))]


def _answer(exchange: RecordedExchange) -> dict[str, Any]:
    """Return a recorded response in the form that a fault sends."""
    body = exchange.answer.body
    found: dict[str, Any] = {"status": exchange.status}
    if "json" in body:
        found["body"] = body["json"]
    elif "text" in body:
        found["body"] = body["text"]
        kind = exchange.answer.headers.get("content-type", "")
        found["content_type"] = kind if _is_plain(kind) else "text/plain"
    kept = {k: v for k, v in exchange.answer.headers.items() if k in _KEPT and _is_plain(v)}
    return {**found, "headers": kept} if kept else found


def _is_plain(value: str) -> bool:
    """Return whether a scenario can hold a header: it has only visible ASCII and spaces."""
    return value != "" and value.isascii() and value.isprintable()


def _unlike(again: Sequence[Replayed]) -> Iterator[str]:
    """Yield the statuses and amounts that the scenario does not reproduce."""
    for one in again:
        exchange = one.exchange
        if one.skipped or exchange.part == "file":
            continue
        name = f"exchange {exchange.number}: {exchange.call}"
        if one.status != exchange.status:
            yield f"{name}: status: recorded {exchange.status}, replayed {one.status}"
        recorded = exchange.charge.actual if exchange.charge is not None else None
        if recorded is not None and one.charge is not None and recorded != one.charge:
            amounts = f"recorded {plain(recorded)}, replayed {plain(one.charge)}"
            yield f"{name}: charge: {amounts}"


def _baseline(target: Target) -> dict[str, Any]:
    """Return the values of a baseline by their path."""
    with target.world(TargetSettings()) as world:
        controls = world.controls
        found = controls.baseline()["values"] if controls is not None else ()
        return {entry["path"]: entry["value"] for entry in found}
