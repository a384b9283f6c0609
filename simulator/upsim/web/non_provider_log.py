"""Log reports about requests that go to no provider: files and refused admin requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from html import unescape

from starlette.types import Message, Scope, Send

REFUSED = 400
CAUSE = "upsim.cause"
"""Key of an ASGI scope for a sentence that only the log line adds to a refusal."""
Observer = Callable[[str, str, int, str], None]
"""Receives method, path, status and message of a response."""
_XML_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)


def reporting(
    send: Send, scope: Scope, observers: Sequence[Observer], *, served: bool = False
) -> Send:
    """Return a `send` that reports each refusal with its message as plain text.

    With `served` it also reports all other responses, with the sizes of their bodies.
    """
    if not observers:
        return send
    status = 0

    async def reported(message: Message) -> None:
        nonlocal status
        said = ""
        if message["type"] == "http.response.start":
            status = message["status"]
            reports = served and status < REFUSED
            said = _size(message) if reports else ""
        else:
            reports = status >= REFUSED
            said = _refusal(scope, message.get("body", b"")) if reports else ""
        if reports:
            for observer in observers:
                observer(scope["method"], scope["path"], status, said)
            status = 0  # once for each response
        await send(message)

    return reported


def _refusal(scope: Scope, body: bytes) -> str:
    """Return the message of a refusal, and its cause if the response does not contain it."""
    return "; ".join(filter(None, (plain_message(body), scope.get(CAUSE, ""))))


def plain_message(body: bytes) -> str:
    """Return the unescaped message of a refusal in XML or JSON, or else the whole text."""
    text = body.decode("utf-8", "replace")
    found = _XML_MESSAGE.search(text)
    if found is not None:
        return unescape(found[1])
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return text
    return message if isinstance(message, str) else text


def _size(start: Message) -> str:
    """Return the size of a body, for example `3 bytes`; empty if it is unknown."""
    length = next((value for name, value in start["headers"] if name == b"content-length"), b"0")
    return "" if length == b"0" else f"{length.decode('latin-1')} bytes"
