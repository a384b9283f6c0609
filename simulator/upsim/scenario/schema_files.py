"""The published JSON Schemas of a library: as values, as texts and as files for editors."""

from __future__ import annotations

import json
from collections.abc import Iterable

from upsim.scenario.loader import Library
from upsim.scenario.schema import Schema, published_schema
from upsim.scenario.schema_validation import jsonable

SCHEMA_FILE = "schema.json"
"""The name by which the first line of each scenario file refers to its schema."""


def published(library: Library, providers: Iterable[str] | None = None) -> str:
    """Return the schema for editors as a text, with the names of these providers (None: all)."""
    return json.dumps(schema_of(library, providers), indent=1, ensure_ascii=False) + "\n"


def schema_files(library: Library, providers: Iterable[str]) -> dict[str, str]:
    """Return the texts of schema files by path: one without names, and one for each provider.

    The path of a provider's schema is beside the folder of the provider's scenarios, because
    editors search there first.
    """
    named = {f"{one}/{SCHEMA_FILE}": published(library, [one]) for one in providers}
    return {SCHEMA_FILE: published(library, ()), **named}


def schema_of(library: Library, providers: Iterable[str] | None = None) -> Schema:
    """Return the schema for editors as a value."""
    chosen = tuple(library.providers() if providers is None else providers)
    found = {provider: library.tree_of(provider) for provider in chosen}
    trees = {provider: jsonable(dict(tree)) for provider, tree in found.items() if tree}
    names = [name for name in library.names() if name.partition("/")[0] in trees]
    return published_schema(trees, names)
