"""Half a hundred thousand calls and more: nothing breaks, nothing is lost, nothing grows."""

from __future__ import annotations

import os

import pytest

from tests.e2e.soak import Report, soak

REQUESTS = int(os.environ.get("UPSIM_SOAK_REQUESTS", "40000"))
JOBS_MAX = 5000 if REQUESTS >= 100_000 else 500
MEGABYTES = 10
"""How much the resident size may go up and down by itself."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("soak")]


@pytest.fixture(scope="module")
def report() -> Report:
    """Return what was seen of one soak."""
    return soak(REQUESTS, jobs_max=JOBS_MAX)


def test_there_was_traffic(report: Report) -> None:
    """Otherwise the rest would prove nothing: so many jobs that the cap was reached."""
    assert report.accepted > report.kept > 0


def test_no_answer_is_wrong(report: Report) -> None:
    """No 5xx, no wrong request accepted, no job shown to a stranger."""
    assert report.bad == []


def test_no_job_is_lost(report: Report) -> None:
    """Every accepted job is there, or was among the oldest when the cap was reached."""
    assert report.lost == []


def test_no_job_is_there_unasked(report: Report) -> None:
    """Every job was accepted by an answer."""
    assert report.unasked == []


def test_the_server_counts_the_jobs_it_accepted(report: Report) -> None:
    """The metric is the number of answers that said so."""
    assert report.accepted_by_server == report.accepted


def test_the_server_counts_the_requests_it_got(report: Report) -> None:
    """The journal's count of each sandbox is the number of calls with its keys."""
    assert [counted for _, counted in report.counted] == [sent for sent, _ in report.counted]


def test_the_ledger_is_exact(report: Report) -> None:
    """Balances are what was paid less what was given back, and the sum of their lines."""
    assert report.wrong_balances == []


def test_memory_is_flat_once_the_caps_are_reached(report: Report) -> None:
    """The last quarter needs no more than the one before."""
    assert report.growth < MEGABYTES
