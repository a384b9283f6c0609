"""A note to clients that send a wrong bearer token although no token is needed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.types import Message, Scope, Send

from upsim.web.admin_access import AdminRule
from upsim.web.webhook_targets import INBOX

HEADER = b"x-upsim-note"
NOTE = "the bearer token is not this server's admin token; on loopback none is needed"

Observer = Callable[[str, str, int, str], None]
"""Receives method, path, status and note of the first such request."""


class WrongToken(msgspec.Struct):
    """A header for responses to requests that needed no token but have a wrong token."""

    rule: AdminRule
    observers: list[Observer] = msgspec.field(default_factory=list)
    _reported: bool = False

    def noting(self, scope: Scope, send: Send) -> Send:
        """Return `send`, or a `send` that adds the note."""
        wrong = self.rule.local and self.rule.has_wrong_token(scope)
        if not wrong or INBOX.match(scope["path"]):
            return send

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, NOTE.encode())]
                self._report(scope, message["status"])
            await send(message)

        return noted

    def _report(self, scope: Scope, status: int) -> None:
        """Report only the first such request: the client sends the token every time."""
        if not self._reported:
            self._reported = True
            for observer in self.observers:
                observer(scope["method"], scope["path"], status, NOTE)
