"""The faults of a sandbox: armed by its scenario or by hand, and checked for each call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from upsim.core.call import Call
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
    has_values,
    is_about,
)
from upsim.core.jobs import Job
from upsim.core.states import JobState
from upsim.core.webhooks import Delivery, FaultKind, WebhookFault
from upsim.engine.timeline import Timeline

_KINDS: Mapping[Word, FaultKind] = {
    Word.LOSE: "lose",
    Word.DUPLICATE: "duplicate",
    Word.REORDER: "reorder",
    Word.BAD_SIGNATURE: "bad_signature",
    Word.STALE_SIGNATURE: "stale_signature",
}


class FaultTakenError(ValueError):
    """A fault with this id already exists."""


def arm(timeline: Timeline, rule: FaultRule) -> Armed:
    """Arm one fault. Raises FaultTakenError."""
    if rule.id in timeline.state.faults:
        raise FaultTakenError(f"there is already a fault {rule.id!r} in sandbox {timeline.id!r}")
    timeline.commit(FaultArmed(timeline.now, rule))
    return timeline.state.faults[rule.id]


def disarm(timeline: Timeline, fault: str) -> None:
    """Remove a fault; a later fault with this id starts with empty counters."""
    timeline.commit(FaultDisarmed(timeline.now, fault))


def disarm_all(timeline: Timeline) -> list[str]:
    """Remove all faults and return their ids."""
    names = list(timeline.state.faults)
    for name in names:
        disarm(timeline, name)
    return names


def free_id(taken: Mapping[str, object]) -> str:
    """Return the first unused id of the series `f1`, `f2` and so on."""
    number = 1
    while f"f{number}" in taken:
        number += 1
    return f"f{number}"


def occasion_of(timeline: Timeline, call: Call) -> Occasion:
    """Return a request in the form that rules match, with the present state of its job."""
    return Occasion(
        provider=call.rules.baseline.provider,
        operation=call.operation,
        kind=call.kind,
        account=_names(timeline, call),
        state=_state(timeline, call),
        document=call.json() if call.body else None,
    )


def may_match(timeline: Timeline, call: Call, stages: Collection[Stage]) -> bool:
    """Return whether an armed fault matches a request at one of these stages.

    The match is not counted. Files are not known here: rules of `download` match none.
    """
    provider = call.rules.baseline.provider
    for armed in timeline.state.faults.values():
        rule = armed.rule
        if rule.at in stages and rule.provider == provider and _matches(timeline, armed, call):
            return True
    return False


def _matches(timeline: Timeline, armed: Armed, call: Call) -> bool:
    """Return what `concerns` returns for the request; only conditions of the rule are looked up."""
    rule = armed.rule
    return (
        is_about(rule, call.operation, call.kind)
        and (rule.first is None or armed.fired < rule.first)
        and (rule.account is None or rule.account in _names(timeline, call))
        and (rule.state is None or rule.state is _state(timeline, call))
        and (not rule.when or has_values(rule, call.json() if call.body else None))
    )


def _state(timeline: Timeline, call: Call) -> JobState | None:
    job = call.job
    return None if job is None else timeline.state.jobs.get(job.id, job).state


def _names(timeline: Timeline, call: Call) -> tuple[str, ...]:
    return account_names(timeline, call.account.number if call.account else None)


def _always(_rule: FaultRule) -> bool:
    return True


def match(
    timeline: Timeline,
    stage: Stage,
    occasion: Occasion,
    *,
    early: bool = False,
    can: Callable[[FaultRule], bool] = _always,
) -> FaultRule | None:
    """Return the first armed fault that fires for a call at a stage.

    * Faults that were checked before it count the call as a match. A used-up fault counts no
      more matches.
    * A fault does not fire if `can` returns False for it, because it would change nothing.
    * `early` is for a webhook before the end of its job: then only `early` faults are
      checked. In all other cases they are not checked.
    """
    for armed in list(_concerned(timeline, stage, occasion)):
        rule = armed.rule
        if (rule.do is Word.EARLY) is not early:
            continue
        draw = 0
        if rule.probability is not None:
            draw = timeline.seeds.draw(f"faults/{rule.id}", armed.matched).getrandbits(DRAW_BITS)
        fired = fires(armed, draw) and can(rule)
        timeline.commit(FaultMatched(timeline.now, rule.id, fired))
        if fired:
            return rule
    return None


def webhook_action(
    timeline: Timeline, job: Job, *, coming: JobState | None = None
) -> FaultRule | None:
    """Return the fault that fires for one attempt to send a webhook, or None.

    `coming` is the planned next state; with it, return the fault that reports it too early.
    """
    if not timeline.state.faults:
        return None
    accepted = job.accepted
    occasion = Occasion(
        provider=accepted.provider,
        operation=accepted.operation,
        kind="submit",
        account=account_names(timeline, accepted.account),
        state=coming or job.state,
        document=accepted.inputs,
    )
    return match(timeline, "webhook", occasion, early=coming is not None)


def attempt_fault(timeline: Timeline, delivery: Delivery, _number: int) -> WebhookFault | None:
    """Return the effect of the armed faults on an attempt to deliver a webhook."""
    rule = webhook_action(timeline, timeline.state.jobs[delivery.created.job])
    if rule is None:
        return None
    if isinstance(rule.do, Late):
        return WebhookFault("late", after=rule.do.wait.micros)
    if isinstance(rule.do, Respond):
        return WebhookFault("respond", status=rule.do.status)
    return WebhookFault(_KINDS[rule.do]) if isinstance(rule.do, Word) else None


def early_fault(timeline: Timeline, job: Job, coming: JobState) -> WebhookFault | None:
    """Return the fault that reports a job's end before it happens, or None."""
    rule = webhook_action(timeline, job, coming=coming)
    return None if rule is None else WebhookFault("early")


def account_names(timeline: Timeline, number: int | None) -> tuple[str, ...]:
    """Return the names by which rules may refer to an account: its number and its name."""
    account = None if number is None else timeline.state.accounts.get(number)
    return () if account is None else (str(account.number), account.name)


def _concerned(timeline: Timeline, stage: Stage, occasion: Occasion) -> Iterator[Armed]:
    for armed in timeline.state.faults.values():
        if armed.remaining != 0 and concerns(armed.rule, stage, occasion):
            yield armed
