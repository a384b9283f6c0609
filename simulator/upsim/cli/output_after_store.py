"""Connections whose output waits until everything that happened before it is in the store.

All output goes through the transport: responses, refusals of the parser, drops and resets by
faults, and the end of a connection. So this is the one place that a response could pass too early.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from upsim.cli.cuttable_connections import CuttableProtocol
from upsim.store.write_queue import WriteQueue
from upsim.web.unwritable_store import needs_no_store

MAX_HELD = 64 * 1024
"""Held bytes of a connection above which its application must wait before it sends more."""


class HeldTransport(asyncio.Transport):
    """A transport that passes on each call once the transaction is written that was open then."""

    def __init__(self, inner: asyncio.Transport, writes: WriteQueue) -> None:
        """Pass the calls on to `inner`."""
        super().__init__()
        self._inner = inner
        self._writes = writes
        self._held: deque[tuple[int, Callable[..., None], bytes | None]] = deque()
        self._size = 0
        self._is_ending = False
        self._is_paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data once it may be sent."""
        if self._is_free():
            self._inner.write(data)
            return
        self._size += len(data)
        self._hold(self._inner.write, bytes(data))
        if self._size > MAX_HELD and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Close the connection after what was written."""
        self._end(self._inner.close)

    def abort(self) -> None:
        """Close the connection at once, but not before what happened before is in the store."""
        self._end(self._inner.abort)

    def is_closing(self) -> bool:
        """Return whether the connection is closing or will be closed."""
        return self._is_ending or self._inner.is_closing()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that are not sent yet."""
        return self._inner.get_write_buffer_size() + self._size

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as in asyncio
        """Return what the connection knows of itself."""
        return self._inner.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Stop to read input."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Continue to read input."""
        self._inner.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Pass input to another protocol."""
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that gets the input."""
        return self._inner.get_protocol()

    # -- inside

    @property
    def _protocol(self) -> HeldProtocol:
        return self._inner.get_protocol()  # type: ignore[return-value]  # which made this one

    def _is_free(self) -> bool:
        """Return whether nothing that the next call says, or an earlier one, must be written."""
        if self._held:
            return False
        writes = self._writes
        return not writes.unsettled or bool(writes.problem and self._protocol.needs_no_store)

    def _end(self, call: Callable[[], None]) -> None:
        self._is_ending = True
        if self._is_free():
            call()
        else:
            self._hold(call, None)

    def _hold(self, call: Callable[..., None], data: bytes | None) -> None:
        number = self._writes.unsettled or self._held[-1][0]
        if not self._held:
            self._writes.when_settled(number, self._release)
        self._held.append((number, call, data))

    def _release(self, settled: int) -> None:
        """Make the calls that waited for this transaction or an earlier one."""
        held = self._held
        while held and held[0][0] <= settled:
            _, call, data = held.popleft()
            if data is None:
                call()
            else:
                self._size -= len(data)
                if not self._inner.is_closing():  # the client may be gone
                    call(data)
        if held:
            self._writes.when_settled(held[0][0], self._release)
        if self._is_paused and self._size <= MAX_HELD:
            self._is_paused = False
            self._protocol.resume_writing()


class HeldProtocol(CuttableProtocol):
    """The protocol of a server with a durable store."""

    def __init__(self, *arguments: Any, writes: WriteQueue, **named: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        """Hold output until `writes` has written what came before."""
        super().__init__(*arguments, **named)
        self._writes = writes

    def connection_made(  # type: ignore[override]  # as in uvicorn itself
        self, transport: asyncio.Transport
    ) -> None:
        """Hold the output of a new connection."""
        super().connection_made(HeldTransport(transport, self._writes))

    @property
    def needs_no_store(self) -> bool:
        """Whether the response that is being sent says nothing that has to be kept."""
        cycle = self._answering
        by_task = cycle is not None and not cycle.response_complete
        scope: object = cycle.scope if cycle is not None and by_task else self.scope
        return needs_no_store(scope)
