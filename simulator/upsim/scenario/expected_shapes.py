"""Describe the expected shape of a value from the schema of scenario files, for messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from upsim.scenario.schema import ALWAYS, Schema, resolved_schema

MAX_NAMES = 2
"""Number of keys of a mapping that a shape shows."""
MAX_DEPTH = 4
_EVIDENCE = "evidence"
_PLAIN = re.compile(r"[a-z0-9.]*[a-z][^:#{}\[\],&*?|<>=!%@`'\" ]*(?::[^ ]+)?\Z")
"""Texts that need no quotes in YAML."""
_SINGLE = {"string": "TEXT", "integer": "NUMBER", "boolean": "true", "null": "null"}


def shape_of(schema: Schema, depth: int = 0) -> str:
    """Return an example of a value from the schema, or the words NAME, TEXT and NUMBER.

    >>> shape_of({"type": "object", "additionalProperties": {"type": "array", "items": {}}})
    '{NAME: [VALUE, …]}'
    """
    while "$ref" in schema and "examples" not in schema:
        schema = resolved_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    if "examples" in schema:
        return _written(schema["examples"][0])
    kinds: Any = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    single = [*schema.get("enum", ()), *(_SINGLE[kind] for kind in kinds if kind in _SINGLE)]
    if single:
        return str(single[0])
    if depth == MAX_DEPTH:
        return "…"
    if "array" in kinds:
        return f"[{shape_of(schema.get('items', {}), depth + 1)}, …]"
    return _mapping_shape(schema, depth) if "object" in kinds else "VALUE"


def _mapping_shape(schema: Schema, depth: int) -> str:
    entry = schema.get("additionalProperties", True)
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if isinstance(entry, Mapping):
        properties = {"NAME": dict(entry)}
    elif not properties:
        properties = {"NAME": {}}
    needed = [*schema.get("required", ()), *schema.get(ALWAYS, ())]
    names = sorted(properties, key=lambda name: (name == _EVIDENCE, name not in needed))
    shown = [
        f"{name}: {shape_of(properties[name], depth + 1)}"
        for name in names[: min(MAX_NAMES, schema.get("maxProperties", MAX_NAMES))]
        if name != _EVIDENCE
    ]
    return f"{{{', '.join(shown)}}}"


def _written(example: object) -> str:
    """Return an example as a file would contain it."""
    if isinstance(example, dict):
        return f"{{{', '.join(f'{name}: {_written(item)}' for name, item in example.items())}}}"
    return str(example) if _PLAIN.match(str(example)) else f'"{example}"'
