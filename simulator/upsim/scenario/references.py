"""Names in a resolved scenario that must exist elsewhere in it, which no schema can say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from string import Formatter

from upsim.core.states import EDGES, TERMINAL, UNSUCCESSFUL
from upsim.scenario.inputs import inputs_of
from upsim.scenario.model import word
from upsim.scenario.spelling import nearest, unknown
from upsim.scenario.tree import Found, Place, Value, items, mapping

DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|m|h|d)\Z")
"""How long a step lasts, such as `90s`."""

_FOUND_BY = ("duration", "file", "unreachable", "not_a_video")
_MEASURES = ("output_height",)
_STEP = "a step ends by a time such as 90s, by {polls: <whole number from 1>} or by command"


def reference_mistakes(value: Value) -> Found:
    """Every name in a file, valid by the schema, that stands for nothing there."""
    root = mapping(value)
    yield from _knobs(mapping(root["knobs"]))
    yield from _dialect(root)
    yield from _plans(root)
    yield from _media(root)
    yield from _jobs(root)
    yield from _models(root)
    yield from _messages(root)


def _knobs(knobs: dict[str, Value]) -> Found:
    defined = [name for name, knob in knobs.items() if isinstance(knob, dict)]
    for name, knob in knobs.items():
        place = ("knobs", name)
        if not isinstance(knob, dict):
            yield place, unknown("knob", name, defined)
            continue
        values = [str(item) for item in items(knob["values"])]
        for key in ("guide", "live", "auto", "chosen"):
            if key in knob and knob[key] not in values:
                yield place, unknown("value", str(knob[key]), values)


def _dialect(root: dict[str, Value]) -> Found:
    dialects = [str(item) for item in items(root["dialects"])]
    if "dialect" in root and root["dialect"] not in dialects:
        yield ("dialect",), unknown("dialect", str(root["dialect"]), dialects)


def _plans(root: dict[str, Value]) -> Found:
    plans = mapping(root["plans"])
    own = mapping(mapping(root.get("accounts")).get(str(root["provider"])))
    places: tuple[Place, ...] = (("account",), ("accounts", str(root["provider"])))
    for place, holder in zip(places, (mapping(root["account"]), own), strict=True):
        if "plan" in holder and holder["plan"] not in plans:
            yield (*place, "plan"), unknown("plan", str(holder["plan"]), plans)


def _media(root: dict[str, Value]) -> Found:
    for i, rule in enumerate(items(root.get("media"))):
        given = [key for key in _FOUND_BY if key in mapping(rule)]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "has none"
            yield ("media", i), f"a rule needs one of {', '.join(_FOUND_BY)}; this one {found}"


def _jobs(root: dict[str, Value]) -> Found:
    fields = _fields(root)
    for i, rule in enumerate(items(root.get("jobs"))):
        for name, value in mapping(mapping(rule).get("when")).items():
            place: Place = ("jobs", i, "when", name)
            if fields and name not in fields:
                yield place, f"no model has this; {nearest(name, fields)}"
            elif fields.get(name) and word(value) not in fields[name]:
                yield place, unknown("value", word(value), fields[name])
        yield from _lifecycle(root, items(mapping(rule)["lifecycle"]), ("jobs", i, "lifecycle"))


def _fields(root: dict[str, Value]) -> dict[str, list[str]]:
    """What a rule may ask for, with the values that it may have ([]: any).

    Empty where a baseline does not say what its requests hold.
    """
    fields: dict[str, list[str]] = {name: [] for name in inputs_of(root)}
    if not fields:
        return {}
    models = mapping(root["models"])
    options = [mapping(mapping(model).get("options")) for model in models.values()]
    for name, option in (pair for found in options for pair in found.items()):
        allowed = [str(item) for item in items(mapping(option)["allowed"])]
        fields[name] = [*fields.get(name, []), *allowed]
    return {**fields, "model": list(models)}


def _lifecycle(root: dict[str, Value], steps: list[Value], place: Place) -> Found:
    failures = mapping(root["failures"])
    states: list[str] = []
    for j, step in enumerate(steps):
        ((state, how),) = mapping(step).items()
        states.append(state)
        message = _wrong_end(state, how, failures) if state in TERMINAL else _wrong_step(how)
        if message is not None:
            yield (*place, j, state), message
    for index, message in _wrong_order(states):
        yield (*place, index, states[index]), message
    last = mapping(steps[-1])
    if states[-1] not in TERMINAL and not (set(last.values()) & {None, "command"}):
        message = "the last step has nowhere to go: add an end, or write command"
        yield (*place, len(steps) - 1, states[-1]), message


def _wrong_order(states: list[str]) -> Iterator[tuple[int, str]]:
    if states[0] in TERMINAL:
        yield 0, "a job begins waiting or processing"
    for i, (before, after) in enumerate(pairwise(states)):
        if (before, after) not in EDGES:
            yield i + 1, f"a job that is {before} cannot become {after}"


def _wrong_step(how: Value) -> str | None:
    """What is wrong with how a step ends, if anything."""
    if isinstance(how, dict):
        polls = how.get("polls")
        good = len(how) == 1 and isinstance(polls, int) and polls > 0
    else:
        good = how is None or how == "command" or DURATION.match(str(how)) is not None
    return None if good else f"{_STEP}; this is {_shown(how)}"


def _wrong_end(state: str, how: Value, failures: Mapping[str, Value]) -> str | None:
    """What is wrong with what an end says, if anything."""
    if how is None:
        return None
    if state not in UNSUCCESSFUL:
        return f"a job that is {state} stays so; write `{state}:` with nothing behind it"
    return None if how in failures else unknown("failure", str(how), failures)


def _shown(value: Value) -> str:
    return repr(str(value))


def _models(root: dict[str, Value]) -> Found:
    for name, model in mapping(root["models"]).items():
        place: Place = ("models", name)
        options = mapping(mapping(model).get("options"))
        for option, found in options.items():
            values = [str(item) for item in items(mapping(found)["allowed"])]
            default = str(mapping(found)["default"])
            if default not in values:
                yield (*place, "options", option, "default"), unknown("value", default, values)
        yield from _phases(root, mapping(model), place)
        yield from _rates(mapping(model), options, place)
        yield from _outputs(mapping(model), options, place)


def _phases(root: dict[str, Value], model: dict[str, Value], place: Place) -> Found:
    phases = items(mapping(model["lifecycle"])["phases"])
    here: Place = (*place, "lifecycle", "phases")
    for i, phase in enumerate(phases):
        failure, failures = mapping(phase).get("failure"), mapping(root["failures"])
        if failure is not None and failure not in failures:
            yield (*here, i, "failure"), unknown("failure", str(failure), failures)
    for i, message in _wrong_order([str(mapping(phase)["state"]) for phase in phases]):
        yield (*here, i, "state"), message


def _rates(model: dict[str, Value], options: dict[str, Value], place: Place) -> Found:
    rate = mapping(mapping(model["billing"])["rate"])
    here: Place = (*place, "billing", "rate")
    by = rate.get("by")
    if by is None:
        if "flat" not in rate:
            yield here, "a rate is flat, or says by what"
    elif by not in options and by not in _MEASURES:
        yield (*here, "by"), unknown("option", str(by), [*options, *_MEASURES])
    elif by in options and not rate.get("tiers"):
        yield from _lacking(mapping(rate.get("table")), options, str(by), place, "the rate")
    elif by in _MEASURES and (
        not (tiers := items(rate.get("tiers"))) or "up_to" in mapping(tiers[-1])
    ):
        yield (*here, "tiers"), "the last tier has no up_to, so that every number has a rate"


def _outputs(model: dict[str, Value], options: dict[str, Value], place: Place) -> Found:
    output = mapping(model["output"])
    kinds = [kind for kind in ("scale", "short_side") if kind in output]
    if len(kinds) != 1:
        yield (*place, "output"), "an output has either scale or short_side"
        return
    rule = mapping(output[kinds[0]])
    here: Place = (*place, "output", kinds[0])
    by = rule.get("by")
    if by is None:
        if "value" not in rule:
            yield here, "a size has a value, or says by what"
    elif by not in options:
        yield (*here, "by"), unknown("option", str(by), options)
    else:
        yield from _lacking(mapping(rule.get("table")), options, str(by), place, "the output")


def _lacking(
    table: dict[str, Value], options: dict[str, Value], by: str, model: Place, what: str
) -> Found:
    """Values of an option that a table says nothing about."""
    for i, value in enumerate(items(mapping(options[by])["allowed"])):
        if value not in table:
            yield (*model, "options", by, "allowed", i), f"{what} has no line for {value!r}"


def _messages(root: dict[str, Value]) -> Found:
    """Texts whose braces cannot be filled in; why a job failed has nothing to fill in."""
    for section in ("errors", "failures"):
        for name, entry in mapping(root[section]).items():
            forms: list[tuple[Place, dict[str, Value]]] = [((section, name), mapping(entry))]
            for i, variant in enumerate(items(mapping(entry).get("variants"))):
                forms.append(((section, name, "variants", i), mapping(variant)))
            for place, form in forms:
                message = _wrong_text(str(form.get("message", "")), filled=section == "errors")
                if message is not None:
                    yield (*place, "message"), message


def _wrong_text(text: str, *, filled: bool) -> str | None:
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        return f"{error}; a brace that stays is doubled"
    if not filled and names:
        return f"{{{names[0]}}} is not filled in here; a brace that stays is doubled"
    wrong = [name for name in names if not name.isidentifier()]
    return f"{{{wrong[0]}}} is no name; a brace that stays is doubled" if wrong else None
