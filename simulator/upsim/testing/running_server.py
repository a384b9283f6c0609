"""Find the running server, for all commands and tests that can use it."""

from __future__ import annotations

import os

from upsim.client.server_urls import DEFAULT_URL, base_url_flaw

OF_THE_TESTS = ("UPSIM_CI_", "UPSIM_CONTRACT_", "UPSIM_REQUIRE_", "UPSIM_STATEFUL_", "UPSIM_TEST_")
"""Prefixes that this project's own tests use, and that scenarios may use."""
URL = "UPSIM_URL"
"""The variable that contains its base URL."""
SERVER = "server"
"""The target name that means this server."""


def origin_of(target: str) -> str:
    """Return the option that named the target, and where the URL of `server` came from."""
    option = f"--upsim-target={target}"
    if target != SERVER:
        return option
    origin = f"{URL} has this URL" if os.environ.get(URL) else f"the default, as {URL} is not set"
    return f"{option}; {origin}"


def at_running_server(target: str) -> str:
    """Return the target; `server` means the URL in `UPSIM_URL`, by default this machine.

    The default port is 4747.

    Raises ValueError, which names the variable, if its value is not the base URL of a server.
    """
    if target != SERVER:
        return target
    url = os.environ.get(URL) or DEFAULT_URL
    flaw = base_url_flaw(url)
    if flaw:
        raise ValueError(f"{SERVER!r} is the server at {URL}, and {URL} is {url[:200]!r}: {flaw}")
    return url
