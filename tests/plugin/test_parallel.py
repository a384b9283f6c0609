"""Many tests, each in sandboxes of its own, in random order and in four processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

TESTS = """
from decimal import Decimal

import httpx
import pytest

JOBS = set()
HTTP = httpx.Client(base_url="https://vicsee.com", headers={"Authorization": "Bearer x"})
PATH = "/api/v1/tools/upscale-video"


@pytest.fixture(scope="session", autouse=True)
def left(pytestconfig):
    yield
    from upsim.pytest_plugin import RUN

    target = pytestconfig.stash[RUN].session._target
    token = {"authorization": f"Bearer {target.token}"}
    with httpx.Client(transport=target.wire, base_url=target.base_url, headers=token) as http:
        assert ["default"] == [b["id"] for b in http.get("/__sim/sandboxes").json()["sandboxes"]]


@pytest.mark.parametrize("number", range(300))
def test_two_worlds(upsim_sandboxes, number):
    first = upsim_sandboxes(balance={"vicsee": 1000 + number})
    second = upsim_sandboxes(balance={"vicsee": 2000 + number})
    body = {"video_url": first.clip("320x240", "30", f"{number % 5 + 1}")}
    job = first.http("vicsee").post(PATH, json=body).json()["data"]["id"]
    price = 16 * (number % 5 + 1)

    assert job not in JOBS
    JOBS.add(job)
    assert [job] == [found["id"] for found in first.jobs]
    assert [] == second.jobs == second.journal
    assert 1000 + number - price == first.ledger.balance("vicsee")
    assert 2000 + number == second.ledger.balance("vicsee")
    assert 404 == second.http("vicsee").get(f"/api/v1/tasks/{job}").status_code
    with second.intercept():
        answer = HTTP.post(PATH, json=body)
    assert answer.json()["data"]["id"] != job
    assert [1, 2] == [len(first.journal), len(second.journal)]
"""
RANDOM = ("-p", "no:schemathesis", "-p", "no:cacheprovider", "-W", "error")


@pytest.mark.slow
def test_three_hundred_tests_in_two_sandboxes_each(run_tests: RunTests) -> None:
    """Parallel tests share no ids, balances or journals, and all their sandboxes are removed."""
    result = run_tests(TESTS, "-n", "4", plain=RANDOM)

    result.assert_outcomes(passed=300)
    result.stdout.fnmatch_lines(["600 sandboxes; the same calls*", "  vicsee     28800 credits"])
