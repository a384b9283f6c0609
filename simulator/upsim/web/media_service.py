"""Measure videos with unknown properties: fetched URLs, sent files, clips and outputs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

import msgspec

from upsim.core.bounded_cache import BoundedCache
from upsim.core.call import Call, Pending
from upsim.core.hosts import is_loopback
from upsim.core.jobs import Job
from upsim.core.media import Measured, Media, Unmeasurable
from upsim.core.numbers import COUNT_FORM, plain_count
from upsim.core.states import JobState
from upsim.engine.jobs import BLOB
from upsim.engine.media_lookup import MAX_MEASUREMENTS_KEPT, HostedMedia, clip_key, host_in
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.media.clip_names import ClipNameError, SyntheticClip, parse_clip_name
from upsim.media.data_urls import decode_base64, decode_data_url, is_data_url
from upsim.web import late_imports
from upsim.web.job_outputs import OutputFile, output_clip, output_plan

if TYPE_CHECKING:  # imported when the first video needs them
    from upsim.media.fetch import Fetcher
    from upsim.media.probe import Prober
    from upsim.media.render import Renderer
    from upsim.media.worker_pool import WorkerPool

FETCH_SECONDS = 30.0
_BLOB = "blob/"
_NOT_KEPT = Unmeasurable("unreachable", "the video is no longer in the store")
_NEVER_READ = Unmeasurable("unreachable", "the video was never read, its properties are assumed")

Origin = Path | Literal["sent", "clip", "ours", "fetched", "assumed"]
"""The origin of a job's video: a file that a scenario names, or one of these words."""


NOTHING_YET = "a ticket was given for this upload, but nothing was PUT to its URL yet"


class MissingFile(msgspec.Struct, frozen=True):
    """A missing file of this server; `error` names the catalogue entry.

    `detail` gives the reason, if the URL or the upload ticket shows the reason.
    """

    provider: str | None = None
    error: str = "file_gone"
    detail: str = ""


class MediaService:
    """The service for all video bytes of a server; it owns the workers, caches and fetchers."""

    def __init__(self, registry: Registry) -> None:
        """Prepare the service; workers and fetchers start when they are first needed."""
        self._registry = registry
        self._fetchers: dict[bool, Fetcher] = {}
        self._measured: BoundedCache[tuple[bytes, Media], str] = BoundedCache(MAX_MEASUREMENTS_KEPT)

    @cached_property
    def _workers(self) -> WorkerPool:
        from upsim.media.worker_pool import WorkerPool

        return WorkerPool(2)

    @cached_property
    def _prober(self) -> Prober:
        from upsim.media.probe import Prober

        return Prober(workers=self._workers)

    @cached_property
    def _renderer(self) -> Renderer:
        from upsim.media.render import Renderer
        from upsim.media.synthetic import ClipMaker

        return Renderer(ClipMaker(), self._registry.blobs)  # a long render must not delay measuring

    async def measure(self, sandbox: Sandbox, call: Call, wanted: Pending) -> Measured:
        """Get the bytes of a video and measure them."""
        found = await self._obtain(sandbox, call, wanted)
        if isinstance(found, Unmeasurable):
            return found
        content, key = found
        measurements = self._registry.media_lookup.measurements
        measured = measurements.get(key) if key else None
        if measured is None:
            measured = await self._prober.measure(content)
            if key:
                measurements.put(key, measured)
        if key.startswith(_BLOB) and isinstance(measured, Media):
            self._keep(wanted.source, measured, key.removeprefix(_BLOB))
        return measured

    def _keep(self, source: str, measured: Media, digest: str) -> None:
        """Remember which file was measured at a URL; outputs may later be made from this file."""
        self._measured[_hashed(source), measured] = digest

    def repeats(self, sandbox: Sandbox, call: Call, wanted: Pending) -> bool:
        """Return whether a second measurement would give the same result: a clip, or sent bytes."""
        rules = sandbox.scenario_for(call.rules.baseline.provider).media
        if any(isinstance(rule.found, Path) and rule.matches(wanted.source) for rule in rules):
            return False
        if not wanted.source.startswith(("http://", "https://")):
            return True
        own = self._registry.media_lookup.own(wanted.source, call.urls.base)
        return own is not None and clip_key(own) != ""

    async def _obtain(
        self, sandbox: Sandbox, call: Call, wanted: Pending
    ) -> tuple[bytes | Path, str] | Unmeasurable:
        """Return a video in memory or in a file, and the key of its cached measurement."""
        source, limit = wanted.source, wanted.limit
        rules = sandbox.scenario_for(call.rules.baseline.provider).media
        for rule in rules:
            if isinstance(rule.found, Path) and rule.matches(source):
                return _unkept(_local(rule.found, limit))
        if not source.startswith(("http://", "https://")):
            return _unkept(await asyncio.to_thread(self._sent, call, source, limit))
        own = self._registry.media_lookup.own(source, call.urls.base)
        if own is None:
            fetched = await self._fetch(source, limit)
            return (fetched, f"{_BLOB}{fetched.name}") if isinstance(fetched, Path) else fetched
        content = await self._own_content(own)
        if isinstance(content, MissingFile):
            detail = content.detail or f"there is no file at {source}"
            return Unmeasurable("unreachable", detail)
        fitting = _within(content, limit)
        if isinstance(fitting, Unmeasurable):
            return fitting
        return fitting, clip_key(own) or (
            f"{_BLOB}{content.name}" if isinstance(content, Path) else ""
        )

    async def _own_content(self, own: HostedMedia) -> bytes | Path | MissingFile:
        """Return the content at a media path of this server."""
        kind, _, name = own.path.partition("/")
        home = self._registry.sandboxes.get(own.sandbox)
        if home is None:
            return MissingFile()
        if kind == "uploads":
            return self.upload(home, name)
        try:
            if kind == "synthetic":
                return await self.make(clip_of(name, own.query))
            made = await self.output(home, name) if kind == "outputs" else MissingFile()
        except ClipNameError as error:
            return MissingFile(detail=str(error))
        return made.content if isinstance(made, OutputFile) else made

    async def make(self, clip: SyntheticClip) -> bytes | Path:
        """Return the file of a clip. Raises ClipNameError if it cannot be made."""
        return await self._renderer.synthetic(clip)

    def upload(self, sandbox: Sandbox, name: str) -> Path | MissingFile:
        """Return an uploaded file, or why it is missing."""
        sandbox.run_due()
        upload = sandbox.state.uploads.get(name)
        if upload is None:
            return MissingFile()
        if upload.stored is None:
            return MissingFile(upload.issued.provider, detail=NOTHING_YET)
        path = self._registry.blobs.path(upload.stored.digest)
        return path or MissingFile(upload.issued.provider)

    async def output(self, sandbox: Sandbox, name: str) -> OutputFile | MissingFile:
        """Return the output of a job; its first download makes it.

        Raises ClipNameError if there is no room for the output.
        """
        sandbox.run_due()
        job = sandbox.state.jobs.get(name.removesuffix(".mp4"))
        if job is None or job.state is not JobState.COMPLETED or job.accepted.output is None:
            return MissingFile(job.accepted.provider if job else None)
        _, world = sandbox.view(job.accepted.provider, None)
        if world.output_gone(job):
            return MissingFile(job.accepted.provider)
        return await self._make_output(sandbox, job)

    def close(self) -> None:
        """End the workers that are running."""
        started = vars(self)
        for name in ("_renderer", "_prober", "_workers"):
            if name in started:
                started[name].close()

    async def _make_output(self, sandbox: Sandbox, job: Job) -> OutputFile:
        """Make an output from the job's own frames or audio, and generate the missing parts."""
        clip, origin = output_clip(job), self._origin(sandbox, job)
        resampling = sandbox.choices.render == "resample"
        own_sound = clip.audio and origin not in ("clip", "assumed")
        source = await self._source(job, origin) if resampling or own_sound else None
        substitutes = []
        if resampling:
            made = await self._from(source, lambda path: self._resample(path, job, clip))
            if isinstance(made, Path):
                return OutputFile(made)
            substitutes.append(f"the frames are generated: {made.detail}")
        if own_sound:
            made = await self._from(source, lambda path: self._renderer.with_sound(path, clip))
            if isinstance(made, Path):
                return OutputFile(made, tuple(substitutes))
            substitutes.append(f"the audio is a tone: {made.detail}")
        return OutputFile(await self._renderer.synthetic(clip), tuple(substitutes))

    async def _from(
        self,
        source: Path | Unmeasurable | None,
        make: Callable[[Path], Awaitable[Path | Unmeasurable]],
    ) -> Path | Unmeasurable:
        return await make(source) if isinstance(source, Path) else source or _NEVER_READ

    async def _resample(self, source: Path, job: Job, clip: SyntheticClip) -> Path | Unmeasurable:
        return await self._renderer.resample(source, output_plan(job, clip))

    def _origin(self, sandbox: Sandbox, job: Job) -> Origin:
        """Return the origin of a job's video."""
        source = job.accepted.source
        if source.startswith(BLOB):
            return "sent"
        for rule in sandbox.scenario_for(job.accepted.provider).media:
            if rule.matches(source):
                return rule.found if isinstance(rule.found, Path) else "assumed"
        if not source.startswith(("http://", "https://")):
            return "sent"
        own = self._registry.media_lookup.own(source, job.accepted.origin.base)
        if own is not None:
            return "clip" if clip_key(own) else "ours"
        return "fetched" if self._registry.media_lookup.will_fetch(source) else "assumed"

    async def _source(self, job: Job, origin: Origin) -> Path | Unmeasurable | None:
        """Return the video of a job, or why it is unavailable; None if it never had a video."""
        source, blobs = job.accepted.source, self._registry.blobs
        if origin == "assumed":
            return None
        if isinstance(origin, Path):
            found = _local(origin, self._registry.settings.store_bytes)
            return found if isinstance(found, Path | Unmeasurable) else None
        if origin == "sent":
            return blobs.path(source.removeprefix(BLOB)) or _NOT_KEPT
        if origin == "fetched":
            return await self._fetched(job)
        own = self._registry.media_lookup.own(source, job.accepted.origin.base)
        content = MissingFile() if own is None else await self._own_content(own)
        if isinstance(content, bytes):
            digest = await asyncio.to_thread(blobs.put, content)
            return digest if isinstance(digest, Unmeasurable) else blobs.path(digest) or _NOT_KEPT
        return _NOT_KEPT if isinstance(content, MissingFile) else content

    async def _fetched(self, job: Job) -> Path | Unmeasurable:
        """Return the file that was measured at the job's URL; fetch it again if it was deleted."""
        source, media = job.accepted.source, job.accepted.media
        if media is None:
            return _NEVER_READ
        kept = self._registry.blobs.path(self._measured.get((_hashed(source), media), ""))
        if kept is not None:
            return kept
        again = await self._fetch(source, self._registry.settings.store_bytes)
        if isinstance(again, Unmeasurable) or await self._prober.measure(again) == media:
            return again
        return Unmeasurable("unreachable", "another video is at its URL now")

    def _sent(self, call: Call, source: str, limit: int) -> bytes | Unmeasurable:
        """Return the bytes of a data URL or of a base64 text."""
        if is_data_url(source):
            found = decode_data_url(source, limit)
            data = found if isinstance(found, Unmeasurable) else found.data
        else:
            data = decode_base64(source, limit)
        if isinstance(data, bytes):
            digest = self._registry.blobs.put(data, leased=True)
            if call.blob:  # measured before in the same request
                self._registry.blobs.end_lease(call.blob)
            call.blob = digest if isinstance(digest, str) else ""
        return data

    async def _fetch(self, source: str, limit: int) -> Path | Unmeasurable:
        bound = self._registry.settings.loopback  # otherwise clients may be elsewhere
        loopback = bound and is_loopback(host_in(source))
        await late_imports.read("upsim.media.fetch")
        fetcher = self._fetchers.get(loopback)
        if fetcher is None:
            fetcher = self._fetchers[loopback] = self._new_fetcher(loopback=loopback)
        return await fetcher.fetch(source, limit=limit, timeout=FETCH_SECONDS)

    def _new_fetcher(self, *, loopback: bool) -> Fetcher:
        from upsim.media.fetch import Fetcher
        from upsim.media.fetch_addresses import LOOPBACK, PUBLIC

        return Fetcher(self._registry.blobs, LOOPBACK if loopback else PUBLIC)


def _hashed(source: str) -> bytes:
    """Return a short key for a URL, which may be very long."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()


def clip_of(name: str, query: str) -> SyntheticClip:
    """Return the clip that a synthetic URL names. Raises ClipNameError."""
    asked = parse_qs(query).get("bytes")
    if asked is None:
        return parse_clip_name(name)
    size = plain_count(asked[0])
    if size is None:
        msg = f"bytes={asked[0][:200]!r} is not {COUNT_FORM}"
        raise ClipNameError(msg)
    return parse_clip_name(name, size)


def _unkept(
    found: bytes | Path | Unmeasurable,
) -> tuple[bytes | Path, str] | Unmeasurable:
    return found if isinstance(found, Unmeasurable) else (found, "")


def _local(path: Path, limit: int) -> bytes | Path | Unmeasurable:
    if not path.is_file():
        return Unmeasurable("unreachable", f"there is no file {path}")
    return _within(path, limit)


def _within(content: bytes | Path, limit: int) -> bytes | Path | Unmeasurable:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > limit:
        return Unmeasurable("too_large", f"the file has {size} bytes, more than {limit}")
    return content
