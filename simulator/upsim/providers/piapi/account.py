"""The account endpoints: the balance, computed from the ledger, and the active tasks."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import cast

from upsim.core.call import Call, Reply
from upsim.core.instants import DAY, iso
from upsim.core.pricing import plain
from upsim.core.states import JobState
from upsim.providers.piapi import wire

_OF_TASKS = ("charge", "refund", "carried")


def info(call: Call) -> Reply:
    """`GET /account/info`: points of the wallet and of its only credit pack."""
    who, rules = call.who, call.rules
    plan = rules.baseline.plans[who.plan]
    shown = plan.facts["shown"].value if "shown" in plan.facts else plan.name
    entries = list(call.sandbox.entries_of(who))
    used = -sum((entry.amount for entry in entries if entry.kind in _OF_TASKS), Decimal(0))
    changed = max((entry.at for entry in entries), default=who.opened_at)
    data: dict[str, object] = {
        "id": who.number,
        "name": who.name,
        "plan": shown,
        "type": rules.texts["account_type"],
        "is_enable": True,
        "is_verified": True,
        "equivalent_in_usd": _dollars(call),
        "credit_pack_info": _credit_pack(call, used),
        "wallet": _wallet(call, used),
        "created_at": iso(who.opened_at, 0),
        "updated_at": iso(changed, 0),
    }
    if plan.concurrency is not None:
        data["max_concurrent_task_count"] = plan.concurrency
    return wire.success(call, data)


def active_tasks(call: Call) -> Reply:
    """`GET /account/active_tasks`: counts for each model family; all but the toolkit's are 0."""
    families = cast("tuple[str, ...]", call.rules.fact("active_families"))
    idle = {name: _counts(Counter(), []) for name in families}
    return wire.success(call, {**idle, **_toolkit(call)})


def _toolkit(call: Call) -> dict[str, object]:
    found: dict[str, object] = {}
    at_work = [job for job in call.sandbox.jobs_of(call.who) if not job.ended]
    for model in call.rules.baseline.models.values():
        jobs = [job for job in at_work if job.accepted.model == model.id]
        states = Counter("staged" if wire.is_staged(call, job) else job.state for job in jobs)
        rows = [{"task_id": job.id, "status": wire.status(call, job)} for job in jobs]
        found[str(model.facts["family"].value)] = _counts(states, rows)
    return found


def _counts(states: Counter[str], rows: list[dict[str, str]]) -> dict[str, object]:
    return {
        "staged_count": states["staged"],
        "pending_count": states[JobState.WAITING],
        "processing_count": states[JobState.PROCESSING],
        "active_tasks": rows,
    }


def _dollars(call: Call) -> Decimal:
    (model,) = call.rules.baseline.models.values()
    return plain(call.who.balance / model.billing.unit_per)


def _credit_pack(call: Call, used: Decimal) -> dict[str, object]:
    who = call.who
    total = int(who.balance + used)
    days = Decimal(call.rules.texts["credit_pack_days"])
    pack = {
        "id": who.number,
        "active": True,
        "capacity": total,
        "expired_at": iso(who.opened_at + int(days) * DAY, 0),
    }
    return {
        "available_credits": int(who.balance),
        "used_credits": int(used),
        "total_credits": total,
        "frozen_credits": 0,
        "credit_packs_count": 1,
        "credit_packs": [pack],
    }


def _wallet(call: Call, used: Decimal) -> dict[str, object]:
    return {
        "id": call.who.number,
        "point_remain": int(call.who.balance),
        "point_frozen": 0,
        "point_used": int(used),
        "auto_recharge_enabled": False,
    }
