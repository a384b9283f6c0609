"""The OpenAPI documents of the providers, if a package that contains them is installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from upsim.core.bounded_cache import BoundedCache
from upsim.core.call import Reply
from upsim.core.url_builder import UrlBuilder
from upsim.web.request_bodies import encode

ENTRY_POINT_GROUP = "upsim.documents"
KEPT = 64
ANY_KEY = (
    "This server accepts any key. To have unknown keys refused, as this document says, start it "
    "with --strict-keys."
)
_PATH = re.compile(r"/openapi(?:\.([a-z0-9_-]{1,40}))?\.json")

Source = Callable[[str, str, str | None, str], Mapping[str, Any] | None]
"""Returns a document for provider, dialect, part (None: by the host) and host name, or None."""


def is_document(method: str, path: str) -> bool:
    """Return whether a request below a provider's prefix asks for its OpenAPI document."""
    return method in ("GET", "HEAD") and _PATH.fullmatch(path) is not None


class Documents:
    """The OpenAPI documents, found by entry point on first use; some are cached as bytes.

    This package never imports the contract suite, because the contract suite tests this package.
    """

    def __init__(self) -> None:
        """Start without documents."""
        self._encoded: BoundedCache[tuple[str, str, str, str, bool], bytes] = BoundedCache(KEPT)

    def reply(
        self,
        provider: str,
        path: str,
        *,
        dialect: str,
        origin: UrlBuilder,
        host: str,
        any_key: bool,
    ) -> Reply:
        """Return the document with this server in its `servers`, or a 404 with the reason.

        With `any_key`, the description in the document says that the server does not check keys.
        """
        address, name = origin.api(""), host.partition(":")[0].lower()
        key = (provider, dialect, path, f"{address} {name}", any_key)
        body = self._encoded.get(key)
        if body is None:
            matched = _PATH.fullmatch(path)
            part = matched[1] if matched else None
            found = self._find(provider, dialect, part, name)
            if found is None:
                return self._missing(provider, path)
            body = encode({**_noted(found, any_key=any_key), "servers": [{"url": address}]})
            self._encoded[key] = body
        return Reply(200, body)

    @cached_property
    def _sources(self) -> tuple[Source, ...]:
        from importlib.metadata import entry_points

        return tuple(point.load() for point in entry_points(group=ENTRY_POINT_GROUP))

    def _find(
        self, provider: str, dialect: str, part: str | None, host: str
    ) -> Mapping[str, Any] | None:
        documents = (source(provider, dialect, part, host) for source in self._sources)
        return next((found for found in documents if found is not None), None)

    def _missing(self, provider: str, path: str) -> Reply:
        message = f"there is no document {path[1:]} of {provider}"
        if not self._sources:
            message += "; the package upsim_contracts, which has the documents, is not installed"
        return Reply(404, {"error": {"code": "no_document", "message": message}})


def _noted(document: Mapping[str, Any], *, any_key: bool) -> Mapping[str, Any]:
    if not any_key:
        return document
    info = document["info"]
    text = " ".join(filter(None, (info.get("description"), ANY_KEY)))
    return {**document, "info": {**info, "description": text}}
