"""Admin calls on the scenarios that the server knows."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.scenario.explain import as_json, explain
from upsim.scenario.listing import listing
from upsim.scenario.loader import UnknownScenarioError
from upsim.scenario.schema_files import schema_of
from upsim.web.admin.long_lists import made
from upsim.web.admin.parameters import MANY, OFFSET
from upsim.web.admin.problems import AdminError, answer, nearest, shown
from upsim.web.admin.request_sandbox import registry_of


async def scenarios(request: Request) -> Response:
    """`GET scenarios`: list all scenarios with their summaries."""
    offset, limit = OFFSET.whole(request), MANY.whole(request)
    found = await asyncio.to_thread(listing, registry_of(request).library)
    page = [msgspec.structs.asdict(item) for item in found[offset : offset + limit]]
    return answer({"scenarios": page, "total": len(found)})


async def scenario(request: Request) -> Response:
    """`GET scenarios/<name>`: return every value of a scenario with its file, line and evidence."""
    library, name = registry_of(request).library, request.path_params["name"]
    known = (*library.names(), *library.aliases)
    if name not in known:  # a path would show files of the machine
        near = library.near(name)[:1]
        hint = nearest(near[0], near) if near else nearest(name, known)
        message = f"there is no scenario {shown(name)}; {hint}"
        raise AdminError(404, "unknown_scenario", message)
    try:
        return await made(lambda: as_json(explain(library, name)))
    except UnknownScenarioError as error:
        raise AdminError(404, "unknown_scenario", str(error)) from error


async def schema(request: Request) -> Response:
    """`GET schema`: return the JSON Schema of scenario files, with the names of this server."""
    library = registry_of(request).library
    return await made(lambda: schema_of(library))
