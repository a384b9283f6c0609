"""Modules that few servers need: read at their first use, beside the event loop."""

from __future__ import annotations

import asyncio
from importlib import import_module

_READ: set[str] = set()


async def read(module: str) -> None:
    """Import a module, so that an `import` of it from now on takes no time.

    Reading httpx takes a tenth of a second, in which nobody else would be answered.
    """
    if module not in _READ:
        await asyncio.to_thread(import_module, module)
        _READ.add(module)
