"""The faults of a sandbox: armed by its scenario or by hand, matched call by call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from upsim.core.baseline import BaselineError
from upsim.core.events import FaultArmed, FaultDisarmed, FaultMatched
from upsim.core.faults import (
    DRAW_BITS,
    Armed,
    FaultRule,
    Late,
    Occasion,
    Respond,
    Stage,
    Word,
    concerns,
    fires,
)
from upsim.core.jobs import Job
from upsim.core.states import JobState
from upsim.core.webhooks import Delivery, FaultKind, WebhookFault
from upsim.engine.sandbox import Sandbox
from upsim.scenario.faults.selection import misfit

_KINDS: Mapping[Word, FaultKind] = {
    Word.LOSE: "lose",
    Word.DUPLICATE: "duplicate",
    Word.REORDER: "reorder",
    Word.BAD_SIGNATURE: "bad_signature",
    Word.STALE_SIGNATURE: "stale_signature",
}


class FaultTakenError(ValueError):
    """There is already a fault of this id."""


def plan(sandbox: Sandbox, rules: Iterable[FaultRule]) -> None:
    """Arm the faults of a scenario. Raises BaselineError for one that can never match."""
    sandbox.planned_faults = tuple(rules)
    unfit(sandbox, sandbox.planned_faults)
    for rule in sandbox.planned_faults:
        arm(sandbox, rule)


def unfit(sandbox: Sandbox, rules: Iterable[FaultRule]) -> None:
    """Raise BaselineError for a fault that can never match."""
    for rule in rules:
        kinds = {op.name: op.kind for op in sandbox.bound(rule.provider).provider.operations}
        message = misfit(rule.at, rule.on, kinds)
        if message is not None:
            raise BaselineError(f"fault {rule.id}: {message}")


def replan(sandbox: Sandbox, rules: Iterable[FaultRule]) -> None:
    """Let the scenario have armed these faults; those that stayed as they were keep their counts.

    One that was disarmed by hand stays so, and one that was armed by hand stays armed.
    """
    before = {rule.id: rule for rule in sandbox.planned_faults}
    sandbox.planned_faults = tuple(rules)
    after = {rule.id: rule for rule in sandbox.planned_faults}
    for name, rule in before.items():
        armed = sandbox.state.faults.get(name)
        if armed is not None and armed.rule == rule != after.get(name):
            disarm(sandbox, name)
    for name, rule in after.items():
        if rule != before.get(name) and name not in sandbox.state.faults:
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


def _always(_rule: FaultRule) -> bool:
    return True


def match(
    sandbox: Sandbox,
    stage: Stage,
    occasion: Occasion,
    *,
    early: bool = False,
    can: Callable[[FaultRule], bool] = _always,
) -> FaultRule | None:
    """The first armed fault that fires for a call at a stage.

    Those that were asked before it count the call too; one that has done its work counts no more.
    One that would fire, but `can` do nothing to this call, does not fire.
    A webhook that is `early` is no attempt yet: only then are such faults asked, and no others.
    """
    for armed in list(_concerned(sandbox, stage, occasion)):
        rule = armed.rule
        if (rule.do is Word.EARLY) is not early:
            continue
        draw = 0
        if rule.probability is not None:
            draw = sandbox.seeds.stream(_stream(rule.id)).getrandbits(DRAW_BITS)
        fired = fires(armed, draw) and can(rule)
        sandbox.commit(FaultMatched(sandbox.now, rule.id, fired))
        if fired:
            return rule
    return None


def webhook_action(
    sandbox: Sandbox, job: Job, *, coming: JobState | None = None
) -> FaultRule | None:
    """The fault that fires for one attempt to tell of a job, if any; its `do` says what.

    With `coming`, the state that a plan will bring, the one that tells of it too early.
    """
    if not sandbox.state.faults:
        return None
    accepted = job.accepted
    occasion = Occasion(
        provider=accepted.provider,
        operation=accepted.operation,
        kind="submit",
        account=account_names(sandbox, accepted.account),
        state=coming or job.state,
        document=accepted.inputs,
    )
    return match(sandbox, "webhook", occasion, early=coming is not None)


def attempt_fault(sandbox: Sandbox, delivery: Delivery, _number: int) -> WebhookFault | None:
    """What the armed faults do to an attempt to deliver a webhook."""
    rule = webhook_action(sandbox, sandbox.state.jobs[delivery.created.job])
    if rule is None:
        return None
    if isinstance(rule.do, Late):
        return WebhookFault("late", after=rule.do.wait.micros)
    if isinstance(rule.do, Respond):
        return WebhookFault("respond", status=rule.do.status)
    return WebhookFault(_KINDS[rule.do]) if isinstance(rule.do, Word) else None


def early_fault(sandbox: Sandbox, job: Job, coming: JobState) -> WebhookFault | None:
    """Whether an armed fault tells of a job's end before it comes."""
    rule = webhook_action(sandbox, job, coming=coming)
    return None if rule is None else WebhookFault("early")


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
