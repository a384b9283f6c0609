"""Refuse requests for the admin API that its access rule does not allow."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from upsim.web.admin.problems import problem
from upsim.web.admin_access import PREFIX, AdminRule, page_refusal
from upsim.web.webhook_targets import INBOX

OPEN = frozenset(f"{PREFIX}/{name}" for name in ("livez", "readyz", "health", "metrics"))


async def guarded(rule: AdminRule, scope: Scope, receive: Receive, send: Send) -> bool:
    """Return True if the admin API's rule refused the request (the refusal is already sent)."""
    if scope["path"] in OPEN:
        return False
    refusal = page_refusal(scope) if INBOX.match(scope["path"]) else rule.refusal(scope)
    if refusal is None:
        return False
    await problem(refusal.status, refusal.code, refusal.message)(scope, receive, send)
    return True
