"""The address of a store, as in `--store sqlite:PATH`."""

from __future__ import annotations

from pathlib import Path

from upsim.core.nearest_names import nearest_of
from upsim.engine.exceptions import StoreError
from upsim.engine.store import MemoryStore, Store

KINDS = ("memory:", "sqlite:")
FORMS = "memory: or sqlite:PATH"


def sqlite_path(address: str) -> Path | None:
    """Return the file of a `sqlite:` address; None for `memory:`. Raises StoreError."""
    kind, colon, rest = address.partition(":")
    if kind == "memory" and colon and not rest:
        return None
    if kind == "sqlite" and rest:
        return Path(rest).absolute()
    near = nearest_of(f"{kind}:", KINDS)
    hint = f"did you mean {near}? " if near and near != f"{kind}:" else ""
    if kind == "sqlite":
        hint = "a file is missing; "
    raise StoreError(f"store {address[:80]!r} is unknown; {hint}allowed: {FORMS}")


def opened(address: str, *, seed: int, fsync: bool = False) -> Store:
    """Open the store at an address. `seed` is that of a new server. Raises StoreError."""
    path = sqlite_path(address)
    if path is None:
        return MemoryStore(seed)
    from upsim.store.sqlite_store import SqliteStore

    return SqliteStore(path, seed=seed, fsync=fsync)
