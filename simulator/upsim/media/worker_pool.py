"""Worker processes that can be killed; each handles one request at a time, in limited time.

A worker is started when it is first needed, and then used again. The next call replaces a
worker that hangs or has died. All workers end with `close`, or with this process.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from upsim.media.worker_process import read_message, write_message

Failure = Literal["hung", "crashed", "cannot be started"]


class Worker:
    """One child process."""

    def __init__(self) -> None:
        """Start the process, which loads PyAV at its first request."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "upsim.media.worker_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def call(
        self, request: dict[str, Any], payload: bytes, timeout: float
    ) -> dict[str, Any] | Failure:
        """Return the result or a failure; after a failure this worker cannot be used again."""
        fired = threading.Event()
        timer = threading.Timer(timeout, self._give_up, (fired,))
        timer.start()
        try:
            answer = self._exchange({**request, "timeout": timeout}, payload)
        finally:
            timer.cancel()
        if answer is not None:
            return answer
        return "hung" if fired.is_set() else "crashed"

    def stop(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe)

    def _give_up(self, fired: threading.Event) -> None:
        fired.set()
        self._process.kill()

    def _exchange(self, request: dict[str, Any], payload: bytes) -> dict[str, Any] | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            return None
        try:
            write_message(cast("Any", stdin), {**request, "payload": len(payload)}, payload)
            return read_message(cast("Any", stdout))
        except (OSError, ValueError):  # a broken pipe, or one closed by `stop`
            return None


class WorkerPool:
    """A pool of at most `size` workers; further calls wait for one. Threads may share it."""

    def __init__(self, size: int = 2) -> None:
        """Prepare the pool; the first call starts the first process."""
        self._free = threading.Semaphore(size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="upsim-media")
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Return the ids of the running processes."""
        with self._lock:
            return [worker.pid for worker in self._all]

    def call(
        self, request: dict[str, Any], payload: bytes = b"", *, timeout: float
    ) -> dict[str, Any] | Failure:
        """Return a worker's result or a failure. It blocks: call it from a thread."""
        with self._free:
            try:
                worker = self._take()
            except OSError:  # no more processes or files
                return "cannot be started"
            answer: dict[str, Any] | Failure = "crashed"
            try:
                answer = worker.call(request, payload, timeout)
            finally:
                self._give_back(worker, alive=isinstance(answer, dict))
            return answer

    async def ask(
        self,
        request: dict[str, Any],
        payload: bytes = b"",
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> dict[str, Any] | Failure:
        """Run `call` in a thread of the pool, so that waiting calls occupy no threads elsewhere."""
        work = partial(self.call, request, payload, timeout=timeout)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Kill every worker, including busy ones; a later call raises `RuntimeError`."""
        with self._lock:
            self._closed = True
            workers, self._all = self._all, set()
            self._idle.clear()
        for worker in workers:
            worker.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker pool is closed")
            if self._idle:
                return self._idle.pop()
            worker = Worker()
            self._all.add(worker)
            return worker

    def _give_back(self, worker: Worker, *, alive: bool) -> None:
        with self._lock:
            if alive and not self._closed:
                self._idle.append(worker)
                return
            self._all.discard(worker)
        worker.stop()


def _environment() -> dict[str, str]:
    """Return our environment, with this package's folder on the import path."""
    root = str(Path(__file__).parent.parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _close(pipe: Any) -> None:  # noqa: ANN401  # a pipe of subprocess, of either direction
    try:
        pipe.close()
    except OSError:  # what was still buffered cannot be written any more
        return
