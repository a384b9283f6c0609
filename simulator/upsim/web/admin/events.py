"""`GET …/events`: the events of a sandbox, as server-sent events.

Each reader has a position in the sandbox's ring of recent events. A reader that is too slow
gets a message about the lost events, and then its stream ends. Other requests never wait for
a reader.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from upsim.engine.clock import monotonic
from upsim.web.admin import event_views
from upsim.web.admin.parameters import TYPES
from upsim.web.admin.problems import AdminError, nearest, shown
from upsim.web.admin.request_sandbox import registry_of, sandbox_of
from upsim.web.clock_driver import catch_up
from upsim.web.connection_cutting import EXTENSION
from upsim.web.request_bodies import encode

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from upsim.engine.sandbox import Sandbox

HEARTBEAT = 15.0
"""Real seconds of silence after which a stream sends a comment, to show that it is alive."""
MAX_READERS = 64
RETRY = 1000
CHUNK = 65_536
MEDIA = "text/event-stream"


class Streams:
    """The open streams of a server; they end when the server ends."""

    def __init__(self) -> None:
        """Start without readers."""
        self.closing = False
        self.readers: set[asyncio.Event] = set()

    def close(self) -> None:
        """Make every stream send its last event and end."""
        self.closing = True
        for changed in self.readers:
            changed.set()


async def follow(request: Request) -> Response:
    """`GET …/events`: send all events from now on, as server-sent events.

    With `Last-Event-ID` the stream continues after that event, if the next event is still kept.
    The event `gap` reports lost events. The last event gives the reason why the stream ends:
    `dropped` (the reader was too slow) or `end`.
    """
    sandbox = sandbox_of(request)
    wanted = _wanted(request)
    if request.method == "HEAD":
        return Response(media_type=MEDIA)
    if sandbox.feed.readers >= MAX_READERS:
        message = f"sandbox {sandbox.id!r} has {MAX_READERS} readers already"
        raise AdminError(409, "too_many", message)
    last = request.headers.get("last-event-id", "")
    connected = EXTENSION in (request.scope.get("extensions") or {})
    once = registry_of(request).settings.in_process and connected
    streams: Streams = request.app.state.streams
    return EventStream(sandbox, streams, wanted, last[:100], once=once)


class EventStream(Response):
    """One stream; with `once` it ends after the kept events, as in-process clients cannot wait."""

    media_type = MEDIA

    def __init__(
        self,
        sandbox: Sandbox,
        streams: Streams,
        wanted: frozenset[str] | None,
        last: str,
        *,
        once: bool = False,
    ) -> None:
        """Prepare a stream of a sandbox; `wanted` are names and families of events (None: all)."""
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._sandbox, self._feed = sandbox, sandbox.feed
        self._streams = streams
        self._wanted = wanted
        self._last = last
        self._once = once
        self._cursor = 0
        self._gone = False

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - as every response is called
        receive: Receive,
        send: Send,
    ) -> None:
        """Send events until the reader leaves, the sandbox ends, or the server stops."""
        changed = self._feed.join()
        greeting = self._begin()
        self._streams.readers.add(changed)
        watching = asyncio.ensure_future(self._watch(receive, changed))
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await self._send(send, greeting)
            await self._run(send, changed)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            self._streams.readers.discard(changed)
            self._feed.leave(changed)

    async def _run(self, send: Send, changed: asyncio.Event) -> None:
        silent_since = monotonic()
        while not self._gone:
            changed.clear()
            missed = self._feed.first - 1 - self._cursor
            if missed > 0:
                await self._send(send, _event("dropped", {"missed": missed}))
                return
            text = self._next()
            if text:
                await self._send(send, text)
                silent_since = monotonic()
                continue
            reason = self._reason_to_end()
            if reason:
                await self._send(send, _event("end", {"reason": reason}))
                return
            if not await self._wait(changed, silent_since + HEARTBEAT - monotonic()):
                await self._send(send, b": still here\n\n")
                self._sandbox.last_used = silent_since = monotonic()

    def _begin(self) -> bytes:
        """Return the first lines, with the gap since the last event that the reader saw."""
        feed = self._feed
        greeting = f"retry: {RETRY}\n: events of sandbox {self._sandbox.id}\n\n".encode()
        self._cursor = feed.number
        if not self._last:
            return greeting
        epoch, _, number = self._last.rpartition("-")
        seen = int(number) if number.isascii() and number.isdecimal() else -1
        if epoch != feed.epoch or not 0 <= seen <= feed.number:
            self._cursor = feed.first - 1
            unknown = {"after": self._last, "missed": None, "reason": "the sandbox began anew"}
            return greeting + _event("gap", unknown)
        self._cursor = max(seen, feed.first - 1)
        if self._cursor == seen:
            return greeting
        reason = "they are kept no longer"
        missed = {"after": self._last, "missed": self._cursor - seen, "reason": reason}
        return greeting + _event("gap", missed)

    def _next(self) -> bytes:
        """Return the next wanted events, about as many as fit one write."""
        parts: list[bytes] = []
        size = 0
        for number, happening in self._feed.after(self._cursor):
            self._cursor = number
            if not self._is_wanted(event_views.name_of(happening)):
                continue
            shown = event_views.view(self._sandbox, happening)
            parts.append(_event(str(shown["type"]), shown, f"{self._feed.epoch}-{number}"))
            size += len(parts[-1])
            if size > CHUNK:
                break
        return b"".join(parts)

    def _is_wanted(self, name: str) -> bool:
        wanted = self._wanted
        return wanted is None or name in wanted or name.partition(".")[0] in wanted

    def _reason_to_end(self) -> str:
        if self._sandbox.abandoned:
            return "the sandbox was reset or deleted"
        if self._streams.closing:
            return "the server stops"
        return "in process nothing can be followed" if self._once else ""

    async def _wait(self, changed: asyncio.Event, seconds: float) -> bool:
        """Wait for an event and run due deadlines; return False after `seconds` without either."""
        sandbox = self._sandbox
        due = sandbox.deadlines.next()
        until = None if due is None else sandbox.clock.real_seconds_until(due.at)
        first = seconds if until is None else min(seconds, until)
        try:
            await asyncio.wait_for(changed.wait(), max(0.0, first))
        except TimeoutError:
            await catch_up(sandbox)
            return first < seconds
        return True

    async def _watch(self, receive: Receive, changed: asyncio.Event) -> None:
        """Wait until the reader disconnects, and then wake the stream."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        changed.set()

    async def _send(self, send: Send, body: bytes) -> None:
        with suppress(OSError):  # the reader left, which `_watch` notices
            await send({"type": "http.response.body", "body": body, "more_body": True})


def _wanted(request: Request) -> frozenset[str] | None:
    """Return the names and families in `?types=`. Raises AdminError for an unknown name."""
    text = TYPES.text(request)
    if not text:
        return None
    known = (*event_views.FAMILIES, *event_views.NAMES.values())
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in known:
            message = f"types: {shown(name)} is unknown; {nearest(name, known)}"
            raise AdminError(400, "invalid", message)
    return frozenset(asked)


def _event(name: str, data: object, number: str = "") -> bytes:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\n".encode() + b"data: " + encode(data) + b"\n\n"
