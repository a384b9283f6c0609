"""Videos with known properties: scenario rules, hosted files, the default media."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from upsim.core.bounded_cache import BoundedCache
from upsim.core.call import Call
from upsim.core.hosts import MAX_URL_LENGTH, canonical, is_loopback
from upsim.core.media import Measured, Media, Unmeasurable
from upsim.core.url_flaws import port_flaw
from upsim.media.output_limits import bounded
from upsim.scenario.model import Scenario

MAX_MEASUREMENTS_KEPT = 4096
MAX_KEPT_LENGTH = 512
"""Characters of a URL that is remembered."""
DEFAULT_SANDBOX = "default"
_MEDIA_PATH = re.compile(r"(?:/sandbox/(?P<sandbox>[^/]*))?/media/(?P<path>.*)", re.DOTALL)
_PORTS = {"http": 80, "https": 443}
_PLAIN_HOST = re.compile(r"https?://([a-z0-9][a-z0-9.-]*)(?::[1-9][0-9]{0,3})?/", re.ASCII)


class Measurements(msgspec.Struct):
    """Measurements of files with unchanging content: clips, and blobs of the store."""

    _found: BoundedCache[str, Measured] = msgspec.field(
        default_factory=lambda: BoundedCache(MAX_MEASUREMENTS_KEPT)
    )

    def get(self, key: str) -> Measured | None:
        """Return an earlier measurement, or None."""
        return self._found.get(key)

    def put(self, key: str, measured: Measured) -> None:
        """Keep a measurement unless its name is long; above a maximum the oldest is dropped."""
        if len(key) <= MAX_KEPT_LENGTH:
            self._found[key] = measured


class HostedMedia(msgspec.Struct, frozen=True):
    """A URL that this server itself serves: its sandbox and the decoded path below `/media/`.

    The path is empty if the URL only looks like a media URL: nothing is served there.
    """

    sandbox: str
    path: str
    query: str


class MediaLookup(msgspec.Struct):
    """The rules for a video URL.

    `fetch_loopback` is True while the server is bound to loopback.
    """

    hosts: set[str]
    fetch_loopback: bool
    fetch_public: bool
    measurements: Measurements = msgspec.field(default_factory=Measurements)
    _elsewhere: BoundedCache[str, None] = msgspec.field(
        default_factory=lambda: BoundedCache(MAX_MEASUREMENTS_KEPT)
    )

    def known(self, scenario: Scenario, call: Call, source: str) -> Measured | None:
        """Return the known properties of a video; None if it must be measured first."""
        if len(source) > MAX_URL_LENGTH and source.startswith(("http://", "https://")):
            detail = f"a URL may have {MAX_URL_LENGTH} characters, this one has {len(source)}"
            return Unmeasurable("unreachable", detail)
        for rule in scenario.media:
            if rule.matches(source):
                found = rule.found
                return None if isinstance(found, Path) else _within_limit(call, bounded(found))
        if len(source) > MAX_KEPT_LENGTH or source not in self._elsewhere:
            on_web = source.startswith(("http://", "https://"))
            own = self.own(source, call.urls.base) if on_web else None
            if own is not None:
                return self._known_clip(call, own)
            if not on_web or self.will_fetch(source):
                return None
            if not host_in(source):
                flaw = port_flaw(source) or "this URL names no host"
                return Unmeasurable("unreachable", flaw)
            self._keep(source)
        call.assumed = True
        return scenario.baseline.default_media

    def _keep(self, source: str) -> None:
        """Remember that a URL is foreign and is not fetched."""
        if "/media/" in source or "%" in source or len(source) > MAX_KEPT_LENGTH:
            return
        self._elsewhere[source] = None

    def own(self, source: str, base: str) -> HostedMedia | None:
        """Return the hosted media of a URL, as a GET of the URL would find it; None if foreign."""
        if "/media/" not in source and "%" not in source:
            return None
        url = split(source)
        if url is None or not self._is_own_host(url, base):
            return None
        _, _, public = base.partition("://")[2].partition("/")
        whole = unquote(url.path).removeprefix(f"/{public}" if public else "")
        match = _MEDIA_PATH.fullmatch(whole)
        if match is not None:
            named = match["sandbox"]
            return HostedMedia(
                DEFAULT_SANDBOX if named is None else named, match["path"], url.query
            )
        return HostedMedia(DEFAULT_SANDBOX, "", "") if "/media/" in whole else None

    def will_fetch(self, source: str) -> bool:
        """Return whether a foreign URL would really be fetched."""
        if self.fetch_public:
            return True
        return self.fetch_loopback and is_loopback(host_in(source))

    def _known_clip(self, call: Call, own: HostedMedia) -> Measured | None:
        """Return an earlier measurement of a hosted clip; None if the file must be read again.

        Uploads and outputs are always read again, because they may have been removed. The same is
        true for files of another sandbox than the client's.
        """
        if own.sandbox != DEFAULT_SANDBOX and call.urls.media_sandbox != f"/sandbox/{own.sandbox}":
            return None
        return _within_limit(call, self.measurements.get(clip_key(own)))

    def _is_own_host(self, url: SplitResult, base: str) -> bool:
        """Return whether a URL is on this server, in any letter case, with or without the port."""
        asked = base.partition("://")[2].partition("/")[0]
        if url.netloc in self.hosts or url.netloc == asked:
            return True
        host = _host_of(url)
        return host is not None and any(
            host == _host_of(split(f"{url.scheme}://{own}")) for own in (*self.hosts, asked)
        )


def _within_limit(call: Call, found: Measured | None) -> Measured | None:
    """Return the properties, or an error if the file is larger than the provider accepts."""
    limit = call.rules.wholes["video_bytes"]
    if isinstance(found, Media) and found.size > limit:
        return Unmeasurable("too_large", f"the file has {found.size} bytes, more than {limit}")
    return found


def _host_of(url: SplitResult | None) -> tuple[str, int | None] | None:
    """Return host and port of a URL for comparisons; None if they cannot be read."""
    if url is None:
        return None
    if port_flaw(url.geturl()):
        return None
    return canonical(url.hostname or ""), url.port or _PORTS.get(url.scheme)


def clip_key(own: HostedMedia) -> str:
    """Return the cache key of a synthetic clip, which includes all its properties."""
    return f"{own.path}?{own.query}" if own.path.startswith("synthetic/") else ""


def host_in(source: str) -> str:
    """Return the host of a URL; empty if it has no host or an invalid port.

    For most URLs a regular expression is enough, without a full parser.
    """
    plain = _PLAIN_HOST.match(source)
    if plain is not None:
        return plain[1]
    url = split(source)
    return "" if url is None or port_flaw(source) else url.hostname or ""


def split(source: str) -> SplitResult | None:
    """Return the parts of a URL; None for an invalid or very long URL."""
    if len(source) > MAX_URL_LENGTH:
        return None
    try:
        return urlsplit(source)
    except ValueError:
        return None
