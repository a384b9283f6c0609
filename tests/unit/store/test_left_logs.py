"""The log of SQLite that a killed server leaves behind is emptied by the next one."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from upsim.app import Simulator
from upsim.store import sqlite_store


def submit(simulator: Simulator) -> None:
    """Submit a job."""
    with httpx.Client(transport=simulator.transport()) as http:
        url = simulator.base_url("wavespeed") + "/api/v3/wavespeed-ai/video-upscaler"
        value = {"video": "https://example.com/a.mp4"}
        assert http.post(url, json=value, headers={"Authorization": "Bearer k"}).is_success


def test_log_of_a_killed_server_counts_towards_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log does not grow from one kill to the next, however short the lives are."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    with Simulator(store=f"sqlite:{home / 'store.db'}") as simulator:
        for _ in range(20):
            submit(simulator)
        shutil.copytree(home, copy)
    log = copy / "store.db-wal"
    before = log.stat().st_size
    monkeypatch.setattr(sqlite_store, "MAX_LOG_BYTES", before - 1)
    with Simulator(store=f"sqlite:{copy / 'store.db'}") as simulator:
        for _ in range(2):
            submit(simulator)
        assert log.stat().st_size < before / 2
