"""The actions of faults: validate and build each with its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple, cast

from upsim.core.faults import (
    ACTIONS_AT,
    Action,
    Corrupt,
    Delay,
    Headers,
    Late,
    Patch,
    Stage,
    Trickle,
    Truncate,
    Wait,
    Word,
)
from upsim.core.suggestions import MAX_SHOWN, MAX_SHOWN_LENGTH, shown, unknown_value
from upsim.scenario.durations import meant_time
from upsim.scenario.faults.numbers_and_durations import MOST, is_whole, wait_of, wrong_count
from upsim.scenario.faults.responses import answer_mistakes, answer_of, header_mistakes, headers_of
from upsim.scenario.faults.vocabulary import FaultVocabulary, Node
from upsim.scenario.yaml_tree import Found, Place

_PERCENT = re.compile(r"(?P<number>[0-9]{1,3})%\Z")
_FULL = 100
_SHAPE = ": a name or {name: argument}, such as drop_connection or {delay: 90s}"
_EXAMPLES: Mapping[str, str] = {
    "respond": "{respond: 500}",
    "patch": "{patch: {status: failed}}",
    "headers": "{headers: {retry-after: 5}}",
    "delay": "{delay: 90s}",
    "late": "{late: 90s}",
    "truncate": "{truncate: 50%}",
    "corrupt": "{corrupt: 4}",
    "trickle": "{trickle: {chunk: 64, pause: 250ms}}",
}
"""How each action that needs a value is written."""
_ALONE = ("corrupt",)
"""Actions whose value may be left out."""
_TIME = "a duration such as 90s, 2m30s or 50ms, or {real: 50ms}, which is at most one minute"


def action_mistakes(do: object, stage: Stage | None, known: FaultVocabulary) -> Found:
    """Yield the mistakes in a fault's action at this stage (None: at any stage)."""
    if isinstance(do, str):
        name, value = do, None
    elif isinstance(do, Mapping) and len(do) == 1:
        ((name, value),) = do.items()
    elif not isinstance(do, Mapping):
        yield ("do",), f"a fault has exactly one action{_SHAPE}, not {shown(do)}"
        return
    else:
        given = do
        names = [f"{{{str(name)[:MAX_SHOWN_LENGTH]}: …}}" for name in islice(given, MAX_SHOWN)]
        told = f": {' or '.join(names)}; write one fault for each action" if names else ""
        yield ("do",), f"a fault has exactly one action{told or _SHAPE}"
        return
    place: Place = ("do",) if isinstance(do, str) else ("do", name)
    message = _wrong_name(name, stage, known)
    if message is not None:
        yield place, message
    elif name in _FORMS and value is None and name not in _ALONE:
        yield place, f"{name} needs a value: write {_EXAMPLES[name]}"
    elif name in _FORMS:
        for inner, wrong in _FORMS[name].mistakes(value, stage, known):
            is_name = name == "respond" and isinstance(value, str)
            is_told = inner or is_name or "did you mean" in wrong
            yield (*place, *inner), wrong if is_told else f"{wrong}; write {_EXAMPLES[name]}"
    elif value is not None:
        yield place, f"{name} takes no argument, so not {shown(value)}; write do: {name}"


def build_action(do: str | Node) -> Action:
    """Return the action of a valid `do`."""
    name, value = (do, None) if isinstance(do, str) else next(iter(do.items()))
    return _FORMS[name].build(value) if name in _FORMS else Word(name)


def actions_at(stage: Stage | None) -> tuple[str, ...]:
    """Return the names of the actions that fit a stage (None: all actions)."""
    if stage is not None:
        return ACTIONS_AT[stage]
    return tuple(dict.fromkeys(name for names in ACTIONS_AT.values() for name in names))


def _wrong_name(name: object, stage: Stage | None, known: FaultVocabulary) -> str | None:
    every, fitting = actions_at(None), actions_at(stage)
    if name not in every:
        return unknown_value("action", name, fitting)
    if name not in fitting:
        return f"{name} does not fit {stage}; allowed: {', '.join(fitting)}"
    if name == Word.STALE_SIGNATURE and known.signing not in ("", "hmac"):
        return f"{known.provider} does not sign a timestamp, so none can be stale"
    return None


class _Form(NamedTuple):
    """The argument of an action: a check for mistakes, and a function that builds the action."""

    mistakes: Callable[[object, Stage | None, FaultVocabulary], Found]
    build: Callable[[Any], Action]


def _read(read: Callable[[object], Action | None], form: str) -> _Form:
    """Return the form of an action with one argument; `form` describes valid arguments."""

    def mistakes(value: object, *_rest: object) -> Found:
        if read(value) is None:
            yield (), f"{shown(value)} is not {form}{meant_time(value)}"

    return _Form(mistakes, lambda value: cast("Action", read(value)))


def _delay(value: object) -> Delay | None:
    wait = wait_of(value)
    return None if wait is None else Delay(wait)


def _late(value: object) -> Late | None:
    wait = wait_of(value)
    return None if wait is None or wait.real else Late(wait)


def _truncate(value: object) -> Truncate | None:
    match = _PERCENT.match(value) if isinstance(value, str) else None
    if match is not None and int(match["number"]) < _FULL:
        return Truncate(int(match["number"]), percent=True)
    return Truncate(value) if is_whole(value) else None


def _corrupt(value: object) -> Corrupt | None:
    if value is None:
        return Corrupt()
    return Corrupt(value) if is_whole(value, 1) else None


def _trickle_mistakes(value: object, *_rest: object) -> Found:
    if not isinstance(value, Mapping) or set(value) != {"chunk", "pause"}:
        yield (), f"a trickle needs chunk (bytes) and pause (a duration), not {shown(value)}"
        return
    message = wrong_count(value["chunk"])
    if message is not None:
        yield ("chunk",), message
    if wait_of(value["pause"]) is None:
        yield ("pause",), f"{shown(value['pause'])} is not {_TIME}{meant_time(value['pause'])}"


def _trickle(value: Node) -> Trickle:
    return Trickle(value["chunk"], cast("Wait", wait_of(value["pause"])))


def _patch_mistakes(value: object, *_rest: object) -> Found:
    if not isinstance(value, Mapping) or not value:
        yield (), f"patch needs the changed fields, as {{dotted.path: value}}, not {shown(value)}"


def _patch(value: Node) -> Patch:
    return Patch(tuple((str(path), item) for path, item in value.items()))


_FORMS: Mapping[str, _Form] = {
    "respond": _Form(answer_mistakes, answer_of),
    "patch": _Form(_patch_mistakes, _patch),
    "headers": _Form(header_mistakes, lambda value: Headers(headers_of(value))),
    "delay": _read(_delay, _TIME),
    "late": _read(_late, "a duration on the sandbox clock such as 90s"),
    "truncate": _read(_truncate, "a number of bytes, or a percentage below 100% such as 50%"),
    "corrupt": _read(_corrupt, f"a whole number from 1 to {MOST}"),
    "trickle": _Form(_trickle_mistakes, _trickle),
}
"""The actions that take an argument."""
