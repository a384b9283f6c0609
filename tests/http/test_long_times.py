"""Days and hours of a sandbox pass in milliseconds: an expiry, a quota at midnight, a refund."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import process_time

import pytest

from tests.http.fault_client import Patient, patient
from upsim import Simulator
from upsim.core.instants import DAY, SECOND
from upsim.engine.clock import monotonic

MOST_MILLISECONDS = 250
"""Of computing; each takes a few, and on a busy machine no more than that."""
HOUR = 3600 * SECOND


@contextmanager
def told(client: Patient, say: Callable[[str], None], what: str) -> Iterator[None]:
    """Say how much time passed here and there, and expect hardly any here."""
    before, began, computed = client.sim.sandbox.now, monotonic(), process_time()
    yield
    spent = (monotonic() - began) * 1000
    hours = (client.sim.sandbox.now - before) / HOUR
    say(f"{what}: {hours:g} hours of the sandbox in {spent:.1f} ms")
    assert (process_time() - computed) * 1000 < MOST_MILLISECONDS


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Return a function that prints a line whether or not the test passes."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}")  # noqa: T201 - the time taken is to be seen

    return show


def credits_of(client: Patient) -> int:
    """Return the balance that the provider shows."""
    found: int = client.http.get("/api/v1/credits").raise_for_status().json()["data"]["credits"]
    return found


def test_an_output_expires_after_a_day(say: Callable[[str], None]) -> None:
    """A finished file is there until 24 hours after the end of its job, to the microsecond."""
    with Simulator("vicsee/link-expires-in-a-day", clock="manual", seed=1) as sim:
        client = patient(sim)
        job = client.job()
        sim.advance(0.5)
        url = client.output(job)
        with told(client, say, "expiry of a link"):
            sim.advance(DAY / SECOND - 0.000001)
            there = client.http.get(url).status_code
            sim.advance(0.000001)
            gone = client.http.get(url).status_code

    assert (200, 404) == (there, gone)


def test_a_daily_quota_ends_at_midnight(say: Callable[[str], None]) -> None:
    """A used daily quota is complete again when the sandbox's day ends."""
    with Simulator("vicsee/daily-quota", clock="manual", seed=1) as sim:
        client = patient(sim)
        while client.submit().status_code == 200:
            pass
        with told(client, say, "quota at midnight"):
            left = DAY - sim.sandbox.now % DAY
            sim.advance((left - 1) / SECOND)
            late = client.submit().status_code
            sim.advance(0.000001)
            fresh = client.submit().status_code

    assert (429, 200) == (late, fresh)


def test_a_refund_after_three_hours(say: Callable[[str], None]) -> None:
    """The charge of a failed job is refunded three hours after the failure."""
    with Simulator("vicsee/refund-after-three-hours", clock="manual", seed=1) as sim:
        client = patient(sim)
        client.job()
        sim.advance(60)
        with told(client, say, "refund"):
            sim.advance(3 * 3600 - 0.000001)
            before = credits_of(client)
            sim.advance(0.000001)
            after = credits_of(client)

    assert (99_999_856, 100_000_000) == (before, after)
