"""How the admin API shows a sandbox and what it holds: jobs, accounts and ledger lines."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from upsim.core.evidence import Evidence
from upsim.core.instants import iso
from upsim.core.jobs import SUBSTITUTE, Job
from upsim.core.ledger import Account, Entry
from upsim.core.media import Media
from upsim.core.secrets import hidden_text
from upsim.core.states import Failure
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox
from upsim.web.admin import job_shapes, sandbox_shapes, server_shapes


def clock(sandbox: Sandbox) -> sandbox_shapes.Clock:
    """Mode, present instant, and the pace of a `real` clock, which alone has one."""
    return {
        "mode": sandbox.clock.label,
        "now": iso(sandbox.now, 6),
        "pace": sandbox.clock.pace if sandbox.clock.mode == "real" else None,
    }


def sandbox(box: Sandbox) -> sandbox_shapes.Sandbox:
    """A sandbox at a glance."""
    state = box.state
    return {
        "id": box.id,
        "scenario": box.scenario,
        "seed": box.seeds.seed,
        "clock": clock(box),
        "strict_keys": box.choices.strict_keys,
        "dialects": dict(box.choices.dialects),
        "knobs": {name: dict(knobs) for name, knobs in box.choices.knobs.items()},
        "accounts": len(state.accounts),
        "jobs": len(state.jobs),
        "requests": box.journal.count,
        "deadlines": box.deadlines.live,
    }


def fired(box: Sandbox, deadline: Deadline) -> sandbox_shapes.Fired:
    """A deadline that an advance ran, and the state that it left its job in."""
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
    """A job, and what was paid for it by an instant."""

    job: Job
    charge: Entry | None
    refund: Entry | None


def paid(box: Sandbox, found: Job) -> Paid:
    """A job as it is to be shown, when and in whatever thread that is done."""
    return Paid(found, box.state.charge_of(found.id), box.state.refund_of(found.id))


def job(shown: Paid) -> job_shapes.Job:
    """A job with its timeline."""
    found, charge, refund = shown
    accepted = found.accepted
    timeline: list[job_shapes.Moment] = [
        {"at": iso(accepted.at, 6), "state": accepted.phases[0].state.value}
    ]
    timeline += [{"at": iso(move.at, 6), "state": move.state.value} for move in found.moves]
    output = accepted.output
    return {
        "id": found.id,
        "provider": accepted.provider,
        "model": accepted.model,
        "account": accepted.account,
        "state": found.state.value,
        "failure": failure(found.failure),
        "timeline": timeline,
        "options": dict(accepted.options),
        "media": media(accepted.media) if accepted.media else None,
        "output": {
            "size": f"{output.width}x{output.height}",
            "audio": output.audio,
            "substitutes": found.substitutes,
        }
        if output
        else None,
        "charged": amount(-charge.amount) if charge else None,
        "refunded": amount(refund.amount) if refund else None,
        "unit": accepted.quote.unit,
        "formula": accepted.quote.formula,
        "marks": sorted(mark for mark in found.marks if not mark.startswith(SUBSTITUTE)),
        "rules": accepted.rules,
    }


def failure(found: Failure | None) -> job_shapes.Failure | None:
    """Why a job failed, if it did."""
    if found is None:
        return None
    message = hidden_text(found.message)
    return {"name": found.name, "code": found.code, "message": message}


def media(found: Media) -> job_shapes.Media:
    """What was measured of a video."""
    return {
        "duration": amount(found.seconds),
        "size": f"{found.width}x{found.height}",
        "fps": str(found.frame_rate),
        "frames": found.frames,
        "container": found.container,
        "audio": found.audio,
        "bytes": found.size,
    }


def account(found: Account) -> job_shapes.Account:
    """An account; its balance is the opening plus the sum of its entries."""
    return {
        "account": found.number,
        "name": found.name,
        "provider": found.provider,
        "plan": found.plan,
        "unit": found.unit,
        "opening": amount(found.opening),
        "balance": amount(found.balance),
        "entries": len(found.entries),
        "running": found.running,
        "queued": len(found.queue),
    }


def entry(found: Entry) -> job_shapes.Entry:
    """A line of the ledger."""
    return {
        "number": found.number,
        "at": iso(found.at, 6),
        "account": found.account,
        "kind": found.kind,
        "amount": amount(found.amount),
        "unit": found.unit,
        "job": found.job,
        "formula": found.formula,
        "inputs": dict(found.inputs),
    }


def amount(value: Decimal) -> str:
    """An exact amount as a text, without an exponent."""
    return f"{value:f}"


def evidence(found: Evidence) -> server_shapes.Evidence:
    """Why a fact is believed."""
    return {"grade": found.grade, "source": found.source, "date": found.date}
