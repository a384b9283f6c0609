"""uvicorn's protocol with a fast path for requests that need no waiting, which is nearly all.

A request that arrived completely is handled in the callback that read it. Its response is sent
in one write, without a task and without ASGI messages. All other requests use uvicorn's own
path: an incomplete body, a video to be measured, a fault, a file, the admin API, or unusual
HTTP. The callbacks below are those of the parser, in the order in which it calls them.
"""

from __future__ import annotations

import asyncio
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from upsim.cli.connection_limits import BETWEEN, BODY, HEAD, MAX_HEAD, TOO_LONG, BoundedProtocol
from upsim.core.hosts import split_authority
from upsim.web.whole_responses import HttpResponse

INVALID = "Invalid HTTP request received."
TLS_RECORD = b"\x16"
"""First byte of a TLS handshake; no HTTP method begins with it."""
TLS_CAME = (
    "This port speaks plain HTTP, not TLS: use http:// (`upsim serve --tls-cert` serves https://)."
)
UNUSUAL = frozenset({b"host", b"expect", b"x-forwarded-for", b"x-forwarded-proto"})
"""Request headers that change how a request is read. uvicorn handles all but the first."""

ABSOLUTE = re.compile(rb"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)


class BadRequestLineError(Exception):
    """A request whose first line this server does not accept."""

    def __init__(self, status: int, message: str) -> None:
        """Keep status and text of the response."""
        self.status, self.message = status, message
        super().__init__(message)


class FastPathProtocol(BoundedProtocol):
    """Serves an application that has a method `fast_path` (see `upsim.app.App`)."""

    _body: bytes | None = None
    """Body parts received on the fast path; None on uvicorn's own path."""
    _unusual = False
    _answering: RequestResponseCycle | None = None
    """The request that a task handles or handled last."""
    _idle_since: float | None = None
    """Time of the last response; None from the start of the next request to its response."""
    _hosts = 0
    """Host headers of the request that is being read."""
    _host = b""
    """The last valid Host header of this connection."""

    def connection_made(  # type: ignore[override]  # as uvicorn itself narrows it
        self, transport: asyncio.Transport
    ) -> None:
        """Prepare a new connection."""
        super().connection_made(transport)
        self._pieces: list[bytes] = []
        self._fast_path = self.config.app.fast_path  # type: ignore[union-attr]  # of our own App
        self.shared: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
        }

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a lost connection to the running task; uvicorn reports it only to the last one."""
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
        super()._unset_keepalive_if_required()

    def read(self, data: bytes) -> None:
        """Read input, and respond to complete requests."""
        unread: bytes | None = data
        while unread is not None:
            unread = self._fed(unread)
        if self._pieces:
            self._put_together()
        if self._body is not None:  # the rest is still to come, and is read by a task
            self._as_usual(self.app)

    # -- the parser's callbacks

    def on_message_begin(self) -> None:
        """Start a request."""
        self._stage = HEAD
        self._came = self._beside = self._hosts = 0
        self._steps += 1
        self._idle_since = None
        self.url = b""
        self.headers = []
        self.expect_100_continue = self._unusual = False
        self.scope = self.shared.copy()  # type: ignore[assignment]  # what all requests share
        self.scope["headers"] = self.headers
        self.scope["state"] = self.app_state.copy()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header; a header after the body is a trailer and is ignored."""
        if self._stage == BODY:
            return
        name = name.lower()
        if name in UNUSUAL:
            self._read_unusual(name, value)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Choose the fast path or uvicorn's own path."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if version != "1.1":
            if version != "1.0":
                raise BadRequestLineError(505, "This server speaks HTTP/1.1.")
            self._unusual = True
        if len(self.url) >= MAX_HEAD:
            raise BadRequestLineError(431, TOO_LONG)
        if self._hosts > 1:
            raise BadRequestLineError(
                400, "A request has one Host header: a host, and perhaps a port."
            )
        if self.parser.should_upgrade():
            self._stage = BODY
            return  # the parser takes what follows for another protocol: see `_fed`
        if self.url[:1] != b"/":
            self._read_absolute()
        self._stage = BODY
        if self._unusual or method == b"HEAD" or b"#" in self.url or not self._is_free():
            super().on_headers_complete()
            return
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope = self.scope
        scope["method"] = method.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        self._body = b""

    def on_body(self, body: bytes) -> None:
        """Read a part of the body."""
        self._beside = 0
        self._steps += 1
        if not self._body and self._body is not None:
            self._body = body
            return
        if self._body is not None:  # in chunks
            self._as_usual(self.app)
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Respond to a complete request."""
        self._stage = BETWEEN
        if self.parser.should_upgrade():
            return
        if self._body is None:
            self._put_together()
            if self._idle_since is not None:  # it was answered before it was whole
                self._idle_since = self.loop.time()
            super().on_message_complete()
            return
        try:
            found = self._fast_path(self.scope, self._body)
        except Exception as error:  # noqa: BLE001 - raised again where uvicorn logs it
            found = _Failing(error)
        if isinstance(found, HttpResponse) and self._sent(found):
            self._body = None
        else:
            self._as_usual(found)
            super().on_message_complete()

    # -- inside

    def _fed(self, data: bytes) -> bytes | None:
        """Feed the parser. Return input that must be parsed again.

        This server supports no other protocol. A request that offers an upgrade is parsed again
        without the offer; some clients offer an upgrade in every first request.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserError as error:
            self._body = None  # what was refused is not carried out
            self._pieces.clear()
            found = error.__context__  # what a callback raised
            message = TLS_CAME if data.startswith(TLS_RECORD) else INVALID
            if isinstance(found, BadRequestLineError):
                message = found.message
            self.logger.warning(message)
            if isinstance(found, BadRequestLineError):
                self._refuse(found.status, message)
            else:
                self.send_400_response(message)
        except HttpParserUpgrade as stopped:
            method = self.parser.get_method()
            if method == b"CONNECT":
                self.send_400_response(INVALID)
                return None
            version = self.parser.get_http_version().encode("ascii")
            head = [b"%b %b HTTP/%b" % (method, self.url, version)]
            head += [b"%b: %b" % pair for pair in self.headers if pair[0] != b"upgrade"]
            return b"\r\n".join((*head, b"", data[stopped.args[0] :]))
        return None

    def _put_together(self) -> None:
        """Join the chunks of a slice, because passing them on one by one takes far longer."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        super().on_body(body)

    def _read_unusual(self, name: bytes, value: bytes) -> None:
        """Note a header that changes how the request is read."""
        if name == b"host":
            self._hosts += 1
            if value != self._host and value:
                if split_authority(value.decode("latin-1")) is None:
                    self._hosts += 1  # a list, or no host at all
                else:
                    self._host = value
            return
        self._unusual = True
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def _read_absolute(self) -> None:
        """Read a complete URL as request target; its host replaces Host (RFC 9112, 3.2.2)."""
        match = ABSOLUTE.fullmatch(self.url)
        if match is None or split_authority(match[2].decode("latin-1")) is None:
            raise BadRequestLineError(
                400, "The target of the request is neither a path nor an http URL."
            )
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
        self.headers.insert(0, (b"host", match[2]))
        self.scope["scheme"] = match[1].decode("ascii").lower()
        self.url = match[3] if match[3].startswith(b"/") else b"/" + match[3]

    def _is_free(self) -> bool:
        """Whether no response is pending and the next response will not end the connection."""
        answering = bool(self.cycle) and not self.cycle.response_complete
        return not answering and not self.flow.write_paused and self.parser.should_keep_alive()

    def _sent(self, answer: HttpResponse) -> bool:
        """Send a response; return False if uvicorn has to refuse its headers."""
        body = answer.body
        head = _head(answer.status, answer.content_type) % len(body)
        if answer.headers:
            lines = b"\r\n".join(map(b": ".join, answer.headers))
            ends = len(answer.headers) - 1
            if lines.count(b"\n") != ends or lines.count(b"\r") != ends:
                return False
            head = b"%b%b\r\n" % (head, lines)
        self.transport.write(b"%b\r\n%b" % (head, body))
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again(self.timeout_keep_alive)
        return True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - ASGI
        self._answering = cycle
        self._idle_since = None
        super()._start_asgi_task(cycle, app)

    def _as_usual(self, app: ASGIApp) -> None:
        """Continue on uvicorn's own path with the input so far and `app` as the application."""
        body, self._body = self._body, None
        usual, self.app = self.app, app
        super().on_headers_complete()
        self.app = usual
        if body:
            super().on_body(body)

    # -- connections on which nothing comes: one timer each, which looks when it was last used

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def on_response_complete(self) -> None:
        """Continue after a response of uvicorn's own path, which sets a timer."""
        super()._unset_keepalive_if_required()
        super().on_response_complete()
        self._idle_since = self.loop.time()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, or check again later if it was used in between."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # the response sets the next timer
        if self._stage != BETWEEN:
            self._look_again(self.timeout_keep_alive)
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again(left)
        else:
            super().timeout_keep_alive_handler()

    def _look_again(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )


class _Failing:
    """An application that raises an exception that occurred outside of any task."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        raise self._error


@cache
def _head(status: int, content_type: bytes) -> bytes:
    """Return the head of a response up to its length; content types are few and fixed."""
    kind = b"content-type: " + content_type.replace(b"%", b"%%") + b"\r\n" if content_type else b""
    return STATUS_LINE[status] + kind + b"content-length: %d\r\n"
