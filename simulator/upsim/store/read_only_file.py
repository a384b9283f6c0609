"""The SQLite file of a store, opened only to read it, also while a server uses it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from upsim.core.suggestions import suggestion
from upsim.engine.exceptions import StoreAddressError, StoreError
from upsim.store.sqlite_file import (
    BUSY_SECONDS,
    check_permission,
    is_empty,
    log_path,
    named_errors,
    user_of,
)


class ReadOnlyFile:
    """One consistent state of a store. `user` is the process that has it open, if any."""

    def __init__(self, path: Path) -> None:
        """Open an existing store. Raises StoreError."""
        check_existing(path)
        check_permission(path, os.R_OK)
        self.path = path
        self.user = user_of(path)
        has_log = log_path(path).exists()
        mode = "mode=ro" if has_log else "mode=ro&immutable=1"  # without a log, make no files
        with named_errors(path):
            self._db = sqlite3.connect(
                f"{path.as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
            )
            try:
                check_store(self._db, path)
                self._db.execute("BEGIN")
            except BaseException:
                self._db.close()
                raise

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a query. Raises StoreError."""
        with named_errors(self.path):
            yield from self._db.execute(query, values)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def check_store(db: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError if a database is no store, or one of another format."""
    if is_empty(db, path):
        raise StoreError(f"{path} is no store: it is an empty database")


def check_existing(path: Path) -> None:
    """Raise StoreAddressError if there is no such file."""
    if not path.is_file():
        near = suggestion(path.name, sorted(one.name for one in path.parent.glob("*.db")))
        raise StoreAddressError(
            f"there is no store {path}; {near or '`upsim serve --store sqlite:PATH` makes one'}"
        )
