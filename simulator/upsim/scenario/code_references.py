"""Check names in a resolved scenario that must exist in the code of its provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from upsim.core.provider import Kind, Provider
from upsim.core.suggestions import suggest, unknown
from upsim.scenario.yaml_tree import Found, Place, Value, items, mapping

_ALL = "all"
BODILESS = frozenset({"GET", "HEAD"})


def code_mistakes(
    value: Value,
    written: Value,
    base: Mapping[str, Value] | None,
    providers: Mapping[str, Provider],
) -> Found:
    """Yield unknown providers, operations and checks, and limits on unknown quantities.

    `written` is the file with its invalid parts; `value` is the file after their repair.
    """
    root, raw = mapping(value), mapping(written)
    name = str(root["provider"])
    if name not in providers:
        yield ("provider",), unknown("provider", name, providers)
        return
    provider = providers[name]
    shipped = mapping((base or root).get("checks"))
    if isinstance(raw.get("checks", {}), dict):  # otherwise the schema reports it
        yield from _checks(mapping(raw.get("checks")), shipped, provider)
    yield from _counts(raw, base or root, provider)
    yield from _notices(root, provider)


def _checks(checks: dict[str, Value], shipped: dict[str, Value], provider: Provider) -> Found:
    operations = [operation.name for operation in provider.operations]
    for operation, names in checks.items():
        if operation == "evidence":
            continue
        place: Place = ("checks", operation)
        if operation not in operations:
            yield place, f"unknown operation; {suggest(operation, operations)}"
        for i, check in enumerate(items(names)):
            if isinstance(check, str) and check not in provider.checks:
                yield (*place, i), unknown("check", check, provider.checks)
        known = [check for check in items(names) if isinstance(check, str)]
        if isinstance(names, list) and known == names and provider.checks.keys() >= set(known):
            usual = items(shipped.get(operation))
            for at, flaw in provider.uses.flaws(operation, known, usual):
                yield (place if at is None else (*place, at)), flaw
    for operation in operations:
        if operation not in checks:
            yield ("checks",), f"the operation {operation} is missing"


def _counts(root: dict[str, Value], base: Mapping[str, Value], provider: Provider) -> Found:
    operations = [operation.name for operation in provider.operations]
    own = [counted for _, counted in _counted(mapping(base["plans"]))]
    known = dict.fromkeys([_ALL, *get_args(Kind), *operations, *own])
    for place, counted in _counted(mapping(root.get("plans"))):
        if counted not in known:
            yield place, f"unknown quantity {counted!r}; {suggest(counted, known)}"


def _counted(plans: dict[str, Value]) -> Iterator[tuple[Place, str]]:
    for name, plan in plans.items():
        for i, rate in enumerate(items(mapping(plan).get("rates"))):
            counted = mapping(rate).get("counts")
            if isinstance(counted, str):
                yield ("plans", name, "rates", i, "counts"), counted


def bodiless_of(value: Value, providers: Mapping[str, Provider] | None) -> Iterator[str]:
    """Yield the operations of a file's provider whose requests have no body."""
    found = (providers or {}).get(str(mapping(value)["provider"]))
    for operation in found.operations if found else ():
        if operation.method in BODILESS:
            yield operation.name


def answers_of(
    value: Value, providers: Mapping[str, Provider] | None
) -> Mapping[str, frozenset[str]]:
    """Return the known response fields of each operation of the file's provider.

    A failure that the file itself defines may add fields.
    """
    root = mapping(value)
    found = (providers or {}).get(str(root["provider"]))
    failures = mapping(root["failures"]).values()
    extra = [str(key) for entry in failures for key in mapping(mapping(entry).get("extra"))]
    return answered_fields(found, extra) if found else {}


def answered_fields(provider: Provider, extra: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return the known response fields of operations; failures may add `extra` anywhere."""
    anywhere = {f"*.{key}" for key in extra}
    return {one.name: one.answers | anywhere for one in provider.operations if one.answers}


def _notices(root: dict[str, Value], provider: Provider) -> Found:
    if "webhooks" in root and provider.notice is None:
        yield ("webhooks",), f"{provider.name} documents no webhooks, so none is ever sent"
