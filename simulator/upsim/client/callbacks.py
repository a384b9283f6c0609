"""The functions that users may pass to a client: how to wait, and how to report progress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol

from upsim.client import clocks
from upsim.client.results import Progress

Sleeper = Callable[[float], object]
"""Waits for the given seconds, real or virtual. The result is awaited if it is awaitable."""
Watch = Callable[[Progress], object]
"""Receives the progress of a job. The result is awaited if it is awaitable."""


class SandboxSleep(Protocol):
    """A sleeper that advances a sandbox's clock instead of waiting, sync and async."""

    def check(self) -> None:
        """Raise ClientError if the clock cannot be reached."""

    async def check_async(self) -> None:
        """Check the clock without blocking the event loop."""

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""

    async def sleep_async(self, seconds: float) -> None:
        """Advance the clock without blocking the event loop."""

    def close(self) -> None:
        """Close the connections."""


def wait_by(given: Sleeper | SandboxSleep | None) -> Callable[[float], object]:
    """Return the wait function of a sync client; it waits in real time by default."""
    if given is None:
        return clocks.sleep
    return given if callable(given) else given.sleep


def wait_by_async(given: Sleeper | SandboxSleep | None) -> Callable[[float], Awaitable[object]]:
    """Return the wait function of an async client; it waits in real time by default."""
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


def check(given: Sleeper | SandboxSleep | None) -> None:
    """Raise ClientError if a sandbox's clock cannot be reached; a function needs no check."""
    if given is not None and not callable(given):
        given.check()


async def check_async(given: Sleeper | SandboxSleep | None) -> None:
    """Check a sandbox's clock like `check`, without blocking the event loop."""
    if given is not None and not callable(given):
        await given.check_async()


def close(given: Sleeper | SandboxSleep | None) -> None:
    """Close the connections that a sleeper has opened."""
    if given is not None and not callable(given):
        given.close()
