"""Faults as scenarios and the admin API write them: judged, then made into rules.

Judging needs no schema, so that both say the same. Places are relative to the fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from fnmatch import fnmatchcase
from string import Formatter
from typing import Any, cast

from upsim.core.faults import (
    ACTIONS_AT,
    FILES_AT,
    KINDS_AT,
    STAGES,
    UNNAMED_AT,
    Action,
    Corrupt,
    Delay,
    FaultRule,
    Headers,
    Late,
    Patch,
    Respond,
    Stage,
    Trickle,
    Truncate,
    Wait,
    Word,
    spelt,
)
from upsim.core.states import State
from upsim.core.webhooks import ON_PROCESSING
from upsim.scenario.inputs import body_fields_of

Node = Mapping[str, Any]
FaultPlace = tuple[str | int, ...]
Found = Iterator[tuple[FaultPlace, str]]

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?)(?P<unit>ms|s|m|h|d)\Z")
_PERCENT = re.compile(r"(?P<number>[0-9]{1,3})%\Z")
_ACCOUNT = re.compile(r"(?:[a-z0-9_-]+-)?[1-9][0-9]{0,8}\Z")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_MICROS = {"ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}
LONGEST_REAL = 60 * 10**6
LONGEST_WAIT = 366 * 86_400 * 10**6
LONGEST_TEXT = 1_000_000
MOST = 10**9
_KEYS = (
    "at",
    "do",
    "id",
    "on",
    "account",
    "when",
    "state",
    "first",
    "every",
    "after",
    "probability",
)
_RAW = ("status", "body", "headers", "content_type")
_LEAST = {"first": 1, "every": 1, "after": 0}
_SUBMITTED: tuple[Stage, ...] = ("before_accept", "after_accept")
"""Stages whose rules without `on` speak of submits, and so look into their bodies."""
_FULL = 100
_LEAST_STATUS, _MOST_STATUS = 200, 599
_WITHOUT_BODY = (204, 205, 304)
_LONGEST_GLOB = 200
_LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class Known:
    """What a fault may speak of: a provider's operations with their kinds, and its catalogue.

    A kind is empty where only the names of operations are known. `errors` hold the names that
    the texts of each entry need, `fields` what the bodies of submits hold at the top, `told` the
    states that webhooks tell of, `signing` how those are signed, and `bodiless` the operations
    that have no body (None or empty: not known).
    """

    provider: str
    operations: Mapping[str, str]
    errors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    told: tuple[str, ...] | None = None
    signing: str = ""
    bodiless: frozenset[str] = frozenset()


def known_in(root: Node, kinds: Mapping[str, str], bodiless: Iterable[str] = ()) -> Known:
    """What the faults of a resolved file may speak of."""
    hooks = root.get("webhooks")
    also = [State.PROCESSING] if ON_PROCESSING in root["knobs"] else []
    names = (name for name in root["checks"] if name != "evidence")
    return Known(
        provider=str(root["provider"]),
        operations=kinds or dict.fromkeys(names, ""),
        errors={name: _needed(entry) for name, entry in root["errors"].items()},
        fields=body_fields_of(root),
        told=() if hooks is None else (*hooks["states"]["value"], *also),
        signing="" if hooks is None else hooks["signing"]["value"],
        bodiless=frozenset(bodiless),
    )


def _needed(entry: Node) -> frozenset[str]:
    texts = [entry, *entry.get("variants", ())]
    found = [needed(*map(text.get, ("message", "headers", "extra"))) for text in texts]
    return frozenset[str]().union(*found)


def needed(*values: object) -> frozenset[str]:
    """The names that texts of the catalogue, wherever they stand, hold in braces."""
    texts = [text for value in values for text in _texts(value)]
    try:
        return _names(texts)
    except ValueError:  # a text with a brace too many, which is a mistake of its own
        return frozenset()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _names(texts: Iterable[str]) -> frozenset[str]:
    found = {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}
    return frozenset(re.split(r"[.\[]", name)[0] for name in found)


def all_mistakes(root: Node, kinds: Mapping[str, str], bodiless: Iterable[str] = ()) -> Found:
    """Everything wrong with the faults of a resolved file, at places within the file."""
    seen: set[str] = set()
    faults = root.get("faults", ())
    if not faults:
        return
    known = known_in(root, kinds, bodiless)
    for i, node in enumerate(faults if isinstance(faults, list | tuple) else ()):
        for place, message in fault_mistakes(node, known):
            yield ("faults", i, *place), message
        name = node.get("id") if isinstance(node, Mapping) else None
        if isinstance(name, str) and name in seen:
            yield ("faults", i, "id"), f"another fault is called {name!r}"
        seen.add(str(name))


def build_faults(tree: Node) -> tuple[FaultRule, ...]:
    """The rules of a judged file; those without a name are called `f1`, `f2`, … by their place."""
    given = {node["id"] for node in tree.get("faults", ()) if "id" in node}
    rules = []
    for i, node in enumerate(tree.get("faults", ()), 1):
        name = f"f{i}" if f"f{i}" not in given else f"fault-{i}"
        rules.append(build_fault(node, provider=tree["provider"], name=node.get("id", name)))
    return tuple(rules)


def fault_mistakes(node: object, known: Known) -> Found:
    """Everything wrong with one fault, nearest matches named."""
    if not isinstance(node, Mapping):
        yield (), f"a fault is a mapping with at and do, not {_shown(node)}"
        return
    for key in node:
        if key not in _KEYS:
            yield (key,), f"unknown key; {nearest(str(key), _KEYS)}"
    yield from _counts(node)
    stage = node.get("at")
    if not isinstance(stage, str) or stage not in STAGES:
        wrong = f"unknown stage {_shown(stage)}; {nearest(str(stage), STAGES)}"
        yield ("at",), wrong if "at" in node else f"say when: at, one of {', '.join(STAGES)}"
        return
    if stage == "webhook" and known.told == ():
        yield ("at",), f"{known.provider} documents no webhooks, so none is ever sent"
        return
    yield from _selection(node, stage, known)
    if "do" not in node:
        yield (), f"say what goes wrong: do, one of {', '.join(ACTIONS_AT[stage])}"
        return
    yield from _action(node["do"], stage, known)


def _selection(node: Node, stage: Stage, known: Known) -> Found:
    if "id" in node and not (isinstance(node["id"], str) and _ID.match(node["id"])):
        yield ("id",), "letters, digits, -, _ and dots, 64 at the most"
    if "on" in node:
        on = node["on"]
        short = isinstance(on, str) and len(on) <= _LONGEST_GLOB
        message = misfit(stage, on, known.operations) if short else "not a text of one operation"
        if message is not None:
            yield ("on",), message
    if "account" in node and not _is_account(node["account"], known.provider):
        yield ("account",), f"{_shown(node['account'])} is not such as 1 or {known.provider}-1"
    if "state" in node:
        message = _wrong_state(node["state"], stage, known)
        if message is not None:
            yield ("state",), message
    if "when" in node:
        yield from _when(node["when"], stage, node.get("on"), known)


def _wrong_state(state: object, stage: Stage, known: Known) -> str | None:
    """Why no job in this state ever comes to a stage, if so."""
    if not isinstance(state, str) or state not in list(State):
        return f"unknown state {_shown(state)}; {nearest(str(state), State)}"
    if stage in ("before_accept", "upload"):
        return f"there is no job at {stage}"
    if stage == "download" and state != State.COMPLETED:
        return "only completed jobs have a file"
    if stage == "webhook" and known.told is not None and state not in known.told:
        return f"webhooks tell of {', '.join(known.told)}, never of {state}"
    return None


def _is_account(value: object, provider: str) -> bool:
    text = str(value)
    named = isinstance(value, str | int) and _ACCOUNT.match(text) is not None
    return named and ("-" not in text or text.rpartition("-")[0] == provider)


def _when(when: object, stage: Stage, on: object, known: Known) -> Found:
    if not isinstance(when, Mapping) or not when:
        yield ("when",), "fields of the request's body, as {dotted.path: value}"
        return
    if stage == "download":
        yield ("when",), "a download has no body to look into"
    elif _is_bodiless(stage, on, known):
        yield ("when",), f"the requests of {known.provider} that come to {stage} have no body"
    fields = known.fields if on is None and stage in _SUBMITTED else ()
    for path, value in when.items():
        if isinstance(value, Mapping | list | tuple):
            yield ("when", path), "a field is compared with a single value"
        top = str(path).partition(".")[0]
        if fields and top not in fields:
            yield ("when", path), f"no submit has {top!r} in its body; {nearest(top, fields)}"


def _is_bodiless(stage: Stage, on: object, known: Known) -> bool:
    """Whether all the requests that a rule speaks of have no body."""
    allowed = UNNAMED_AT[stage] if on is None else KINDS_AT[stage]
    names = [name for name, kind in known.operations.items() if kind in allowed]
    names = [name for name in names if on is None or fnmatchcase(name, str(on))]
    return bool(names) and known.bodiless.issuperset(names)


def _counts(node: Node) -> Found:
    for key, least in _LEAST.items():
        value = node.get(key, least)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
            yield (key,), f"{_shown(value)} is not a whole number from {least} to {MOST}"
    if "probability" in node and not 0 < (_number(node["probability"]) or Decimal(0)) <= 1:
        yield ("probability",), f"{_shown(node['probability'])} is not above 0 and up to 1"


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    if len(str(value)) > _LONGEST_NUMBER:
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def misfit(stage: Stage, on: str | None, operations: Mapping[str, str]) -> str | None:
    """Why a rule for `on` can never match at a stage, if so."""
    if on is None:
        return None
    files = FILES_AT.get(stage, ())
    fitting = [n for n, kind in operations.items() if not kind or kind in KINDS_AT[stage]]
    if stage == "download":
        fitting = []
    fitting += files
    if any(fnmatchcase(name, on) for name in fitting):
        return None
    unfit = [name for name in operations if fnmatchcase(name, on)]
    if unfit:
        kind = operations[unfit[0]] or "an operation"
        return f"{unfit[0]} ({kind}) never comes to {stage}; there are {', '.join(fitting)}"
    return f"unknown operation {on[:80]!r}; {nearest(on, fitting)}"


def _action(do: object, stage: Stage, known: Known) -> Found:
    if isinstance(do, str):
        name, value = do, None
    elif isinstance(do, Mapping) and len(do) == 1:
        ((name, value),) = do.items()
    else:
        yield ("do",), "one action: its name, or {name: what it needs}"
        return
    place: FaultPlace = ("do",) if isinstance(do, str) else ("do", name)
    every = {known_name for names in ACTIONS_AT.values() for known_name in names}
    fitting = ACTIONS_AT[stage]
    if name not in every:
        yield place, f"unknown action {_shown(name)}; {nearest(str(name), fitting)}"
    elif name not in fitting:
        yield place, f"{name} does not fit {stage}; there are {', '.join(fitting)}"
    elif name == Word.STALE_SIGNATURE and known.signing not in ("", "hmac"):
        yield place, f"{known.provider} signs no time that could be stale"
    elif name in _ARGUMENTS:
        for inner, message in _ARGUMENTS[name](value, stage, known):
            yield (*place, *inner), message
    elif value is not None:
        yield place, f"{name} needs nothing more"


def _wait(value: object, *_rest: object) -> Found:
    if _wait_of(value) is None:
        form = "a time such as 90s or 50ms, or {real: 50ms}, which is a minute at the most"
        yield (), f"{_shown(value)} is not {form}"


def _late(value: object, *_rest: object) -> Found:
    wait = _wait_of(value)
    if wait is None or wait.real:
        yield (), f"{_shown(value)} is not a time on the sandbox clock such as 90s"


def _wait_of(value: object) -> Wait | None:
    real = isinstance(value, Mapping) and list(value) == ["real"]
    if isinstance(value, Mapping):
        value = next(iter(value.values())) if real or list(value) == ["virtual"] else None
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    micros = int(Decimal(match["number"]) * _MICROS[match["unit"]])
    return Wait(micros, real) if 0 < micros <= (LONGEST_REAL if real else LONGEST_WAIT) else None


def _truncate(value: object, *_rest: object) -> Found:
    if _truncate_of(value) is None:
        yield (), f"{_shown(value)} is not a number of bytes or such as 50%, below 100%"


def _truncate_of(value: object) -> Truncate | None:
    match = _PERCENT.match(value) if isinstance(value, str) else None
    if match is not None and int(match["number"]) < _FULL:
        return Truncate(int(match["number"]), percent=True)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return Truncate(cast("int", value)) if whole and 0 <= cast("int", value) <= MOST else None


def _corrupt(value: object, *_rest: object) -> Found:
    if value is not None and not _is_count(value):
        yield (), f"{_shown(value)} is not a whole number from 1 to {MOST}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST


def _trickle(value: object, *_rest: object) -> Found:
    if not isinstance(value, Mapping) or set(value) != {"chunk", "pause"}:
        yield (), "a trickle needs chunk (bytes) and pause (a time)"
        return
    if not _is_count(value["chunk"]):
        yield ("chunk",), f"{_shown(value['chunk'])} is not a whole number from 1 to {MOST}"
    for _, message in _wait(value["pause"]):
        yield ("pause",), message


def _patch(value: object, *_rest: object) -> Found:
    if not isinstance(value, Mapping) or not value:
        yield (), "the fields that change, as {dotted.path: value}"


def _headers(value: object, *_rest: object) -> Found:
    if not isinstance(value, Mapping) or not value:
        yield (), "headers, as {name: text}"
        return
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER.match(name):
            yield (name,), "not the name of a header"
        elif name.lower() in ("content-length", "transfer-encoding", "connection"):
            yield (name,), "the server sets this header itself"
        elif not isinstance(text, str | int) or not _is_header_text(str(text)):
            yield (name,), "a header is a text of one line"


def _is_header_text(text: str) -> bool:
    return text.isprintable() and all(ord(letter) < 256 for letter in text)  # noqa: PLR2004


def _respond(value: object, stage: Stage, known: Known) -> Found:
    if isinstance(value, int) and not isinstance(value, bool):
        yield from _status((), value)
    elif stage == "webhook":
        yield (), "the receiver's answer is a status, such as 500"
    elif isinstance(value, str):
        yield from _entry((), value, {}, known)
    elif not isinstance(value, Mapping) or not value:
        yield (), "an entry of errors, a status, or {status, body, headers, content_type}"
    elif "error" in value:
        yield from _catalogue(value, known)
    else:
        yield from _raw(value)


def _status(place: FaultPlace, status: object) -> Found:
    whole = isinstance(status, int) and not isinstance(status, bool)
    if not whole or not _LEAST_STATUS <= cast("int", status) <= _MOST_STATUS:
        yield place, f"{_shown(status)} is not a status from {_LEAST_STATUS} to {_MOST_STATUS}"


def _catalogue(value: Node, known: Known) -> Found:
    for key in value:
        if key not in ("error", "values"):
            yield (key,), "beside error there is only values"
    values = value.get("values", {})
    if not isinstance(values, Mapping):
        yield ("values",), "the names in the message, as {name: value}"
        return
    yield from _entry(("error",), value["error"], values, known)


def _entry(place: FaultPlace, name: object, values: Node, known: Known) -> Found:
    if not isinstance(name, str) or name not in known.errors:
        yield place, f"unknown error {_shown(name)}; {nearest(str(name), known.errors)}"
        return
    missing = sorted(known.errors[name] - {"url"} - set(values))
    if missing:
        example = f"{{error: {name}, values: {{{missing[0]}: …}}}}"
        yield place, f"its text needs {', '.join(missing)}: write {example}"


def _raw(value: Node) -> Found:
    for key in value:
        if key not in _RAW:
            yield (key,), f"unknown key; {nearest(str(key), ('error', 'values', *_RAW))}"
    yield from _status(("status",), value.get("status", 200))
    if "headers" in value:
        for place, message in _headers(value["headers"]):
            yield ("headers", *place), message
    kind = value.get("content_type", "text/plain")
    if not isinstance(kind, str) or not _is_header_text(kind):
        yield ("content_type",), "a text of one line"
    body = value.get("body", "")
    if isinstance(body, str) and len(body) > LONGEST_TEXT:
        yield ("body",), f"more than {LONGEST_TEXT} characters"
    if isinstance(body, str) and not _is_encodable(body):
        yield ("body",), "a text that cannot be sent as UTF-8"
    if body != "" and value.get("status") in _WITHOUT_BODY:
        yield ("body",), f"an answer with status {value['status']} has no body"


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


_ARGUMENTS: Mapping[str, Callable[[object, Stage, Known], Found]] = {
    "delay": _wait,
    "late": _late,
    "truncate": _truncate,
    "corrupt": _corrupt,
    "trickle": _trickle,
    "patch": _patch,
    "headers": _headers,
    "respond": _respond,
}


def build_fault(node: Node, *, provider: str, name: str) -> FaultRule:
    """The rule of a judged fault."""
    probability = node.get("probability")
    return FaultRule(
        id=name,
        provider=provider,
        at=node["at"],
        do=_built(node["do"]),
        on=node.get("on"),
        account=str(node["account"]) if "account" in node else None,
        when=tuple((str(path), spelt(value)) for path, value in node.get("when", {}).items()),
        state=State(node["state"]) if "state" in node else None,
        first=node.get("first"),
        every=node.get("every", 1),
        after=node.get("after", 0),
        probability=None if probability is None else Decimal(probability),
        written=node["do"],
    )


def _built(do: str | Node) -> Action:
    name, value = (do, None) if isinstance(do, str) else next(iter(do.items()))
    return _BUILDERS[name](value) if name in _BUILDERS else Word(name)


def _patch_of(value: Node) -> Patch:
    return Patch(tuple((str(path), item) for path, item in value.items()))


def _trickle_of(value: Node) -> Trickle:
    return Trickle(value["chunk"], cast("Wait", _wait_of(value["pause"])))


def _answer(value: object) -> Respond:
    if isinstance(value, int):
        return Respond(status=value)
    if isinstance(value, str):
        return Respond(error=value)
    given = cast("Node", value)
    if "error" in given:
        return Respond(error=given["error"], values=given.get("values", {}))
    body = given.get("body", "")
    default = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    kind = ("content-type", given.get("content_type", default))
    return Respond(
        status=given.get("status", 200),
        body=body,
        headers=(kind, *_pairs(given.get("headers", {}))),
    )


_BUILDERS: Mapping[str, Callable[[Any], Action]] = {
    "respond": _answer,
    "patch": _patch_of,
    "headers": lambda value: Headers(_pairs(value)),
    "corrupt": lambda value: Corrupt(value or 1),
    "truncate": lambda value: cast("Truncate", _truncate_of(value)),
    "trickle": _trickle_of,
    "delay": lambda value: Delay(cast("Wait", _wait_of(value))),
    "late": lambda value: Late(cast("Wait", _wait_of(value))),
}


def _pairs(headers: Node) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), str(text)) for name, text in headers.items())


def nearest(wrong: str, allowed: Iterable[str]) -> str:
    """The nearest of what is allowed, or all of it."""
    names = list(allowed)
    near = get_close_matches(wrong[:200], names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 80 else f"{text[:80]}…")  # noqa: PLR2004 - a message's length
