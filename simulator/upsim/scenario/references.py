"""Names in a resolved scenario that must exist elsewhere in it, which no schema can say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from upsim.core.states import UNSUCCESSFUL
from upsim.scenario.tree import Mistake, Place, Tree, Value, dotted

DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h|d)\Z")
"""How long a step lasts, such as `90s`."""

_FOUND_BY = ("duration", "file", "unreachable", "not_a_video")


def reference_mistakes(tree: Tree) -> Iterator[Mistake]:
    """Every name in a valid tree that stands for nothing, each at its line and column."""
    root = _mapping(tree.value)
    for place, message in (
        *_knobs(_mapping(root["knobs"])),
        *_dialect(root),
        *_plans(root),
        *_media(root),
        *_jobs(root),
        *_models(root),
    ):
        yield Mistake(tree.mark(place), dotted(place), message)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence about a name that does not exist: the nearest one, or all there are."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
    return f"unknown {what} {name!r}; {hint}"


_Found = Iterator[tuple[Place, str]]


def _knobs(knobs: dict[str, Value]) -> _Found:
    defined = [name for name, knob in knobs.items() if isinstance(knob, dict)]
    for name, knob in knobs.items():
        place = ("knobs", name)
        if not isinstance(knob, dict):
            yield place, unknown("knob", name, defined)
            continue
        values = _texts(knob["values"])
        for key in ("guide", "live", "auto", "chosen"):
            if key in knob and knob[key] not in values:
                yield place, unknown("value", str(knob[key]), values)


def _dialect(root: dict[str, Value]) -> _Found:
    dialects = _texts(root["dialects"])
    if "dialect" in root and root["dialect"] not in dialects:
        yield ("dialect",), unknown("dialect", str(root["dialect"]), dialects)


def _plans(root: dict[str, Value]) -> _Found:
    plans = _mapping(root["plans"])
    account = _mapping(root["account"])
    provider = str(root["provider"])
    own = _mapping(_mapping(root.get("accounts")).get(provider))
    for place, holder in ((("account",), account), (("accounts", provider), own)):
        if "plan" in holder and holder["plan"] not in plans:
            yield (*place, "plan"), unknown("plan", str(holder["plan"]), plans)


def _media(root: dict[str, Value]) -> _Found:
    for i, rule in enumerate(_list(root.get("media"))):
        given = [key for key in _FOUND_BY if key in _mapping(rule)]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "has none"
            yield ("media", i), f"a rule needs one of {', '.join(_FOUND_BY)}; this one {found}"


def _jobs(root: dict[str, Value]) -> _Found:
    failures = _mapping(root["failures"])
    for i, rule in enumerate(_list(root.get("jobs"))):
        for j, step in enumerate(_list(_mapping(rule)["lifecycle"])):
            ((state, how),) = _mapping(step).items()
            message = _wrong_step(state, how, failures)
            if message is not None:
                yield ("jobs", i, "lifecycle", j, state), message


def _wrong_step(state: str, how: Value, failures: dict[str, Value]) -> str | None:
    """What is wrong with how a step ends, if anything."""
    if how is None or how == "command":
        return None
    if isinstance(how, dict):
        polls = how.get("polls")
        good = len(how) == 1 and isinstance(polls, int) and polls > 0
        return None if good else "a step ends by {polls: <whole number from 1>}, or as a text says"
    if DURATION.match(str(how)):
        return None
    if state in UNSUCCESSFUL:
        return None if how in failures else unknown("failure", str(how), failures)
    return f"{how!r} is no duration such as 90s, nor command, nor {{polls: 2}}"


def _models(root: dict[str, Value]) -> _Found:
    failures = _mapping(root["failures"])
    for name, model in _mapping(root["models"]).items():
        phases = _list(_mapping(_mapping(model)["lifecycle"])["phases"])
        for i, phase in enumerate(phases):
            failure = _mapping(phase).get("failure")
            if failure is not None and failure not in failures:
                place = ("models", name, "lifecycle", "phases", i, "failure")
                yield place, unknown("failure", str(failure), failures)


def _mapping(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _texts(value: Value) -> list[str]:
    return [str(item) for item in _list(value)]
