"""Admin calls on the named snapshots of a sandbox."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Container

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.engine.exceptions import SnapshotError
from upsim.engine.sandbox import Sandbox
from upsim.engine.snapshots import Snapshot, take
from upsim.engine.store import MemoryStore
from upsim.store.snapshot_files import snapshot_file
from upsim.web.admin import sandbox_shapes, sandbox_views
from upsim.web.admin.admin_call import Text
from upsim.web.admin.problems import SHOWN, AdminError, answer, shown
from upsim.web.admin.request_sandbox import deliverer_of, registry_of, sandbox_and, sandbox_of
from upsim.web.admin.shape_fields import show

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class SnapshotOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST …/snapshots`; without a name, the server chooses one (`s1`, `s2`, …)."""

    name: Text | None = None


async def create(request: Request) -> Response:
    """`POST …/snapshots`: keep the present state of a sandbox under a name."""
    sandbox, asked = await sandbox_and(request, SnapshotOrder)
    if asked.name is not None and not _NAME.match(asked.name):
        form = "name: at most 64 letters, digits, -, _ and ."
        raise AdminError(400, "invalid", f"{form}, such as before-refund, not {shown(asked.name)}")
    registry = registry_of(request)
    name = asked.name or _free_name(registry.snapshots.of(sandbox.id))
    try:
        registry.snapshots.check(sandbox.id, name)
        snapshot, record = take(sandbox), registry.record_of(sandbox)
        file = b""
        if not isinstance(registry.store, MemoryStore):
            file = await asyncio.to_thread(snapshot_file, snapshot, record)
        if registry.sandboxes.get(sandbox.id) is not sandbox:
            message = f"sandbox {sandbox.id!r} was reset or deleted in the meantime"
            raise AdminError(409, "refused", message)
        registry.snapshots.add(sandbox.id, name, snapshot, file)
    except SnapshotError as error:
        raise AdminError(409, "refused", str(error)[:SHOWN]) from error
    return answer(_view(name, snapshot), 201)


async def listing(request: Request) -> Response:
    """`GET …/snapshots`: list the snapshots of a sandbox, oldest first."""
    kept = registry_of(request).snapshots.of(sandbox_of(request).id)
    return answer({"snapshots": [_view(name, one) for name, one in kept.items()]})


async def restore(request: Request) -> Response:
    """`POST …/snapshots/<name>/restore`: continue the sandbox from a snapshot; keys stay valid."""
    sandbox, snapshot = _found(request)
    restored = registry_of(request).restore(sandbox.id, snapshot)
    deliverer_of(request).rouse(restored)
    return answer(sandbox_views.sandbox(restored))


async def delete(request: Request) -> Response:
    """`DELETE …/snapshots/<name>`: delete a snapshot."""
    sandbox, _ = _found(request)
    name = request.path_params["name"]
    registry_of(request).snapshots.remove(sandbox.id, name)
    return answer({"deleted": name})


def _found(request: Request) -> tuple[Sandbox, Snapshot]:
    sandbox = sandbox_of(request)
    try:
        found = registry_of(request).snapshots.get(sandbox.id, request.path_params["name"])
    except SnapshotError as error:
        raise AdminError(404, "unknown_snapshot", str(error)[:SHOWN]) from error
    return sandbox, found


def _free_name(taken: Container[str]) -> str:
    number = 1
    while f"s{number}" in taken:
        number += 1
    return f"s{number}"


def _view(name: str, snapshot: Snapshot) -> sandbox_shapes.Snapshot:
    return show(sandbox_shapes.Snapshot, snapshot, name=name)
