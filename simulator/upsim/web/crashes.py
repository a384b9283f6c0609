"""Handle a bug during a request: log and count it, and send the provider's server error."""

from __future__ import annotations

import logging

from upsim.core.baseline import ErrorRule
from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.web.resource_shortages import is_shortage, tell

LOGGER = logging.getLogger("upsim")
SHOWN = 200


def crashed(
    registry: Registry, sandbox: Sandbox, bound: BoundProvider, call: Call, error: Exception
) -> tuple[Reply, ErrorRule]:
    """Return the provider's own response to a server error; in process, raise the bug instead.

    A lack of open files or disk space is no bug: the response is the error `no_room`.
    Changes that the request has already committed stay complete: a commit is all or nothing.
    """
    if is_shortage(error):
        detail = tell(call.method, call.path, error)
        call.now = sandbox.now
        full = Violation("no_room", {"detail": detail}, cause=f"system: {error}")
        return bound.provider.problem(call, full), bound.rules.errors["no_room"]
    if registry.settings.in_process:
        raise error
    registry.crashes += 1
    where = f"{call.method} {call.path[:SHOWN]!r} ({call.operation} of {bound.provider.name})"
    LOGGER.error("a bug of upsim: %s in sandbox %r", where, sandbox.id, exc_info=error)
    call.now = sandbox.now
    return bound.provider.problem(call, Violation("internal")), bound.rules.errors["internal"]
