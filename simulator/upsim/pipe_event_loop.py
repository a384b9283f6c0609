"""An event loop that needs no socket.

The usual asyncio loop is woken through a pair of sockets. Test runs that forbid sockets
(pytest-socket) refuse that pair too, though the pair sends nothing outside the process.
This loop is woken through a pipe instead.
"""

from __future__ import annotations

import asyncio
import os
import sys


class PipeEnd:
    """One end of a pipe, with the methods of a socket that asyncio calls."""

    def __init__(self, descriptor: int) -> None:
        """Take over the file descriptor and make it non-blocking."""
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def recv(self, size: int) -> bytes:
        """Read at most `size` bytes. Raises BlockingIOError if there are none."""
        return os.read(self._descriptor, size)

    def send(self, data: bytes) -> int:
        """Write; return the number of bytes written. Raises BlockingIOError if the pipe is full."""
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """Close the file descriptor; a later `send` raises OSError and never reaches a new file."""
        closed, self._descriptor = self._descriptor, -1
        os.close(closed)


class PipeLoop(asyncio.SelectorEventLoop):
    """A selector event loop that other threads and signals wake by a pipe."""

    def _make_self_pipe(self) -> None:
        reading, writing = os.pipe()
        self._ssock, self._csock = PipeEnd(reading), PipeEnd(writing)
        self._internal_fds: int = getattr(self, "_internal_fds", 0) + 1
        self._add_reader(reading, self._read_from_self)  # type: ignore[attr-defined]


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop without sockets; on Windows, which cannot wait for pipes, the usual loop."""
    return asyncio.new_event_loop() if sys.platform == "win32" else PipeLoop()
