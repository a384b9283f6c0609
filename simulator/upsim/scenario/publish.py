"""The published JSON Schema of a library, as a text that can be compared with the file."""

from __future__ import annotations

import json

from upsim.scenario.loader import Library
from upsim.scenario.schema import Schema, published_schema
from upsim.scenario.schemas import jsonable


def published(library: Library) -> str:
    """The schema for editors, with the names of every provider and scenario of the library."""
    return json.dumps(schema_of(library), indent=1, ensure_ascii=False) + "\n"


def schema_of(library: Library) -> Schema:
    """The same as a value."""
    found = {provider: library.tree_of(provider) for provider in library.providers()}
    trees = {provider: jsonable(dict(tree)) for provider, tree in found.items() if tree}
    return published_schema(trees, library.names())
