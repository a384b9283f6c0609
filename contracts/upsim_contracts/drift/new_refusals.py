"""Temporary refusals in a recording: rate limits and server errors.

A single temporary refusal is no change, since documents allow it. If every poll or every submit
is refused, the provider has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upsim_contracts.amounts import counted
from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.drift.cassette_replay import Replayed, is_momentary
from upsim_contracts.drift.exchange_checks import CheckedExchange, cited_at, place_of
from upsim_contracts.drift.response_diff import STATUS
from upsim_contracts.findings import Finding
from upsim_contracts.provider_words import words_of
from upsim_contracts.request_costs import CostTable

ENOUGH = 3
"""Minimum number of refused requests before all requests count as refused."""
_REFUSED = 400
Found = tuple[CheckedExchange, list[int]]


def refusals(
    cassette: Cassette, costs: CostTable, replayed: Mapping[int, Replayed]
) -> tuple[list[Found], list[str]]:
    """Return findings for kinds of requests that are always refused, notes for other refusals."""
    found: dict[tuple[str, ...], list[tuple[str, Sequence[RecordedExchange]]]] = {}
    notes = []
    for kind, exchanges in _kinds(cassette, costs, replayed).items():
        refused = [one for one in exchanges if is_momentary(one.status)]
        statuses = {one.status for one in refused}
        if len(refused) == len(exchanges) >= ENOUGH and len(statuses) == 1:
            found.setdefault((str(refused[0].status),), []).append((kind, refused))
        elif refused and all(_is_documented(one, cassette, costs) for one in refused):
            notes.append(_note(costs.book.provider, kind, refused, len(exchanges)))
    return [_always(cassette, costs, replayed, kinds) for kinds in found.values()], notes


def _kinds(
    cassette: Cassette, costs: CostTable, replayed: Mapping[int, Replayed]
) -> dict[str, list[RecordedExchange]]:
    """Return the submits and the polls, except those that a simulator refuses too."""
    kinds: dict[str, list[RecordedExchange]] = {}
    for one in cassette.exchanges:
        form = costs.call(one.method, one.path)
        again = replayed.get(one.number)
        is_refused = again is not None and again.status >= _REFUSED and not again.skipped
        if form is None or one.status == 0 or is_refused:
            continue
        if form.paid:
            kinds.setdefault("submit", []).append(one)
        elif form.name == costs.book.lifecycle.call:
            kinds.setdefault("poll", []).append(one)
    return kinds


def _is_documented(one: RecordedExchange, cassette: Cassette, costs: CostTable) -> bool:
    """Return whether the document of a request names the status of its response."""
    place = place_of(costs.book.provider, cassette.header.dialect, one)
    return place is not None and str(one.status) in place[1].definition["responses"]


def _always(
    cassette: Cassette,
    costs: CostTable,
    replayed: Mapping[int, Replayed],
    kinds: Sequence[tuple[str, Sequence[RecordedExchange]]],
) -> Found:
    """Return one finding for requests that the provider now always refuses."""
    api = [one for one in cassette.exchanges if one.part == "api"]
    is_all = {one.status for one in api} == {kinds[0][1][0].status}
    refused = api if is_all else [one for _, exchanges in kinds for one in exchanges]
    numbers = sorted(one.number for one in refused)
    first = min(refused, key=lambda one: one.number)
    place = place_of(costs.book.provider, cassette.header.dialect, first)
    again = replayed.get(first.number)
    expected = str(again.status) if again is not None and again.status else "a success"
    name = place[1].name if place is not None else first.call
    cited = cited_at(place, first)
    finding = Finding(costs.book.provider, name, "status", expected, str(first.status), cited)
    subject = "every request" if is_all else " and ".join(f"every {kind}" for kind, _ in kinds)
    says = f"{subject} answers {first.status} {words_of(first)}".rstrip()
    says = f"{says}: {counted(len(numbers), 'exchange')}"
    return CheckedExchange("simulator", finding, STATUS, says=says), numbers


def _note(provider: str, kind: str, refused: Sequence[RecordedExchange], count: int) -> str:
    first = refused[0]
    what = f"{len(refused)} of {counted(count, kind)} answered {first.status} {words_of(first)}"
    return f"note: {provider}: {what.rstrip()}, which the documents allow"
