"""How the admin API shows sandboxes, jobs, accounts, ledger lines and exchanges."""

from __future__ import annotations

import json
import re
from decimal import Decimal

from upsim.core.events import AttemptMade
from upsim.core.instants import iso
from upsim.core.jobs import Job
from upsim.core.ledger import Account, Entry
from upsim.core.media import Media
from upsim.core.webhooks import Delivery
from upsim.engine.deadlines import Deadline
from upsim.engine.inbox import Message
from upsim.engine.journal import Exchange
from upsim.engine.sandbox import Sandbox

REDACTED = "<redacted>"
_SECRET_FIELDS = frozenset({"secret", "webhook_secret", "api_key", "access_key", "apikey"})
_SECRETS = re.compile(
    r'("(?:secret|webhook_secret|api_key|access_key)"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE
)
_SIGNED = re.compile(
    r"((?:sig|signature|secret|key|token|credential)(?:=|%3D))(?:(?!%26)[^&\s\"'\\])*",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(://[^/@:\s\"]+:)[^/@\s\"]+@")


def amount(value: Decimal) -> str:
    """An exact amount as a text, without an exponent."""
    return f"{value:f}"


def clock(sandbox: Sandbox) -> dict[str, object]:
    """Mode, present instant and pace."""
    return {
        "mode": sandbox.clock.label,
        "now": iso(sandbox.now, 6),
        "pace": sandbox.clock.pace,
    }


def sandbox(box: Sandbox) -> dict[str, object]:
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
        "deadlines": len(box.deadlines),
    }


def job(box: Sandbox, found: Job) -> dict[str, object]:
    """A job with its timeline."""
    accepted = found.accepted
    charge, refund = box.state.charge_of(found.id), box.state.refund_of(found.id)
    timeline = [{"at": iso(accepted.at, 6), "state": accepted.phases[0].state.value}]
    timeline += [{"at": iso(move.at, 6), "state": move.state.value} for move in found.moves]
    output = accepted.output
    return {
        "id": found.id,
        "provider": accepted.provider,
        "model": accepted.model,
        "account": accepted.account,
        "state": found.state.value,
        "failure": _failure(found),
        "timeline": timeline,
        "options": dict(accepted.options),
        "media": media(accepted.media) if accepted.media else None,
        "output": output and {"size": f"{output.width}x{output.height}", "audio": output.audio},
        "charged": amount(-charge.amount) if charge else None,
        "refunded": amount(refund.amount) if refund else None,
        "unit": accepted.quote.unit,
        "formula": accepted.quote.formula,
        "marks": sorted(found.marks),
        "rules": accepted.rules,
    }


def media(found: Media) -> dict[str, object]:
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


def account(found: Account) -> dict[str, object]:
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


def entry(found: Entry) -> dict[str, object]:
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


def fired(box: Sandbox, deadline: Deadline) -> dict[str, object]:
    """A deadline that an advance ran, and the state that it left its job in."""
    found = box.state.jobs.get(deadline.key)
    shown: dict[str, object] = {
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


def exchange(found: Exchange) -> dict[str, object]:
    """A request and its answer, secrets redacted, with the rule that decided it."""
    rule = found.rule
    evidence = rule and {
        "grade": rule.evidence.grade,
        "source": rule.evidence.source,
        "date": rule.evidence.date,
    }
    return {
        "number": found.number,
        "at": iso(found.at, 6),
        "provider": found.provider,
        "operation": found.operation,
        "method": found.method,
        "target": redacted(found.target),
        "account": found.account,
        "dialect": found.dialect,
        "request": _body(found.body, found.body_size),
        "status": found.status,
        "answer": _body(found.reply, found.reply_size),
        "refused_by": rule.name if rule else None,
        "evidence": evidence,
        "job": found.job,
        "fault": found.fault,
        "assumed_media": media(found.assumed) if found.assumed else None,
        "rules": found.rules,
    }


def _failure(found: Job) -> dict[str, object] | None:
    failure = found.failure
    if failure is None:
        return None
    return {"name": failure.name, "code": failure.code, "message": failure.message}


def redacted(text: str) -> str:
    """A text without what signs or opens something: signatures, tokens, passwords in URLs."""
    text = _SIGNED.sub(rf"\1{REDACTED}", text)
    return _PASSWORD.sub(rf"\1{REDACTED}@", text)


def without_secrets(value: object) -> object:
    """A JSON value in which fields that hold secrets, and signed URLs, are redacted."""
    if isinstance(value, dict):
        return {
            name: REDACTED if name.lower() in _SECRET_FIELDS and item else without_secrets(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def _body(body: bytes, size: int) -> dict[str, object]:
    return {"size": size, "truncated": size > len(body), "text": _shown(body)}


def _shown(body: bytes) -> str:
    """The text of a body, redacted; JSON that was cut, and so cannot be read, by its look."""
    text = body.decode("utf-8", "replace")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return redacted(_SECRETS.sub(rf"\1{REDACTED}", text))
    hidden = without_secrets(document)
    return text if hidden == document else json.dumps(hidden, ensure_ascii=False)


def delivery(found: Delivery) -> dict[str, object]:
    """A notification with its attempts, secrets redacted."""
    created, ended = found.created, found.ended
    next_at = next((a.next_at for a in reversed(found.attempts) if a.number), created.at)
    return {
        "id": found.id,
        "job": created.job,
        "job_state": created.state.value,
        "url": redacted(created.url),
        "created_at": iso(created.at, 6),
        "stamp": created.stamp,
        "outcome": found.outcome,
        "ended_at": iso(ended.at, 6) if ended else None,
        "next_at": iso(next_at, 6) if next_at is not None and ended is None else None,
        "body": _body(created.body, len(created.body)),
        "attempts": [_attempt(made) for made in found.attempts],
    }


def message(found: Message) -> dict[str, object]:
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


def _attempt(made: AttemptMade) -> dict[str, object]:
    return {
        "at": iso(made.at, 6),
        "number": made.number or None,
        "stamp": made.stamp,
        "headers": {n: REDACTED if "secret" in n.lower() else v for n, v in made.headers},
        "sent": not made.unsent,
        "status": made.status,
        "error": made.error or None,
        "answer": _body(made.answer, len(made.answer)),
        "next_at": iso(made.next_at, 6) if made.next_at is not None else None,
        "fault": made.fault or None,
    }
