"""Compare a recorded response with a simulator's: status, error code, shape, words, prices.

Ids, times, links and human-readable texts are patterns: only their kind is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from upsim_contracts.cassettes.redaction import PLACEHOLDER
from upsim_contracts.charge_check import CHARGE, amount_text, plain
from upsim_contracts.drift.cassette_replay import Replayed
from upsim_contracts.expected_responses import ABSENT
from upsim_contracts.expected_responses import shown as json_of

Counts = Callable[[str, object], bool]
"""Decides whether the value at a place is fixed, so that another value is a difference."""
INSTEAD = " in its place"
OUTPUT = ("width", "height", "fps", "audio")
"""What providers say of an output; its length and its number of pictures follow the encoder."""
STATUS = "(status)"
"""The place of a response's status; a field of its body can have the same name."""
_WRONG_KEY = 401
_WORDS = re.compile(r"status|code|error_code|type|object|currency|unit|model", re.IGNORECASE)
_PRICES = re.compile(
    r"price|cost|quote|charge|consume|credits_?used|per_second|billed", re.IGNORECASE
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_STANDARD = frozenset(
    {
        *("allow", "cache-control", "connection", "content-encoding", "content-length", "date"),
        *("content-type", "etag", "keep-alive", "server", "transfer-encoding", "vary"),
    }
)


@dataclass(frozen=True, slots=True)
class ResponseDiff:
    """One difference: `expected` is from the simulator, `seen` is from the recording."""

    where: str
    expected: str
    seen: str


def is_price(where: str) -> bool:
    """Return whether a field holds a price."""
    return _PRICES.search(where.rpartition(".")[2]) is not None


def compare(found: Replayed, texts: Collection[str] = ()) -> Iterator[ResponseDiff]:
    """Yield the differences between the recorded response and the simulator's response.

    `texts` are documented texts, which are compared as words of the API.
    """
    exchange = found.exchange
    yield from _outputs(found)
    if exchange.part == "file":
        return
    if exchange.status != found.status:
        yield ResponseDiff(STATUS, str(found.status), str(exchange.status))
        return
    yield from _charges(found)
    for name in sorted(found.headers or ()):
        if name not in _STANDARD and name not in exchange.answer.headers:
            yield ResponseDiff(f"header {name}", "this header", "none")
    recorded = exchange.answer.body.get("json", ABSENT)
    if (recorded is ABSENT) != (found.document is ABSENT):
        yield ResponseDiff("body", _kind(found.document), _kind(recorded))
    else:
        exact = found.clip_known
        fixed = () if exchange.status == _WRONG_KEY else texts  # whose fault a key is, is guessed
        yield from _documents(
            found.document, recorded, "", lambda *one: _counts(*one, exact=exact, texts=fixed)
        )


def _outputs(found: Replayed) -> Iterator[ResponseDiff]:
    """Yield differences between recorded and simulated output in documented properties."""
    seen = found.exchange.answer.body.get("file", {}).get("sees")
    if found.sees is None or seen is None:
        return
    rates = {one: Fraction(str(one)) for one in (found.sees["fps"], seen["fps"])}
    for name in OUTPUT:
        wanted, own = found.sees[name], seen[name]
        if rates.get(wanted, wanted) != rates.get(own, own):
            yield ResponseDiff(f"output.{name}", shown(wanted), shown(own))


def _charges(found: Replayed) -> Iterator[ResponseDiff]:
    charge, own = found.exchange.charge, found.charge
    if charge is None or charge.actual is None or own is None or not found.clip_known:
        return
    if charge.actual != own:
        wanted, seen = (amount_text(amount, charge.unit) for amount in (own, charge.actual))
        yield ResponseDiff(CHARGE, wanted, seen)


def _documents(wanted: Any, seen: Any, where: str, counts: Counts) -> Iterator[ResponseDiff]:  # noqa: ANN401 - JSON
    if wanted is None or seen in (None, PLACEHOLDER) or wanted is ABSENT:
        return
    if _kind(wanted) != _kind(seen):
        yield ResponseDiff(where or "body", _kind(wanted), shown(seen))
    elif isinstance(wanted, Mapping):
        yield from _objects(wanted, seen, where, counts)
    elif isinstance(wanted, list):
        if wanted and seen:
            same = len(wanted) == len(seen)  # else the first entries are different things
            below = counts if same else _without_prices(counts)
            yield from _documents(wanted[0], seen[0], f"{where}.0".lstrip("."), below)
    elif wanted != seen and counts(where, wanted):
        yield ResponseDiff(where, shown(wanted), shown(seen))


def _objects(
    wanted: Mapping[str, Any],
    seen: Mapping[str, Any],
    where: str,
    counts: Counts,
) -> Iterator[ResponseDiff]:
    gone = [name for name in wanted if name not in seen and wanted[name] is not None]
    new = [name for name in seen if name not in wanted and seen[name] is not None]
    for name in gone:
        other = next((n for n in new if _kind(seen[n]) == _kind(wanted[name])), None)
        if other is None:
            yield ResponseDiff(_below(where, name), "this field", "none")
        else:
            new.remove(other)
            yield ResponseDiff(_below(where, name), "this field", f"{other}{INSTEAD}")
    for name in new:
        yield ResponseDiff(_below(where, name), "no such field", shown(seen[name]))
    for name in wanted:
        if name in seen:
            yield from _documents(wanted[name], seen[name], _below(where, name), counts)


def _without_prices(counts: Counts) -> Counts:
    return lambda where, wanted: not is_price(where) and counts(where, wanted)


def _counts(where: str, wanted: object, *, exact: bool, texts: Collection[str]) -> bool:
    """Return whether a value must be equal: a word of the API, a documented text, or a price."""
    name = where.rpartition(".")[2]
    if _WORDS.fullmatch(name):
        return isinstance(wanted, str | int)
    if isinstance(wanted, str):
        return wanted in texts
    return exact and is_price(where) and isinstance(wanted, int | Decimal)


def _kind(value: object) -> str:
    kinds = {bool: "boolean", str: "string", list: "array", type(None): "null"}
    if value is ABSENT:
        return "no JSON"
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return "link"
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return "instant"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return kinds.get(type(value), "string")
    return "number"


def shown(value: object) -> str:
    """Return a value as text for people."""
    return plain(value) if isinstance(value, Decimal) else json_of(value)


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
