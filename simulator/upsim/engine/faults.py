"""The faults of a sandbox: armed by its scenario or by hand, matched call by call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from upsim.core.baseline import BaselineError
from upsim.core.events import FaultArmed, FaultDisarmed, FaultMatched
from upsim.core.faults import DRAW_BITS, Armed, FaultRule, Occasion, Stage, concerns, fires
from upsim.core.jobs import Job
from upsim.engine.sandbox import Sandbox
from upsim.scenario.faults import misfit


class FaultTakenError(ValueError):
    """There is already a fault of this id."""


def plan(sandbox: Sandbox, rules: Iterable[FaultRule]) -> None:
    """Arm the faults of a scenario. Raises BaselineError for one that can never match."""
    sandbox.planned_faults = tuple(rules)
    for rule in sandbox.planned_faults:
        kinds = {op.name: op.kind for op in sandbox.bound(rule.provider).provider.operations}
        message = misfit(rule.at, rule.on, kinds)
        if message is not None:
            raise BaselineError(f"fault {rule.id}: {message}")
        arm(sandbox, rule)


def arm(sandbox: Sandbox, rule: FaultRule) -> Armed:
    """Arm one fault. Raises FaultTakenError."""
    if rule.id in sandbox.state.faults:
        raise FaultTakenError(f"there is already a fault {rule.id!r} in sandbox {sandbox.id!r}")
    sandbox.commit(FaultArmed(sandbox.now, rule))
    return sandbox.state.faults[rule.id]


def disarm(sandbox: Sandbox, fault: str) -> None:
    """Take a fault away; the next one of this id begins as if there had been none."""
    sandbox.commit(FaultDisarmed(sandbox.now, fault))
    sandbox.seeds.restart(_stream(fault))


def disarm_all(sandbox: Sandbox) -> list[str]:
    """Take all faults away and say which they were."""
    names = list(sandbox.state.faults)
    for name in names:
        disarm(sandbox, name)
    return names


def reset(sandbox: Sandbox) -> None:
    """Leave armed what the scenario armed, with nothing counted."""
    disarm_all(sandbox)
    for rule in sandbox.planned_faults:
        arm(sandbox, rule)


def free_id(taken: Mapping[str, object]) -> str:
    """The first of `f1`, `f2`, … that no fault has."""
    number = 1
    while f"f{number}" in taken:
        number += 1
    return f"f{number}"


def match(sandbox: Sandbox, stage: Stage, occasion: Occasion) -> FaultRule | None:
    """The first armed fault that fires for a call at a stage.

    Those that were asked before it count the call too; one that has done its work counts no more.
    """
    for armed in list(_concerned(sandbox, stage, occasion)):
        rule = armed.rule
        draw = 0
        if rule.probability is not None:
            draw = sandbox.seeds.stream(_stream(rule.id)).getrandbits(DRAW_BITS)
        fired = fires(armed, draw)
        sandbox.commit(FaultMatched(sandbox.now, rule.id, fired))
        if fired:
            return rule
    return None


def webhook_action(sandbox: Sandbox, job: Job) -> FaultRule | None:
    """The fault that fires for one delivery of a job's webhook, if any; its `do` says what."""
    if not sandbox.state.faults:
        return None
    accepted = job.accepted
    occasion = Occasion(
        provider=accepted.provider,
        operation=accepted.operation,
        kind="submit",
        account=account_names(sandbox, accepted.account),
        state=job.state,
        document=accepted.inputs,
    )
    return match(sandbox, "webhook", occasion)


def account_names(sandbox: Sandbox, number: int | None) -> tuple[str, ...]:
    """What rules may call an account: its number and its name."""
    account = None if number is None else sandbox.state.accounts.get(number)
    return () if account is None else (str(account.number), account.name)


def _concerned(sandbox: Sandbox, stage: Stage, occasion: Occasion) -> Iterator[Armed]:
    for armed in sandbox.state.faults.values():
        if armed.remaining != 0 and concerns(armed.rule, stage, occasion):
            yield armed


def _stream(fault: str) -> str:
    return f"faults/{fault}"
