"""A PUT to a signed link as storage wants it: the headers of the ticket, and no key."""

from __future__ import annotations

import httpx


def put_request(
    http: httpx.Client | httpx.AsyncClient,
    url: str,
    content: bytes,
    *,
    kind: str = "video/mp4",
    **headers: str,
) -> httpx.Request:
    """Return the request; further headers are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = http.build_request("PUT", url, content=content, headers={"content-type": kind})
    request.headers.pop("authorization", None)
    request.headers.update(named)
    return request


def put_file(
    http: httpx.Client, url: str, content: bytes, *, kind: str = "video/mp4", **headers: str
) -> httpx.Response:
    """Put a file."""
    return http.send(put_request(http, url, content, kind=kind, **headers))
