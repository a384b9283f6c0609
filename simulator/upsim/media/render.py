"""Make the outputs of jobs: clips in memory, large and resampled files in the disk cache."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from upsim.core.bounded_cache import BoundedCache
from upsim.core.media import Unmeasurable
from upsim.media.blob_store import BlobStore
from upsim.media.clip_names import ClipRoomError, SyntheticClip
from upsim.media.resample_plan import ResamplePlan
from upsim.media.synthetic import ClipMaker, is_large
from upsim.media.worker_pool import WorkerPool

TIMEOUT = 120.0
_MAX_DIGESTS = 1_024
_LARGE_AT_ONCE = 2

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Resampling:
    source: str
    plan: ResamplePlan


@dataclass(frozen=True, slots=True)
class _Sounding:
    source: str
    clip: SyntheticClip


_Key = _Resampling | _Sounding | SyntheticClip


class Renderer:
    """Makes output files; simultaneous requests for the same file share the work.

    Use it from one event loop at a time.
    """

    def __init__(
        self,
        maker: ClipMaker,
        store: BlobStore,
        *,
        max_bytes: int = 64 << 20,
        largest: int = 16 << 20,
        timeout: float = TIMEOUT,
        workers: WorkerPool | None = None,
    ) -> None:
        """Keep `max_bytes` of synthetic clips in memory.

        Files above `largest` bytes, and resampled files, are kept in `store`.
        """
        self._maker = maker
        self._store = store
        self._kept = _ByteCache(max_bytes)
        self._largest = min(largest, max_bytes)
        self._large = ThreadPoolExecutor(_LARGE_AT_ONCE, thread_name_prefix="upsim-render")
        self._timeout = timeout
        self._own = workers is None
        self._workers = WorkerPool(1) if workers is None else workers
        self._jobs: dict[object, asyncio.Task[Any]] = {}
        self._digests: BoundedCache[_Key, str] = BoundedCache(_MAX_DIGESTS)

    async def synthetic(self, clip: SyntheticClip) -> bytes | Path:
        """Return the file of `clip`. Raises `ClipNameError` for an impossible clip.

        A large file is kept in the store, which may remove it later.
        """
        kept = self._kept.get(clip) or self._store.path(self._digests.get(clip, ""))
        return await self._shared(clip, lambda: self._make(clip)) if kept is None else kept

    async def resample(self, source: Path, plan: ResamplePlan) -> Path | Unmeasurable:
        """Return `source` in another size; the cache may remove the file later."""
        digest = await _kept(asyncio.to_thread(_digest, source))
        if isinstance(digest, Unmeasurable):
            return digest
        key = _Resampling(digest, plan)
        path = self._store.path(self._digests.get(key, ""))
        if path is not None:
            return path
        return await self._shared(key, lambda: _kept(self._resample(source, key)))

    async def with_sound(self, source: Path, clip: SyntheticClip) -> Path | Unmeasurable:
        """Return the file of `clip` with the audio of `source`; the cache may remove it later.

        Raises `ClipNameError` for an impossible clip.
        """
        digest = await _kept(asyncio.to_thread(_digest, source))
        if isinstance(digest, Unmeasurable):
            return digest
        key = _Sounding(digest, clip)
        path = self._store.path(self._digests.get(key, ""))
        if path is not None:
            return path
        return await self._shared(key, lambda: _kept(self._add_sound(source, key)))

    def close(self) -> None:
        """Empty the cache, and end the worker unless it was passed to the constructor."""
        self._kept.clear()
        self._large.shutdown(wait=False, cancel_futures=True)
        if self._own:
            self._workers.close()

    async def _shared(self, key: object, start: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Return the result of the work for `key`; a cancelled caller does not stop the work."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = asyncio.create_task(start())
            job.add_done_callback(lambda _: self._jobs.pop(key))
        result: _T = await asyncio.shield(job)
        return result

    async def _make(self, clip: SyntheticClip) -> bytes | Path:
        threads = self._large if is_large(clip) else None
        made = await asyncio.get_running_loop().run_in_executor(threads, self._draw, clip)
        if isinstance(made, bytes):
            self._kept.put(clip, made)
            return made
        path = None if isinstance(made, Unmeasurable) else self._remember(clip, made)
        if path is None:
            why = f": {made.detail}" if isinstance(made, Unmeasurable) else ""
            raise ClipRoomError(f"there is no room for a file of {clip.width}x{clip.height}{why}")
        return path

    def _draw(self, clip: SyntheticClip) -> bytes | str | Unmeasurable:
        """Return the bytes of a clip; for a large clip, store its parts and return the digest."""
        parts = self._maker.parts(clip)
        size = sum(map(len, parts))
        if size <= self._largest:
            return b"".join(parts)
        with self._store.writer(size) as writer:
            for part in parts:
                writer.write(part)
            return writer.finish()

    def _remember(self, key: _Key, digest: str) -> Path | None:
        self._digests[key] = digest
        return self._store.path(digest)

    async def _resample(self, source: Path, key: _Resampling) -> Path | Unmeasurable:
        with self._store.scratch() as target:
            return await self._ask(_request(source, target, key.plan), key, target)

    async def _add_sound(self, source: Path, key: _Sounding) -> Path | Unmeasurable:
        drawn = await self.synthetic(replace(key.clip, audio=False))
        with self._store.scratch() as pictures, self._store.scratch() as target:
            if isinstance(drawn, bytes):
                await asyncio.to_thread(pictures.write_bytes, drawn)
            shown = pictures if isinstance(drawn, bytes) else drawn
            request = _sound_request(source, shown, target, key.clip.duration)
            return await self._ask(request, key, target)

    async def _ask(self, request: dict[str, Any], key: _Key, target: Path) -> Path | Unmeasurable:
        """Make the worker write `target`, and store the file under `key`."""
        answer = await self._workers.ask(request, timeout=self._timeout)
        if not isinstance(answer, dict):
            return _failed(f"the worker {answer}")
        if answer["problem"] is not None:
            return _failed(answer["problem"])
        stored = await asyncio.to_thread(self._keep, target)
        if isinstance(stored, Unmeasurable):
            return stored
        path = self._remember(key, stored)
        return _failed("its file was crowded out at once") if path is None else path

    def _keep(self, target: Path) -> str | Unmeasurable:
        with target.open("rb") as file, self._store.writer(target.stat().st_size) as writer:
            while chunk := file.read(1 << 20):
                writer.write(chunk)
            return writer.finish()


class _ByteCache:
    """Clips by description; the least recently used are removed first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[SyntheticClip, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, clip: SyntheticClip) -> bytes | None:
        if clip in self._kept:
            self._kept.move_to_end(clip)
        return self._kept.get(clip)

    def put(self, clip: SyntheticClip, data: bytes) -> None:
        if len(data) > self._max_bytes or clip in self._kept:
            return
        self._kept[clip] = data
        self._bytes += len(data)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def clear(self) -> None:
        self._kept.clear()
        self._bytes = 0


async def _kept(made: Coroutine[Any, Any, _T]) -> _T | Unmeasurable:
    """Return the made file, or the reason if the disk is full or a file could not be opened."""
    try:
        return await made
    except OSError as error:
        return _failed(f"its file cannot be kept here: {error.strerror}")


def _request(source: Path, target: Path, plan: ResamplePlan) -> dict[str, Any]:
    return {
        "do": "resample",
        "path": str(source.absolute()),
        "target": str(target),
        "width": plan.width,
        "height": plan.height,
        "keep_audio": plan.keep_audio,
        "duration": plan.duration,
        "pace": [plan.pace.numerator, plan.pace.denominator] if plan.pace else None,
    }


def _sound_request(source: Path, pictures: Path, target: Path, duration: int) -> dict[str, Any]:
    return {
        "do": "add_sound",
        "path": str(source.absolute()),
        "pictures": str(pictures),
        "target": str(target),
        "duration": duration,
    }


def _digest(source: Path) -> str:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _failed(detail: str) -> Unmeasurable:
    return Unmeasurable("not_decodable", f"the video could not be used: {detail}"[:500])
