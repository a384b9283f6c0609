"""How the admin API shows sandboxes, jobs, accounts, ledger lines and exchanges."""

from __future__ import annotations

import json
from decimal import Decimal

from upsim.core.baseline import ErrorRule
from upsim.core.events import AttemptMade
from upsim.core.evidence import Evidence
from upsim.core.faults import FaultRule
from upsim.core.instants import iso
from upsim.core.jobs import Job
from upsim.core.ledger import Account, Entry
from upsim.core.media import Media
from upsim.core.secrets import (
    HIDDEN,
    NONE,
    Secrets,
    hidden,
    hidden_fragment,
    hidden_target,
    hidden_text,
    hidden_url,
)
from upsim.core.states import Failure
from upsim.core.webhooks import Delivery
from upsim.engine.deadlines import Deadline
from upsim.engine.inbox import Message
from upsim.engine.journal import Exchange
from upsim.engine.sandbox import Sandbox
from upsim.web.admin import shapes

LONGEST_VALUE = 300


def amount(value: Decimal) -> str:
    """An exact amount as a text, without an exponent."""
    return f"{value:f}"


def clock(sandbox: Sandbox) -> shapes.Clock:
    """Mode, present instant and pace."""
    return {
        "mode": sandbox.clock.label,
        "now": iso(sandbox.now, 6),
        "pace": sandbox.clock.pace,
    }


def sandbox(box: Sandbox) -> shapes.Sandbox:
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


def job(box: Sandbox, found: Job) -> shapes.Job:
    """A job with its timeline."""
    accepted = found.accepted
    charge, refund = box.state.charge_of(found.id), box.state.refund_of(found.id)
    timeline: list[shapes.Moment] = [
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
        "output": {"size": f"{output.width}x{output.height}", "audio": output.audio}
        if output
        else None,
        "charged": amount(-charge.amount) if charge else None,
        "refunded": amount(refund.amount) if refund else None,
        "unit": accepted.quote.unit,
        "formula": accepted.quote.formula,
        "marks": sorted(found.marks),
        "rules": accepted.rules,
    }


def media(found: Media) -> shapes.Media:
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


def account(found: Account) -> shapes.Account:
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


def entry(found: Entry) -> shapes.Entry:
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


def fired(box: Sandbox, deadline: Deadline) -> shapes.Fired:
    """A deadline that an advance ran, and the state that it left its job in."""
    found = box.state.jobs.get(deadline.key)
    shown: shapes.Fired = {
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


def exchange(box: Sandbox, found: Exchange) -> shapes.Exchange:
    """A request and its answer, secrets hidden, with why it is so."""
    rule, secrets = found.rule, secrets_of(box, found)
    return {
        "number": found.number,
        "at": iso(found.at, 6),
        "provider": found.provider,
        "operation": found.operation,
        "method": found.method,
        "target": hidden_target(found.target, secrets),
        "account": found.account,
        "dialect": found.dialect,
        "request": body(found.body, found.body_size, secrets),
        "status": found.status,
        "answer": body(found.reply, found.reply_size, secrets),
        "refused_by": rule.name if rule else None,
        "evidence": evidence(rule.evidence) if rule else None,
        "job": found.job,
        "fault": found.fault,
        "assumed_media": media(found.assumed) if found.assumed else None,
        "rules": found.rules,
        "why": why(box, found),
    }


def why(box: Sandbox, found: Exchange) -> shapes.Why:
    """Why an answer is as it is."""
    rule, model = found.rule, found.model
    return {
        "check": found.check or None,
        "rule": rule_of(rule) if rule else None,
        "compared": compared(found),
        "model": model.id if model else None,
        "price": evidence(model.billing.evidence) if model else None,
        "measured": media(found.media) if found.media else None,
        "assumed": found.assumed is not None,
        "entries": [entry(posted) for posted in found.entries],
        "faults": [acted(box, fault) for fault in found.faults],
    }


def compared(found: Exchange) -> dict[str, str]:
    """The values that the check that refused looked at."""
    return {name: value_text(value) for name, value in (found.compared or {}).items()}


def value_text(value: object) -> str:
    """A value of a check as people read it."""
    text = amount(value) if isinstance(value, Decimal) and value.is_finite() else str(value)
    return hidden_text(text[:LONGEST_VALUE])


def rule_of(rule: ErrorRule) -> shapes.Rule:
    """An entry of the error catalogue."""
    return {
        "name": rule.name,
        "status": rule.status,
        "code": rule.code,
        "message": rule.message,
        "evidence": evidence(rule.evidence),
    }


def evidence(found: Evidence) -> shapes.Evidence:
    """Why a fact is believed."""
    return {"grade": found.grade, "source": found.source, "date": found.date}


def acted(box: Sandbox, fault: FaultRule) -> shapes.Acted:
    """A fault that acted; those of the scenario have its evidence."""
    planned = fault in box.planned_faults
    source = box.scenario_for(fault.provider).evidence if planned else None
    return {
        "id": fault.id,
        "at": fault.at,
        "on": fault.on,
        "do": fault.written,
        "evidence": evidence(source) if source else None,
    }


def failure(found: Failure | None) -> shapes.Failure | None:
    """Why a job failed, if it did."""
    if found is None:
        return None
    message = hidden_text(found.message)
    return {"name": found.name, "code": found.code, "message": message}


def secrets_of(box: Sandbox, found: Exchange) -> Secrets:
    """What the operation of an exchange declares to be secret."""
    if not found.provider:
        return NONE
    operations = box.bound(found.provider).provider.operations
    return next((one.secrets for one in operations if one.name == found.operation), NONE)


def body(content: bytes, size: int, secrets: Secrets) -> shapes.Body:
    """The beginning of a body, secrets hidden."""
    return {"size": size, "truncated": size > len(content), "text": _shown(content, secrets)}


def _shown(content: bytes, secrets: Secrets) -> str:
    """The text of a body; JSON that was cut, and so cannot be read, by its look."""
    text = content.decode("utf-8", "replace")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return hidden_fragment(text, secrets)
    safe = hidden(document, secrets)
    return text if safe == document else json.dumps(safe, ensure_ascii=False)


def delivery(box: Sandbox, found: Delivery) -> shapes.Delivery:
    """A notification with its attempts, secrets redacted."""
    created, ended, secrets = found.created, found.ended, secrets_of_webhook(box, found)
    next_at = next((a.next_at for a in reversed(found.attempts) if a.number), created.at)
    return {
        "id": found.id,
        "job": created.job,
        "job_state": created.state.value,
        "url": hidden_url(created.url),
        "created_at": iso(created.at, 6),
        "stamp": created.stamp,
        "outcome": found.outcome,
        "ended_at": iso(ended.at, 6) if ended else None,
        "next_at": iso(next_at, 6) if next_at is not None and ended is None else None,
        "body": body(created.body, len(created.body), secrets),
        "attempts": [attempt(made, secrets) for made in found.attempts],
    }


def message(found: Message) -> shapes.Message:
    """A request to an inbox, as it came: whoever reads it must be able to check a signature."""
    return {
        "number": found.number,
        "at": iso(found.at, 6),
        "method": found.method,
        "target": found.target,
        "headers": dict(found.headers),
        "body": found.body.decode("utf-8", "replace"),
        "size": found.size,
        "truncated": found.size > len(found.body),
    }


def secrets_of_webhook(box: Sandbox, found: Delivery) -> Secrets:
    """What the provider of a delivery's job declares to be secret; a forgotten job's say all."""
    job = box.state.jobs.get(found.created.job)
    notice = box.bound(job.accepted.provider).provider.notice if job else None
    return notice.secrets if notice else NONE


def attempt(made: AttemptMade, secrets: Secrets) -> shapes.Attempt:
    """One attempt to deliver; headers that carry a secret are hidden."""
    hide = {name.lower() for name in secrets.headers}
    return {
        "at": iso(made.at, 6),
        "number": made.number or None,
        "stamp": made.stamp,
        "headers": {
            n: HIDDEN if n.lower() in hide or "secret" in n else v for n, v in made.headers
        },
        "sent": not made.unsent,
        "status": made.status,
        "error": hidden_text(made.error) or None,
        "answer": body(made.answer, len(made.answer), secrets),
        "next_at": iso(made.next_at, 6) if made.next_at is not None else None,
        "fault": made.fault or None,
    }
