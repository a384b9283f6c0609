"""The published JSON Schemas of a library, as texts that can be compared with the files.

Each provider's folder holds one of its own, so that a new provider brings its own and no file
that is there already changes. The one beside the folders knows no provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from upsim.scenario.loader import Library
from upsim.scenario.schema import Schema, published_schema
from upsim.scenario.schemas import jsonable


def published(library: Library, providers: Iterable[str] | None = None) -> str:
    """The schema for editors, with the names of some providers, or of all of the library."""
    return json.dumps(schema_of(library, providers), indent=1, ensure_ascii=False) + "\n"


def schema_of(library: Library, providers: Iterable[str] | None = None) -> Schema:
    """The same as a value."""
    chosen = tuple(library.providers() if providers is None else providers)
    found = {provider: library.tree_of(provider) for provider in chosen}
    trees = {provider: jsonable(dict(tree)) for provider, tree in found.items() if tree}
    names = [name for name in library.names() if name.partition("/")[0] in trees]
    return published_schema(trees, names)
