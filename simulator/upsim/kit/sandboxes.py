"""Sandboxes for machines that run without the fixtures of pytest."""

from __future__ import annotations

import asyncio
import atexit
from functools import cache

from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.simulator_session import PytestSession

NAME = "kit"


def own_sandbox(**options: object) -> SandboxHandle:
    """Return a sandbox in a simulator of this process, which ends with the process."""
    return _session().sandbox(NAME, options)


@cache
def _session() -> PytestSession:
    session = PytestSession("sim", seed=0, token="", protocol=lambda: asyncio.Protocol)
    atexit.register(session.close)
    return session
