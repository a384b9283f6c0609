"""Invariants of a sandbox, written independently of the engine's own tables."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

from upsim.core.jobs import Job
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import SandboxState

MAY_FOLLOW = {
    "waiting": {"processing", "completed", "failed", "cancelled", "timeout", "deleted"},
    "processing": {"completed", "failed", "cancelled", "timeout", "deleted"},
    "completed": {"deleted"},
    "failed": {"deleted"},
    "cancelled": {"deleted"},
    "timeout": {"deleted"},
    "deleted": set[str](),
}
REFUNDED = {"failed", "cancelled", "timeout"}
UNFINISHED = {"waiting", "processing"}


def path_of(job: Job) -> list[str]:
    """Return the states a job went through."""
    return [job.accepted.phases[0].state.value, *(move.state.value for move in job.moves)]


def moves_are_legal(sandbox: Sandbox) -> None:
    """Every job went forward along declared edges, at instants that never go back."""
    for job in sandbox.state.jobs.values():
        path = path_of(job)
        for before, after in pairwise(path):
            assert after in MAY_FOLLOW[before], path
        instants = [job.accepted.at, *(move.at for move in job.moves)]
        assert sorted(instants) == instants, path
        assert instants[-1] <= sandbox.now, path


def balances_are_sums(sandbox: Sandbox) -> None:
    """Every balance is the opening plus the entries, exactly, and never below zero."""
    for account in sandbox.state.accounts.values():
        total = sum((entry.amount for entry in account.entries.values()), account.opening)
        assert account.balance == total, account.name
        assert account.balance >= 0, account.name


def jobs_are_charged_once(sandbox: Sandbox) -> None:
    """Every job has one charge, the price it was quoted, and at most one refund, when it failed."""
    charges: Counter[str] = Counter()
    refunds: dict[str, list[Decimal]] = {}
    amounts: dict[str, Decimal] = {}
    for account in sandbox.state.accounts.values():
        for entry in account.entries.values():
            if entry.kind == "charge":
                assert entry.job is not None
                charges[entry.job] += 1
                amounts[entry.job] = -entry.amount
            elif entry.kind == "refund":
                assert entry.job is not None
                refunds.setdefault(entry.job, []).append(entry.amount)
    assert charges == Counter(list(sandbox.state.jobs))
    for job in sandbox.state.jobs.values():
        assert amounts[job.id] == job.accepted.quote.amount
        failed = REFUNDED & set(path_of(job))
        assert refunds.pop(job.id, []) == ([amounts[job.id]] if failed else [])
    assert refunds == {}


def counters_are_recounts(sandbox: Sandbox) -> None:
    """The counters of running and queued jobs equal a recount of the jobs."""
    for account in sandbox.state.accounts.values():
        own = [sandbox.state.jobs[name] for name in account.jobs]
        unfinished = [job for job in own if path_of(job)[-1] in UNFINISHED]
        assert account.running == sum(job.started for job in unfinished), account.name
        assert list(account.queue) == [j.id for j in unfinished if not j.started], account.name
    owned = [name for account in sandbox.state.accounts.values() for name in account.jobs]
    assert sorted(owned) == sorted(sandbox.state.jobs)


def caps_are_kept(sandbox: Sandbox) -> None:
    """No slot is idle while a job waits for one, and none is taken above the plan's number."""
    for account in sandbox.state.accounts.values():
        plan = sandbox.scenario_for(account.provider).baseline.plans[account.plan]
        if account.queue:
            assert plan.concurrency is not None, account.name
            assert account.running >= plan.concurrency, account.name


def nothing_is_overdue(sandbox: Sandbox) -> None:
    """No deadline lies in the past.

    One may lie in the present: a job that a command ends after its retention goes with the next
    command, so that the one that ended it can still show it.
    """
    due = sandbox.deadlines.next()
    if due is not None:
        last = sandbox.now - (due.kind == "forget_job")
        assert due.at > last, due


def replayed(sandbox: Sandbox) -> SandboxState:
    """Return the state that the event log adds up to."""
    state = SandboxState()
    state.apply(sandbox.events())
    return state


def log_is_the_state(sandbox: Sandbox) -> None:
    """Replaying the event log gives the same state, in every part."""
    folded = replayed(sandbox)
    assert parts_of(folded) == parts_of(sandbox.state)
    under_way = sandbox.webhooks._in_flight
    due = [one for one in attempts_of(folded) if one[1:] not in under_way]
    assert due == [one for one in attempts_of(sandbox.state) if one[1:] not in under_way]


def parts_of(state: SandboxState) -> dict[str, object]:
    """Return all that a state holds, for comparing."""
    return {
        "accounts": state.accounts,
        "jobs": state.jobs,
        "uploads": state.uploads,
        "entries": state.entry_count,
        "accepted": state.accepted_count,
        "drawn": state.drawn,
        "settled": (state._charges, state._refunds),
        "quotas": state._quotas,
        "deliveries": state.deliveries,
        "deliveries_of": state.deliveries_of,
        "open_deliveries": state.open_deliveries,
        "postponed": state.postponed,
        "rules": state.rules,
        "faults": state.faults,
        "ended": list(state.ended),
        "clock": state.clock and (state.clock.at, state.clock.mode, state.clock.pace),
        "jumped": state.jumped,
        "changes": state.changes_applied,
        "deadlines": [due[:1] + due[2:] for due in deadlines_of(state)],
    }


def deadlines_of(state: SandboxState) -> list[tuple[object, ...]]:
    """Return the deadlines that will run, in their order, as (instant, sequence, what it ends).

    Attempts to deliver webhooks are left out: see `attempts_of`.
    """
    kept = [due for due in live_deadlines(state) if due.kind != "deliver"]
    return [(due.at, due.sequence, due.kind, due.key, due.step, due.lane) for due in kept]


def attempts_of(state: SandboxState) -> list[tuple[int, str, int]]:
    """Return the attempts that are due later, as (instant, delivery, number), in their order.

    An attempt that is under way has no deadline, but its events say that it is still due.
    """
    kept = [due for due in live_deadlines(state) if due.kind == "deliver"]
    return [(due.at, due.key, due.step) for due in kept]


def live_deadlines(state: SandboxState) -> list[Deadline]:
    """Return the deadlines that will run, in their order."""
    queues = (state.deadlines._work, state.deadlines._expiries)
    return sorted(due for queue in queues for due in queue if state.is_live(due))


ALL = (
    moves_are_legal,
    balances_are_sums,
    jobs_are_charged_once,
    counters_are_recounts,
    caps_are_kept,
    nothing_is_overdue,
    log_is_the_state,
)
