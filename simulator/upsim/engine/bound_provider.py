"""A provider bound to the rules of a sandbox: the checks of every operation, ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from upsim.core.baseline import Baseline, BaselineError
from upsim.core.bounded_cache import BoundedCache
from upsim.core.check_inputs import CheckUses
from upsim.core.checks import ALWAYS_NEEDED, COMMON, SAID_BY, Check
from upsim.core.instants import SECOND
from upsim.core.job_spec import JobSpec, failure_of
from upsim.core.knobs_and_dialects import Rules
from upsim.core.media import Media
from upsim.core.nearest_names import closest
from upsim.core.provider import Operation, Provider
from upsim.core.states import Failure
from upsim.scenario.model import Scenario

MAX_TERMS_KEPT = 4096
BODY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class EndPolicy(msgspec.Struct, frozen=True):
    """The actions after the end of a job; times are in microseconds, None means never."""

    refunded: frozenset[str]
    refund_after: int
    kept_for: int | None


class BoundProvider(msgspec.Struct, frozen=True):
    """A provider under one dialect: the rules, routes and checks that handle its requests."""

    provider: Provider
    rules: Rules
    checks: Mapping[str, tuple[Check, ...]]
    body_limits: Mapping[str, int]
    failures: Mapping[str, Failure]
    scenario: Scenario
    ending: EndPolicy
    known_terms: BoundedCache[object, tuple[Media | None, JobSpec]]
    """Terms by what they depend on: identical submits need not be priced twice."""
    generation: int = 0
    """How often the rules of the sandbox had changed when these were in force."""


def bind(
    provider: Provider, rules: Rules, scenario: Scenario, generation: int = 0
) -> BoundProvider:
    """Find every check that the baseline names, and the errors that those checks return.

    Raises BaselineError for a missing check or error.
    """
    _need_errors(provider, rules)
    return BoundProvider(
        provider=provider,
        rules=rules,
        checks={op.name: _checks(provider, rules, op) for op in provider.operations},
        body_limits={
            op.name: _body_limit(rules, op)
            for op in provider.operations
            if op.method in BODY_METHODS
        },
        failures={name: failure_of(rule) for name, rule in rules.failures.items()},
        scenario=scenario,
        ending=_ending(rules.baseline),
        known_terms=BoundedCache(MAX_TERMS_KEPT),
        generation=generation,
    )


def _ending(baseline: Baseline) -> EndPolicy:
    return EndPolicy(
        refunded=frozenset(baseline.refund.states),
        refund_after=int(baseline.refund.after * SECOND),
        kept_for=baseline.lifetime("jobs"),
    )


def _body_limit(rules: Rules, operation: Operation) -> int:
    """Return the maximum size of a body in bytes; a kind of operation may have its own limit."""
    own = f"{operation.kind}_body_bytes"
    return rules.wholes[own if own in rules.baseline.limits else "body_bytes"]


def _checks(provider: Provider, rules: Rules, operation: Operation) -> tuple[Check, ...]:
    names = rules.baseline.checks.get(operation.name)
    if names is None:
        msg = f"{provider.name}: the baseline has no checks for operation {operation.name!r}"
        raise BaselineError(msg)
    checks = tuple(_check(provider, name, operation) for name in names)
    flaw = _flaw(provider.uses, operation.name, names)
    if flaw is not None:
        msg = f"{provider.name}: checks.{operation.name}: {flaw}"
        raise BaselineError(msg)
    return checks


@lru_cache(maxsize=1_000)
def _flaw(uses: CheckUses, operation: str, names: tuple[str, ...]) -> str | None:
    """Return what is wrong with the order of an operation's checks; results are cached."""
    return next((flaw for _, flaw in uses.flaws(operation, names)), None)


def _need_errors(provider: Provider, rules: Rules) -> None:
    """Raise BaselineError if the catalogue lacks an error of the framework or a common check."""
    named = {name for names in rules.baseline.checks.values() for name in names}
    needed = dict.fromkeys(ALWAYS_NEEDED, "every provider needs it")
    for name in sorted(named & SAID_BY.keys()):
        if provider.checks.get(name) is COMMON[name]:
            needed |= dict.fromkeys(SAID_BY[name], f"the check {name!r} says it")
    missing = [f"{name!r} ({why})" for name, why in needed.items() if name not in rules.errors]
    if missing:
        msg = f"{provider.name}: the baseline's errors lack {', '.join(missing)}"
        raise BaselineError(msg)


def _check(provider: Provider, name: str, operation: Operation) -> Check:
    found = provider.checks.get(name)
    if found is None:
        near = closest(name, provider.checks)
        hint = f"; did you mean {near}?" if near else ""
        msg = f"{provider.name}: checks.{operation.name} names an unknown check {name!r}{hint}"
        raise BaselineError(msg)
    return found
