"""The JSON Schema of scenario files: one source, for resolved files and for editors.

In the source, `required` applies to a resolved file and `x-always` to every file. A file that
extends another file may leave out all other keys, so the published schema has no `required`.
The published schema also allows `${VARIABLE}` for any single value, and lists the names that
exist for each provider.

Some rules about sections cannot be expressed in JSON Schema. These keywords state them, for
the code that checks them:

- `x-fixed`: the section is read once, when a sandbox or a server starts; a change cannot set it;
- `x-closed`: the section has only the baseline's entries, because the code reads them by name;
- `x-new`: the section can have new entries, of the kind that the keyword names;
- `x-without`: a provider may omit the section; the keyword says what happens then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from upsim.scenario.rule_vocabulary import inputs_of

Schema = dict[str, Any]
ALWAYS = "x-always"
PUBLISHED_ID = "upsim-scenario"
_VARIABLE = {"$ref": "#/$defs/variable"}
_ENTRIES = ("plans", "limits", "facts", "headers", "retention", "statuses", "errors", "failures")


@cache
def source() -> Schema:
    """Return the schema as written."""
    path = Path(__file__).with_name("schema.json")
    found: Schema = json.loads(path.read_text(encoding="utf-8"))
    return found


def sections(keyword: str) -> dict[str, Any]:
    """Return the sections of a file that have a keyword, each with the keyword's value."""
    properties: Schema = source()["properties"]
    return {name: node[keyword] for name, node in properties.items() if keyword in node}


def properties_of(definition: str) -> Schema:
    """Return the allowed properties of a mapping in the source, by key."""
    found: Schema = source()["$defs"][definition]["properties"]
    return found


@cache
def resolved_schema() -> Schema:
    """Return the schema of a file that is merged with everything it extends."""
    found: Schema = _with_required(source(), keep=True)
    return found


def published_schema(baselines: Mapping[str, Schema], scenarios: Iterable[str]) -> Schema:
    """Return the schema for editors, with the names of these baselines and scenarios.

    Without baselines, the schema describes the keys in files of any provider.
    """
    root: Schema = _open(_with_required(source(), keep=False))
    properties: Schema = root["properties"]
    if baselines:
        properties["extends"] = _offered(properties["extends"]["description"], scenarios)
    properties["accounts"]["properties"] = {
        provider: {"$ref": "#/$defs/account", "properties": {"plan": _offered("", tree["plans"])}}
        for provider, tree in baselines.items()
    }
    fixed = sections("x-fixed")
    root["$defs"]["change"]["properties"]["set"] |= {
        "properties": {k: {"$ref": f"#/properties/{k}"} for k in properties if k not in fixed},
        "additionalProperties": False,
    }
    root |= {
        "$id": PUBLISHED_ID,
        "title": "upsim scenario or baseline",
        "$comment": "Written from the schema inside the package by `upsim scenarios schema`.",
        "if": {"required": ["extends"]},
        "else": {"required": source()["required"]},
    }
    if baselines:
        root["allOf"] = [_where(provider) for provider in baselines]
    root["$defs"] |= {
        "variable": {
            "type": "string",
            "pattern": r"\$\{",
            "description": "A value from the environment: ${NAME} or ${NAME:-default}.",
        },
        **{f"names-{provider}": _names(tree) for provider, tree in baselines.items()},
    }
    return root


def _with_required(node: Any, *, keep: bool) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        return [_with_required(item, keep=keep) for item in node]
    if not isinstance(node, dict):
        return node
    names = [*node.get(ALWAYS, ()), *(_required(node) if keep else ())]
    rest = {
        key: value
        for key, value in node.items()
        if not key.startswith("x-") and (key != "required" or not _required(node))
    }
    found = {key: _with_required(value, keep=keep) for key, value in rest.items()}
    return {**found, "required": names} if names else found


def _required(node: Schema) -> list[str]:
    """Return the required names, unless `required` is itself a property."""
    found = node.get("required", [])
    return found if isinstance(found, list) else []


def _open(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the schema, changed so that every value except free text may be a variable."""
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    if not _is_restricted_leaf(node):
        return {key: _open(value) for key, value in node.items()}
    told = {key: node[key] for key in ("description",) if key in node}
    value = {key: value for key, value in node.items() if key not in told}
    if isinstance(node.get("type"), list) and "integer" in node["type"]:
        value["type"] = [*node["type"], "number"]  # a number with a point, kept exact
    return {**told, "anyOf": [value, _VARIABLE]}


def _is_restricted_leaf(node: Schema) -> bool:
    if "enum" in node or "const" in node:
        return True
    kinds = node.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or {"object", "array"} & set(kinds):
        return False
    return "string" not in kinds or bool({"pattern", "minLength"} & node.keys())


def _where(provider: str) -> Schema:
    """Return a condition of the schema: files of this provider may use these names."""
    extends = {"properties": {"extends": {"pattern": f"^{provider}/"}}, "required": ["extends"]}
    states = {"properties": {"provider": {"const": provider}}, "required": ["provider"]}
    return {"if": {"anyOf": [extends, states]}, "then": {"$ref": f"#/$defs/names-{provider}"}}


def _names(tree: Schema) -> Schema:
    failures = _offered("Why the job ended.", tree["failures"])
    ends = dict.fromkeys(("failed", "cancelled", "timeout"), failures)
    steps = {"items": {"properties": ends}}
    rule = {"properties": {"when": {"properties": _when(tree)}, "lifecycle": steps}}
    found: Schema = {
        "dialect": _offered("The dialect of this scenario.", tree["dialects"]),
        "account": {"properties": {"plan": _offered("Entry of `plans`.", tree["plans"])}},
        "knobs": {"properties": {k: _knob(v) for k, v in tree["knobs"].items()}},
        "models": {"properties": {k: _model(v) for k, v in tree["models"].items()}},
        "jobs": {"items": rule},
        "changes": {
            "items": {"properties": {"set": {"$ref": f"#/$defs/names-{tree['provider']}"}}},
        },
        "checks": {
            "properties": {k: {"type": "array"} for k in tree["checks"] if k != "evidence"},
        },
    }
    for section in _ENTRIES:
        entries = tree.get(section, {})
        found[section] = {"properties": {k: {"description": _said(v)} for k, v in entries.items()}}
    return {"properties": found}


def _knob(node: Schema) -> Schema:
    choices: list[Schema] = [{"enum": list(node["values"])}, {"type": "object"}, _VARIABLE]
    return {"description": node["summary"], "anyOf": choices}


def _model(node: Schema) -> Schema:
    options = {name: {"type": "object"} for name in node.get("options", {})}
    return {"description": node["name"], "properties": {"options": {"properties": options}}}


def _when(tree: Schema) -> Schema:
    fields: Schema = {name: {} for name in inputs_of(tree)}
    for model in tree["models"].values():
        for name, option in model.get("options", {}).items():
            fields[name] = _offered(
                f"An option; its default is {option['default']}.", option["allowed"]
            )
    return fields


def _offered(description: str, names: Iterable[str]) -> Schema:
    """Return a schema that allows any value and offers these names for completion."""
    told = {"description": description} if description else {}
    return {**told, "anyOf": [{"enum": list(names)}, {}]}


def _said(entry: Schema) -> str:
    """Return the text of the baseline for an entry, to be shown in an editor."""
    status, message, value = entry.get("status"), entry.get("message"), entry.get("value")
    text = f"{status} {message}" if message is not None else "" if value is None else str(value)
    evidence = entry["evidence"]
    shown = text if len(text) <= 100 else f"{text[:99]}…"  # noqa: PLR2004 - one line of an editor
    return f"{shown} ({evidence['grade']})".strip()
