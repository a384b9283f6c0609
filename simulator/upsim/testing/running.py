"""The server that runs already, for every command and test that can talk to one."""

from __future__ import annotations

import os

URL = "UPSIM_URL"
"""The variable that holds its base URL."""
DEFAULT_URL = "http://127.0.0.1:4747"
SERVER = "server"
"""The target that stands for it."""


def at_running_server(target: str) -> str:
    """The target; for `server` the base URL in `UPSIM_URL`, else port 4747 of this machine."""
    return (os.environ.get(URL) or DEFAULT_URL) if target == SERVER else target
