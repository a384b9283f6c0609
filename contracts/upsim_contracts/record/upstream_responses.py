"""Pass an upstream's response to the client of a recording, even if it has invalid bytes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from upsim_contracts.cassettes.bodies import Tee

MARK = "x-upsim-record"
"""The header of answers that are the recording's own."""
FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})
"""Headers of a request that came by a proxy or a tunnel."""
HOP = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
        *FORWARDED,
    }
)
PIECE = 64 * 2**10
"""Bytes of a long body that are sent before the caller has taken some of them."""
STATUSES = range(200, 600)
"""What an HTTP server can answer with, in the end."""
CONNECTION = "upsim.connection"
"""Where a scope's extensions offer a hold on the connection: see `upsim.web.connection_cutting`."""
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
RawHeaders = list[tuple[bytes, bytes]]


def texts_of(answer: httpx.Response) -> dict[str, str]:
    """Return the headers as texts that can be recorded, even if they have invalid bytes."""
    found: dict[str, str] = {}
    for raw_name, raw in answer.headers.raw:
        name, value = raw_name.lower().decode("latin-1"), raw.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def passable(answer: httpx.Response, *, but: Collection[str]) -> RawHeaders:
    """Return the headers of a response that a server can send, without those named in `but`.

    Control characters become spaces, as RFC 9110 (5.5) requires.
    """
    return [
        (name.lower(), _CONTROL.sub(b" ", value))
        for name, value in answer.headers.raw
        if name.lower().decode("latin-1") not in but
    ]


class DocumentResponse(Response):
    """A document; a long one is sent in pieces, as fast as the client reads."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document; return when all pieces were passed to the server."""
        if len(self.body) <= PIECE:
            await super().__call__(scope, receive, send)
            return
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for start in range(0, len(self.body), PIECE):
            piece = bytes(self.body[start : start + PIECE])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class FileResponse:
    """A file, sent in pieces; if the upstream cuts it, the client's connection is cut too.

    `on_end` is called exactly once, with the bytes that were sent and the reason for a cut.
    """

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        pieces: AsyncIterator[bytes],
        answer: httpx.Response,
        on_end: Callable[[Tee, str], Awaitable[None]],
    ) -> None:
        """Prepare the response without sending it. Its end closes the upstream's response."""
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._pieces = pieces
        self._answer = answer
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        tee, why = Tee(), "the recording was ended"
        caller = Request(scope, receive)
        try:
            await send(self._start)
            async for chunk in self._pieces:
                tee.feed(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if await caller.is_disconnected():
                    why = "the caller left"
                    return
            why = ""
        except httpx.HTTPError as error:
            why = f"{type(error).__name__}: {error}"
            connection = (scope.get("extensions") or {}).get(CONNECTION)
            if connection is None:
                raise
            connection.drop()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            await self._answer.aclose()
            await self._on_end(tee, why)
        if not why:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def status_of(answer: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Return a valid HTTP status, and a header with the original status if it was invalid."""
    if answer.status_code in STATUSES:
        return answer.status_code, []
    return 502, [(MARK.encode(), b"status_%d" % answer.status_code)]


def own_response(status: int, code: str, message: str) -> Response:
    """Return a response of the recorder itself, which does not come from the provider."""
    body = {"error": {"code": f"upsim_record_{code}", "message": message}}
    return JSONResponse(body, status, {MARK: code})
