"""Texts whose text form hides a secret: URLs without their query, and keys."""

from __future__ import annotations

from urllib.parse import quote

_MAX_SHOWN_LENGTH = 500


class Link(str):
    """A URL whose query, which may contain a signature, is hidden in text forms."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the link without its query."""
        return repr(shown_url(self))


class Secret(str):
    """A text that is hidden in text forms."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show a placeholder."""
        return "'…'"


def shown_url(url: str) -> str:
    """Return a URL or path for messages: no user, no query, no content of a data URL."""
    if url[:5].lower() == "data:":
        return "data:…"
    plain, sign, _ = url.partition("?")
    start, slashes, rest = plain.partition("://")
    host, slash, path = rest.partition("/")
    shown = f"{start}{slashes}{host.rpartition('@')[2]}{slash}{path}"
    if len(shown) > _MAX_SHOWN_LENGTH:
        return f"{shown[:_MAX_SHOWN_LENGTH]}…"
    return f"{shown}?…" if sign else shown


def path_segment(text: str) -> str:
    r"""Return a text as one segment of a URL path, so that an id never leads to another path.

    >>> path_segment("a/b?c"), path_segment(".."), path_segment("\ud800")
    ('a%2Fb%3Fc', '%2E%2E', '%ED%A0%80')
    """
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted.replace(".", "%2E") if text in (".", "..") else quoted
