"""What jobs produce: synthetic clips from memory, resampled ones from a bounded disk cache."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from upsim.core.media import Unmeasurable
from upsim.media.clip import Clip
from upsim.media.store import BlobStore
from upsim.media.synthetic import ClipMaker
from upsim.media.workers import WorkerPool

TIMEOUT = 120.0
_MOST_DIGESTS = 1_024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Resampling:
    source: str
    width: int
    height: int
    keep_audio: bool


class Renderer:
    """Makes output files; those who ask for the same one at the same time share the work.

    Use it from one event loop at a time.
    """

    def __init__(
        self,
        maker: ClipMaker,
        store: BlobStore,
        *,
        max_bytes: int = 64 << 20,
        timeout: float = TIMEOUT,
        workers: WorkerPool | None = None,
    ) -> None:
        """Keep `max_bytes` of synthetic clips in memory, and resampled files in `store`."""
        self._maker = maker
        self._store = store
        self._kept = _ByteCache(max_bytes)
        self._timeout = timeout
        self._own = workers is None
        self._workers = WorkerPool(1) if workers is None else workers
        self._jobs: dict[object, asyncio.Task[Any]] = {}
        self._digests: dict[_Resampling, str] = {}

    async def synthetic(self, clip: Clip) -> bytes:
        """The file of `clip`. Raises `ClipNameError` where there can be none."""
        kept = self._kept.get(clip)
        return await self._shared(clip, lambda: self._make(clip)) if kept is None else kept

    async def resample(
        self, source: Path, width: int, height: int, *, keep_audio: bool
    ) -> Path | Unmeasurable:
        """The pictures of `source` in another size, in a file that may give way to later ones."""
        key = _Resampling(await asyncio.to_thread(_digest, source), width, height, keep_audio)
        path = self._store.path(self._digests.get(key, ""))
        if path is not None:
            return path
        return await self._shared(key, lambda: self._resample(source, key))

    def close(self) -> None:
        """Ends the worker, unless it was given, and forgets what was kept."""
        self._kept.clear()
        if self._own:
            self._workers.close()

    async def _shared(self, key: object, start: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """The result of the job under way for `key`; it goes on though one who waits goes."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = asyncio.create_task(start())
            job.add_done_callback(lambda _: self._jobs.pop(key))
        result: _T = await asyncio.shield(job)
        return result

    async def _make(self, clip: Clip) -> bytes:
        data = await asyncio.to_thread(self._maker.make, clip)
        self._kept.put(clip, data)
        return data

    async def _resample(self, source: Path, key: _Resampling) -> Path | Unmeasurable:
        with tempfile.TemporaryDirectory(prefix="upsim-") as folder:
            target = Path(folder) / "resampled.mp4"
            answer = await self._workers.ask(_request(source, target, key), timeout=self._timeout)
            if not isinstance(answer, dict):
                return _failed(f"the worker {answer}")
            if answer["problem"] is not None:
                return _failed(answer["problem"])
            stored = await asyncio.to_thread(self._keep, target)
        if isinstance(stored, Unmeasurable):
            return stored
        self._digests[key] = stored
        if len(self._digests) > _MOST_DIGESTS:
            del self._digests[next(iter(self._digests))]
        path = self._store.path(stored)
        return _failed("its file was crowded out at once") if path is None else path

    def _keep(self, target: Path) -> str | Unmeasurable:
        with target.open("rb") as file, self._store.writer(target.stat().st_size) as writer:
            while chunk := file.read(1 << 20):
                writer.write(chunk)
            return writer.finish()


class _ByteCache:
    """Clips by description; the least used give way."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Clip, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, clip: Clip) -> bytes | None:
        if clip in self._kept:
            self._kept.move_to_end(clip)
        return self._kept.get(clip)

    def put(self, clip: Clip, data: bytes) -> None:
        if len(data) > self._max_bytes or clip in self._kept:
            return
        self._kept[clip] = data
        self._bytes += len(data)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def clear(self) -> None:
        self._kept.clear()
        self._bytes = 0


def _request(source: Path, target: Path, key: _Resampling) -> dict[str, Any]:
    return {
        "do": "resample",
        "path": str(source.absolute()),
        "target": str(target),
        "width": key.width,
        "height": key.height,
        "keep_audio": key.keep_audio,
    }


def _digest(source: Path) -> str:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _failed(detail: str) -> Unmeasurable:
    return Unmeasurable("not_decodable", f"The video could not be resampled: {detail}."[:500])
