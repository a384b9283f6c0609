"""Find the running server, for every command and test that can use one."""

from __future__ import annotations

import os

from upsim.client.server_urls import DEFAULT_URL, base_url_flaw

URL = "UPSIM_URL"
"""The variable that contains its base URL."""
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
