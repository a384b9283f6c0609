"""The records of a sandbox: one for each request, shared by the readers and the command log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import msgspec
import pytest

from tests.http.conftest import SAMPLES, Sample
from upsim import Simulator
from upsim.core.states import JobState
from upsim.engine.client_activity import BATCH
from upsim.engine.command_log import Command
from upsim.engine.request_records import MAX_BODY_KEPT

HOST = "http://127.0.0.1:4747"
SUBMIT = "/vicsee/api/v1/tools/upscale-video"
OWN_CLIP = "http://upsim.test/media/synthetic/320x240_30fps_2s.mp4"
VIDEO = {"video_url": f"{HOST}/media/synthetic/320x240_30fps_2s.mp4"}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Return a simulator with a manual clock."""
    with Simulator(clock="manual", seed=1) as simulator:
        yield simulator


def post(sim: Simulator, path: str, body: dict[str, Any]) -> httpx.Response:
    """Send a request with a key."""
    with httpx.Client(transport=sim.transport(), base_url=HOST) as http:
        return http.post(path, json=body, headers={"Authorization": "Bearer a-key"})


def test_readers_share_one_record(sim: Simulator) -> None:
    """Journal and command log share the request and its response, with the bytes that were sent."""
    post(sim, SUBMIT, VIDEO)
    sent = post(sim, SUBMIT, VIDEO)
    _, record = sim.sandbox.records

    assert sim.sandbox.commands.entries[-1] is record.request
    assert (sent.content, 200, 2) == (record.reply, record.status, record.number)
    assert (SUBMIT, SUBMIT.removeprefix("/vicsee")) == (record.request.path, record.target)
    assert record.job == sent.json()["data"]["id"]


def test_long_bodies_are_kept_whole_only_for_the_export(sim: Simulator) -> None:
    """A record keeps the beginning and the size of a long body; the command log keeps all of it."""
    body = {"note": "x" * MAX_BODY_KEPT}
    post(sim, SUBMIT, body)
    (record,) = sim.sandbox.records
    logged: Any = sim.sandbox.commands.entries[-1]

    assert (MAX_BODY_KEPT, len(logged.body)) == (len(record.body), record.body_size)
    assert body == json.loads(logged.body)
    assert record.reply == logged.response.body


def test_a_record_comes_after_the_events_of_its_decision(sim: Simulator) -> None:
    """`version` counts the events before a record: those of its decision, none of a later one."""
    post(sim, SUBMIT, VIDEO)
    accepted = sim.sandbox.version
    post(sim, SUBMIT, {})

    assert [accepted, accepted] == [record.version for record in sim.sandbox.records]


def test_requests_wait_to_be_counted(sim: Simulator) -> None:
    """The report card counts requests when a batch is full, or when somebody reads the counters."""
    activity = sim.sandbox.activity
    for _ in range(BATCH - 1):
        post(sim, SUBMIT, VIDEO)

    assert {} == activity._tallies
    post(sim, SUBMIT, VIDEO)
    assert BATCH == len(activity._tallies)
    post(sim, SUBMIT, VIDEO)
    assert BATCH + 1 == len(activity.tallies)


def test_an_end_counts_for_later_requests_only(sim: Simulator) -> None:
    """A submit repeats an unfinished job, also if that job ends before the requests are counted."""
    jobs = [post(sim, SUBMIT, VIDEO).json()["data"]["id"] for _ in range(2)]
    for job in jobs:
        sim.sandbox.jobs.move(sim.sandbox.state.jobs[job], JobState.CANCELLED)
    jobs.append(post(sim, SUBMIT, VIDEO).json()["data"]["id"])
    tallies = sim.sandbox.activity.tallies

    assert [None, (jobs[0], 1), None] == [tallies[job].repeats for job in jobs]


def test_bodies_of_a_request_that_waited_are_kept_once(sim: Simulator) -> None:
    """The record of a request that had to wait has the bytes that the command log has."""
    post(sim, SUBMIT, VIDEO)
    (record,) = sim.sandbox.records
    (command,) = [one for one in sim.sandbox.commands.entries if isinstance(one, Command)]

    assert (command.body, *command.parts) == (record.body, record.reply)
    assert command.body is record.body
    assert command.parts[0] is record.reply


def plain(value: object, path: str = "record") -> Iterator[str]:
    """Yield where a value is neither a number, text or bytes nor a frozen value of such values."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from plain(name, f"{path}.key")
            yield from plain(item, f"{path}[{name!r}]")
    elif isinstance(value, tuple | list | frozenset):
        for number, item in enumerate(value):
            yield from plain(item, f"{path}[{number}]")
    elif isinstance(value, msgspec.Struct) and value.__struct_config__.frozen:
        for name in value.__struct_fields__:
            yield from plain(getattr(value, name), f"{path}.{name}")
    elif is_dataclass(value) and value.__dataclass_params__.frozen:  # type: ignore[union-attr]
        for field in fields(value):
            yield from plain(getattr(value, field.name), f"{path}.{field.name}")
    elif not isinstance(value, int | str | bytes | Decimal | Fraction | date | None):
        yield f"{path}: {type(value).__name__}"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_records_are_plain_data(sim: Simulator, sample: Sample) -> None:
    """A record refers to no scope, function or changing state, so that a store can write it."""
    auth = sim.registry.library.baseline(sample.provider).baseline.auth
    with httpx.Client(
        transport=sim.transport(),
        base_url=sim.base_url(sample.provider),
        headers={auth.header: f"{auth.scheme} {auth.key_prefix}any".strip()},
    ) as http:
        admin = f"{HOST}/__sim/sandboxes/default"
        fault = {"provider": sample.provider, "at": "poll", "do": {"headers": {"X-A": "b"}}}
        job = sample.job(http, OWN_CLIP)
        sample.status(http, job)
        http.post(f"{admin}/faults", json=fault).raise_for_status()
        sample.status(http, job)
        http.post("/nowhere", json={})
        http.post(f"{admin}/inbox/mine?a=b", json={})

    records = [*sim.sandbox.records]
    assert [None, "", 1] == [records[0].fault, records[-1].provider, len(records[2].faults)]
    assert [] == [found for record in records for found in plain(record)]
