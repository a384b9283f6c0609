"""Count the written bytes that the other end of a connection has not received yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Return the unacknowledged bytes in this process and, on Linux, in the operating system.

    The operating system can hold megabytes for a client. It lets this process write again after the
    client received a third of them.
    """
    sock = transport.get_extra_info("socket")
    return transport.get_write_buffer_size() + (0 if sock is None else _queued()(sock.fileno()))


@cache
def _queued() -> Callable[[int], int]:
    """Return a function that asks the operating system for a socket's unacknowledged bytes."""
    try:
        from fcntl import ioctl
        from termios import TIOCOUTQ  # of a socket SIOCOUTQ, the same number
    except ImportError:  # not on every platform
        return lambda _file: 0

    def queued(file: int) -> int:
        try:
            return int.from_bytes(ioctl(file, TIOCOUTQ, bytes(4)), "little")
        except OSError:  # not of a socket
            return 0

    return queued
