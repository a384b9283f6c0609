"""The queue of a store: all changes of one turn of the event loop become one transaction.

Each transaction has a number. Answers, and everything else that leaves the process, wait until the
transaction is written that was open when they were made. Waiting for "a" transaction is not enough:
an answer could then leave before its own.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from upsim.engine.exceptions import StoreError
from upsim.engine.request_records import Record
from upsim.store.event_encoding import UNWRITABLE, EventWriter
from upsim.store.record_encoding import Written, records_out
from upsim.store.sqlite_file import SqliteFile, Statement

LOGGER = logging.getLogger("upsim")
RETRY_SECONDS = 0.5
"""Pause between two attempts while the file cannot be written."""
BATCH = "INSERT INTO batches(number, events, records) VALUES(?, ?, ?)"

OnSettled = Callable[[int], None]
LARGE = 1024 * 1024
"""Bytes from which a transaction is written in a thread: less takes some milliseconds."""
MANY = 100
"""Records of one part from which a transaction is encoded in a thread."""


@dataclass(slots=True)
class _Transaction:
    """A closed transaction; `records` are those that are not yet encoded."""

    number: int
    statements: list[Statement]
    events: bytes
    records: list[Written]
    size: int = 0

    @property
    def is_large(self) -> bool:
        """Whether encoding and writing it would take too long for the event loop."""
        if any(not isinstance(part, int) and len(part) > MANY for _, part in self.records):
            return True
        values = (value for _, values in self.statements for value in values)
        blobs = sum(len(value) for value in values if isinstance(value, bytes))
        return blobs + len(self.events) > LARGE

    def encode(self) -> None:
        """Add the statement with the events and records, once."""
        events, self.events = self.events, b""
        records, self.records = self.records, []
        noted = _noted(records) if records else b""
        self.size += len(events) + len(noted)
        if events or noted:
            self.statements.append((BATCH, (self.number, events, noted)))


class WriteQueue:
    """The statements and events that are not yet in the file of a store.

    `unsettled` is the number of the last transaction that has to be written; 0 if none has. While
    `problem` is not empty, the file cannot be written: nothing is lost, and the writing is tried
    again. `number` is the last transaction that was closed.
    """

    def __init__(
        self, file: SqliteFile, number: int, *, threaded: bool, on_written: Callable[[int], None]
    ) -> None:
        """Continue after transaction `number`; `on_written` gets the size of each one's events.

        `threaded` transactions are written in a thread, since they wait for the disk.
        """
        self.unsettled = 0
        self.problem = ""
        self.number = number
        self.events = EventWriter()
        self._file = file
        self._on_written = on_written
        self._parts: list[msgspec.Raw] = []
        self._records: list[Written] = []
        self._statements: list[Statement] = []
        self._closed: _Transaction | None = None
        self._waiting: deque[tuple[int, OnSettled]] = deque()
        self._is_threaded = threaded
        self._threads = ThreadPoolExecutor(1, "upsim-store")
        self._writing: Future[None] | None = None
        self._pause: Future[None] | None = None
        self._timer: asyncio.Handle | None = None

    @property
    def pending(self) -> int:
        """The number of changes that are not yet written."""
        closed = len(self._closed.statements) if self._closed else 0
        return closed + len(self._parts) + len(self._records) + len(self._statements)

    # -- what is to be written

    def add_events(self, part: msgspec.Raw) -> None:
        """Add events of a sandbox in the form in which `events` has written them."""
        self._parts.append(part)
        if self._timer is None:
            self._wake()
        self.unsettled = self.number + 1

    def add_records(self, serial: int, records: int | Sequence[Record]) -> None:
        """Add records of a sandbox; a number says that all records up to it were cleared."""
        self._records.append((serial, records))
        if self._timer is None:
            self._wake()
        self.unsettled = self.number + 1

    def add(self, statement: str, *values: object) -> None:
        """Add a statement, which runs before the events of the same transaction are inserted."""
        self._statements.append((statement, values))
        if self._timer is None:
            self._wake()
        self.unsettled = self.number + 1

    def when_settled(self, number: int, call: OnSettled) -> None:
        """Call `call` with the number of a written transaction as soon as `number` is written."""
        self._waiting.append((number, call))

    async def settled(self) -> None:
        """Return once everything that was added so far is written."""
        number = self.unsettled
        if not number:
            return
        done = asyncio.get_running_loop().create_future()
        self.when_settled(number, lambda _number: None if done.done() else done.set_result(None))
        await done

    # -- writing

    def flush(self) -> None:
        """Write what was added, unless an earlier transaction is still being written."""
        self._timer = None
        if self._writing is not None or self._pause is not None or not self.unsettled:
            return
        closed = self._closed or self._close_transaction()
        is_slow = self._is_threaded or closed.is_large
        if not is_slow or (loop := _running()) is None:
            self._end(self._written(closed))
            return
        self._writing = writing = self._threads.submit(self._write, closed)
        writing.add_done_callback(lambda done: loop.call_soon_threadsafe(self._end_writing, done))

    def flush_all(self) -> None:
        """Write everything now. Raises StoreError if that fails."""
        while self.unsettled:
            if self._pause is not None:
                self._pause.exception()  # waits for its end
                self._pause = None
            if self._writing is not None:
                self._writing.exception()  # waits for its end
                self._end_writing(self._writing)
            else:
                self._end(self._written(self._closed or self._close_transaction()))
            if self.problem:
                raise StoreError(self.problem)

    def pause_for(self, work: Callable[[], None]) -> None:
        """Write nothing while `work` runs in a thread; responses wait for its end.

        Without an event loop, `work` runs at once.
        """
        loop = _running()
        if loop is None:
            work()
        elif self._pause is None:
            self._pause = pause = self._threads.submit(work)
            pause.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end_pause))

    def close(self) -> None:
        """End the thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._threads.shutdown()

    # -- inside

    def _end_pause(self) -> None:
        self._pause = None
        self.flush()

    def _wake(self) -> None:
        loop = _running()
        if loop is not None:
            self._timer = loop.call_soon(self.flush)

    def _close_transaction(self) -> _Transaction:
        """Take what was added as one transaction; what comes later belongs to the next."""
        statements, self._statements = self._statements, []
        parts, self._parts = self._parts, []
        records, self._records = self._records, []
        self.number += 1
        written = self.events.joined(parts) if parts else b""
        self._closed = closed = _Transaction(self.number, statements, written, records)
        return closed

    def _write(self, closed: _Transaction) -> None:
        closed.encode()
        self._file.write(closed.statements)

    def _written(self, closed: _Transaction) -> sqlite3.Error | None:
        try:
            self._write(closed)
        except sqlite3.Error as error:
            return error
        return None

    def _end_writing(self, done: Future[None]) -> None:
        if self._writing is not done:
            return  # `flush_all` was faster
        self._writing = None
        error = done.exception()
        if error is not None and not isinstance(error, sqlite3.Error):
            raise error
        self._end(error)

    def _end(self, error: sqlite3.Error | None) -> None:
        if error is not None:
            self._failed(error)
            return
        if self.problem:
            LOGGER.warning("the store %s can be written again", self._file.path)
            self.problem = ""
        size = self._closed.size if self._closed else 0
        self._closed = None
        is_open = bool(self._parts or self._records or self._statements)
        self.unsettled = self.number + 1 if is_open else 0
        waiting = self._waiting
        while waiting and waiting[0][0] <= self.number:
            waiting.popleft()[1](self.number)
        self._on_written(size)
        if self.unsettled and self._timer is None:
            self._wake()

    def _failed(self, error: sqlite3.Error) -> None:
        """Try again later; until then, all that waits for this transaction stays held."""
        if not self.problem:
            LOGGER.error("the store %s cannot be written: %s", self._file.path, error)
        self.problem = f"the store {self._file.path} cannot be written: {error}"
        loop = _running()
        if loop is not None and self._timer is None:
            self._timer = loop.call_later(RETRY_SECONDS, self.flush)


def _noted(parts: Sequence[Written]) -> bytes:
    """Return records as bytes, without those that cannot be written: nothing depends on them."""
    try:
        return records_out(parts)
    except UNWRITABLE:
        return records_out([part for part in _single(parts) if _is_writable(part)])


def _single(parts: Iterable[Written]) -> Iterator[Written]:
    """Yield each record as a part of its own."""
    for serial, part in parts:
        if isinstance(part, int):
            yield serial, part
        else:
            yield from ((serial, (record,)) for record in part)


def _is_writable(part: Written) -> bool:
    try:
        records_out([part])
    except UNWRITABLE as error:
        LOGGER.error("a request will be missing from the journal after a restart: %r", error)  # noqa: TRY400 - no traceback for a value
        return False
    return True


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
