"""Responses while the store cannot be written: they say nothing that it has to keep."""

from __future__ import annotations

from starlette.types import Scope

from upsim.engine.store import Store

ALWAYS_SERVED = ("/livez", "/metrics")
"""Admin calls that work while the store cannot be written."""
_KEY = "upsim.depends_on_nothing"


def is_unwritable(store: Store, scope: Scope) -> bool:
    """Return whether a request must be refused, and note that its response need not wait.

    Other responses wait until the store holds what they say.
    """
    if not store.problem:
        return False
    scope[_KEY] = True
    return True


def needs_no_store(scope: object) -> bool:
    """Return whether the response to a request may be sent while the store cannot be written."""
    return isinstance(scope, dict) and _KEY in scope
