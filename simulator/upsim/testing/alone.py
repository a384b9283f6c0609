"""Interception without pytest: a simulator, a sandbox and the changed libraries in one block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.session import Session

Amount = Decimal | str | int
NAME = "intercept"


@contextmanager
def intercept(
    scenario: str | Mapping[str, object] | None = None,
    *,
    balance: Amount | Mapping[str, Amount] | None = None,
    clock: str | Mapping[str, str] | None = None,
    seed: int | None = None,
    dialect: str | Mapping[str, str] | None = None,
    strict_keys: bool | None = None,
) -> Iterator[SandboxHandle]:
    """While the block lasts, calls to the providers' own hosts reach a sandbox in this process.

    Those of httpx, requests and aiohttp, sync and async, from any thread; with any key.
    """
    asked = {
        "scenario": scenario,
        "balance": balance,
        "clock": clock,
        "seed": seed,
        "dialect": dialect,
        "strict_keys": strict_keys,
    }
    session = Session("sim", seed=0, token="", protocol=lambda: asyncio.Protocol)
    try:
        with session.sandbox(NAME, asked) as sandbox, sandbox.intercept():
            yield sandbox
    finally:
        session.close()
