"""`upsim` with a slow store, another wall clock, or a mistake, by environment variables.

`KILLS_SLOW_MS`: the most milliseconds by which a write is delayed.
`KILLS_MIN_BYTES`: the size from which batches are compacted.
`KILLS_WALL_SECONDS`: how far the clock of the machine was put forward (or back, below 0).
`KILLS_MUTANT`: `early` sends responses at once; `any_batch` sends them after any transaction.
"""

from __future__ import annotations

import os
import random
import runpy
import time
from collections.abc import Callable
from typing import Any

from upsim.cli.output_after_store import HeldTransport
from upsim.store import compaction
from upsim.store.sqlite_file import SqliteFile

SECOND = 1_000_000_000


def slow(milliseconds: int) -> None:
    """Make writes slow."""
    write = SqliteFile.write

    def slowly(file: SqliteFile, statements: Any) -> None:  # noqa: ANN401 - passed on
        time.sleep(random.uniform(0, milliseconds) / 1000)  # noqa: S311 - no secret
        write(file, statements)

    SqliteFile.write = slowly  # type: ignore[assignment,method-assign]  # on purpose


def move_wall_clock(seconds: int) -> None:
    """Put the clock of the machine forward or back."""
    real: Callable[[], int] = time.time_ns
    time.time_ns = lambda: real() + seconds * SECOND


def mutate(name: str) -> None:
    """Make responses leave too early."""
    release = HeldTransport._release

    def early(transport: HeldTransport, data: bytes | bytearray | memoryview) -> None:
        transport._inner.write(data)

    def any_batch(transport: HeldTransport, _settled: int) -> None:
        release(transport, 2**62)

    if name == "early":
        HeldTransport.write = early  # type: ignore[assignment,method-assign]  # on purpose
    elif name == "any_batch":
        HeldTransport._release = any_batch  # type: ignore[assignment,method-assign]  # on purpose
    else:
        raise ValueError(f"there is no mutant {name!r}")


def main() -> None:
    """Alter the program, and run it."""
    if value := os.environ.get("KILLS_SLOW_MS"):
        slow(int(value))
    if value := os.environ.get("KILLS_MIN_BYTES"):
        compaction.MIN_BYTES = int(value)
    if value := os.environ.get("KILLS_WALL_SECONDS"):
        move_wall_clock(int(value))
    if value := os.environ.get("KILLS_MUTANT"):
        mutate(value)
    runpy.run_module("upsim", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
