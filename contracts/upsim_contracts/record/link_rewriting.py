"""Rewrite links in responses so that the client's next requests use the recorder too.

Links that lead back to the upstream are rewritten; links to other hosts are left unchanged.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TypeVar
from urllib.parse import urlsplit

from upsim_contracts.cassettes.text_windows import substituted
from upsim_contracts.record.upstream import Upstream

MAX_KEPT = 10_000
"""Links that are remembered: of answers, of requests, of uploads and of videos."""
MAX_KEPT_LENGTH = 8192
"""Characters of a link that is remembered."""
T = TypeVar("T")
_REMEMBERING = Lock()


class Links:
    """The links of responses, in their original form and in the form that the client gets."""

    def __init__(self, target: Upstream) -> None:
        """Start without links."""
        self._target = target
        self._own = re.compile(
            re.escape(target.origin.encode()) + rb"(?![0-9])(?:\\?/[^\"'\s<>]*)?"
        )
        self.files: dict[str, None] = {}
        """Paths of the upstream outside the provider's own that its newest answers led to."""
        self.sent: dict[str, None] = {}
        """Links that the client sent last; responses repeat them unchanged."""

    def told(self, text: bytes, proxy: str) -> bytes:
        """Rewrite the upstream's own links in a text, so that they lead to the recorder."""

        def told(found: re.Match[bytes]) -> bytes:
            link = _read(found).replace("\\/", "/")
            return found[0] if link in self.sent else _written(self._led(link, proxy))

        return substituted(self._own, told, text)

    def _led(self, link: str, proxy: str) -> str:
        """Return the rewritten link for the client, and remember its path."""
        base = self._target.base
        if link == base or link.startswith((f"{base}/", f"{base}?")):
            return proxy + link.removeprefix(base)
        rest = link.removeprefix(self._target.origin)
        remember(self.files, rest.partition("?")[0], None)
        return _origin(proxy) + rest

    def meant(self, text: bytes, proxy: str) -> bytes:
        """Rewrite links to the recorder in a client's text back to links of the upstream."""
        origin = _origin(proxy)
        mine = re.compile(re.escape(_written(origin)) + rb"[^\"'\s<>\\]*")

        def meant(found: re.Match[bytes]) -> bytes:
            link = _read(found)
            rest = link.removeprefix(origin)
            if rest.partition("?")[0] in self.files:
                return _written(self._target.origin + rest)
            if link.startswith(proxy):
                return _written(self._target.base + link.removeprefix(proxy))
            return found[0]

        return substituted(mine, meant, text)


def remember(kept: dict[str, T], key: str, value: T, most: int = MAX_KEPT) -> None:
    """Store a value as the newest; drop the oldest value if there are more than `most`.

    A key of more than MAX_KEPT_LENGTH characters is ignored. Thread-safe.
    """
    if len(key) > MAX_KEPT_LENGTH:
        return
    with _REMEMBERING:
        kept.pop(key, None)
        kept[key] = value
        if len(kept) > most:
            del kept[next(iter(kept))]


def _read(found: re.Match[bytes]) -> str:
    """Return a matched link as text, even if it has invalid bytes."""
    return found[0].decode("utf-8", "surrogateescape")


def _written(link: str) -> bytes:
    return link.encode("utf-8", "surrogateescape")


def _origin(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}"
