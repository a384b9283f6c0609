"""The section `jobs`: which jobs a rule matches, and the order of the steps of these jobs.

Each rule and each step is checked separately, so that no mistake hides another mistake.
These checks do not use the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from upsim.core.faults import is_like
from upsim.core.globs import flaw
from upsim.core.states import EDGES, TERMINAL, UNSUCCESSFUL, JobState
from upsim.core.suggestions import nearest_to, shown, suggest, suggestion, unknown, unknown_value
from upsim.scenario.durations import DURATION, meant_time
from upsim.scenario.model import word
from upsim.scenario.rule_vocabulary import inputs_of, statuses_of, values_of, wrong_source
from upsim.scenario.schema import properties_of
from upsim.scenario.yaml_tree import Found, Value, items, mapping

STATES = tuple(state.value for state in JobState if state is not JobState.DELETED)
"""The allowed names of a step."""
_KEYS = tuple(properties_of("job_rule"))
_RULE = "a rule is {lifecycle: [steps]}, with when: {name: value} to match only some jobs"
_STEP = "a step ends after a duration such as 90s, after {polls: <number from 1>}, or by command"
_FORM = "a step is {state: how it ends}, such as {processing: 90s}"


def job_mistakes(rules: Value, root: Mapping[str, Value], written: Mapping[str, Value]) -> Found:
    """Yield all mistakes in the rules of a file, at places within it.

    `root` is the valid part of the file; `written` is the whole file including invalid options.
    """
    fields = _fields(root, written)
    above: list[frozenset[tuple[str, str]] | None] = []
    for i, rule in enumerate(items(rules)):
        for place, message in _rule_mistakes(rule, root, fields):
            yield ("jobs", i, *place), message
        asked = _asked(rule)
        taken = None if asked is None else _taken_by(asked, above)
        if taken is not None:
            by = f"jobs[{taken}]" + ("" if above[taken] else ", which has no when,")
            yield (
                ("jobs", i),
                f"this rule can never match: {by} matches all of its jobs; move this rule up",
            )
        above.append(asked)


def wrong_order(states: Sequence[str | None]) -> Iterator[tuple[int, str]]:
    """Yield each state that cannot follow the state before it (None: unknown state)."""
    if states and states[0] in TERMINAL:
        yield 0, "a job starts waiting or processing"
    for i, (before, after) in enumerate(pairwise(states)):
        if None not in (before, after) and (before, after) not in EDGES:
            yield i + 1, f"a job that is {before} cannot become {after}"


def unknown_state(name: object, statuses: Mapping[str, str], provider: str) -> str:
    """Return a message for an unknown state, with the states that the provider's word means."""
    said = str(name).lower()
    meant = [state for state in STATES if statuses.get(state, "").lower() == said]
    every = f"allowed: {', '.join(STATES)}"
    if meant:
        which = " or ".join(f"`{state}`" for state in meant)
        return f"{provider}'s `{name}` means {which}: write that; {every}"
    return f"unknown state {shown(name)}; {nearest_to(name, STATES)}"


def _rule_mistakes(
    rule: Value, root: Mapping[str, Value], fields: Mapping[str, Sequence[str] | None]
) -> Found:
    if not isinstance(rule, dict):
        yield (), f"{_RULE}; this is {shown(rule)}"
        return
    for key in rule:
        if key not in _KEYS:
            yield (key,), f"unknown key; {nearest_to(key, _KEYS)}"
    if "when" in rule:
        for place, message in _when_mistakes(rule["when"], fields):
            yield ("when", *place), message
    if "lifecycle" not in rule:
        yield (), "lacks lifecycle"
    elif not isinstance(rule["lifecycle"], list) or not rule["lifecycle"]:
        yield (
            ("lifecycle",),
            f"lifecycle is a list of steps, such as [{{processing: 90s}}, {{{_end(root)}}}]",
        )
    else:
        for place, message in _step_mistakes(rule["lifecycle"], root):
            yield ("lifecycle", *place), message


def _end(root: Mapping[str, Value]) -> str:
    return f"failed: {next(iter(mapping(root['failures'])), '')}".strip()


def _when_mistakes(when: Value, fields: Mapping[str, Sequence[str] | None]) -> Found:
    if not isinstance(when, dict):
        yield (), "write options or fields of the request as {name: value}"
        return
    for name, value in when.items():
        allowed = fields.get(name)
        if fields and name not in fields:
            yield (name,), f"no model has this option; {suggest(name, fields)}"
        elif isinstance(value, dict | list):
            yield (name,), "a field needs a single value"
        elif isinstance(value, str) and (broken := flaw(value)):
            yield (name,), f"{shown(value)} is not a valid glob: {broken}"
        elif allowed and not any(is_like(one, word(value)) for one in allowed):
            yield (name,), unknown("value", word(value), allowed)
        elif (wrong := wrong_source(name, value)) is not None:
            yield (name,), wrong


def _fields(
    root: Mapping[str, Value], written: Mapping[str, Value]
) -> dict[str, Sequence[str] | None]:
    """Return the names that a rule may test, with their allowed values (None: any value).

    The result is empty if a baseline does not list its request fields.
    """
    fields: dict[str, Sequence[str] | None] = dict.fromkeys(inputs_of(root))
    if not fields:
        return {}
    found = values_of(root)
    unsound = values_of(written)
    for name in {**found, **unsound}:
        same = found.get(name) == unsound.get(name)
        fields[name] = found[name] if same else None
    return fields


def _asked(rule: Value) -> frozenset[tuple[str, str]] | None:
    """Return the conditions of a rule as pairs; None if they cannot be read."""
    when = mapping(rule).get("when", {}) if isinstance(rule, dict) else None
    if not isinstance(when, dict) or any(isinstance(v, dict | list) for v in when.values()):
        return None
    return frozenset((name, word(value)) for name, value in when.items())


def _taken_by(
    asked: frozenset[tuple[str, str]], above: Sequence[frozenset[tuple[str, str]] | None]
) -> int | None:
    """Return the index of an earlier rule that matches every job which this rule matches."""
    return next((i for i, a in enumerate(above) if a is not None and a <= asked), None)


def _step_mistakes(steps: Sequence[Value], root: Mapping[str, Value]) -> Found:
    states: list[str | None] = []
    wrong: set[int] = set()
    for j, step in enumerate(steps):
        states.append(None)
        for place, message in _wrong_form(step, root):
            wrong.add(j)
            yield (j, *place), message
        if j in wrong:
            continue
        ((state, how),) = mapping(step).items()
        states[j] = state
        found = _wrong_end(state, how, root) if state in TERMINAL else _wrong_how(how)
        if found is not None:
            wrong.add(j)
            yield (j, state), found
    for index, message in wrong_order(states):
        yield (index, str(states[index])), message
    last = states[-1]
    if last is not None and len(steps) - 1 not in wrong and _is_a_way_on(last, steps[-1]):
        message = "the last step has no end state: add one, or write command"
        yield (len(steps) - 1, last), message


def _wrong_form(step: Value, root: Mapping[str, Value]) -> Found:
    if not isinstance(step, dict) or not step:
        yield (), f"{_FORM}; this is {shown(step)}"
    elif step.get("state") in STATES:
        how = step.get("for")
        yield (), f"{_FORM}: write {{{step['state']}: {how if isinstance(how, str) else '…'}}}"
    elif len(step) > 1:
        parts = ", ".join(f"{{{name}: …}}" for name in step)
        yield (), f"a step has one state: write [{parts}]"
    else:
        (state,) = step
        if state not in STATES:
            told = unknown_state(state, statuses_of(root), str(root["provider"]))
            yield (state,), told


def _is_a_way_on(state: str, step: Value) -> bool:
    return state not in TERMINAL and not (set(mapping(step).values()) & {None, "command"})


def _wrong_how(how: Value) -> str | None:
    """Return the mistake in `how`, which says how a step ends; None if it is valid."""
    if isinstance(how, dict):
        polls = how.get("polls")
        whole = isinstance(polls, int) and not isinstance(polls, bool)
        good = len(how) == 1 and whole and polls > 0  # type: ignore[operator]  # whole: it is an int
    else:
        good = how is None or how == "command" or DURATION.match(str(how)) is not None
    if good:
        return None
    if isinstance(how, dict) and list(how) == ["polls"]:
        form = f"polls is a whole number from 1, such as 2, not {shown(how['polls'])}"
        return f"{_STEP}; this is {shown(how)}: {form}"
    near = suggestion(str(next(iter(how), "")), ["polls"]) if isinstance(how, dict) else ""
    hint = f"; {near}" if near else meant_time(how)
    return f"{_STEP}; this is {shown(how)}{hint}"


def _wrong_end(state: str, how: Value, root: Mapping[str, Value]) -> str | None:
    """Return the mistake in `how` for this end state; None if it is valid."""
    if how is None:
        return None
    if state not in UNSUCCESSFUL:
        return f"a job that is {state} does not change any more; write `{state}:` without a value"
    failures = mapping(root["failures"])
    known = isinstance(how, str) and how in failures
    return None if known else unknown_value("failure", how, failures)
