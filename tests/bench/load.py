"""A load generator: connections that send prepared requests one after the other.

Usage: `python load.py PLAN SECONDS`; PLAN is a JSON file with `host`, `port`, `connections` and
`requests` (texts). Prints `{"answers": n, "bad": n}`.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, requests: Iterator[bytes], tally: dict[str, int]) -> None:
        """Take the next request from a shared supply after each answer."""
        self._requests = requests
        self._tally = tally
        self._buffer = b""
        self._transport: Any = None  # a uvloop transport, which is no asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count a whole answer and send the next request."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or self._transport is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self._buffer = b""
        self._tally["answers"] += 1
        if head[9:10] != b"2":
            self._tally["bad"] += 1
        self._transport.write(next(self._requests))


async def drive(plan: dict[str, object], seconds: float) -> dict[str, int]:
    """Run the plan for so many seconds."""
    loop = asyncio.get_running_loop()
    tally = {"answers": 0, "bad": 0}
    listed = plan["requests"]
    assert isinstance(listed, list)
    supply = itertools.cycle([str(text).encode() for text in listed])
    host, port = str(plan["host"]), int(str(plan["port"]))
    for _ in range(int(str(plan["connections"]))):
        await loop.create_connection(lambda: Connection(supply, tally), host, port)
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    tally["micros"] = round((time.perf_counter() - started) * 1e6)
    return tally


if __name__ == "__main__":
    print(  # noqa: T201 - the answer of this program
        json.dumps(uvloop.run(drive(json.loads(Path(sys.argv[1]).read_text()), float(sys.argv[2]))))
    )
