"""Small transactions are written at once; large ones in a thread, so that others need not wait."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from upsim.store.sqlite_file import SqliteFile
from upsim.store.write_queue import LARGE, WriteQueue

KEEP = "INSERT INTO server(name, value) VALUES(?, ?)"


@pytest.mark.parametrize(("size", "in_thread"), [(10, False), (LARGE + 1, True)])
def test_a_large_transaction_does_not_block_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, in_thread: bool
) -> None:
    """A waiting response is released once its transaction is in the file."""
    threads: list[threading.Thread] = []
    write = SqliteFile.write

    def noting(file: SqliteFile, statements: Any) -> None:  # noqa: ANN401 - passed on
        threads.append(threading.current_thread())
        write(file, statements)

    monkeypatch.setattr(SqliteFile, "write", noting)
    file = SqliteFile(tmp_path / "kept.db")
    queue = WriteQueue(file, 0, threaded=False, on_written=lambda _size: None)

    async def kept() -> None:
        queue.add(KEEP, "large", bytes(size))
        await queue.settled()

    asyncio.run(kept())
    rows = dict(file.rows("SELECT name, value FROM server WHERE name='large'"))
    queue.close()
    file.close()

    assert rows == {"large": bytes(size)}
    assert [thread is not threading.main_thread() for thread in threads] == [in_thread]
    assert queue.unsettled == 0
