"""Files by the hash of their content, in a private folder of bounded size."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from upsim.core.media import Unmeasurable
from upsim.media.temporary_folders import KeptFolder, PrivateFolder

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = "part-"
PIECE = 1 << 20
"""Maximum bytes of content in memory that one write call gets."""


class BlobStore:
    """Content-addressed files; the least recently used are removed first, a held file never.

    The first file creates the folder, which only this user can read; `close` removes it, unless
    it is `kept`. Threads may share a store.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        folder: Path | None = None,
        kept: Path | None = None,
        fsync: bool = False,
    ) -> None:
        """Keep at most `max_bytes`, in a new temporary folder inside `folder`.

        With `kept`, use this folder instead, with the files that it has already. With `fsync`, a
        stored file survives a power loss.
        """
        self._max_bytes = max_bytes
        self._parent = folder
        self._kept = kept
        self._fsync = fsync
        self._folder: PrivateFolder | KeptFolder | None = None
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._holds: Counter[str] = Counter()
        self._leased: set[str] = set()
        self._bytes = 0
        self._lock = threading.RLock()
        if kept is not None and kept.is_dir():
            self._read_folder(kept)

    def put(self, data: bytes | memoryview, *, leased: bool = False) -> str | Unmeasurable:
        """Store bytes; return their digest, or the problem that prevents it."""
        with self.writer(len(data)) as writer:
            for start in range(0, len(data), PIECE):
                writer.write(data[start : start + PIECE])
            return writer.finish(leased=leased)

    def writer(self, limit: int) -> BlobWriter:
        """Return a writer for a file of at most `limit` bytes."""
        return BlobWriter(self, min(limit, self._max_bytes))

    def path(self, digest: str) -> Path | None:
        """Return the path of a file and mark it as recently used; None if the file is gone."""
        with self._lock:
            if digest not in self._sizes:
                return None
            self._sizes.move_to_end(digest)
            return self._home() / digest

    def hold(self, digest: str) -> bool:
        """Keep a file from being removed until `release`; return False if it is missing."""
        with self._lock:
            if digest not in self._sizes:
                return False
            self._holds[digest] += 1
            self._leased.discard(digest)
            return True

    def release(self, digest: str) -> None:
        """End one `hold`."""
        with self._lock:
            if self._holds[digest] <= 0:
                raise ValueError(f"blob {digest} is not in the store")
            self._holds[digest] -= 1
            if not self._holds[digest]:
                del self._holds[digest]

    def end_lease(self, digest: str, *, keep: bool = False) -> None:
        """Release a file that was stored `leased`; delete it unless `keep` is true or it is held.

        A lease reserves a file until its request is accepted or refused.
        """
        with self._lock:
            if digest not in self._holds:
                return  # the store was closed in between
            self.release(digest)
            if keep:
                self._leased.discard(digest)
            elif digest in self._leased and digest not in self._holds:
                self._leased.discard(digest)
                self._remove(digest)

    @property
    def size(self) -> int:
        """Return the total size of all files in bytes."""
        return self._bytes

    def close(self) -> None:
        """Remove all files and the folder; the empty store can be used again."""
        with self._lock:
            if self._folder is not None:
                self._folder.remove()
            self._folder = None
            self._sizes.clear()
            self._holds.clear()
            self._leased.clear()
            self._bytes = 0

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a path in the folder for a temporary file; delete it afterwards. Raises OSError."""
        with self.open_part() as file:
            path = Path(file.name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def open_part(self) -> IO[bytes]:
        """Return a new file in the folder, for a writer. Raises OSError if it cannot be created."""
        with self._lock:
            return tempfile.NamedTemporaryFile(dir=self._home(), prefix=_PART, delete=False)

    def finish_file(self, file: IO[bytes]) -> None:
        """Close a file whose bytes are complete. Raises OSError if the disk is full."""
        if self._fsync:
            file.flush()
            os.fsync(file.fileno())
        file.close()

    def adopt(self, file: Path, digest: str, size: int, *, leased: bool) -> str | Unmeasurable:
        """Turn a complete file of the folder into a stored file; remove old files to make room.

        Raises OSError if the disk is full.
        """
        with self._lock:
            if digest in self._sizes:
                file.unlink()
                self._sizes.move_to_end(digest)
                if not leased:
                    self._leased.discard(digest)
            elif not self._make_room(size):
                file.unlink()
                return Unmeasurable("too_large", f"There is no room for {size} bytes more.")
            else:
                file.replace(self._home() / digest)
                self._sizes[digest] = size
                self._bytes += size
                if leased:
                    self._leased.add(digest)
            if leased:
                self._holds[digest] += 1
            return digest

    def _read_folder(self, folder: Path) -> None:
        """Take over the files of an earlier server, oldest first; delete unfinished ones."""
        files = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
            if _DIGEST.fullmatch(path.name):
                self._sizes[path.name] = path.stat().st_size
                self._bytes += self._sizes[path.name]
            elif path.name.startswith(_PART):
                path.unlink(missing_ok=True)

    def _make_room(self, size: int) -> bool:
        free = [digest for digest in self._sizes if digest not in self._holds]
        held = self._bytes - sum(self._sizes[digest] for digest in free)
        if held + size > self._max_bytes:
            return False
        for digest in free:
            if self._bytes + size <= self._max_bytes:
                break
            self._remove(digest)
        return True

    def _remove(self, digest: str) -> None:
        self._bytes -= self._sizes.pop(digest)
        (self._home() / digest).unlink(missing_ok=True)

    def _home(self) -> Path:
        if self._folder is None:
            if self._kept is not None:
                self._folder = KeptFolder(self._kept)
            else:
                self._folder = PrivateFolder(self._parent)
                weakref.finalize(self, self._folder.remove)
        return self._folder.path


class BlobWriter:
    """A writer of one file into the store; leaving the `with` block deletes an unfinished file.

    If the file is too large or the disk is full, the writer sets `problem` and raises nothing.
    """

    def __init__(self, store: BlobStore, limit: int) -> None:
        """Keep the store and the limit; call `BlobStore.writer` instead of this."""
        self._store = store
        self._limit = limit
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self._finished = False
        self.problem: Unmeasurable | None = None
        self.size = 0
        try:
            self._file = store.open_part()
        except OSError as error:
            self.problem = _no_room(error)

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Drop the file unless it is finished."""
        self._drop()

    def write(self, data: bytes | memoryview) -> bool:
        """Add bytes; return False and keep none if the limit is exceeded or the disk is full."""
        self.size += len(data)
        if self.size > self._limit:
            self.problem = Unmeasurable("too_large", f"There are more than {self._limit} bytes.")
        if self._file is None or self.problem is not None:
            return False
        self._hash.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            self.problem = _no_room(error)
            self._drop()
        return self.problem is None

    def read(self, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` of an unfinished file."""
        if self._file is None:
            return b""
        self._file.seek(start)
        return self._file.read(end - start)

    def finish(self, *, leased: bool = False) -> str | Unmeasurable:
        """Store the written bytes; return the digest, or the problem that prevented it.

        After `leased=True` the caller must call `BlobStore.end_lease`.
        """
        if self._finished:
            raise ValueError("the writer is finished already")
        self._finished = True
        if self._file is None or self.problem is not None:
            self._drop()
            return self.problem or Unmeasurable("too_large", "Nothing was written.")
        file = self._file
        try:
            self._store.finish_file(file)
            digest = self._hash.hexdigest()
            found = self._store.adopt(Path(file.name), digest, self.size, leased=leased)
        except OSError as error:
            self._drop()
            return _no_room(error)
        self._file = None
        return found

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        with suppress(OSError):  # what was still buffered cannot be written
            file.close()
        Path(file.name).unlink(missing_ok=True)


def _no_room(error: OSError) -> Unmeasurable:
    return Unmeasurable("no_room", f"The file cannot be kept here: {error.strerror}.")
