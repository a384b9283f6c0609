"""Refuse requests while the system lacks files, disk space or memory.

A shortage is not a bug: the log gets one line, and the client may retry. Refusals below
`/media` are logged like all other refusals there.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from upsim.engine.body_memory import CrowdedError
from upsim.web.admin.problems import problem
from upsim.web.request_bodies import encode
from upsim.web.whole_responses import HttpResponse

LOGGER = logging.getLogger("upsim")
SHORT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO))
AFTER = "5"
"""Seconds after which a client may retry."""
SHOWN = 200


def is_shortage(error: BaseException) -> bool:
    """Return whether the system lacks files or disk space, or other requests use all memory."""
    if isinstance(error, CrowdedError):
        return True
    return isinstance(error, OSError) and error.errno in SHORT


def tell(method: str, path: str, error: BaseException) -> str:
    """Log in one line why a request was refused, and return the message for the client."""
    text = words(error)
    LOGGER.warning("%s %r was refused: %s", method, path[:SHOWN], text)
    return text


def words(error: BaseException) -> str:
    """Return the message for the client."""
    if isinstance(error, CrowdedError):
        return f"The server is busy: {error}. Try again later."
    reason = error.strerror if isinstance(error, OSError) else ""
    return f"The system says: {reason}. Try again later."


def short(scope: Scope, error: OSError) -> HttpResponse:
    """Return the response to a request whose provider cannot be loaded because of a shortage.

    The response does not have the provider's error format. An error that is no shortage is raised
    again.
    """
    if not is_shortage(error):
        raise error
    message = tell(scope["method"], scope["path"], error)
    body = encode({"error": {"code": "short", "message": message}})
    return HttpResponse(503, body, ((b"retry-after", AFTER.encode()),))


async def or_refused(send: Send, answer: Callable[[Send], Awaitable[None]]) -> None:
    """Respond to a request; if a shortage occurs before anything was sent, refuse the request."""
    started = False

    async def noting(message: Message) -> None:
        nonlocal started
        started = True
        await send(message)

    try:
        await answer(noting)
    except OSError as error:
        if started or not is_shortage(error):
            raise
        text = words(error).encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
            (b"retry-after", AFTER.encode()),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": text})


async def on_shortage(request: Request, error: Exception) -> Response:
    """Refuse an admin request in the error shape of the admin API."""
    if not is_shortage(error):
        raise error
    text = tell(request.method, request.url.path, error)
    reply = problem(503, "short", text)
    reply.headers["retry-after"] = AFTER
    return reply
