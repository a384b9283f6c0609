"""Find the running server, for every command and test that can use one."""

from __future__ import annotations

import os

from upsim.core.hosts import public_url_flaw
from upsim.core.nearest import closest

URL = "UPSIM_URL"
"""The variable that contains its base URL."""
DEFAULT_URL = "http://127.0.0.1:4747"
ADMIN = "__sim"
SERVER = "server"
"""The target name that means this server."""


def at_running_server(target: str) -> str:
    """Return the target; for `server` the URL in `UPSIM_URL`, by default port 4747 of this machine.

    Raises ValueError, which names the variable, if its value is no base URL of a server.
    """
    if target != SERVER:
        return target
    url = os.environ.get(URL) or DEFAULT_URL
    flaw = base_url_flaw(url)
    if flaw:
        raise ValueError(f"{SERVER!r} is the server at {URL}, and {URL} is {url[:200]!r}: {flaw}")
    return url


def base_url_flaw(url: str) -> str:
    """Return why a text is not a server's base URL, with the remedy; empty if it is one."""
    flaw = public_url_flaw(url)
    if flaw:
        return f"it {flaw}" if " give " in flaw else f"it {flaw}, such as {DEFAULT_URL}"
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    root, first = f"{scheme}://{host}", path.partition("/")[0]
    if first == ADMIN:
        return f"this is the admin API; the URL of the server is {root}"
    provider = _provider_meant(first)
    return f"this is the URL of {provider}; that of the server is {root}" if provider else ""


def _provider_meant(step: str) -> str:
    from upsim.client.discovery import providers  # not at every start of a command or a test run

    return closest(step, providers()) if step else ""
