"""Reports of requests below `/media` that were refused, for the log of the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from starlette.types import Message, Scope, Send

REFUSED = 400
Observer = Callable[[str, str, int, str], None]
"""Is called with method, path, status and message of a request that was refused."""
_XML_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)


def reporting(send: Send, scope: Scope, observers: Sequence[Observer]) -> Send:
    """Return a `send` that reports a refusal with the text of its body, as storage words it."""
    if not observers:
        return send
    status = 0

    async def reported(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif status >= REFUSED:
            text = message.get("body", b"").decode("utf-8", "replace")
            found = _XML_MESSAGE.search(text)
            for observer in observers:
                observer(scope["method"], scope["path"], status, found[1] if found else text)
            status = 0  # once for each response
        await send(message)

    return reported
