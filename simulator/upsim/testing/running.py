"""The server that runs already, for every command and test that can talk to one."""

from __future__ import annotations

import os

URL = "UPSIM_URL"
"""The variable that holds its base URL."""
DEFAULT_URL = "http://127.0.0.1:4747"
SERVER = "server"
"""The target that stands for it."""


def at_running_server(target: str) -> str:
    """Return the target; for `server` the base URL in `UPSIM_URL`, else port 4747 of this machine.

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
    """Return what a text lacks to be the base URL of a server, with the remedy; else nothing."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return f"http:// is missing: http://{url[:200]}"
    if scheme.lower() not in ("http", "https") or not rest:
        return f"a base URL is such as {DEFAULT_URL}"
    host, _, path = rest.partition("/")
    provider = path.partition("/")[0]
    return (
        f"this is the URL of {provider}; that of the server is {scheme}://{host}"
        if provider and _is_provider(provider)
        else ""
    )


def _is_provider(name: str) -> bool:
    from upsim.client.discovery import providers  # not at every start of a command or a test run

    return name in providers()
