"""The OpenAPI document of the admin API, made from its calls and their shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from upsim.web.admin import server_shapes
from upsim.web.unwritable_store import ALWAYS_SERVED

if TYPE_CHECKING:
    from upsim.engine.registry import Registry
    from upsim.web.admin.admin_call import AdminCall
    from upsim.web.admin.parameters import Parameter

TEMPLATE = "#/components/schemas/{name}"
JSON = "application/json"
_PATH_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_PATHS = {
    "id": "The sandbox; `default` is always there.",
    "job": "The provider's own id of a job.",
    "provider": "A provider.",
    "fault": "The id of a fault.",
    "delivery": "The id of a delivery.",
    "name": "A name; that of a scenario holds a slash.",
}
_DESCRIPTION = """\
Sandboxes, clocks, jobs, money, faults, webhooks and the journal of a running simulator.

On the same machine, without a proxy, no token is needed; everywhere else each call but the probes
needs the token that `upsim serve` prints. A write is JSON. Instants are ISO 8601 in UTC, amounts
are exact decimals as texts. Every error has the one shape of `Problem`."""
_ERRORS = {
    400: "The request is invalid; the message names the mistake and the allowed values.",
    401: "The token is missing or wrong.",
    404: "What the path names does not exist.",
    409: "The request is valid, but the present state does not allow it.",
    413: "The body is too large.",
    415: "The Content-Type of the body is not JSON.",
    503: "The store cannot be written, see `upsim serve --store`; the message says why.",
}


def document(calls: Iterable[AdminCall], registry: Registry, prefix: str, version: str) -> Any:  # noqa: ANN401 - JSON
    """Return the whole OpenAPI document."""
    calls = [call for call in calls if call.method != "ANY"]
    names, components = _components(calls)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        path = prefix + _PATH_PARAMETER.sub(r"{\1}", call.path)
        found = _operation(call, names, registry)
        paths.setdefault(path, {})[call.method.lower()] = found
    return {
        "openapi": "3.1.0",
        "info": {"title": "upsim admin API", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{}, {"adminToken": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "adminToken": {"type": "http", "scheme": "bearer", "description": "Of `serve`."}
            },
        },
    }


def _components(calls: Iterable[AdminCall]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return the schema of every shape, and the components that the schemas refer to."""
    kinds: dict[Any, None] = {server_shapes.Problem: None}
    for call in calls:
        kinds[call.answer] = None
        if call.body is not None:
            kinds[call.body] = None
    bodies = {call.body.__name__ for call in calls if call.body is not None}
    schemas, components = msgspec.json.schema_components(list(kinds), ref_template=TEMPLATE)
    for name, component in components.items():
        if name not in bodies and "properties" in component:
            component["additionalProperties"] = False  # a response has no other fields
    return dict(zip(kinds, schemas, strict=True)), components


def _operation(call: AdminCall, names: Mapping[Any, Any], registry: Registry) -> dict[str, Any]:
    summary, _, text = (call.handle.__doc__ or "").partition("\n")
    found: dict[str, Any] = {
        "operationId": f"{call.handle.__module__.rpartition('.')[2]}.{call.handle.__name__}",
        "summary": summary.partition("`: ")[2],
        "parameters": [
            *(_in_path(name, registry) for name in _PATH_PARAMETER.findall(call.path)),
            *(_in_query(parameter, registry) for parameter in call.query),
        ],
        "responses": _responses(call, names),
    }
    if text.strip():
        found["description"] = " ".join(text.split())
    if call.body is not None:
        content = {JSON: {"schema": names[call.body]}}
        found["requestBody"] = {"required": not _may_be_empty(call.body), "content": content}
    return found


def _may_be_empty(body: type[msgspec.Struct]) -> bool:
    return not any(field.required for field in msgspec.structs.fields(body))


def _responses(call: AdminCall, names: Mapping[Any, Any]) -> dict[str, Any]:
    problem = {JSON: {"schema": names[server_shapes.Problem]}}
    statuses = {400, 401}
    if "{" in call.path:
        statuses.add(404)
    if call.method != "GET":
        statuses |= {409, 413, 415}
    if call.path not in ALWAYS_SERVED:
        statuses.add(503)
    good = {"description": "Done.", "content": {call.media: {"schema": names[call.answer]}}}
    errors = {
        str(status): {"description": _ERRORS[status], "content": problem}
        for status in sorted({*statuses, *call.errors})
    }
    return {str(call.status): good, **errors}


def _in_path(name: str, registry: Registry) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name == "provider":
        schema["enum"] = list(registry.providers)
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PATHS[name],
        "schema": schema,
    }


def _in_query(parameter: Parameter, registry: Registry) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.most is not None:
        bounds = {"minimum": 0, "maximum": parameter.most, "default": parameter.default}
        schema = {"type": "integer", **bounds}
    elif parameter.choices:
        schema["enum"] = list(parameter.choices)
    elif parameter.name == "provider":
        schema["enum"] = list(registry.providers)
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.means,
        "schema": schema,
    }
