"""Find options whose default changed, from charges or responses of requests without the option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upsim_contracts.cassettes.cassette import RecordedExchange, clip_of
from upsim_contracts.causes.signs import leaf
from upsim_contracts.expected_responses import ABSENT, at, shown
from upsim_contracts.facts.fact_files import CallForm
from upsim_contracts.findings import Finding
from upsim_contracts.request_costs import CostTable

_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Default:
    """An option whose default changed. `is_told` is true if a response names the new default."""

    finding: Finding
    is_told: bool


def changed_default(exchange: RecordedExchange, name: str, costs: CostTable) -> Default | None:
    """Return the first option whose default was not as documented in a request without it.

    The response names the value, or the charge is the price of exactly one other value.
    """
    form, fields = costs.call(exchange.method, exchange.path), exchange.request.body.get("json")
    if form is None or not isinstance(fields, Mapping) or exchange.status not in _SUCCESS:
        return None
    for option, default, others in _left_out(form, fields, costs):
        seen = _told(exchange.answer.body.get("json"), leaf(option), others)
        is_told = seen is not ABSENT
        if not is_told:
            seen = _charged(exchange, costs, option, others)
        if seen is not ABSENT:
            source = costs.evidence(form.name, fields)
            where, expected = leaf(option), f"{shown(default)} by default"
            found = Finding(costs.book.provider, name, where, expected, shown(seen), source)
            return Default(found, is_told)
    return None


def _left_out(
    form: CallForm, fields: Mapping[str, Any], costs: CostTable
) -> Iterator[tuple[str, object, Sequence[object]]]:
    """Yield the options that a request leaves out, each with its default and its other values."""
    contract = costs.book.tables.get("contract", {})
    varied = contract.get("generate", {}).get("submits", {}).get(form.name, {})
    for option, values in varied.get("options", {}).items():
        default = varied.get("defaults", {}).get(option, at(form.body, option))
        if at(fields, option) in (ABSENT, None) and default is not ABSENT:
            yield option, default, [one for one in values if one != default]


def _told(document: object, name: str, others: Sequence[object]) -> object:
    """Return the value of an option in a response, if it is not the default; else ABSENT."""
    if isinstance(document, Mapping):
        own = document.get(name, ABSENT)
        if isinstance(own, str | int) and own in others:
            return own
        inner = [_told(one, name, others) for one in document.values()]
        return next((one for one in inner if one is not ABSENT), ABSENT)
    return ABSENT


def _charged(
    exchange: RecordedExchange, costs: CostTable, option: str, others: Sequence[object]
) -> object:
    """Return the option's value whose price equals the charge; ABSENT if not exactly one fits."""
    charge = exchange.charge
    if charge is None or charge.actual in (None, charge.documented) or charge.documented is None:
        return ABSENT
    clips = [clip_of(seen) for seen in exchange.media.values()]
    fitting = []
    for value in others:
        fields = _with(exchange.request.body["json"], option.split("."), value)
        toll = costs.toll(exchange.method, exchange.path, clips, fields, certain=True)
        if toll is not None and toll.documented == charge.actual:
            fitting.append(value)
    return fitting[0] if len(fitting) == 1 else ABSENT


def _with(fields: Mapping[str, Any], steps: Sequence[str], value: object) -> dict[str, Any]:
    """Return a body with this value set at a path."""
    first, *rest = steps
    inner = fields.get(first, {})
    nested = inner if isinstance(inner, Mapping) else {}
    return {**fields, first: _with(nested, rest, value) if rest else value}
