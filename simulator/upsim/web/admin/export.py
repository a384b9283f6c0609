"""The admin call that exports a sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from upsim.engine.exports import export as exported
from upsim.scenario.versions import own_version
from upsim.web.admin.request_sandbox import registry_of, sandbox_of

PIECE = 256 * 1024
"""Bytes that are passed to a connection in one step."""


async def export(request: Request) -> Response:
    """`GET …/export`: return a file with which `upsim replay` runs this sandbox again."""
    sandbox = sandbox_of(request)
    found = exported(registry_of(request), sandbox, version=own_version())
    parts = await asyncio.to_thread(lambda: list(found.parts()))
    headers = {
        "content-length": str(sum(map(len, parts))),
        "content-disposition": f'attachment; filename="upsim-{sandbox.id}.json"',
    }
    return StreamingResponse(_each(parts), media_type="application/json", headers=headers)


async def _each(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces small enough for a connection to send at once, so that it copies nothing."""
    for part in parts:
        for start in range(0, len(part), PIECE):
            yield part[start : start + PIECE]
