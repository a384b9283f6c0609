"""What is known of a video without waiting: scenario rules, our own files, the default media."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from upsim.core.call import Call
from upsim.core.media import Measured, Media, Unmeasurable
from upsim.engine.sandbox import Sandbox

KEPT_MEASUREMENTS = 4096


@dataclass(slots=True)
class Measurements:
    """What was measured of files whose content is known by name: clips, and blobs of the store."""

    _found: OrderedDict[str, Measured] = field(default_factory=OrderedDict)

    def get(self, key: str) -> Measured | None:
        """A measurement made before."""
        return self._found.get(key)

    def put(self, key: str, measured: Measured) -> None:
        """Keep a measurement; the oldest is dropped when there are too many."""
        self._found[key] = measured
        if len(self._found) > KEPT_MEASUREMENTS:
            self._found.popitem(last=False)


@dataclass(frozen=True, slots=True)
class OwnMedia:
    """A URL that this server answers itself: the sandbox it names and the path below `/media/`."""

    sandbox: str | None
    path: str
    query: str


@dataclass(slots=True)
class Sources:
    """How the server treats a video URL. `fetch_loopback` holds while it is bound to loopback."""

    hosts: set[str]
    fetch_loopback: bool
    fetch_public: bool
    measurements: Measurements = field(default_factory=Measurements)

    def known(self, sandbox: Sandbox, call: Call, source: str) -> Measured | None:
        """What is known at once; None when the video must be made, fetched or probed first."""
        scenario = sandbox.scenario_for(call.rules.baseline.provider)
        for rule in scenario.media:
            if rule.matches(source):
                return None if isinstance(rule.found, Path) else rule.found
        if not source.startswith(("http://", "https://")):
            return None
        own = self.own(source, call.origin.base)
        if own is not None:
            return self._known_clip(call, own)
        if self.will_fetch(source):
            return None
        url = split(source)
        if url is None or not url.hostname:
            return Unmeasurable("unreachable", "this URL names no host")
        call.assumed = True
        return scenario.baseline.default_media

    def own(self, source: str, base: str) -> OwnMedia | None:
        """The part of this server's own media that a URL names, whatever form it has."""
        if "/media/" not in source:
            return None
        url = split(source)
        if url is None or not self._is_own_host(url.netloc, base):
            return None
        before, _, path = url.path.partition("/media/")
        parts = before.strip("/").split("/")
        named = len(parts) > 1 and parts[-2] == "sandbox"
        return OwnMedia(parts[-1] if named else None, path, url.query)

    def will_fetch(self, source: str) -> bool:
        """Whether a URL that is not ours would really be fetched."""
        if self.fetch_public:
            return True
        if not self.fetch_loopback or not may_be_loopback(source):
            return False
        url = split(source)
        return url is not None and is_loopback(url.hostname or "")

    def _known_clip(self, call: Call, own: OwnMedia) -> Measured | None:
        """A clip that was measured; uploads and outputs may be gone by now and are looked at."""
        found = self.measurements.get(clip_key(own))
        limit = call.rules.whole("video_bytes")
        if isinstance(found, Media) and found.size > limit:
            return Unmeasurable("too_large", f"the file has {found.size} bytes, more than {limit}")
        return found

    def _is_own_host(self, netloc: str, base: str) -> bool:
        return netloc in self.hosts or base.partition("://")[2].partition("/")[0] == netloc


def clip_key(own: OwnMedia) -> str:
    """The name under which a synthetic clip is remembered, which says all about it."""
    return f"{own.path}?{own.query}" if own.path.startswith("synthetic/") else ""


def may_be_loopback(source: str) -> bool:
    """Whether a URL is worth taking apart: one without any of these does not name loopback."""
    return "//127." in source or "localhost" in source or "::1" in source or "@" in source


def split(source: str) -> SplitResult | None:
    """The parts of a URL, or None when it is not one."""
    try:
        return urlsplit(source)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
