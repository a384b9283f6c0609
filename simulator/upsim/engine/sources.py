"""What is known of a video without waiting: scenario rules, our own files, the default media."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from upsim.core.call import Call
from upsim.core.media import Measured, Unmeasurable
from upsim.engine.sandbox import Sandbox

KEPT_MEASUREMENTS = 4096
LOOPBACK_SIGNS = ("//127.", "localhost", "::1", "@")
"""A URL without any of these does not name loopback: most need not be taken apart."""


@dataclass(slots=True)
class Measurements:
    """What was measured of files whose content is known by name: clips and stored uploads."""

    _found: OrderedDict[str, Measured] = field(default_factory=OrderedDict)

    def get(self, key: str) -> Measured | None:
        """A measurement made before."""
        return self._found.get(key)

    def put(self, key: str, measured: Measured) -> None:
        """Keep a measurement; the oldest is dropped when there are too many."""
        self._found[key] = measured
        if len(self._found) > KEPT_MEASUREMENTS:
            self._found.popitem(last=False)

    def forget(self, sandbox: str) -> None:
        """Forget the files of a sandbox; a later one of the same id may use their names again."""
        for key in [key for key in self._found if key.startswith(f"{sandbox}/")]:
            del self._found[key]


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
            return self.measurements.get(measurement_key(sandbox, own))
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
        if not self.fetch_loopback or not any(sign in source for sign in LOOPBACK_SIGNS):
            return False
        url = split(source)
        return url is not None and is_loopback(url.hostname or "")

    def _is_own_host(self, netloc: str, base: str) -> bool:
        return netloc in self.hosts or base.partition("://")[2].partition("/")[0] == netloc


def measurement_key(sandbox: Sandbox, own: OwnMedia) -> str:
    """The name under which a file of ours is remembered; synthetic clips are the same for all."""
    name = own.path.partition("?")[0]
    if name.startswith("synthetic/"):
        return f"/{name}?{own.query}"
    return f"{own.sandbox or sandbox.id}/{name}"


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
