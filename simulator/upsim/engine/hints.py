"""Which dialect would serve a caller, where this one refuses it or never seems to finish."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import cast

from upsim.core.baseline import Baseline, Rules
from upsim.core.call import Call, World
from upsim.core.checks import Violation, first_violation
from upsim.core.states import State
from upsim.engine.sandbox import Sandbox

PATIENCE = 4
"""So many polls of a finished job are one too many: its caller did not see that it is finished."""
EVERY = 20
"""From then on, each so many of its polls say so again."""
KEPT = 1000
"""Finished jobs whose polls are counted."""


class Hints:
    """Decides the hint of each exchange, for log and journal. Counts polls of finished jobs."""

    def __init__(self) -> None:
        """Start with no polls counted."""
        self._polls: OrderedDict[tuple[str, str], int] = OrderedDict()

    def of(self, sandbox: Sandbox, call: Call, *, refused: bool) -> str:
        """Return a sentence about a refused call or a poll; empty if there is nothing to say."""
        if refused:
            return refusal(sandbox, call)
        job = call.job
        if job is None or job.state is not State.COMPLETED:
            return ""
        key = (sandbox.id, job.id)
        count = self._polls[key] = self._polls.pop(key, 0) + 1
        if len(self._polls) > KEPT:
            self._polls.popitem(last=False)
        if count != PATIENCE and (count < PATIENCE or count % EVERY):
            return ""
        return _polled(call.rules, count)


def refusal(sandbox: Sandbox, call: Call) -> str:
    """Return which dialects do not have the rule that refused a call, and their knob.

    Each candidate checks the same call; if a rule that dialects decide on refuses it there too,
    that dialect is not named.
    """
    baseline = call.rules.baseline
    by_knob = cast("Mapping[str, object]", _fact(baseline).get("refusals", {}))
    knob = by_knob.get(call.refused_by)
    if not isinstance(knob, str) or knob not in call.rules.knobs:  # none, or what a scenario says
        return ""
    served: dict[str, list[str]] = {}
    for dialect in baseline.dialects:
        bound, world = sandbox.webhooks.world_of(sandbox, baseline.provider, dialect)
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


def _again(call: Call, rules: Rules, world: World) -> Call:
    """Return the call as it came, under other rules."""
    return Call(
        call.operation,
        call.kind,
        rules,
        world,
        call.origin,
        call.method,
        call.path,
        call.params,
        call.query_string,
        call.headers,
        call.body,
        call.decode,
        call.credential,
        call.account,
        now=call.now,
        oversized=call.oversized,
        measured=call.measured,
        document=call.document,
        size=call.size,
        file=call.file,
    )


def _polled(rules: Rules, count: int) -> str:
    texts = cast("Mapping[str, str]", _fact(rules.baseline).get("finished", {}))
    said = texts.get(rules.dialect, "")
    return f"this finished job was polled {count} times: {said}" if said else ""


def _fact(baseline: Baseline) -> Mapping[str, object]:
    fact = baseline.facts.get("hints")
    return cast("Mapping[str, object]", fact.value) if fact else {}


def _path(sandbox: Sandbox, baseline: Baseline, dialect: str) -> str:
    """Return the path prefix of a dialect in this sandbox."""
    provider = baseline.provider
    usual = sandbox.bound(provider).rules.dialect == dialect
    return f"/{provider}" if usual else f"/{provider}/{dialect}"
