"""Check a scenario against its baseline: entries must exist, and values keep their type."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

from upsim.core.suggestions import suggest, unknown, unknown_value
from upsim.scenario.build import OK
from upsim.scenario.durations import DURATION, seconds_of
from upsim.scenario.schema import sections, source
from upsim.scenario.yaml_tree import Found, Place, Value, items, mapping

Trees = Callable[[str], Mapping[str, Value] | None]
_REFUSAL = "refusal"
"""The fact of a plan that names the error of all its requests."""
_NAMES_KNOB = frozenset({"base_price_by", "minimum_by"})
"""Facts of models that name the knob which replaces a value."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")


def strange_entries(value: Value, base: Mapping[str, Value] | None) -> Found:
    """Yield entries that the baseline does not have and that are incomplete as new entries."""
    if base is None:
        return
    root = mapping(value)
    for section, why in sections("x-without").items():
        if section in root and section not in base:
            yield (section,), f"{root.get('provider')} {why}; remove this section"
    for section in sections("x-closed"):
        if section not in base:
            continue
        known = mapping(base.get(section))
        for name in mapping(root.get(section)).keys() - known.keys():
            yield (section, name), f"unknown name; {suggest(name, known)}"
    for section, what in sections("x-new").items():
        known = mapping(base[section])
        needed = source()["$defs"][what]["required"]
        for name, entry in mapping(root.get(section)).items():
            lacking = [key for key in needed if key not in mapping(entry)]
            if name not in known and lacking:
                hint = f"{suggest(name, known)} (a new one needs {', '.join(needed)})"
                yield (section, name), f"unknown {what}; {hint}"


def lacking_entries(value: Value, base: Mapping[str, Value]) -> Found:
    """Yield entries that the code needs but that a user's complete file does not have."""
    root = mapping(value)
    for section in (*sections("x-closed"), "errors", "failures", "knobs"):
        for name in mapping(base.get(section)):
            if name not in mapping(root.get(section)):
                yield (section,), f"{name} is missing; the built-in baseline has it"


def baseline_mistakes(
    value: Value,
    base: Mapping[str, Value] | None,
    trees: Trees,
    names: Callable[[], Collection[str]],
) -> Found:
    """Yield values with a type other than the baseline's, and accounts of unknown providers."""
    root = mapping(value)
    yield from _accounts(root, trees, names)
    yield from _lifetimes(root)
    if base is None:
        return
    yield from lacking_entries(value, base)
    yield from _dialects(root, base)
    for section in ("limits", "headers", "statuses"):
        before, after = mapping(base.get(section)), mapping(root.get(section))
        for name in before.keys() & after.keys():
            was, now = mapping(before[name]).get("value"), mapping(after[name]).get("value")
            yield from _other_kind(was, now, (section, name, "value"))
    yield from _statuses_of_failures(root, mapping(base["failures"]))
    yield from _facts(mapping(base.get("facts")), mapping(root.get("facts")), ("facts",))
    for section in ("plans", "models"):
        yield from _facts_of_entries(section, root, mapping(base[section]))
    yield from _refusals(root, mapping(base["plans"]))


def _dialects(root: dict[str, Value], base: Mapping[str, Value]) -> Found:
    """Yield unknown dialects in a list that also omits a dialect of the baseline.

    A scenario's own dialect is added to all dialects of the baseline.
    """
    known = [str(name) for name in items(base["dialects"])]
    given = items(root["dialects"])
    if all(name in given for name in known):
        return
    for i, name in enumerate(given):
        if name not in known:
            own = f"your own dialect is added to {', '.join(known)}"
            yield ("dialects", i), f"{unknown_value('dialect', name, known)}; {own}"


def _statuses_of_failures(root: dict[str, Value], base: dict[str, Value]) -> Found:
    """Yield failures with a status that has no effect, and failures without a required status."""
    told = any("status" in mapping(entry) for entry in base.values())
    for name, entry in mapping(root["failures"]).items():
        place: Place = ("failures", name)
        status = mapping(entry).get("status")
        if told and status is None:
            yield place, f"status is missing; each failure of {root['provider']} has one"
        elif not told and status not in (None, OK):
            what = f"{root['provider']} always reports a failed job with {OK}"
            yield (*place, "status"), f"{what}, so a status has no effect; remove it"


def _facts_of_entries(section: str, root: dict[str, Value], base: dict[str, Value]) -> Found:
    """Yield mistakes in the facts of plans or models; a new entry needs the facts of all others."""
    known = {name: mapping(mapping(entry).get("facts")) for name, entry in base.items()}
    first = next(iter(known.values()), {})
    shared = {
        name: fact for name, fact in first.items() if all(name in facts for facts in known.values())
    }
    for name, entry in mapping(root[section]).items():
        facts = mapping(mapping(entry).get("facts"))
        place: Place = (section, name, "facts")
        before = known.get(name, shared)
        for lacking in before.keys() - facts.keys():
            yield place, f"{lacking} is missing; the built-in baseline has it"
        yield from _facts(before, facts, place)
        for fact in facts.keys() & _NAMES_KNOB:
            knob = str(mapping(facts[fact]).get("value"))
            if knob not in mapping(root["knobs"]):
                message = unknown("knob", knob, mapping(root["knobs"]))
                yield (*place, fact, "value"), message


def _facts(before: dict[str, Value], after: dict[str, Value], place: Place) -> Found:
    for name in before.keys() & after.keys():
        was, now = mapping(before[name]).get("value"), mapping(after[name]).get("value")
        if was is not None:
            yield from _other_kind(was, now, (*place, name, "value"))
        yield from _unknown_kinds(before, name, now, (*place, name, "value"))


def _unknown_kinds(before: dict[str, Value], name: str, now: Value, place: Place) -> Found:
    """Yield rows of a parameter table whose `kind` does not exist in the baseline."""
    if not _kinds_of(before[name]):
        return
    known = sorted({kind for fact in before.values() for kind in _kinds_of(fact)})
    for row, columns in mapping(now).items():
        said = mapping(columns).get("kind")
        if said not in known:
            yield (*place, row, "kind"), unknown_value("kind", said, known)


def _kinds_of(fact: Value) -> list[str]:
    """Return the kinds in a table if every row has a kind; otherwise an empty list."""
    rows = [mapping(row).get("kind") for row in mapping(mapping(fact).get("value")).values()]
    found = [kind for kind in rows if isinstance(kind, str)]
    return found if len(found) == len(rows) else []


def _other_kind(was: Value, now: Value, place: Place) -> Found:
    """Yield values with a type other than the baseline's, also inside tables and lists."""
    if kind(was) != kind(now):
        timed = DURATION.match(str(now)) is not None and "seconds" in str(place[-2])
        hint = f"; write it in seconds, {seconds_of(str(now)):f}" if timed else ""
        yield place, f"{_shown(now)} must be a {kind(was)}, as in the baseline{hint}"
    elif isinstance(was, dict):
        for name, inner in was.items():
            if name not in mapping(now):
                yield place, f"{name} is missing; the built-in baseline has it"
            elif inner is not None:
                yield from _other_kind(inner, mapping(now)[name], (*place, name))
    elif isinstance(was, list) and was and len({kind(item) for item in was}) == 1:
        for i, item in enumerate(items(now)):
            yield from _other_kind(was[0], item, (*place, i))


def _refusals(root: dict[str, Value], base: dict[str, Value]) -> Found:
    """Yield plans without access whose fact `refusal` does not name an error."""
    if not any(_REFUSAL in mapping(mapping(plan).get("facts")) for plan in base.values()):
        return
    for name, plan in mapping(root["plans"]).items():
        facts = mapping(mapping(plan).get("facts"))
        place: Place = ("plans", name, "facts")
        refusal = str(mapping(facts.get(_REFUSAL)).get("value"))
        if _REFUSAL in facts and refusal not in mapping(root["errors"]):
            message = unknown("error", refusal, mapping(root["errors"]))
            yield (*place, _REFUSAL, "value"), message
        elif _REFUSAL not in facts and mapping(plan).get("access") is False:
            yield place, "a plan without access needs refusal, the error that its requests get"


def kind(value: Value) -> str:
    """Return the kind of a value as the code reads it: list, table, switch, number or text."""
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "table"
    if isinstance(value, bool) or value is None:
        return "switch" if value is not None else "value"
    return "number" if _NUMBER.match(str(value)) else "text"


def _accounts(root: dict[str, Value], trees: Trees, names: Callable[[], Collection[str]]) -> Found:
    for provider, account in mapping(root.get("accounts")).items():
        tree = trees(provider)
        place: Place = ("accounts", provider)
        if tree is None:
            yield place, f"unknown provider; {suggest(str(provider), names())}"
            continue
        plan, plans = mapping(account).get("plan"), mapping(tree["plans"])
        if plan is not None and plan not in plans and provider != root["provider"]:
            yield (*place, "plan"), unknown("plan", str(plan), plans)


def _lifetimes(root: dict[str, Value]) -> Found:
    for name, entry in mapping(root["retention"]).items():
        value = mapping(entry).get("value")
        if value is not None and kind(value) != "number" and not DURATION.match(str(value)):
            told = "must be a number of seconds, a duration such as 24h, or null"
            yield ("retention", name, "value"), f"{_shown(value)} {told}"


def _shown(value: Value) -> str:
    return repr(str(value)) if isinstance(value, Decimal) else repr(value)
