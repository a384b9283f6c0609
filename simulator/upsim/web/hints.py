"""Which dialect would serve a caller, where this one refuses it or never seems to finish."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import cast

from upsim.core.baseline import Baseline
from upsim.core.jobs import Job
from upsim.core.states import State
from upsim.engine.journal import Exchange
from upsim.engine.sandbox import Sandbox

PATIENCE = 4
"""So many polls of a finished job are one too many: its caller did not see that it is finished."""
EVERY = 20
"""From then on, each so many of its polls say so again."""
KEPT = 1000
"""Finished jobs whose polls are counted."""


class Hints:
    """What to tell whoever reads the log. Counts the polls of finished jobs."""

    def __init__(self) -> None:
        """Nothing was polled yet."""
        self._polls: OrderedDict[tuple[str, str], int] = OrderedDict()

    def __call__(self, sandbox: Sandbox, exchange: Exchange, job: Job | None) -> str:
        """A sentence about an exchange; empty where there is nothing to say."""
        if exchange.rule is not None:
            return refused(sandbox, exchange)
        if job is None or job.state is not State.COMPLETED or not _is_poll(sandbox, exchange):
            return ""
        key = (sandbox.id, job.id)
        count = self._polls[key] = self._polls.pop(key, 0) + 1
        if len(self._polls) > KEPT:
            self._polls.popitem(last=False)
        if count != PATIENCE and (count < PATIENCE or count % EVERY):
            return ""
        return _polled(_baseline(sandbox, exchange), exchange.dialect, count)


def refused(sandbox: Sandbox, exchange: Exchange) -> str:
    """The dialect, or else the knob, with which a check would not have refused."""
    baseline = _baseline(sandbox, exchange)
    wanted = cast("Mapping[str, Mapping[str, str]]", _hints(baseline).get("refusals", {}))
    for name, value in wanted.get(exchange.check, {}).items():
        knob = baseline.knobs[name]
        serving = [one for one in baseline.dialects if knob.by_dialect[one] == value]
        if exchange.dialect in serving:
            return ""
        paths = " or ".join(_path(baseline, one) for one in serving)
        return f"{paths} would serve it (knob {name}: {value})"
    return ""


def _polled(baseline: Baseline, dialect: str, count: int) -> str:
    texts = cast("Mapping[str, str]", _hints(baseline).get("finished", {}))
    said = texts.get(dialect, "")
    return f"this finished job was polled {count} times: {said}" if said else ""


def _hints(baseline: Baseline) -> Mapping[str, object]:
    fact = baseline.facts.get("hints")
    return cast("Mapping[str, object]", fact.value) if fact else {}


def _path(baseline: Baseline, dialect: str) -> str:
    first = dialect == baseline.dialects[0]
    return f"/{baseline.provider}" if first else f"/{baseline.provider}/{dialect}"


def _baseline(sandbox: Sandbox, exchange: Exchange) -> Baseline:
    return sandbox.scenario_for(exchange.provider).baseline


def _is_poll(sandbox: Sandbox, exchange: Exchange) -> bool:
    operations = sandbox.bound(exchange.provider).provider.operations
    return any(one.name == exchange.operation and one.kind == "poll" for one in operations)
