"""What happens to a request while files, disk or memory are short: it is refused.

Nothing is wrong with this program then: one line says so, and the caller may come again. A refusal
below `/media` has its line as any other there.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from upsim.engine.room import CrowdedError
from upsim.web.admin.problems import problem
from upsim.web.bodies import encode
from upsim.web.whole_responses import HttpResponse

LOGGER = logging.getLogger("upsim")
SHORT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO))
AFTER = "5"
"""Seconds after which a caller may come again."""
SHOWN = 200


def is_shortage(error: BaseException) -> bool:
    """Whether the system has no file or no disk for us, or other requests have all memory."""
    if isinstance(error, CrowdedError):
        return True
    return isinstance(error, OSError) and error.errno in SHORT


def tell(method: str, path: str, error: BaseException) -> str:
    """Say in one line why a request was refused, and return it for the caller."""
    text = words(error)
    LOGGER.warning("%s %r was refused: %s", method, path[:SHOWN], text)
    return text


def words(error: BaseException) -> str:
    """What a caller is told."""
    if isinstance(error, CrowdedError):
        return f"The server is busy: {error}. Come again later."
    reason = error.strerror if isinstance(error, OSError) else ""
    return f"The system says: {reason}. Come again later."


def short(scope: Scope, error: OSError) -> HttpResponse:
    """The answer to a request whose provider cannot be read now: nobody speaks its errors yet.

    Raises the error again if it is no shortage.
    """
    if not is_shortage(error):
        raise error
    message = tell(scope["method"], scope["path"], error)
    body = encode({"error": {"code": "short", "message": message}})
    return HttpResponse(503, body, ((b"retry-after", AFTER.encode()),))


async def or_refused(send: Send, answer: Callable[[Send], Awaitable[None]]) -> None:
    """Answer a request, or refuse it where the system is short before anything was sent."""
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
    """Refuse a call of the admin API in its one error shape."""
    if not is_shortage(error):
        raise error
    text = tell(request.method, request.url.path, error)
    reply = problem(503, "short", text)
    reply.headers["retry-after"] = AFTER
    return reply
