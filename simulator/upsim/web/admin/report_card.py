"""The admin call for the report card of a sandbox's clients."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping

from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.polling_advice import PollingAdvice
from upsim.core.secrets import hidden_target
from upsim.engine.report_card import Card, ClientFinding, Sums
from upsim.web.admin import exchange_shapes, exchange_views
from upsim.web.admin.exchange_views import ShownExchange
from upsim.web.admin.long_lists import listed
from upsim.web.admin.parameters import PAUSES
from upsim.web.admin.request_sandbox import one_provider, sandbox_of
from upsim.web.admin.shape_fields import show


async def report_card(request: Request) -> Response:
    """`GET …/report-card`: return client mistakes: polls, waits, submits, results never read."""
    sandbox = sandbox_of(request)
    everything = PAUSES.text(request) == "all"
    card = await _drawn(
        sandbox.report_card.draw(all_pauses=everything, provider=one_provider(request))
    )
    numbers = await asyncio.to_thread(_numbers, card)
    kept = {
        found.number: exchange_views.seen(sandbox, found)
        for found in sandbox.records
        if found.number in numbers
    }
    return await listed(
        "findings",
        card.findings,
        lambda found: _finding(found, kept),
        clean=not card.findings,
        callers=[_caller(n, sums, card.advised[n]) for n, sums in card.sums.items()],
        not_judged=list(card.not_judged),
    )


async def _drawn(drawing: Generator[None, None, Card]) -> Card:
    """Build a report card in steps; other requests run between two steps."""
    while True:
        try:
            next(drawing)
        except StopIteration as end:
            found: Card = end.value
            return found
        await checkpoint()


def _numbers(card: Card) -> set[int]:
    """Return the numbers of the requests that a report card refers to."""
    return {number for finding in card.findings for number in finding.exchanges}


def _finding(found: ClientFinding, kept: Mapping[int, ShownExchange]) -> exchange_shapes.Finding:
    exchanges = [_shown(number, kept.get(number)) for number in found.exchanges]
    return show(exchange_shapes.Finding, found, exchanges=exchanges)


def _shown(number: int, seen: ShownExchange | None) -> exchange_shapes.Shown:
    if seen is None:
        return {"number": number, "at": None, "method": None, "target": None, "status": None}
    target = hidden_target(seen.found.target, seen.secrets)
    return show(exchange_shapes.Shown, seen.found, target=target)


def _caller(provider: str, sums: Sums, advised: PollingAdvice | None) -> exchange_shapes.Caller:
    advice = show(exchange_shapes.Advised, advised) if advised else None
    return show(exchange_shapes.Caller, sums, provider=provider, advised=advice)
