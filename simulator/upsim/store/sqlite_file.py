"""The SQLite file of a store: opened by one process at a time, in a known format."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from upsim.engine.exceptions import StoreError

try:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
except ImportError:  # Windows: SQLite itself still refuses two writers at one time
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

FORMAT = 1
"""The format that this version writes; it reads no other."""
APPLICATION = 0x75705369
"""Marks a SQLite file as a store: `upSi`."""
BUSY_SECONDS = 5.0
BUSY_WRITE_MS = 50
"""How long a write waits for another program; the server handles no request in this time."""
_PRIVATE = 0o600
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
"""A lock file is no link: another user could let it point to a file that must not change."""
SCHEMA = """
CREATE TABLE server(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sandboxes(
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    place INTEGER NOT NULL,
    record BLOB NOT NULL,
    scenario BLOB NOT NULL,
    snapshot INTEGER NOT NULL DEFAULT 0);
CREATE TABLE keys(
    number INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE,
    sandbox TEXT NOT NULL,
    provider TEXT NOT NULL,
    owner TEXT NOT NULL,
    retired INTEGER NOT NULL);
CREATE TABLE rules(
    provider TEXT NOT NULL,
    digest TEXT NOT NULL,
    scenario BLOB NOT NULL,
    PRIMARY KEY(provider, digest)) WITHOUT ROWID;
CREATE TABLE batches(
    number INTEGER PRIMARY KEY,
    events BLOB NOT NULL,
    records BLOB NOT NULL);
CREATE TABLE snapshots(
    serial INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    part INTEGER NOT NULL,
    events BLOB NOT NULL,
    records BLOB NOT NULL,
    PRIMARY KEY(serial, batch, part));
CREATE TABLE named(
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sandbox TEXT NOT NULL,
    name TEXT NOT NULL,
    file BLOB NOT NULL,
    UNIQUE(sandbox, name));
CREATE TABLE reports(serial INTEGER PRIMARY KEY, report BLOB NOT NULL);
"""

Statement = tuple[str, tuple[object, ...]]


class SqliteFile:
    """The file of a store, locked by this process until `close`."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        """Open a file, or make a new one. Raises StoreError.

        With `fsync`, what is written survives a power loss; without it, only the end of the process
        or of any other.
        """
        self.path = path
        self.files = files_path(path)
        self._lock = _locked(path)
        try:
            self.db = _opened(path, fsync=fsync)
        except StoreError:
            self._unlock()
            raise
        self._identity = _identity(path)

    def write(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction: all or nothing. Raises sqlite3.Error.

        SQLite itself would go on to write a file that was moved or deleted.
        """
        if _identity(self.path) != self._identity:
            raise sqlite3.OperationalError("it was moved or deleted")
        if len(statements) == 1:  # a transaction of its own, in half the time
            self.db.execute(*statements[0])
            return
        with transaction(self.db):
            for statement, values in statements:
                self.db.execute(statement, values)

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a query. Raises StoreError."""
        with named_errors(self.path):
            yield from self.db.execute(query, values)

    def log_size(self) -> int:
        """Return the size of SQLite's own log, which a killed server leaves behind."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.stat().st_size if log.exists() else 0

    def checkpoint(self, kind: str) -> None:
        """Move what is in the log of SQLite to the file, on a connection of its own.

        `PASSIVE` runs beside writes. `TRUNCATE` needs a pause of them, and empties the log. Neither
        is needed for safety, so a failure is left to the next one.
        """
        with suppress(sqlite3.Error), closing(_connected(self.path)) as other:
            other.execute(f"PRAGMA wal_checkpoint({kind})")

    def close(self) -> None:
        """Close and unlock the file."""
        self.db.close()
        self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - half the time of `Path.stat`
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what happens inside, or undo all of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Raise StoreError, with the name of the file, for what SQLite raises."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged file has other bytes in texts
        raise StoreError(f"the store {path} cannot be read: {error}") from error


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _opened(path: Path, *, fsync: bool) -> sqlite3.Connection:
    check_permission(path, os.R_OK | os.W_OK)
    with named_errors(path):
        db = _connected(path)
        try:
            if is_empty(db, path):
                _make_tables(db)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if fsync else 'NORMAL'}")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.execute(f"PRAGMA busy_timeout={BUSY_WRITE_MS}")
            with suppress(OSError):  # another user's file that this one may write
                path.chmod(_PRIVATE)
        except BaseException:
            db.close()
            raise
    return db


def check_permission(path: Path, wanted: int) -> None:
    """Raise StoreError if this user may not use a file of a store in these ways (`os.access`)."""
    if path.exists() and not os.access(path, wanted):
        may = "read and write" if wanted & os.W_OK else "read"
        raise StoreError(
            f"the store {path} cannot be opened: this user may not {may} it; use the account of "
            "the server, or `chmod`"
        )


def _make_tables(db: sqlite3.Connection) -> None:
    with transaction(db):
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.execute(f"PRAGMA user_version={FORMAT}")


def is_empty(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether a file is a database without tables; otherwise, it is a store.

    Raises StoreError for a file in another format.
    """
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is no store: {error}") from error
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if not application and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return True
    if application != APPLICATION:
        raise StoreError(f"{path} is no store of upsim: it is another SQLite database")
    if found != FORMAT:
        raise StoreError(
            f"{path} is a store of format {found}; this upsim reads format {FORMAT}. "
            "Use the version of upsim that wrote it, or begin with another file."
        )
    others = "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
    for kind, name in db.execute(others):
        raise StoreError(f"{path} has a {kind} {name!r}, which upsim did not make; drop it first")
    return False


def user_of(path: Path) -> str:
    """Return the process that has a store open, as in `process 17`; empty if none has."""
    if not HAS_LOCKS:
        return ""
    try:
        lock = os.open(lock_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""  # no process ever had it, or it is another user's
    try:
        flock(lock, LOCK_SH | LOCK_NB)
    except OSError:
        return _owner(lock)
    else:
        return ""
    finally:
        os.close(lock)


def lock_path(path: Path) -> Path:
    """Return the file that the process locks which has a store open."""
    return path.with_name(f"{path.name}-lock")


def log_path(path: Path) -> Path:
    """Return the file of SQLite's own log of a store."""
    return path.with_name(f"{path.name}-wal")


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def files_path(path: Path) -> Path:
    """Return the folder with the uploaded files of a store."""
    return path.with_name(f"{path.name}-files")


def _owner(lock: int) -> str:
    owner = os.read(lock, 20).decode("ascii", "replace").strip()
    return f"process {owner}" if owner else "another process"


def _locked(path: Path) -> int | None:
    """Return the lock of a store. Raises StoreError if another process has it."""
    if not HAS_LOCKS:
        return None
    try:
        lock = os.open(lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | NO_LINKS, _PRIVATE)
    except OSError as error:
        raise StoreError(f"the store {path} cannot be opened: {error.strerror}") from error
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except OSError:
        owner = _owner(lock)
        os.close(lock)
        raise StoreError(
            f"the store {path} is in use by {owner}; stop it first, or choose another file"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock
