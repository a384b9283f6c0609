"""Worker processes that go from one simulator of the tests to the next.

Each simulator ends its own worker processes. Starting a process takes 0.1 s of CPU time (Python and
PyAV), which several hundred tests would pay.
"""

from __future__ import annotations

from typing import Any

from upsim.media.worker_pool import Failure, Worker


class Shelf:
    """Worker processes without a simulator: those that gave an answer to their last request."""

    def __init__(self) -> None:
        """Start no process."""
        self._idle: list[LentWorker] = []
        self._is_closed = False

    def lend(self) -> LentWorker:
        """Return a worker process from the shelf, or a new one."""
        return self._idle.pop() if self._idle else LentWorker(self)

    def put(self, worker: LentWorker) -> None:
        """Keep a worker process for the next simulator; end it after the last test."""
        if self._is_closed:
            worker.end()
        else:
            self._idle.append(worker)

    def close(self) -> None:
        """End all worker processes on the shelf, and those that come later."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().end()


class LentWorker(Worker):
    """A worker process that goes to the shelf when its simulator stops it."""

    def __init__(self, shelf: Shelf) -> None:
        """Start the process."""
        super().__init__()
        self._shelf = shelf
        self._is_idle = False

    def call(
        self, request: dict[str, Any], payload: bytes, timeout: float
    ) -> dict[str, Any] | Failure:
        """Answer as `Worker` does, and note whether the process can be used again."""
        self._is_idle = False
        answer = super().call(request, payload, timeout)
        self._is_idle = isinstance(answer, dict)
        return answer

    def stop(self) -> None:
        """Go to the shelf, if the last request was answered; else end the process."""
        if self._is_idle:
            self._is_idle = False
            self._shelf.put(self)
        else:
            self.end()

    def end(self) -> None:
        """End the process."""
        super().stop()
