"""Views of a sandbox, its deadlines and its jobs in the admin API."""

from __future__ import annotations

from typing import NamedTuple

from upsim.core.instants import iso
from upsim.core.jobs import SUBSTITUTE, Job
from upsim.core.ledger import Entry
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import SandboxState
from upsim.web.admin import job_shapes, sandbox_shapes
from upsim.web.admin.shape_fields import exact, show


def clock(sandbox: Sandbox) -> sandbox_shapes.Clock:
    """Return the clock of a sandbox; only a `real` clock has a pace."""
    pace = sandbox.clock.pace if sandbox.clock.mode == "real" else None
    return show(sandbox_shapes.Clock, sandbox, pace=pace)


def sandbox(box: Sandbox) -> sandbox_shapes.Sandbox:
    """Return the summary of a sandbox."""
    return show(sandbox_shapes.Sandbox, box, clock=clock(box))


def fired(box: Sandbox, deadline: Deadline) -> sandbox_shapes.Fired:
    """Return a deadline that ran during an advance, and the resulting state of its job."""
    found = box.state.jobs.get(deadline.key)
    shown: sandbox_shapes.Fired = {
        "at": iso(deadline.at, 6),
        "kind": deadline.kind,
        "key": deadline.key,
        "state": found.state.value if found else None,
    }
    if deadline.kind == "deliver":
        sent = box.state.deliveries.get(deadline.key)
        made = [a for a in sent.attempts if a.number == deadline.step] if sent else []
        shown["state"] = sent.outcome if sent else None
        shown["job"] = sent.created.job if sent else None
        shown["attempt"] = deadline.step
        shown["status"] = made[0].status if made else None
    return shown


class Paid(NamedTuple):
    """A job, with its charge and refund at one time."""

    job: Job
    charge: Entry | None
    refund: Entry | None


def paid(state: SandboxState, found: Job) -> Paid:
    """Return a job that can be shown later, in any thread."""
    return Paid(found, state.charge_of(found.id), state.refund_of(found.id))


def job(shown: Paid) -> job_shapes.Job:
    """Return a job with its timeline."""
    found, charge, refund = shown
    accepted = found.accepted
    begun = {"at": iso(accepted.at, 6), "state": accepted.phases[0].state.value}
    output = accepted.output
    return show(
        job_shapes.Job,
        found,
        timeline=[begun, *(show(job_shapes.Moment, move) for move in found.moves)],
        output=show(job_shapes.Output, output, substitutes=found.substitutes) if output else None,
        charged=exact(-charge.amount) if charge else None,
        refunded=exact(refund.amount) if refund else None,
        marks=sorted(mark for mark in found.marks if not mark.startswith(SUBSTITUTE)),
    )
