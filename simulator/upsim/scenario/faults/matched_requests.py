"""The requests a fault applies to, and how often; find selections that can never match."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from upsim.core.faults import FILES_AT, KINDS_AT, UNNAMED_AT, Stage, is_like, spelt
from upsim.core.globs import fits, flaw
from upsim.core.nearest_names import closest
from upsim.core.states import JobState
from upsim.core.suggestions import MAX_SHOWN_LENGTH, nearest_to, shown, unknown_value
from upsim.scenario.faults.numbers_and_durations import decimal_of, wrong_count
from upsim.scenario.faults.vocabulary import FaultVocabulary, Node
from upsim.scenario.job_rules import unknown_state
from upsim.scenario.rule_vocabulary import wrong_source
from upsim.scenario.schema import properties_of
from upsim.scenario.yaml_tree import Found

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_ACCOUNT = re.compile(r"(?:[a-z0-9_-]+-)?[1-9][0-9]{0,8}\Z")
_MAX_GLOB_LENGTH = 200
_LEAST = {
    name: found["minimum"] for name, found in properties_of("fault").items() if "minimum" in found
}
_SUBMITTED: tuple[Stage, ...] = ("before_accept", "after_accept")
"""Stages whose rules without `on` mean submits, and so read their bodies."""
_ACCEPTED: tuple[Stage, ...] = ("after_accept", "webhook")
"""Stages that only accepted requests reach."""


def count_mistakes(node: Node) -> Found:
    """Yield the mistakes in the keys that limit how often a fault fires."""
    for key, least in _LEAST.items():
        message = wrong_count(node.get(key, least), least)
        if message is not None:
            yield (key,), message
    if "probability" in node and not 0 < (decimal_of(node["probability"]) or 0) <= 1:
        form = "a number above 0 and up to 1, such as 0.5"
        yield ("probability",), f"{shown(node['probability'])} is not {form}"


def selection_mistakes(node: Node, stage: Stage | None, known: FaultVocabulary) -> Found:
    """Yield the mistakes in a fault's id and in its selection of requests."""
    for key, wrong in _WRONG.items():
        message = wrong(node[key], stage, known) if key in node else None
        if message is not None:
            yield (key,), message
    if "when" in node:
        yield from _when(node["when"], stage, node.get("on"), known)


def _wrong_id(name: object, *_rest: object) -> str | None:
    good = isinstance(name, str) and _ID.match(name)
    form = "an id has at most 64 letters, digits, -, _ and dots"
    return None if good else f"{form}, such as lost-answer, not {shown(name)}"


def _wrong_on(on: object, stage: Stage | None, known: FaultVocabulary) -> str | None:
    short = isinstance(on, str) and len(on) <= _MAX_GLOB_LENGTH
    return (
        misfit(stage, str(on), known.operations)
        if short
        else (
            f"the name of one operation or a glob, such as {next(iter(known.operations), '*')}, "
            f"not {shown(on)}"
        )
    )


def misfit(stage: Stage | None, on: str | None, operations: Mapping[str, str]) -> str | None:
    """Return why a rule for `on` can never match at a stage; None if it can match."""
    if on is None:
        return None
    fitting = named_at(stage, operations)
    if any(fits(name, on) for name in fitting):
        return None
    unfit = [name for name in operations if fits(name, on)]
    if unfit:
        kind = operations[unfit[0]] or "an operation"
        return f"{unfit[0]} ({kind}) never reaches the stage {stage}; allowed: {', '.join(fitting)}"
    meant = "" if closest(on, fitting) else _of_kind(on, fitting, operations)
    hint = meant or nearest_to(on, fitting)
    return f"unknown operation {on[:MAX_SHOWN_LENGTH]!r}; {hint}"


def _of_kind(on: str, fitting: Sequence[str], operations: Mapping[str, str]) -> str:
    """Return a question with the operations whose kind is spelled nearly like `on`; else ""."""
    kinds = {name: operations.get(name, "") for name in fitting}  # files of a stage have none
    kind = closest(on, dict.fromkeys(filter(None, kinds.values())))
    names = [name for name in fitting if kind and kinds[name] == kind]
    return f"did you mean {' or '.join(names)} ({kind})?" if names else ""


def unreached(stage: Stage, operations: Mapping[str, str]) -> bool:
    """Return whether no operation of a provider reaches a stage."""
    kinds = set(operations.values())
    return stage != "download" and "" not in kinds and not kinds & KINDS_AT[stage]


def named_at(stage: Stage | None, operations: Mapping[str, str]) -> list[str]:
    """Return the names that `on` may have at a stage (None: at any stage)."""
    if stage is None:
        return [*operations, *chain.from_iterable(FILES_AT.values())]
    if stage == "download":
        return [*FILES_AT[stage]]
    fitting = [n for n, kind in operations.items() if not kind or kind in KINDS_AT[stage]]
    return [*fitting, *FILES_AT.get(stage, ())]


def _wrong_account(account: object, _stage: Stage | None, known: FaultVocabulary) -> str | None:
    text = str(account)
    named = isinstance(account, str | int) and _ACCOUNT.match(text)
    if named and ("-" not in text or text.rpartition("-")[0] == known.provider):
        return None
    return f"{shown(account)} is not an account; write it as 1 or {known.provider}-1"


def _wrong_state(state: object, stage: Stage | None, known: FaultVocabulary) -> str | None:
    """Return why no job in this state ever reaches a stage; None if a job can."""
    if not isinstance(state, str) or state not in list(JobState):
        return unknown_state(state, known.statuses, known.provider)
    if stage in ("before_accept", "upload"):
        return f"at {stage} there is no job yet"
    if stage == "download" and state != JobState.COMPLETED:
        return "only completed jobs have a file"
    if stage == "webhook" and known.told is not None and state not in known.told:
        return f"webhooks report {', '.join(known.told)}, never {state}"
    return None


_WRONG: Mapping[str, Callable[[Any, Stage | None, FaultVocabulary], str | None]] = {
    "id": _wrong_id,
    "on": _wrong_on,
    "account": _wrong_account,
    "state": _wrong_state,
}
"""The check of each key of a fault, in the order of reporting."""


def _when(when: object, stage: Stage | None, on: object, known: FaultVocabulary) -> Found:
    if not isinstance(when, Mapping) or not when:
        form = "when must be fields of the request body, as {dotted.path: value}"
        yield ("when",), f"{form}, not {shown(when)}"
        return
    if stage == "download":
        yield ("when",), "a download request has no body"
    elif _is_bodiless(stage, on, known):
        yield ("when",), f"the requests of {known.provider} at {stage} have no body"
    fields = known.fields if on is None and stage in _SUBMITTED else ()
    for path, value in when.items():
        top, _, last = str(path).partition(".")
        accepted = stage in _ACCEPTED
        allowed = known.options.get(last or top, ()) if accepted else ()
        wrong = wrong_source(last or top, value) if accepted else None
        broken = flaw(value) if isinstance(value, str) else ""
        if isinstance(value, Mapping | list | tuple):
            yield ("when", path), f"a field needs a single value, not {shown(value)}"
        elif broken:
            yield ("when", path), f"{shown(value)} is not a valid glob: {broken}"
        elif allowed and not _is_one_of(value, allowed):
            yield (
                ("when", path),
                f"{unknown_value('value', value, allowed)} (the provider refuses others)",
            )
        elif wrong is not None:
            yield ("when", path), wrong
        if fields and top not in fields:
            yield ("when", path), f"a submit body has no field {top!r}; {nearest_to(top, fields)}"


def _is_one_of(value: object, allowed: Sequence[str]) -> bool:
    """Return whether the provider may accept a request with this value, in any spelling."""
    found, number = spelt(value).lower(), decimal_of(value)
    same = number is not None and number in map(decimal_of, allowed)
    same = same or any(is_like(one, spelt(value)) for one in allowed)
    return same or found in map(str.lower, allowed)


def _is_bodiless(stage: Stage | None, on: object, known: FaultVocabulary) -> bool:
    """Return whether no request of a rule has a body."""
    if stage is None:
        return False
    allowed = UNNAMED_AT[stage] if on is None else KINDS_AT[stage]
    names = [
        name
        for name, kind in known.operations.items()
        if kind in allowed and (on is None or fits(name, str(on)))
    ]
    return bool(names) and known.bodiless.issuperset(names)
