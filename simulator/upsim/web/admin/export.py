"""The admin call that exports a sandbox."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from upsim.engine.exports import export as exported
from upsim.web.admin.probes import own_version
from upsim.web.admin.sandboxes import registry_of, sandbox_of


async def export(request: Request) -> Response:
    """`GET …/export`: one file from which `upsim replay` runs this sandbox again."""
    sandbox = sandbox_of(request)
    found = exported(registry_of(request), sandbox, version=own_version())
    written = await asyncio.to_thread(found.written)
    reply = Response(written, media_type="application/json")
    name = f'attachment; filename="upsim-{sandbox.id}.json"'
    reply.headers["content-disposition"] = name
    return reply
