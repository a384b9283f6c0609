"""The address of a store, as in `--store sqlite:PATH`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from upsim.core.nearest_names import closest
from upsim.engine.exceptions import StoreAddressError
from upsim.engine.store import MemoryStore, Store

KINDS = ("memory:", "sqlite:")
FORMS = "memory: or sqlite:PATH"
_LATER = ("postgresql", "postgres")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
SHOWN = 80
"""Characters of an address that a message quotes."""


def sqlite_path(address: str) -> Path | None:
    """Return the file of a `sqlite:` address; None for `memory:`.

    `~` is the home folder. Links are followed, so that one store has one name. Raises
    StoreAddressError if no store can have this address.
    """
    kind, colon, rest = address.partition(":")
    if kind == "memory" and colon:
        if rest:
            raise _wrong(address, "memory: takes no path")
        return None
    if kind == "sqlite" and colon:
        return _path(rest, address)
    if kind in _LATER and colon:
        raise _wrong(address, "PostgreSQL is not supported yet")
    if not colon and kind in ("memory", "sqlite"):
        raise _wrong(address, f"did you mean {kind}:{'PATH' if kind == 'sqlite' else ''}?")
    hint = _meant(address)
    raise StoreAddressError(
        f"store {address[:SHOWN]!r} is unknown; {hint}{'; ' if hint else ''}allowed: {FORMS}"
    )


def opened(address: str, *, seed: int, fsync: bool = False) -> Store:
    """Open the store at an address. `seed` is that of a new server. Raises StoreError."""
    path = sqlite_path(address)
    if path is None:
        return MemoryStore(seed)
    from upsim.store.sqlite_store import SqliteStore

    return SqliteStore(path, seed=seed, fsync=fsync)


def _meant(address: str) -> str:
    """Return a hint for an unknown address: a kind that is spelt alike, or its path as a file."""
    near = closest(address.partition(":")[0] + ":", KINDS)
    if near and not _DRIVE.match(address):
        return f"did you mean {near}?"
    is_path = os.sep in address or "." in address or _DRIVE.match(address)
    return f"for a file, write sqlite:{address[:SHOWN]}" if is_path else ""


def _path(text: str, address: str) -> Path:
    if not text:
        raise _wrong(address, "the file is missing; write for example sqlite:upsim.db")
    if text == ":memory:":
        raise _wrong(address, "use memory: for a store without a file")
    if text.startswith("//"):
        file = text.lstrip("/")[:SHOWN]
        raise _wrong(address, f"write sqlite:/{file} or sqlite:{file}, not a URL with //")
    if os.name != "nt" and _DRIVE.match(text):
        raise _wrong(address, "this is a path of Windows, and this machine has no drives")
    try:
        path = Path(text).expanduser().resolve()
        is_folder, parent = path.is_dir() or text[-1] in "/\\", path.parent
        has_parent = parent.is_dir()
    except OSError as error:
        raise _wrong(address, f"its folder cannot be read: {error.strerror}") from error
    except (RuntimeError, ValueError) as error:  # no such user; a loop of links; "\0"
        raise _wrong(address, f"no file has this name: {error}") from error
    if is_folder:
        inside = os.path.join(text.rstrip("/\\"), "upsim.db")[:SHOWN]  # noqa: PTH118 - as typed
        raise _wrong(address, f"it names a folder; name a file in it, such as sqlite:{inside}")
    if not has_parent:
        raise _wrong(address, f"the folder {parent} does not exist; create it first")
    return path


def _wrong(address: str, why: str) -> StoreAddressError:
    return StoreAddressError(f"store {address[:SHOWN]!r} cannot be used: {why}; allowed: {FORMS}")
