"""Find a dialect for a client that is refused, or that polls finished jobs again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict, cast

import msgspec

from upsim.core.baseline import Baseline
from upsim.core.bounded_cache import BoundedCache
from upsim.core.call import Call, SandboxApi
from upsim.core.checks import Violation, first_violation
from upsim.core.knobs_and_dialects import Rules
from upsim.core.states import JobState
from upsim.engine.sandbox import Sandbox

_Forms = Mapping[str, Mapping[str, str]]


class _Ending(TypedDict):
    """A form of a finished job that some clients expect, its knobs, and perhaps a scenario."""

    wants: str
    knobs: Mapping[str, str]
    scenario: NotRequired[str]


PATIENCE = 4
"""Polls of a finished job after which its client probably did not see that the job is finished."""
KEPT = 1000
"""Finished jobs whose polls are counted."""


class _Polls(msgspec.Struct):
    """Polls of one finished job, with the latest poll that was examined and its hint."""

    count: int = 0
    asked: tuple[object, ...] = ()
    hint: str = ""


class Hints:
    """Counts polls of finished jobs, and keeps a hint for each job, for log and journal."""

    def __init__(self) -> None:
        """Start with no polls counted."""
        self._polls: BoundedCache[tuple[str, str], _Polls] = BoundedCache(KEPT)

    def of_poll(self, sandbox: Sandbox, call: Call, form: str) -> str:
        """Return what helps a client that polls a finished job repeatedly; empty at first.

        `form` is how the poll was answered: `document` or `file`.
        """
        job = call.job
        if job is None or job.state is not JobState.COMPLETED:
            return ""
        key = (sandbox.id, job.id)
        polls = self._polls.pop(key, None) or _Polls()
        self._polls[key] = polls
        polls.count += 1
        if polls.count < PATIENCE:
            return ""
        asked = (call.rules, hash(call.body), form)
        if polls.asked != asked:  # the same poll has the same hint
            polls.asked, polls.hint = asked, _wanted(sandbox, call, form)
        return f"this finished job was polled {polls.count} times{polls.hint}" * bool(polls.hint)


def refusal(sandbox: Sandbox, call: Call) -> str:
    """Return the dialects without the rule that refused a call, and the knob for this rule.

    Each candidate checks the same call. A dialect is not named if another rule that depends
    on the dialect refuses the call there.
    """
    baseline = call.rules.baseline
    by_knob = cast("Mapping[str, object]", _fact(baseline).get("refusals", {}))
    knob = by_knob.get(call.refused_by)
    if not isinstance(knob, str) or knob not in call.rules.knobs:  # none, or what a scenario says
        return ""
    served: dict[str, list[str]] = {}
    for dialect in baseline.dialects:
        bound, world = sandbox.view(baseline.provider, dialect)
        value = bound.rules.knobs[knob]
        if value == call.rules.knobs[knob]:
            continue
        again = _again(call, bound.rules, world)
        outcome = first_violation(again, bound.checks[call.operation])
        if not isinstance(outcome, Violation) or outcome.check not in by_knob:
            served.setdefault(value, []).append(_path(sandbox, baseline, dialect))
    said = [
        f"{' and '.join(paths)} {'do' if len(paths) > 1 else 'does'} not refuse this"
        f" (knob {knob}: {value})"
        for value, paths in served.items()
    ]
    return "; ".join(said)


def _again(call: Call, rules: Rules, world: SandboxApi) -> Call:
    """Return a fresh copy of the call, under other rules."""
    return Call(
        call.operation,
        call.kind,
        rules=rules,
        sandbox=world,
        urls=call.urls,
        method=call.method,
        path=call.path,
        params=call.params,
        query_string=call.query_string,
        headers=call.headers,
        body=call.body,
        credential=call.credential,
        account=call.account,
        now=call.now,
        oversized=call.oversized,
        measured=call.measured,
        document=call.document,
        size=call.size,
        file=call.file,
    )


def _wanted(sandbox: Sandbox, call: Call, form: str) -> str:
    """Return, for each form of an end that a client may expect, how the client can get it.

    A dialect is named only if it accepts the same poll. A knob always helps, because a knob
    that is set alone applies in every dialect.
    """
    baseline = call.rules.baseline
    fact = cast("Mapping[str, object]", _fact(baseline).get("finished", {}))
    now = {**call.rules.knobs, **cast("_Forms", fact.get("answered", {})).get(form, {})}
    said = ""
    for ending in cast("Sequence[_Ending]", fact.get("endings", ())):
        knobs = {name: value for name, value in ending["knobs"].items() if now.get(name) != value}
        if not knobs:
            continue
        ways = list(_serving(sandbox, call, ending["knobs"]))
        if "scenario" in ending:
            ways.append(f"the scenario {ending['scenario']}")
        chosen = ", ".join(f"{name}: {value}" for name, value in knobs.items())
        ways.append(f"{'knobs' if len(knobs) > 1 else 'knob'} {chosen}")
        said += f"; a client that waits for {ending['wants']} needs {' or '.join(ways)}"
    return said


def _serving(sandbox: Sandbox, call: Call, knobs: Mapping[str, str]) -> Iterator[str]:
    """Yield the path prefixes of dialects that have these knobs and accept the call."""
    baseline = call.rules.baseline
    for dialect in baseline.dialects:
        bound, world = sandbox.view(baseline.provider, dialect)
        if knobs.items() <= bound.rules.knobs.items():
            again = _again(call, bound.rules, world)
            if first_violation(again, bound.checks[call.operation]) is None:
                yield _path(sandbox, baseline, dialect)


def _fact(baseline: Baseline) -> Mapping[str, object]:
    fact = baseline.facts.get("hints")
    return cast("Mapping[str, object]", fact.value) if fact else {}


def _path(sandbox: Sandbox, baseline: Baseline, dialect: str) -> str:
    """Return the path prefix of a dialect in this sandbox."""
    provider = baseline.provider
    usual = sandbox.bound(provider).rules.dialect == dialect
    return f"/{provider}" if usual else f"/{provider}/{dialect}"
