"""Write admin calls that may change a sandbox to its command log, with their responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from upsim.engine.clock import wall_clock
from upsim.engine.command_log import CURRENT, KEPT_HEADERS, Command
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.web.admin.problems import AdminError, problem
from upsim.web.admin_access import WRITES

QUESTIONS = frozenset({"find", "count"})
"""Calls by POST that change nothing."""


async def recorded(request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    """Run an admin call, and log it in its sandbox unless it only reads."""
    registry: Registry = request.app.state.registry
    sandbox = registry.sandboxes.get(request.path_params.get("id", ""))
    if sandbox is None or request.method not in WRITES or handle.__name__ in QUESTIONS:
        return await handle(request)
    try:
        response = await handle(request)
        _end(request, sandbox, response)
    except AdminError as error:
        _end(request, sandbox, problem(error.status, error.code, error.message))
        raise
    finally:
        CURRENT.set(None)
    return response


def begin(request: Request, sandbox: Sandbox) -> None:
    """Log the start of a call during which other requests may run."""
    command = _command(request, sandbox, getattr(request.state, "body", b""))
    request.state.command = sandbox.commands.begin(command)


def note(request: Request, sandbox: Sandbox, body: bytes, response: Response) -> None:
    """Log a completed call, with its response."""
    with sandbox.commands.during(_command(request, sandbox, body)) as command:
        command.answered(response.status_code, response.raw_headers, bytes(response.body))


def _end(request: Request, sandbox: Sandbox, response: Response) -> None:
    begun: Command | None = getattr(request.state, "command", None)
    if begun is not None:
        begun.answered(response.status_code, response.raw_headers, bytes(response.body))
    elif not sandbox.abandoned:  # a reset sandbox starts with an empty log
        note(request, sandbox, getattr(request.state, "body", b""), response)


def _command(request: Request, sandbox: Sandbox, body: bytes) -> Command:
    scope = request.scope
    command = Command(
        log=sandbox.commands,
        at=sandbox.now,
        scheme=scope["scheme"],
        method=request.method,
        path=scope["path"],
        query=scope["query_string"],
        headers=[pair for pair in scope["headers"] if pair[0] in KEPT_HEADERS],
        wall=wall_clock(),
    )
    command.keep_body(body)
    return command
