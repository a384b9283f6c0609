"""Find the videos of requests: in their bytes, in their description, or by fetching a link.

A link is fetched only if the upstream itself or this machine serves it. The video behind a link
can be replaced. Before its price is used for a later request, a HEAD request must show the same
version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from upsim.client.request_guard import is_loopback
from upsim_contracts.cassettes.bodies import (
    MAX_VIDEO_LENGTH,
    Tee,
    links,
    name_of,
    probe_shape,
    videos_in,
)
from upsim_contracts.cassettes.bounded_json import parsed
from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.record.link_rewriting import MAX_KEPT, MAX_KEPT_LENGTH, remember
from upsim_contracts.record.one_at_a_time import OneAtATime
from upsim_contracts.record.request_bodies import in_turns, is_plain
from upsim_contracts.record.upstream import Upstream

SECONDS = 20
MAX_LOOKS = 4
"""Links of one request that are fetched, in `SECONDS` and `MAX_VIDEO_LENGTH` bytes in all."""
MAX_LINKS = 100
"""Links of one response that can mean an upload, and of one request that can be known."""
VERSION = ("etag", "last-modified", "content-length")
"""Response headers by which two looks at a link see the same file."""
PLAIN = {"accept-encoding": "identity"}
Seen = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KnownVideos:
    """The known videos of a request, and whether all of its videos are known.

    `media` has one video for each name, which is a link without its query; `each` has all videos.
    """

    media: Mapping[str, Seen]
    each: Sequence[Seen]
    all_known: bool


NOTHING = KnownVideos({}, (), all_known=True)


@dataclass(slots=True)
class _Looks:
    """The time and bytes left for the links of one request, and the number of skipped links."""

    until: float
    links: int = MAX_LOOKS
    size: int = MAX_VIDEO_LENGTH
    missed: int = 0


class VideoMeasuring:
    """Remembers the video behind each link. `told` are globs and clips from the command line."""

    def __init__(
        self,
        target: Upstream,
        http: httpx.AsyncClient,
        *,
        paths: Iterable[str],
        say: Callable[[str], None],
        told: Sequence[tuple[str, ClipProperties]] = (),
    ) -> None:
        """Start with the described videos. `paths` are the paths of the provider."""
        self.paths = tuple(paths)
        self.turns = OneAtATime()
        """Of all long work of the recording."""
        self._target = target
        self._http = http
        self._told = told
        self._say = say
        self._known: dict[str, Seen | None] = {}
        self._versions: dict[str, tuple[str | None, ...]] = {}
        self._tickets: dict[str, tuple[str, ...]] = {}

    async def measure(self, body: bytes, content_type: str, sent: dict[str, None]) -> KnownVideos:
        """Return the known videos that a request contains or links to.

        The links are remembered in `sent`. Links beyond `MAX_LINKS`, and links too long to
        remember, count as unknown videos.
        """
        async with self.turns.of(len(body)):
            found, named, beyond = await asyncio.to_thread(_carried, body, content_type, sent)
        all_known = None not in found.values() and not beyond
        media = {name: seen for name, seen in found.items() if seen is not None}
        each = [*media.values()]
        left = _Looks(asyncio.get_running_loop().time() + SECONDS, missed=beyond)
        for link in named:
            known = await self._of(link, left)
            if known is None:
                all_known = False
            else:
                media[link.partition("?")[0]] = known
                each.append(known)
        if left.missed:
            bounds = f"{MAX_LOOKS} links, {SECONDS} seconds and {MAX_VIDEO_LENGTH} bytes"
            self._say(f"videos of a request not looked at: {left.missed}, beyond {bounds}")
        return KnownVideos(media, each, all_known)

    def uploaded(self, path: str, seen: Seen | None) -> None:
        """Note the file that was uploaded to a link of the upstream; a later upload replaces it."""
        for link in self._tickets.get(path.partition("?")[0], ()):
            remember(self._known, link, seen)

    def answered(self, media: Mapping[str, Seen], body: bytes) -> None:
        """Note the links in an upload's response; they belong to the uploaded file.

        The file may be uploaded before or after this response.
        """
        document = parsed(body)
        told = _short(islice(links(document[0]), MAX_LINKS)) if document else []
        bares = tuple(link.partition("?")[0] for link in told)
        carried = [seen for name, seen in media.items() if name.startswith("data:")]
        for link, bare in zip(told, bares, strict=True):
            if carried and bare not in self._known:
                remember(self._known, bare, carried[0])
            if link.startswith(self._target.origin):
                parts = _split(link)
                if parts is not None:
                    remember(self._tickets, parts.path, bares)

    async def _of(self, link: str, left: _Looks) -> Seen | None:
        """Return the video of a link. For a fetched link, the query is part of its identity."""
        bare = link.partition("?")[0]
        known = self._known.get(bare) or self._known.get(link)
        if known is not None and link in self._versions:
            known = known if await self._is_unchanged(link, left) else None
        if known is None:
            told = next((clip for glob, clip in self._told if fnmatchcase(bare, glob)), None)
            known = _described(told) if told else await self._look(link, left)
            remember(self._known, link, known)
        return known

    async def _is_unchanged(self, link: str, left: _Looks) -> bool:
        """Return whether a fetched link still leads to the same file; equal length is no proof."""
        try:
            async with asyncio.timeout_at(left.until):
                answer = await self._http.head(link, headers=PLAIN)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, TimeoutError):
            return False
        found = _version(answer)
        return answer.is_success and any(found[:2]) and found == self._versions[link]

    async def _look(self, link: str, left: _Looks) -> Seen | None:
        parts = _split(link)
        if parts is None:
            return None
        own = f"{parts.scheme}://{parts.netloc}" == self._target.origin
        if not own and not is_loopback(parts.hostname or ""):
            return None
        tee = None
        if left.links:
            left.links -= 1
            try:
                async with asyncio.timeout_at(left.until):
                    tee = await self._fetched(link, left)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
                return None
            except TimeoutError:
                left.links = 0
        if tee is None:
            left.missed += 1
            return None
        async with self.turns.of(tee.size):
            return (await asyncio.to_thread(tee.kept, "")).get("sees")

    async def _fetched(self, link: str, left: _Looks) -> Tee | None:
        """Fetch a link; return an empty result for a refusal, None for a body too long to hold.

        A compressed body is an empty result too, since it may unpack to any number of bytes. The
        request asks for an uncompressed body.
        """
        tee = Tee()
        async with self._http.stream("GET", link, headers=PLAIN) as answer:
            if not answer.is_success or not is_plain(answer.headers.get("content-encoding", "")):
                return tee
            remember(self._versions, link, _version(answer))
            async for chunk in in_turns(answer.aiter_raw()):
                tee.feed(chunk)
                left.size -= len(chunk)
                if left.size < 0 or not tee.is_whole:
                    return None
        return tee


def _version(answer: httpx.Response) -> tuple[str | None, ...]:
    return tuple(map(answer.headers.get, VERSION))


def _carried(
    body: bytes, content_type: str, sent: dict[str, None]
) -> tuple[dict[str, Seen | None], list[str], int]:
    """Return the videos in a request, the first links in it, and the number of further links.

    Slow for long requests. None means a video that cannot be read.
    """
    found: dict[str, Seen | None] = {
        name_of(content): probe_shape(content) for content in videos_in(body, content_type)
    }
    document = parsed(body)
    named = [*links(document[0])] if document else []
    for link in named[:MAX_KEPT]:
        remember(sent, link, None)
    some = _short(named[:MAX_LINKS])
    return found, some, len(named) - len(some)


def _short(found: Iterable[str]) -> list[str]:
    """Return the links that are short enough to be remembered."""
    return [link for link in found if len(link) <= MAX_KEPT_LENGTH]


def _split(link: str) -> SplitResult | None:
    """Return the parts of a link; None for an invalid one."""
    try:
        parts = urlsplit(link)
        is_link = parts.port != 0  # which also raises for an invalid port
    except ValueError:
        return None
    return parts if is_link else None


def _described(clip: ClipProperties) -> Seen:
    return {
        "width": clip.width,
        "height": clip.height,
        "fps": f"{clip.fps}",
        "seconds": f"{clip.seconds:f}",
        "frames": clip.frames,
        "container": clip.container,
        "audio": clip.audio,
    }
