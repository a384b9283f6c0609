"""Say why a text is not the URL of a host, and what to write instead."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from upsim.core.hosts import MAX_PORT, MAX_URL_LENGTH, is_loopback, port_of

SHOWN_PORT = 20
_URL_AUTHORITY = re.compile(r"[^:/?#]*:?//([^/?#]*)")
_VISIBLE = re.compile(r"[!-~]+")
UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unpaired surrogates and control characters, which cannot be sent or shown on a line."""
_NO_SCHEME = re.compile(
    r"(?:(https?):/?)?((\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]+)?(?:/.*)?)", re.ASCII | re.IGNORECASE
)
_DOTTED_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.ASCII | re.IGNORECASE)
_SHOWN_URL = 200


def url_flaw(url: str) -> str:
    """Return the flaw of a URL that cannot be requested; empty for a usable URL.

    >>> url_flaw("http://a.example/x"), url_flaw("http://a..example/x"), url_flaw("http://[::1")
    ('', 'names a host that cannot exist', 'is not a URL')
    """
    if len(url) > MAX_URL_LENGTH:
        return f"has more than {MAX_URL_LENGTH} characters"
    if UNSENDABLE.search(url):
        return "contains control characters or unpaired surrogates"
    try:
        (urlsplit(url).hostname or "").encode("idna")
    except UnicodeError:
        return "names a host that cannot exist"
    except ValueError:
        return "is not a URL"
    return ""


def public_url_flaw(url: str) -> str:
    """Return why a URL is not an http or https URL, as the end of a message; empty if it is.

    >>> public_url_flaw("https://sim.example/base"), public_url_flaw("http://[::1")
    ('', 'is not a URL')
    >>> public_url_flaw("sim.example/base")
    'lacks https://: give https://sim.example/base'
    """
    without = scheme_flaw(url)
    if without:
        return without
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not port_flaw(url)
    except ValueError:
        return "is not a URL"
    beside = parts.query or parts.fragment or "@" in parts.netloc or not _VISIBLE.fullmatch(url)
    return "is not http(s)://host[:port][/path]" if beside or not usable else ""


def scheme_flaw(url: str) -> str:
    """Return the missing scheme of a URL, as the end of a message; empty for other texts.

    >>> scheme_flaw("127.0.0.1:80/x"), scheme_flaw("http:/[::1]/x")
    ('lacks http://: give http://127.0.0.1:80/x', 'lacks http://: give http://[::1]/x')
    >>> scheme_flaw("http://127.0.0.1:80/x"), scheme_flaw("server")
    ('', '')
    >>> scheme_flaw("api.venice.ai/api")
    'lacks https://: give https://api.venice.ai/api'
    """
    found = _NO_SCHEME.fullmatch(url)
    if found is None:
        return ""
    scheme, rest, host, port = found.groups()
    is_public = _DOTTED_NAME.fullmatch(host) and not is_loopback(host)
    if not (scheme or port or is_public or is_loopback(host)):
        return ""
    start = f"{(scheme or ('https' if is_public and not port else 'http')).lower()}://"
    return f"lacks {start}: give {start}{rest[:_SHOWN_URL]}"


def port_flaw(url: str) -> str:
    """Return what is wrong with the port of a URL; empty for no port or a valid one.

    >>> port_flaw("http://a.example:80/x"), port_flaw("http://a.example:080/x")
    ('', "the port '080' is not a plain number from 1 to 65535")
    """
    found = _URL_AUTHORITY.match(url)
    host_and_port = found[1].rpartition("@")[2] if found else ""
    bracketed = host_and_port.startswith("[")
    rest = host_and_port.partition("]")[2] if bracketed else host_and_port
    port = rest.partition(":")[2]
    if not port or port_of(port):
        return ""
    return f"the port {port[:SHOWN_PORT]!a} is not a plain number from 1 to {MAX_PORT}"
