"""A store is complete after each transaction of a compaction, and goes on from there."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.app import Simulator
from upsim.store import compaction
from upsim.store.sqlite_file import SqliteFile

SUBMIT = "/api/v3/wavespeed-ai/video-upscaler"


def opened(folder: Path) -> Simulator:
    """Open the store in a folder."""
    return Simulator(clock="manual", store=f"sqlite:{folder / 'store.db'}")


def submit(simulator: Simulator, name: str) -> str:
    """Submit a job, and return its id."""
    with httpx.Client(transport=simulator.transport()) as http:
        url = simulator.base_url("wavespeed") + SUBMIT
        headers = {"Authorization": "Bearer callers-own"}
        found = http.post(url, json={"video": f"https://example.com/{name}"}, headers=headers)
    return str(found.json()["data"]["id"])


def admin(simulator: Simulator, method: str, path: str, value: object = None) -> Any:  # noqa: ANN401 - JSON
    """Call the admin API."""
    with httpx.Client(transport=simulator.transport()) as http:
        url = f"{simulator.base_url('')}/__sim/{path}".replace("//__sim", "/__sim")
        headers = {"Authorization": "Bearer in-process"}
        found = http.request(method, url, json=value, headers=headers)
    assert found.is_success, found.text
    return found.json()


def view(simulator: Simulator) -> dict[str, set[str]]:
    """Return the jobs of each sandbox."""
    return {name: set(box.state.jobs) for name, box in simulator.registry.sandboxes.items()}


def orphans(folder: Path) -> int:
    """Return how many parts of snapshots belong to no sandbox."""
    query = "SELECT count(*) FROM snapshots WHERE serial NOT IN (SELECT serial FROM sandboxes)"
    with closing(sqlite3.connect(folder / "store.db")) as db:
        return int(db.execute(query).fetchone()[0])


def test_a_kill_after_any_transaction_of_a_compaction_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that opens the file as it was then has everything, adds to it, and keeps that."""
    copies: list[tuple[Path, dict[str, set[str]]]] = []
    write = SqliteFile.write

    def copying(file: SqliteFile, statements: Any) -> None:  # noqa: ANN401 - passed on
        write(file, statements)
        copy = tmp_path / f"copy-{len(copies)}"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*-shm", "*-lock"))
        copies.append((copy, view(simulator)))
        if statements[0][0] == compaction._PART and "gone" in simulator.registry.sandboxes:
            simulator.registry.delete("gone")  # while its snapshot is being written

    home = tmp_path / "home"
    home.mkdir()
    with opened(home) as simulator, monkeypatch.context() as patched:
        patched.setattr(SqliteFile, "write", copying)
        patched.setattr(compaction, "EVENTS_PER_PART", 3)
        for number in range(3):
            admin(simulator, "POST", "sandboxes", {"id": f"box-{number}"})
            admin(simulator, "POST", "sandboxes", {"id": "gone"})
            for name in ("a.mp4", "b.mp4", "c.mp4"):
                submit(simulator, name)
            patched.setattr(compaction, "MIN_BYTES", 1)
            patched.setattr(compaction, "GROWTH", 0)
            # a transaction without events starts the compaction
            admin(simulator, "POST", "sandboxes/default/accounts/wavespeed/keys", {})
            patched.setattr(compaction, "MIN_BYTES", 2**30)
            admin(simulator, "DELETE", f"sandboxes/box-{number}")
    assert orphans(home) == 0
    assert len(copies) > 30
    for copy, before in copies:
        with opened(copy) as again:
            assert view(again) == before, copy
            more = submit(again, "more.mp4")
            seen = {job for jobs in before.values() for job in jobs}
            assert more not in seen, f"{more} was given twice"
        with opened(copy) as again:
            assert view(again) == {**before, "default": before["default"] | {more}}, copy
    shutil.rmtree(tmp_path, ignore_errors=True)
