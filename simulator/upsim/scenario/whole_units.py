"""Check that amounts are whole numbers if the unit, such as a credit, is indivisible."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from upsim.scenario.baseline_overrides import Trees
from upsim.scenario.yaml_tree import Found, Place, Value, items, mapping


def unit_mistakes(value: Value, trees: Trees) -> Found:
    """Yield opening balances and prices of a schema-valid file that are fractions of a unit."""
    root = mapping(value)
    own = str(root.get("provider"))
    accounts = {name: ("accounts", name, "balance") for name in mapping(root.get("accounts"))}
    for provider, place in ((own, ("account", "opening")), *accounts.items()):
        base = root if provider == own else dict(trees(provider) or {})
        whole = _is_whole(base)
        found = _at(root, place[:-1]).get(place[-1])
        if whole and found is not None and _has_parts(Decimal(str(found))):
            unit = str(_at(base, ("account",)).get("unit"))
            yield place, f"{found} {_divided(unit)}"
    for name in mapping(root["models"]) if _is_whole(root) else ():
        yield from _prices(root, ("models", name, "billing"))


def _prices(root: dict[str, Value], place: Place) -> Found:
    billing, quantity = _at(root, place), _at(root, (*place, "quantity"))
    unit = str(billing["unit"])
    if billing.get("places") == 0:
        return
    if (quantity["of"], quantity.get("round")) == ("seconds", "exact"):
        yield (*place, "quantity", "round"), f"a charge for exact seconds {_divided(unit)}"
    times = Decimal(str(billing.get("unit_per", 1)))
    per = Decimal(str(_at(root, (*place, "rate")).get("per", 1)))
    for where, rate in _rates(_at(root, (*place, "rate"))):
        amount = Decimal(str(rate)) * times / per
        if _has_parts(amount):
            yield (*place, "rate", *where), f"a price of {amount:f} {_divided(unit)}"


def _rates(rate: dict[str, Value]) -> Iterator[tuple[Place, Value]]:
    if "flat" in rate:
        yield ("flat",), rate["flat"]
    for name, one in mapping(rate.get("table")).items():
        yield ("table", name), one
    for number, tier in enumerate(items(rate.get("tiers"))):
        yield ("tiers", number, "rate"), mapping(tier)["rate"]


def _is_whole(base: dict[str, Value]) -> bool:
    """Return whether a provider's unit is indivisible."""
    return _at(base, ("account",)).get("divisible") is False


def _has_parts(amount: Decimal) -> bool:
    return amount != amount.to_integral_value()


def _divided(unit: str) -> str:
    return f"is not a whole number: a {unit} cannot be divided"


def _at(root: Value, place: Place) -> dict[str, Value]:
    found: Value = root
    for name in place:
        found = mapping(found).get(str(name))
    return mapping(found)
