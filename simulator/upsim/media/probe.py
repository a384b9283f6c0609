"""Measure videos: a plain MP4 or MOV by its boxes, any other file in a worker process."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

from upsim.core.media import Measured, Reason, Unmeasurable
from upsim.media.measurement_json import from_json
from upsim.media.mp4_measuring import measure_boxes
from upsim.media.output_limits import bounded
from upsim.media.worker_pool import Failure, WorkerPool

TIMEOUT = 10.0
_READ_AT_ONCE = 1 << 20


class Prober:
    """Measures any number of files with a few worker processes; call `close` at the end."""

    def __init__(self, *, timeout: float = TIMEOUT, workers: WorkerPool | None = None) -> None:
        """Share the given `workers`, which the caller must close; by default start new ones."""
        self._timeout = timeout
        self._own = workers is None
        self._workers = WorkerPool() if workers is None else workers

    async def measure(self, source: bytes | Path) -> Measured:
        """Return the properties of a file, or why they are unknown; no content makes it raise."""
        if _is_large(source):
            measured = await asyncio.to_thread(measure_quickly, source)
        else:
            measured = measure_quickly(source)
        if measured is not None:
            return measured
        return self._read(await self._workers.ask(*_request(source), timeout=self._timeout))

    def measure_now(self, source: bytes | Path) -> Measured:
        """Return the result of `measure` for sync code; blocks until the result is known."""
        measured = measure_quickly(source)
        if measured is not None:
            return measured
        return self._read(self._workers.call(*_request(source), timeout=self._timeout))

    def close(self) -> None:
        """End the workers, except for workers that were passed to the constructor."""
        if self._own:
            self._workers.close()

    def _read(self, answer: dict[str, Any] | Failure) -> Measured:
        return bounded(from_json(answer)) if isinstance(answer, dict) else self._failed(answer)

    def _failed(self, failure: Failure) -> Unmeasurable:
        if failure == "hung":
            return Unmeasurable(
                "not_decodable", f"Reading the file took longer than {self._timeout:g} seconds."
            )
        if failure == "cannot be started":
            return Unmeasurable("no_room", "No process can be started to read the file.")
        return Unmeasurable("not_decodable", "Reading the file made the demuxer fail.")


def _request(source: bytes | Path) -> tuple[dict[str, Any], bytes]:
    if isinstance(source, Path):
        return {"do": "measure", "path": str(source.absolute())}, b""
    return {"do": "measure"}, source


def measure_quickly(source: bytes | Path) -> Measured | None:
    """Return the measurement if it needs no demuxer, else None."""
    if isinstance(source, Path) and not source.is_file():
        return Unmeasurable("unreachable", f"There is no file at {source}.")
    try:
        measured = measure_boxes(source)
    except OSError as error:
        short = error.errno in (errno.EMFILE, errno.ENFILE)
        reason: Reason = "no_room" if short else "unreachable"
        return Unmeasurable(reason, f"The file cannot be read: {error.strerror or error}.")
    if measured is None and not source:
        return Unmeasurable("not_a_video", "The file is empty.")
    return None if measured is None else bounded(measured)


def _is_large(source: bytes | Path) -> bool:
    """Return whether the file's tables may take long to read."""
    if isinstance(source, bytes):
        return len(source) > _READ_AT_ONCE
    return source.is_file() and source.stat().st_size > _READ_AT_ONCE


def measure_file(source: bytes | Path | str, *, timeout: float = TIMEOUT) -> Measured:
    """Measure one file, and leave no process behind."""
    prober = Prober(timeout=timeout)
    try:
        return prober.measure_now(Path(source) if isinstance(source, str) else source)
    finally:
        prober.close()
