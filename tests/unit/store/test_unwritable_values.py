"""A value that no file can hold: only the request that brings it is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.app import Simulator
from upsim.store import event_encoding, record_encoding

MARK = "unwritable"
WAVESPEED = "/api/v3/wavespeed-ai/video-upscaler"


def opened(folder: Path) -> Simulator:
    """Open the store in a folder."""
    return Simulator(clock="manual", store=f"sqlite:{folder / 'store.db'}")


def submit(simulator: Simulator, name: str) -> httpx.Response:
    """Submit a video."""
    with httpx.Client(transport=simulator.transport()) as http:
        url = simulator.base_url("wavespeed") + WAVESPEED
        value = {"video": f"https://example.com/{name}.mp4"}
        return http.post(url, json=value, headers={"Authorization": "Bearer callers-own"})


def test_event_that_cannot_be_written_refuses_only_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request fails and changes nothing; the store goes on."""
    written = event_encoding.EventWriter._job

    def strict(writer: event_encoding.EventWriter, job: Any) -> Any:  # noqa: ANN401 - passed on
        found = written(writer, job)
        return (*found, "\ud800") if MARK in str(job.inputs) else found

    monkeypatch.setattr(event_encoding.EventWriter, "_job", strict)
    with opened(tmp_path) as simulator:
        found = [submit(simulator, "first")]
        with pytest.raises(UnicodeEncodeError):  # over a socket, it is the provider's own 500
            submit(simulator, MARK)
        found.append(submit(simulator, "last"))
        entries = simulator.sandbox.state.accounts[1].entries
        accepted = {one.json()["data"]["id"] for one in found}
        assert {entry.job for entry in entries.values()} == accepted
    with opened(tmp_path) as again:
        assert set(again.sandbox.state.jobs) == accepted
        assert again.sandbox.state.accounts[1].entries == entries


def test_record_that_cannot_be_written_is_missing_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The response leaves as always; after a restart, the journal lacks this request alone."""
    written = record_encoding._out

    def strict(record: Any) -> Any:  # noqa: ANN401 - passed on
        found = written(record)
        return (*found, "\ud800") if MARK in str(record.request) else found

    monkeypatch.setattr(record_encoding, "_out", strict)
    with opened(tmp_path) as simulator, caplog.at_level(logging.ERROR, "upsim"):
        found = [submit(simulator, name) for name in ("first", MARK, "last")]
        assert [one.status_code for one in found] == [200, 200, 200]
        assert "missing from the journal" in caplog.text
    with opened(tmp_path) as again:
        assert len(again.sandbox.state.jobs) == 3
        assert [record.number for record in again.sandbox.records] == [1, 3]
