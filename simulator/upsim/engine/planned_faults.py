"""The faults that a scenario arms: at the start, after a reset and after a change of rules."""

from __future__ import annotations

from collections.abc import Iterable

from upsim.core.baseline import BaselineError
from upsim.core.faults import FaultRule
from upsim.engine.faults import arm, disarm, disarm_all
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.timeline import Timeline


class PlannedFaults:
    """The faults of one sandbox's scenario, without faults that were armed by hand."""

    __slots__ = ("_rules", "_timeline", "planned")

    def __init__(self, timeline: Timeline, rules: RuleVersions) -> None:
        """Start without faults."""
        self._timeline = timeline
        self._rules = rules
        self.planned: tuple[FaultRule, ...] = ()

    def __contains__(self, rule: FaultRule) -> bool:
        """Return whether the scenario arms this fault."""
        return rule in self.planned

    def start(self, faults: Iterable[FaultRule]) -> None:
        """Arm the faults of a scenario. Raises BaselineError for one that can never match."""
        self.planned = tuple(faults)
        self.check(self.planned)
        for rule in self.planned:
            arm(self._timeline, rule)

    def check(self, faults: Iterable[FaultRule]) -> None:
        """Raise BaselineError for a fault that can never match."""
        for rule in faults:
            from upsim.scenario.faults.matched_requests import misfit  # most servers have none

            operations = self._rules.bound(rule.provider).provider.operations
            message = misfit(rule.at, rule.on, {op.name: op.kind for op in operations})
            if message is not None:
                raise BaselineError(f"fault {rule.id}: {message}")

    def replace(self, faults: Iterable[FaultRule]) -> None:
        """Arm other faults; unchanged faults keep their counters.

        A fault that was disarmed by hand stays disarmed. A fault that was armed by hand stays
        armed.
        """
        armed = self._timeline.state.faults
        before = {rule.id: rule for rule in self.planned}
        self.planned = tuple(faults)
        after = {rule.id: rule for rule in self.planned}
        for name, rule in before.items():
            if name in armed and armed[name].rule == rule != after.get(name):
                disarm(self._timeline, name)
        for name, rule in after.items():
            if rule != before.get(name) and name not in armed:
                arm(self._timeline, rule)

    def reset(self) -> None:
        """Leave only the scenario's faults armed, and reset their counters."""
        disarm_all(self._timeline)
        for rule in self.planned:
            arm(self._timeline, rule)
