"""The sandbox and the server's parts that an admin request names or needs."""

from __future__ import annotations

from itertools import islice

from starlette.requests import Request

from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.web.admin.problems import AdminError, S, nearest, read, shown
from upsim.web.deliverer import Deliverer

NAMED = 20
"""Number of sandboxes that a message names."""


def registry_of(request: Request) -> Registry:
    """Return the registry of the server."""
    found: Registry = request.app.state.registry
    return found


def deliverer_of(request: Request) -> Deliverer:
    """Return the webhook deliverer of the server."""
    found: Deliverer = request.app.state.deliverer
    return found


def sandbox_of(request: Request) -> Sandbox:
    """Return the sandbox in the path, after running all due deadlines. Raises AdminError 404."""
    registry = registry_of(request)
    name = request.path_params["id"]
    if name not in registry.sandboxes:
        hint = nearest(name, islice(registry.sandboxes, NAMED))
        message = f"there is no sandbox {shown(name)}; {hint}"
        raise AdminError(404, "unknown_sandbox", message)
    found = registry.get(name)
    found.run_due()
    return found


async def sandbox_and(request: Request, shape: type[S]) -> tuple[Sandbox, S]:
    """Return the sandbox in the path, and the body.

    The sandbox is looked up again after reading the body, because it may have been reset.
    """
    sandbox_of(request)
    asked = await read(request, shape)
    return sandbox_of(request), asked


def one_provider(request: Request) -> str | None:
    """Return the provider in `?provider=`, if given."""
    name = request.query_params.get("provider")
    providers = registry_of(request).providers
    if name is not None and name not in providers:
        message = f"provider={shown(name)} is unknown; {nearest(name, providers)}"
        raise AdminError(400, "invalid", message)
    return name
