"""Infer the prices of a scenario from the charges in a recording."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from upsim_contracts.charge_check import plain
from upsim_contracts.drift.cassette_replay import Replayed
from upsim_contracts.expected_responses import at
from upsim_contracts.request_costs import CostTable

_ROW = re.compile(r"tiers\[(\d+)\]\.(\w+)")
Values = Mapping[str, Any]


def infer_prices(
    replayed: Sequence[Replayed], costs: CostTable, baseline: Values
) -> dict[str, Any]:
    """Return the rates of each model whose charges differ, in the form of its baseline.

    A row of a table is scaled by the charges for that row. If all charges differ by the same
    factor, rows without a charge are scaled by it too; otherwise they are left unchanged.
    """
    found: dict[str, Any] = {}
    ratios: dict[str, dict[str, Decimal]] = {}
    for one, ratio in _differing(replayed):
        model = _model(one, costs, baseline)
        by = str(baseline.get(f"models.{model}.billing.rate.by", ""))
        option = at(one.exchange.request.body.get("json"), by)
        nested = at(one.exchange.request.body.get("json"), f"input.{by}")
        row = next((str(v) for v in (option, nested) if isinstance(v, str | int)), "")
        ratios.setdefault(model, {})[row] = ratio
    for model, rows in ratios.items():
        if any(ratio != 1 for ratio in rows.values()):
            rate = _scaled(f"models.{model}.billing.rate.", rows, baseline)
            found[model] = {"billing": {"rate": rate}}
    return found


def _differing(replayed: Sequence[Replayed]) -> Iterator[tuple[Replayed, Decimal]]:
    """Yield the charged requests, each with the ratio of its charge to the simulator's charge."""
    for one in replayed:
        charge = one.exchange.charge
        if charge is None or charge.actual is None or not one.charge or not one.clip_known:
            continue
        if one.status == one.exchange.status:
            yield one, charge.actual / one.charge


def _model(one: Replayed, costs: CostTable, baseline: Values) -> str:
    """Return the model that a request uses, by its name in the baseline."""
    names = {p.split(".billing.")[0].removeprefix("models.") for p in baseline if ".billing." in p}
    form = costs.call(one.exchange.method, one.exchange.path)
    told = at(one.exchange.request.body.get("json"), "model")
    by_call = [name for name, call in costs.book.models.items() if form and call == form.name]
    return next((name for name in (told, *by_call) if name in names), min(names))


def _scaled(prefix: str, rows: Mapping[str, Decimal], baseline: Values) -> dict[str, Any]:
    """Return the rate with the amounts of `rows`, in the form of the baseline."""
    common = next(iter(rows.values())) if len(set(rows.values())) == 1 else Decimal(1)
    tiers: dict[str, dict[str, str]] = {}
    found: dict[str, Any] = {}
    for path, value in baseline.items():
        name = path.removeprefix(prefix)
        row = _ROW.fullmatch(name)
        if not path.startswith(prefix):
            continue
        if row is not None:
            scaled = row[2] == "rate"
            tiers.setdefault(row[1], {})[row[2]] = _times(value, common) if scaled else str(value)
        elif name.startswith("table."):
            key = name.removeprefix("table.")
            found.setdefault("table", {})[key] = _times(value, rows.get(key, common))
        elif name == "flat":
            found["flat"] = _times(value, common)
    return {**found, "tiers": [*tiers.values()]} if tiers else found


def _times(amount: object, ratio: Decimal) -> str:
    return plain(Decimal(str(amount)) * ratio)
