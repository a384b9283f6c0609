"""The functions that a caller may give a client: how it waits, and whom it tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol

from upsim.client import clocks
from upsim.client.values import Progress

Sleeper = Callable[[float], object]
"""Waits so many seconds, in whatever time; what it returns is awaited if it can be."""
Watch = Callable[[Progress], object]
"""Is told how far a job is; what it returns is awaited if it can be."""


class SandboxSleep(Protocol):
    """A sleeper that moves a sandbox's clock instead, sync and async."""

    def sleep(self, seconds: float) -> None:
        """Move it on."""

    async def sleep_async(self, seconds: float) -> None:
        """Move it on, letting others work."""

    def close(self) -> None:
        """Close the connections."""


def wait_by(given: Sleeper | SandboxSleep | None) -> Callable[[float], object]:
    """How a sync client waits: by default in real time."""
    if given is None:
        return clocks.sleep
    return given if callable(given) else given.sleep


def wait_by_async(given: Sleeper | SandboxSleep | None) -> Callable[[float], Awaitable[object]]:
    """How an async client waits."""
    if given is None:
        return clocks.sleep_async
    if not callable(given):
        return given.sleep_async
    plain = given

    async def sleep(seconds: float) -> None:
        told = plain(seconds)
        if isawaitable(told):
            await told

    return sleep


def close(given: Sleeper | SandboxSleep | None) -> None:
    """Close what a sleeper has opened."""
    if given is not None and not callable(given):
        given.close()
