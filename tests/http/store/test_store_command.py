"""`upsim store`: what it shows, what it finds, and what a smaller store still has."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from tests.http.store.test_restarts import Life
from tests.stateful.asgi_client import Answer, Request, exchange
from upsim.app import Simulator
from upsim.cli import main
from upsim.engine.exceptions import StoreError
from upsim.media.clip_names import SyntheticClip
from upsim.media.synthetic import ClipMaker
from upsim.scenario.loader import UnknownScenarioError
from upsim.scenario.versions import own_version
from upsim.store import offline_compaction, sandbox_rows
from upsim.store.sqlite_file import SqliteFile
from upsim.store.sqlite_store import SqliteStore

CLIP = ClipMaker().make(SyntheticClip(320, 180, Fraction(30), 30, 20_000))


def store(*words: object) -> Result:
    """Run `upsim store` with these words."""
    return CliRunner().invoke(main, ["store", *map(str, words)])


def living(path: Path, **options: Any) -> Simulator:  # noqa: ANN401 - options of the simulator
    """Return a simulator on a file."""
    return Simulator(store=f"sqlite:{path}", **{"clock": "manual", **options})


def fill(sim: Simulator) -> Life:
    """Give a simulator jobs, a second sandbox with a key, an upload and a named snapshot."""
    life = Life(sim)
    made = life.admin("POST", "sandboxes", {"id": "own", "clock": "manual"})
    life.submit()
    life.submit(made["keys"]["venice"])
    life.sim.advance(2)
    life.http.post("/venice/api/v1/video/queue", json={"model": 1})
    upload = life.http.post(
        "/wavespeed/api/v3/media/upload/binary",
        files={"file": ("a.mp4", CLIP, "video/mp4")},
        headers={"authorization": "Bearer k"},
    )
    assert upload.status_code == httpx.codes.OK
    life.admin("POST", "sandboxes/default/snapshots", {"name": "one"})
    return life


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a store with everything in it, that no simulator has open."""
    file = tmp_path / "kept.db"
    with living(file) as sim:
        fill(sim)
    return file


@pytest.fixture
def broken(path: Path) -> Iterator[Callable[[str], None]]:
    """Return a function that runs a statement on the database of the store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield lambda statement: db.execute(statement).close()


def test_info_shows_a_store_while_a_simulator_has_it_open(tmp_path: Path) -> None:
    """Everything is named, in a table and as JSON, before and after the simulator ends."""
    file = tmp_path / "kept.db"
    with living(file) as sim:
        fill(sim)
        shown = store("info", file)
        assert f"in use by process {os.getpid()};" in shown.output
    found = json.loads(store("info", f"sqlite:{file}", "--json").output)
    assert (found["user"], found["format"], found["version"]) == ("", 1, own_version())
    assert found["sizes"]["file_count"] == 1
    assert found["sizes"]["database"] == file.stat().st_size
    assert found["counts"]["issued_keys"] == 4
    assert found["counts"]["named_snapshots"] == 1
    first, own = found["sandboxes"]
    assert (first["name"], first["clock"], first["scenario"]) == ("default", "manual", "baseline")
    assert first["jobs"] == own["jobs"] == {"processing": 1}
    assert (first["requests"], own["requests"]) == (3, 1)
    assert first["now"] == "2025-01-01T00:00:02.000Z" or first["now"] > "2020"
    assert first["snapshot_events"] == 0 < first["batch_events"]
    table = store("info", file)
    assert table.exit_code == 0
    assert "not in use" in table.output
    assert "1 processing" in table.output
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "kept.db",
        "kept.db-files",
        "kept.db-lock",
    ]


def test_a_compacted_store_is_smaller_and_continues_as_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the rules and files that nothing names are gone; compacting again changes nothing."""
    monkeypatch.setattr(offline_compaction, "EVENTS_PER_PART", 2)
    with living(path, jobs_max=5) as sim:
        life = Life(sim)
        for _ in range(40):
            life.submit()
            life.sim.advance(200)
        before = life.view()
    folder = path.with_name("kept.db-files")
    (folder / ("0" * 64)).write_bytes(b"cached")
    assert "no upload needs 1 file of 6 B" in store("check", path).output
    large = path.stat().st_size
    done = store("compact", path)
    assert done.exit_code == 0, done.output
    assert path.stat().st_size < large
    assert [one.name == "0" * 64 for one in folder.iterdir()] == [False]
    assert json.loads(store("info", path, "--json").output)["counts"]["batches"] == 0
    for _ in range(2):
        assert store("check", path).exit_code == 0
        with living(path, jobs_max=5) as sim:
            life = Life(sim)
            assert life.view() == before
            assert life.admin("POST", "sandboxes/default/snapshots/one/restore")
            assert [upload.stored for upload in sim.sandbox.state.uploads.values()] != [None]
            before = life.view()
        assert store("compact", path).exit_code == 0


PROBLEMS = {
    "UPDATE sandboxes SET record=x'00' WHERE name='own'": "the options of sandbox 'own' cannot be",
    "UPDATE batches SET events=x'c1' WHERE number=2": "batch 2 cannot be read (DecodeError",
    "UPDATE batches SET records=x'93' WHERE records<>x''": "its events and requests are lost",
    "DELETE FROM batches": "the events of sandbox 'default' are missing: a server cannot",
    "DELETE FROM rules": "a server uses the present scenario files",
    "UPDATE rules SET scenario=x'00'": "rules ",
    "UPDATE named SET file=x'00'": "snapshot 'one' of sandbox 'default' cannot be read",
    "UPDATE reports SET report=x'00'": "the report card of sandbox 'default' cannot be read",
    "DELETE FROM sandboxes WHERE name='own'": "4 issued keys name sandbox 'own', which is missing",
}


@pytest.mark.parametrize("statement", PROBLEMS)
def test_check_names_each_broken_row(
    statement: str, path: Path, broken: Callable[[str], None]
) -> None:
    """Each problem is a line; a simulator that opens the file refuses it or continues."""
    assert store("check", path).exit_code == 0
    broken(statement)
    found = store("check", path)
    assert (found.exit_code, PROBLEMS[statement] in found.output) == (1, True), found.output
    assert " problem" in found.stderr
    check_opening(path)


def test_check_names_missing_and_changed_files(path: Path) -> None:
    """An upload has the bytes that its name says."""
    [file] = path.with_name("kept.db-files").iterdir()
    file.write_bytes(b"other")
    assert f"the file {file} was changed" in store("check", path).output
    file.unlink()
    found = store("check", path)
    assert (found.exit_code, f"the file {file} is missing" in found.output) == (1, True)


def check_opening(path: Path) -> None:
    """Open a store that may be damaged: it continues, or the refusal names the file."""
    try:
        with living(path):
            pass
    except StoreError as error:
        assert str(path) in str(error)  # noqa: PT017 - both ends are right
    for name in ("check", "info", "compact"):
        found = store(name, path)
        assert found.exit_code in (0, 1), found.output
        assert found.exception is None or isinstance(found.exception, SystemExit), name


OTHER_SCENARIO = "UPDATE sandboxes SET scenario=x'{}'"
DEEP = OTHER_SCENARIO.format(zlib.compress(b"\x91" * 1000).hex())
LONG = OTHER_SCENARIO.format(zlib.compress(bytes(sandbox_rows.MAX_SCENARIO_BYTES + 1)).hex())
ODD = (
    DEEP,
    LONG,
    "UPDATE sandboxes SET scenario=x'fffe'",
    "UPDATE sandboxes SET name='x' WHERE name='default'",
    "UPDATE reports SET report='x'",
    "UPDATE keys SET provider='x'",
    "UPDATE batches SET number=-1 WHERE number=(SELECT min(number) FROM batches)",
    "UPDATE server SET value='x' WHERE name='seed'",
    "DROP TABLE reports",
    "CREATE TRIGGER t AFTER INSERT ON batches BEGIN DELETE FROM sandboxes; END",
    "CREATE VIEW v AS WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r) SELECT n FROM r",
)


@pytest.mark.parametrize("statement", ODD, ids=[one[:50] for one in ODD])
def test_a_well_formed_but_odd_store_is_named(
    statement: str, path: Path, broken: Callable[[str], None]
) -> None:
    """A file that somebody made on purpose gives a message, and takes no memory without bound."""
    broken(statement)
    check_opening(path)


def test_odd_files_beside_a_store_are_ignored(path: Path) -> None:
    """A link, and a folder with the name of an unfinished file, are not this store's."""
    folder = path.with_name("kept.db-files")
    (folder / ("a" * 64)).symlink_to("/nonexistent")
    (folder / "part-x").mkdir()
    with living(path) as sim:
        assert [upload.stored for upload in sim.sandbox.state.uploads.values()] != [None]


def test_the_lock_of_a_store_is_no_link(path: Path) -> None:
    """The file that a link names keeps its content."""
    lock, other = path.with_name("kept.db-lock"), path.with_name("precious")
    other.write_text("precious")
    lock.unlink(missing_ok=True)
    lock.symlink_to(other)
    with pytest.raises(StoreError, match=r"kept\.db cannot be opened"), living(path):
        pass
    assert other.read_text() == "precious"


def test_no_flipped_byte_gives_a_traceback(path: Path, tmp_path: Path) -> None:
    """Bytes that are damaged, or cut off, are named or do no harm."""
    whole, draw = path.read_bytes(), random.Random(1)  # noqa: S311 - bytes to damage
    damaged = tmp_path / "damaged.db"
    for _ in range(60):
        data = bytearray(whole)
        for place in draw.sample(range(len(data)), 8):
            data[place] ^= 1 << draw.randrange(8)
        damaged.write_bytes(data)
        check_opening(damaged)
    for size in (0, 10, 100, 4096, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:size])
        if size:  # an empty file is a new store
            check_opening(damaged)


def test_wrong_files_are_named(tmp_path: Path, path: Path) -> None:
    """What is wrong, and what to do; nothing is changed."""
    other, newer, empty = (tmp_path / f"{name}.db" for name in ("other", "newer", "empty"))
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE a(b)")
    newer.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version=9")
    empty.touch()
    before = {one: one.read_bytes() for one in (other, newer, empty)}
    for name in ("info", "check", "compact"):
        assert "it is another SQLite database" in store(name, other).output
        assert "is a store of format 9; this upsim reads format 1" in store(name, newer).output
        assert "it is an empty database" in store(name, empty).output
        for missing, message in {
            tmp_path / "kep.db": f"there is no store {tmp_path}/kep.db; did you mean kept.db?",
            "memory:": "memory: has no file",
            tmp_path: "it names a folder",
        }.items():
            found = store(name, missing)
            assert (found.exit_code, message in found.stderr) == (2, True), found.stderr
    with living(path):
        for name in ("check", "compact"):
            found = store(name, path)
            assert found.exit_code == 1
            assert f"in use by process {os.getpid()}; stop it first" in found.stderr
    assert {one: one.read_bytes() for one in (other, newer, empty)} == before


def test_metrics_and_probes_show_a_store_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`readyz` says why; `livez` and the metrics go on, and count what waits."""
    file = tmp_path / "kept.db"
    with living(file) as sim:
        life = fill(sim)
        found = metrics(life)
        assert found["bytes"] == sum(
            one.stat().st_size for one in tmp_path.iterdir() if one.suffix in (".db", ".db-wal")
        )
        kept = sim.registry.store
        assert isinstance(kept, SqliteStore)
        [(batches,)] = kept._file.rows("SELECT count(*) FROM batches")
        assert (found["batches"], found["unsettled"], found["writable"]) == (batches, 0, 1)
        assert life.http.get("/__sim/readyz").json() == {"status": "ok"}

        def full(_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as harm:
            harm.setattr(kept._file, "write", full)
            with pytest.raises(StoreError, match="database or disk is full"):
                life.submit()
            refused = asked(sim, "/__sim/readyz")
            assert refused.status == httpx.codes.SERVICE_UNAVAILABLE
            assert b"cannot be written: database or disk is full" in refused.body
            assert asked(sim, "/__sim/livez").status == httpx.codes.OK
            text = asked(sim, "/__sim/metrics").body.decode()
            assert "upsim_store_writable 0\n" in text
            assert "upsim_store_unsettled 0\n" not in text
        sim.registry.store.flush()
        assert metrics(life)["writable"] == 1
    with Simulator() as sim:
        assert metrics(Life(sim)) == {}


def metrics(life: Life) -> dict[str, int]:
    """Return the figures of the store."""
    lines = life.http.get("/__sim/metrics").text.splitlines()
    found = [line.removeprefix("upsim_store_").split() for line in lines if "store_" in line[:12]]
    return {name: int(value) for name, value in found}


def asked(sim: Simulator, path: str) -> Answer:
    """Return the response of the application itself, which a store that is full does not hold."""
    return asyncio.run(exchange(sim.app, Request("GET", path), {}))


def test_files_of_other_users_and_full_disks_are_refused_before_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says so in one line, and neither starts nor writes a traceback."""
    address = f"sqlite:{path}"

    def refused(*words: str) -> str:
        found = CliRunner().invoke(main, words)
        assert (found.exit_code, type(found.exception)) == (1, SystemExit)
        return found.stderr

    with monkeypatch.context() as harm:
        harm.setattr(os, "access", lambda _path, wanted: not wanted & os.W_OK)
        for words in (("serve", "--port", "0", "--store", address), ("store", "compact", address)):
            assert f"the store {path} cannot be opened: this user may not read and write it" in (
                refused(*words)
            )
        assert store("info", path).exit_code == 0
        harm.setattr(os, "access", lambda _path, _wanted: False)
        assert "this user may not read it" in refused("store", "info", address)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as harm:
        harm.setattr(SqliteFile, "write", full)
        for words in (("serve", "--port", "0", "--store", address), ("store", "compact", address)):
            assert f"the store {path} cannot be written: database or disk is full" in (
                refused(*words)
            )
    assert store("check", path).exit_code == 0


def test_check_accepts_rules_that_no_job_had(path: Path) -> None:
    """A scenario that applied between two restarts is named in the events, but no job needs it."""
    with living(path, scenario="venice/happy-path-slow"):
        pass
    with living(path):
        pass
    assert store("check", path).stdout == ""


def test_a_start_that_fails_leaves_the_store_as_it_was(path: Path) -> None:
    """A wrong option must not cost the report card, which only a clean end keeps."""
    before = path.read_bytes()
    with pytest.raises(UnknownScenarioError, match="no-such"):
        living(path, scenario="venice/no-such")
    found = CliRunner().invoke(
        main, ["serve", "--port", "0", "--store", f"sqlite:{path}", "--scenario", "venice/no-such"]
    )
    assert found.exit_code == 2, found.output
    assert path.read_bytes() == before
    with living(path):
        pass
