"""The state of a sandbox at an earlier instant, for admin calls that read."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from upsim.engine.exceptions import HistoryError
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.snapshots import events_until, folded
from upsim.web.admin.parameters import AT
from upsim.web.admin.problems import SHOWN, AdminError


async def state_at(request: Request, sandbox: Sandbox) -> SandboxState:
    """Return the state at the instant of `?at=`, or the present state. Raises AdminError."""
    at = AT.instant(request)
    if at is None:
        return sandbox.state
    try:
        events = events_until(sandbox, at)
    except HistoryError as error:
        raise AdminError(409, "history", str(error)[:SHOWN]) from error
    return await asyncio.to_thread(folded, events)
