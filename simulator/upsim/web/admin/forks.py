"""Forks: new sandboxes that continue from an earlier state of another sandbox."""

from __future__ import annotations

import asyncio

import msgspec

from upsim.core.instants import Instant
from upsim.engine.exceptions import HistoryError, SnapshotError
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest
from upsim.engine.snapshots import Snapshot, as_of, check_rules, events_until, folded, take
from upsim.web.admin.admin_call import Text
from upsim.web.admin.parameters import read_instant
from upsim.web.admin.problems import SHOWN, AdminError, nearest, shown


class ForkOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`fork` of a new sandbox: the source, and the instant or the named snapshot to continue from.

    Without `at` and `snapshot`, the new sandbox continues from the present state of the source.
    """

    sandbox: Text
    at: Text | None = None
    snapshot: Text | None = None


async def forked(
    registry: Registry, order: ForkOrder, asked: SandboxRequest
) -> tuple[Sandbox, dict[str, str]]:
    """Return a new sandbox that continues from another one, and its keys. Raises AdminError."""
    if order.sandbox not in registry.sandboxes:
        hint = nearest(order.sandbox, registry.sandboxes)
        message = f"fork.sandbox: there is no sandbox {shown(order.sandbox)}; {hint}"
        raise AdminError(404, "unknown_sandbox", message)
    if order.at is not None and order.snapshot is not None:
        raise AdminError(400, "invalid", "fork: send one of at and snapshot")
    source = registry.get(order.sandbox)
    source.run_due()
    try:
        snapshot = await _snapshot(registry, source, order)
    except (HistoryError, SnapshotError) as error:
        status = 404 if isinstance(error, SnapshotError) else 409
        raise AdminError(status, "history", f"fork: {error}"[:SHOWN]) from error
    return registry.fork(source, snapshot, asked)


async def _snapshot(registry: Registry, source: Sandbox, order: ForkOrder) -> Snapshot:
    if order.snapshot is not None:
        return registry.snapshots.get(source.id, order.snapshot)
    if order.at is None:
        return take(source)
    return await _earlier(source, read_instant(order.at, "fork.at", "an ISO 8601 instant"))


async def _earlier(source: Sandbox, at: Instant) -> Snapshot:
    events = events_until(source, at)
    check_rules(source, at)
    state = await asyncio.to_thread(folded, events)
    return as_of(source, at, events, state)
