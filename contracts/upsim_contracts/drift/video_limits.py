"""Video limits that moved: a recording shows videos to be accepted or refused, and the reason.

A refusal whose text names a limit gives the new limit. Other evidence is a refusal without a
number, or an accepted video beyond the documented limit. It shows only whether the new limit
is above or below that video.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from upsim_contracts.amounts import counted
from upsim_contracts.cassettes.cassette import RecordedExchange, clip_of
from upsim_contracts.charge_check import plain
from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.drift.cassette_replay import Replayed
from upsim_contracts.expected_responses import MAX_LENGTH, at
from upsim_contracts.facts.promises import Limit
from upsim_contracts.findings import Finding
from upsim_contracts.provider_words import said, words_of
from upsim_contracts.request_costs import CostTable

_REFUSED = range(400, 500)
_OF_THE_CALLER = frozenset({401, 402, 403, 404, 405, 408, 429})
_SUCCESS = range(200, 300)
_LIMITING = re.compile(
    r"exceed|max|limit|too |at most|longer|up to|between|must|within|less|only", re.IGNORECASE
)
_KIBI = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@dataclass(frozen=True, slots=True)
class _Kind:
    """The words of one kind of limit in error texts, and the video property that it limits."""

    about: re.Pattern[str]
    number: re.Pattern[str]
    name: str
    unit: str
    of: Callable[[ClipProperties], Decimal | None]
    worth: Callable[[re.Match[str]], Decimal] = lambda found: Decimal(found[1])


def _in_seconds(found: re.Match[str]) -> Decimal:
    return Decimal(found[1]) * (60 if found[2].lower().startswith("m") else 1)


def _in_bytes(found: re.Match[str]) -> Decimal:
    return Decimal(found[1]) * _KIBI[found[2].lower()]


KINDS: Mapping[str, _Kind] = {
    "seconds": _Kind(
        re.compile(r"duration|second|minute|\blong|length", re.IGNORECASE),
        re.compile(r"(\d+(?:\.\d+)?)[\s-]*(m|min|minute|s|sec|second)s?\b", re.IGNORECASE),
        "length",
        "s",
        lambda clip: clip.seconds,
        _in_seconds,
    ),
    "frames": _Kind(
        re.compile(r"frame", re.IGNORECASE),
        re.compile(r"(\d+)(?!.*\d)"),
        "frames",
        "frame",
        lambda clip: Decimal(clip.frames),
    ),
    "width": _Kind(
        re.compile(r"resolution|dimension|width|\d\s*[x×]\s*\d", re.IGNORECASE),
        re.compile(r"(\d+)\s*[x×]\s*\d+"),
        "size",
        "px",
        lambda clip: Decimal(max(clip.width, clip.height)),
    ),
    "bytes": _Kind(
        re.compile(r"\d\s*[kmg]i?b\b|bytes|file size|too large", re.IGNORECASE),
        re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b(?:ytes)?\b", re.IGNORECASE),
        "file size",
        "byte",
        lambda _clip: None,
        _in_bytes,
    ),
}


@dataclass(frozen=True, slots=True)
class MovedLimit:
    """A limit that moved. `exact` means that the provider's response states the new limit."""

    of: str
    finding: Finding
    says: str
    exact: bool


def moved_limit(
    exchange: RecordedExchange, replayed: Replayed | None, name: str, costs: CostTable
) -> MovedLimit | None:
    """Return the limit that moved according to this exchange and the simulator's response."""
    if replayed is None or replayed.skipped:
        return None
    for limit in costs.book.limits:
        found = _now(limit, exchange, replayed, costs)
        if found is not None:
            seen, exact = found
            expected = _shown(limit.of, Decimal(limit.most))
            words = words_of(exchange) if exchange.status in _REFUSED else ""
            title = f"limit of {KINDS[limit.of].name}"
            says = f"{title} moved from {expected} to {seen}"
            says += f": {exchange.status} {words}".rstrip() if words else ""
            source = costs.cited(limit.fact)
            finding = Finding(costs.book.provider, name, title, expected, seen, source)
            return MovedLimit(limit.of, finding, says, exact)
    return None


def _now(
    limit: Limit, exchange: RecordedExchange, replayed: Replayed, costs: CostTable
) -> tuple[str, bool] | None:
    """Return the new limit, and whether it is exact; None if it did not move."""
    most, value = Decimal(limit.most), _value(limit.of, exchange)
    accepted_here = replayed.status in _SUCCESS
    if _is_accepted(exchange, costs) and _is_refusal(replayed.status):
        is_beyond = value is not None and value > most
        return (f"at least {_shown(limit.of, value)}", False) if value and is_beyond else None
    document = exchange.answer.body.get("json")
    if not _is_refusal(exchange.status) or not _speaks(limit.of, document):
        return None
    if not accepted_here and not _speaks(limit.of, replayed.document):
        return None
    told, own = _number(limit.of, document), _number(limit.of, replayed.document)
    if told not in (None, most, own):
        return _shown(limit.of, told), True
    if value is None or value > most or not accepted_here:
        return None
    return f"less than {_shown(limit.of, value)}", False


def _is_accepted(exchange: RecordedExchange, costs: CostTable) -> bool:
    """Return whether a request created a job. A success status alone may carry an error."""
    form = costs.call(exchange.method, exchange.path)
    job = at(exchange.answer.body.get("json"), form.job) if form and form.job else None
    return exchange.status in _SUCCESS and isinstance(job, str)


def _speaks(of: str, document: object) -> bool:
    """Return whether the error in a response is about this kind of limit."""
    text = said(document, "").message[:MAX_LENGTH]
    return KINDS[of].about.search(text) is not None and _LIMITING.search(text) is not None


def _number(of: str, document: object) -> Decimal | None:
    """Return the last number for this kind of limit in the error of a response."""
    kind = KINDS[of]
    found = [*kind.number.finditer(said(document, "").message[:MAX_LENGTH])]
    return kind.worth(found[-1]) if found else None


def _value(of: str, exchange: RecordedExchange) -> Decimal | None:
    """Return this property of a request's single video; None if it is unknown."""
    clips = [clip_of(seen) for seen in exchange.media.values()]
    return KINDS[of].of(clips[0]) if len(clips) == 1 else None


def _is_refusal(status: int) -> bool:
    return status in _REFUSED and status not in _OF_THE_CALLER


def _shown(of: str, amount: Decimal | None) -> str:
    unit, amount = KINDS[of].unit, amount or Decimal(0)
    return counted(plain(amount), unit) if len(unit) > 2 else f"{plain(amount)} {unit}"  # noqa: PLR2004 - a word
