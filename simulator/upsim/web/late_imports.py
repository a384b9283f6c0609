"""Modules that few servers need: imported on first use, outside of the event loop."""

from __future__ import annotations

import asyncio
from importlib import import_module

_READ: set[str] = set()


async def read(module: str) -> None:
    """Import a module in a thread, so that a later `import` of the module takes no time.

    The import of httpx takes 0.1 seconds, in which the event loop could handle no request.
    """
    if module not in _READ:
        await asyncio.to_thread(import_module, module)
        _READ.add(module)
