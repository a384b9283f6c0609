"""Files by the hash of their content."""

from __future__ import annotations

import errno
import gc
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from upsim.core.media import Unmeasurable
from upsim.media.blob_store import BlobStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    """A store of ten bytes."""
    store = BlobStore(10, folder=tmp_path)
    yield store
    store.close()


def put(store: BlobStore, data: bytes) -> str:
    """Stores bytes that must fit."""
    digest = store.put(data)
    assert isinstance(digest, str)
    return digest


def test_a_blob_is_found_by_its_hash(store: BlobStore) -> None:
    """A stored blob is found by its SHA-256."""
    digest = put(store, b"hello")
    path = store.path(digest)
    assert path is not None
    assert (hashlib.sha256(b"hello").hexdigest(), b"hello") == (path.name, path.read_bytes())


def test_equal_content_is_kept_once(store: BlobStore) -> None:
    """Storing the same content twice uses its space once."""
    assert put(store, b"hello") == put(store, b"hello")
    assert store.size == 5


def test_the_least_recently_used_blob_is_dropped(store: BlobStore) -> None:
    """Above the limit, the store drops the least recently used blob."""
    first, second = put(store, b"first"), put(store, b"secnd")
    store.path(first)
    put(store, b"third")
    assert (store.path(first) is not None, store.path(second) is not None) == (True, False)


def test_a_held_blob_stays(store: BlobStore) -> None:
    """A held blob stays until it was released as often as it was held."""
    first, second = put(store, b"first"), put(store, b"secnd")
    assert store.hold(first)
    assert store.hold(first)
    store.release(first)
    put(store, b"third")
    assert (store.path(first) is not None, store.path(second) is not None) == (True, False)


def test_a_store_without_room_refuses(store: BlobStore) -> None:
    """A store that is full of held blobs refuses a new one and keeps all its blobs."""
    first = put(store, b"0123456789")
    store.hold(first)
    refused = store.put(b"x")
    assert refused == Unmeasurable("too_large", "There is no room for 1 bytes more.")
    assert store.path(first) is not None


def test_a_leased_file_ends_with_its_last_lease(store: BlobStore, tmp_path: Path) -> None:
    """The end of the last lease deletes a file, unless it existed before, is held or kept."""
    cases: list[tuple[str, list[str]]] = []

    def case(name: str, data: bytes, *, before: bool = False, between: str = "") -> None:
        if before:
            put(store, data)
        digest = store.put(data, leased=True)
        assert isinstance(digest, str)
        assert digest == store.put(data, leased=True)
        if between == "hold":
            assert store.hold(digest)
        if between == "put":
            put(store, data)
        store.end_lease(digest)
        assert store.path(digest) is not None
        store.end_lease(digest, keep=between == "keep")
        there = [path.name for path in tmp_path.rglob("*") if path.name == digest]
        cases.append((name, there))
        assert (store.size, store.path(digest) is not None) == (2 * len(there), bool(there))
        if between == "hold":
            store.release(digest)
        store.close()
        store.end_lease(digest)

    case("refused", b"ab")
    assert cases == [("refused", [])]
    for name in ("before", "hold", "put", "keep"):
        case(name, b"cd", before=name == "before", between=name)
    assert [len(there) for _, there in cases] == [0, 1, 1, 1, 1]


def test_release_without_hold_is_an_error(store: BlobStore) -> None:
    """The release of a blob that is not in the store raises an error."""
    with pytest.raises(ValueError, match="is not in the store"):
        store.release("no such")


def test_holding_a_missing_blob_fails(store: BlobStore) -> None:
    """`hold` returns False for a blob that no longer exists."""
    assert not store.hold("no such")


def test_a_writer_takes_pieces(store: BlobStore) -> None:
    """Bytes that are written in pieces become one blob."""
    with store.writer(10) as writer:
        assert writer.write(b"hel")
        assert writer.write(b"lo")
        assert writer.finish() == hashlib.sha256(b"hello").hexdigest()


def test_a_writer_stops_at_its_limit(store: BlobStore, tmp_path: Path) -> None:
    """A writer accepts no bytes above its limit, and then leaves no file."""
    with store.writer(4) as writer:
        assert (writer.write(b"1234"), writer.write(b"5")) == (True, False)
        refused = writer.finish()
    assert refused == Unmeasurable("too_large", "There are more than 4 bytes.")
    assert [path for path in tmp_path.rglob("part-*") if path.is_file()] == []


def test_an_unfinished_writer_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """If the block ends early, the written bytes are removed."""
    with store.writer(10) as writer:
        writer.write(b"123")
    assert [path for path in tmp_path.rglob("part-*") if path.is_file()] == []


def test_the_folder_is_private_and_created_late(store: BlobStore, tmp_path: Path) -> None:
    """The folder is created with the first blob, and only its owner may read it."""
    before = list(tmp_path.iterdir())
    put(store, b"hello")
    (folder,) = tmp_path.iterdir()
    assert (before, folder.stat().st_mode & 0o777) == ([], 0o700)


def test_close_removes_everything(store: BlobStore, tmp_path: Path) -> None:
    """Closing the store removes its files and its folder."""
    put(store, b"hello")
    store.close()
    assert (store.size, list(tmp_path.iterdir())) == (0, [])


def test_a_garbage_collected_store_is_removed(tmp_path: Path) -> None:
    """A store that was not closed removes its folder when it is garbage-collected."""
    put(BlobStore(10, folder=tmp_path), b"hello")
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_is_removed(store: BlobStore, tmp_path: Path) -> None:
    """A scratch path is inside the store's folder and is removed after its block."""
    with store.scratch() as path:
        path.write_bytes(b"hello")
        inside = path.parent.parent == tmp_path
    assert (True, False) == (inside, path.exists())


def test_closing_removes_unfinished_blobs(store: BlobStore) -> None:
    """Closing a store removes a blob that is being written."""
    with store.scratch() as path:
        store.close()
        assert not path.exists()


class Full:
    """A file on a disk that is full from some step on."""

    def __init__(self, file: IO[bytes], step: str) -> None:
        """Fail at this step."""
        self._file, self._step, self.name = file, step, file.name

    def write(self, data: bytes) -> int:
        """Write, or fail."""
        return self._file.write(data) if self._step != "write" else self._fail()

    def close(self) -> None:
        """Close, and fail the first time."""
        self._file.close()
        if self._step == "close":
            self._step = ""
            self._fail()

    def _fail(self) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["open", "write", "close", "adopt"])
def test_a_full_disk_gives_a_refusal_and_leaves_nothing(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """If the disk is full, the store returns the result for no room, and leaves no file."""
    opened = store.open_part

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    failing = full if step == "open" else lambda: Full(opened(), step)
    monkeypatch.setattr(store, "open_part", failing)
    if step == "adopt":
        monkeypatch.setattr(store, "adopt", full)
    found = store.put(b"hello")
    why = "The file cannot be kept here: No space left on device."
    assert found == Unmeasurable("no_room", why)
    assert ([], 0) == (list(tmp_path.rglob("part-*")), store.size)


def test_a_disk_with_room_again_is_used(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a full disk, the store works again as soon as there is room."""
    with monkeypatch.context() as full:
        opened = store.open_part
        full.setattr(store, "open_part", lambda: Full(opened(), "write"))
        assert isinstance(store.put(b"hello"), Unmeasurable)
    assert put(store, b"hello")
