"""The targets and headers of a client's requests, and which requests carry the key.

Only requests to the provider's base URL carry the key. An httpx auth object adds it, so that no
local variable in a traceback contains a header with the key.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx

from upsim.client.adapter import Adapter, Request
from upsim.client.callbacks import Watch
from upsim.client.http.bounded_decompression import ACCEPTED
from upsim.client.io_effects import Fetch, Send
from upsim.client.polling_and_retries import Timeouts
from upsim.client.request_guard import RequestGuard


class Key(httpx.Auth):
    """Adds the key to requests; no text form shows the key."""

    def __init__(self, adapter: Adapter, key: str) -> None:
        """Keep the adapter, which knows the header that carries the key."""
        self._adapter = adapter
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the key to a request."""
        request.headers.update(self._adapter.authorise(self._key))
        yield request


class Wire:
    """The connection settings of one client, and its temporary video files."""

    def __init__(
        self,
        adapter: Adapter,
        *,
        base_url: str,
        key: str,
        guard: RequestGuard,
        timeouts: Timeouts,
        watch: Watch | None,
    ) -> None:
        """Use the provider at `base_url`; the provider's paths are appended to it."""
        self._base_url = base_url.rstrip("/")
        self._auth = Key(adapter, key)
        self._timeout = httpx.Timeout(timeouts.read, connect=timeouts.connect)
        self.guard = guard
        self.watch = watch
        self.timeouts = timeouts
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._spooled = 0
        self._lock = threading.Lock()

    def sending(self, effect: Send) -> dict[str, Any]:
        """Return the arguments of `build_request`. Raises UnsafeTargetError or UnpricedError."""
        request = effect.request
        self.guard.admit(request, effect.reservation)
        own = _is_own(request)
        if not own:
            self.guard.admit_link(request.target)
        return {
            "method": request.method,
            "url": f"{self._base_url}{request.target}" if own else request.target,
            "headers": {"Accept-Encoding": ACCEPTED, **request.headers} | _length(request),
            "json": request.body,
            "timeout": self._timeout,
        }

    def fetching(self, effect: Fetch) -> dict[str, Any]:
        """Return the arguments of `build_request` for a download."""
        return {
            "method": "GET",
            "url": effect.url,
            "headers": dict(effect.headers),
            "timeout": self._timeout,
        }

    def auth(self, request: Request) -> Key | None:
        """Return the key for the provider's own paths; None for other URLs."""
        return self._auth if _is_own(request) else None

    def spool(self) -> Path:
        """Return a new file for a video from a response; `close` removes the file."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="upsim-client-")
            self._spooled += 1
            return Path(self._folder.name) / f"{self._spooled}.mp4"

    def close(self) -> None:
        """Remove the files for videos."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _is_own(request: Request) -> bool:
    """Whether a request goes to the provider itself, not to a URL that the provider named."""
    return request.target.startswith("/")


def _length(request: Request) -> dict[str, str]:
    """Return the length header of a body that is read from a file while it is sent."""
    content = request.content
    return {"Content-Length": str(content.stat().st_size)} if isinstance(content, Path) else {}
