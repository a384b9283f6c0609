"""The fixtures of the plug-in, in process and over a socket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import running

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

SUBMIT = """
import asyncio
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import httpx
import pytest


def submit(http, url):
    answer = http.post("/api/v1/tools/upscale-video", json={"video_url": url})
    return answer.raise_for_status().json()["data"]["id"]

"""
ALL = (
    SUBMIT
    + """
def test_client_has_address_and_key(upsim):
    job = submit(upsim.http("vicsee"), upsim.clip())

    assert [job] == [found["id"] for found in upsim.jobs]
    assert ["vicsee"] == [found["provider"] for found in upsim.journal]


def test_clip_takes_numbers(upsim):
    assert upsim.clip("64x36", 30, 2.5) == upsim.clip("64x36", "30", "2.5")


def test_clip_that_cannot_be(upsim):
    with pytest.raises(ValueError, match="no whole number of frames at 2997/100 fps; nearest: 2.4"):
        upsim.clip("1280x720", 29.97, 2.5)
    with pytest.raises(ValueError, match="size '4K' is not <width>x<height>"):
        upsim.clip("4K", seconds="abc")
    with pytest.raises(ValueError, match="size must be a text such as '640x360', not .640, 360.$"):
        upsim.clip(size=(640, 360))


def test_async_client(upsim):
    async def call():
        async with upsim.ahttp("vicsee") as http:
            return (await http.get("/api/v1/credits")).status_code

    assert 200 == asyncio.run(call())


def test_clock_starts_at_a_fixed_instant(upsim_clock):
    assert datetime(2026, 1, 1, tzinfo=timezone.utc) == upsim_clock.now
    upsim_clock.advance(90)
    assert datetime(2026, 1, 1, 0, 1, 30, tzinfo=timezone.utc) == upsim_clock.now


def test_clock_goes_to_an_instant(upsim_clock):
    then = upsim_clock.now + timedelta(days=1)
    upsim_clock.advance(to=then)
    assert then == upsim_clock.now
    upsim_clock.advance(to="2026-01-03T00:00:00Z")
    assert timedelta(days=1) == upsim_clock.now - then


def test_clock_runs_jobs_to_their_end(upsim, upsim_clock):
    submit(upsim.http("vicsee"), upsim.clip())
    fired = upsim_clock.advance(to="idle")

    assert "completed" == upsim.jobs[0]["state"] == fired[-1]["state"]


def test_ledger_is_exact(upsim, upsim_ledger):
    job = submit(upsim.http("vicsee"), upsim.clip(seconds="4"))
    upsim.set_state(job, "failed", "generation_failed")

    assert [Decimal(64)] == upsim_ledger.charges("vicsee") == upsim_ledger.refunds("vicsee")
    assert (Decimal(0), Decimal(100000000)) == (
        upsim_ledger.spent("vicsee"), upsim_ledger.balance("vicsee"))


def test_inbox_gets_webhooks(upsim, upsim_inbox):
    body = {"video": upsim.clip()}
    path = f"/api/v3/runwayml/upscale-v1?webhook={upsim_inbox.url}"
    job = upsim.http("wavespeed").post(path, json=body).json()["data"]["id"]

    assert job in upsim_inbox.wait(1)[0]["body"]
    with pytest.raises(TimeoutError, match="1 of 2"):
        upsim_inbox.wait(2)


def test_faults_can_be_armed(upsim):
    upsim.arm({"at": "before_accept", "provider": "vicsee", "do": {"respond": {"status": 503}}})
    answer = upsim.http("vicsee").post("/api/v1/tools/upscale-video", json={})

    assert 503 == answer.status_code


def test_balance_can_be_set(upsim):
    upsim.set_balance("vicsee", "63")
    with pytest.raises(httpx.HTTPStatusError, match="402"):
        submit(upsim.http("vicsee"), upsim.clip())


def test_server_is_a_socket(upsim, upsim_server):
    headers = {"Authorization": f"Bearer {upsim_server.key('vicsee')}"}
    address = upsim_server.base_url("vicsee")
    assert address.startswith("http://127.0.0.1:")
    with httpx.Client(base_url=address, headers=headers, trust_env=False) as http:
        submit(http, upsim.clip())

    assert 1 == len(upsim.jobs)


def test_calls_to_the_provider_are_led_here(upsim_intercept):
    headers = {"Authorization": "Bearer whatever"}
    with httpx.Client(base_url="https://vicsee.com", headers=headers) as http:
        submit(http, upsim_intercept.clip())

    assert 1 == len(upsim_intercept.jobs)


def test_addresses_keep_scheme_and_host(upsim_intercept):
    url = "https://api.wavespeed.ai/api/v3/runwayml/upscale-v1"
    with httpx.Client(headers={"Authorization": "Bearer whatever"}) as http:
        answer = http.post(url, json={"video": upsim_intercept.clip()}).json()["data"]
        polls = [http.get(answer["urls"]["get"]).json()["data"] for _ in range(4)]
        output = http.get(polls[-1]["outputs"][0])

    assert answer["urls"]["get"].startswith("https://api.wavespeed.ai/api/v3/predictions/")
    assert polls[-1]["outputs"][0].startswith("https://api.wavespeed.ai/")
    assert b"ftyp" == output.content[4:8]


def test_server_really_resets(upsim, upsim_server):
    upsim.arm({"at": "before_accept", "provider": "vicsee", "do": "reset_connection"})
    headers = {"Authorization": f"Bearer {upsim_server.key('vicsee')}"}
    url = f"{upsim_server.base_url('vicsee')}/api/v1/tools/upscale-video"
    with httpx.Client(headers=headers, trust_env=False) as http:
        with pytest.raises(httpx.ReadError):
            http.post(url, json={"video_url": upsim.clip()})


def test_keys_are_not_shown(upsim):
    assert upsim.key("venice") not in repr(upsim)
    with pytest.raises(LookupError, match="did you mean venice"):
        upsim.key("venize")
"""
)


@pytest.mark.parametrize("target", ["sim", "socket"])
def test_fixtures_work_as_documented(run_tests: RunTests, target: str) -> None:
    """All fixture handles work the same way in process and over a socket."""
    run_tests(ALL, f"--upsim-target={target}").assert_outcomes(passed=16)


def test_fixtures_work_with_a_separate_server(run_tests: RunTests, tmp_path: Path) -> None:
    """All handles work with a separately started server, and leave no sandbox on it."""
    with running(tmp_path) as server:
        run_tests(ALL, f"--upsim-target={server.base_url}").assert_outcomes(passed=16)

        assert 1 == server.admin("GET", "sandboxes")["total"]


SAME_IDS = (
    SUBMIT
    + """
def test_id(upsim):
    print("ID", submit(upsim.http("vicsee"), upsim.clip()), upsim.seed, upsim.id)
"""
)


def ids_of(result: pytest.RunResult) -> list[str]:
    """Return what the tests printed."""
    return re.findall(r"ID .*", "\n".join(result.outlines))


def test_seed_decides_the_ids(run_tests: RunTests) -> None:
    """The same seed and test give the same job id; another seed gives a different id."""
    runs = [ids_of(run_tests(SAME_IDS, "-s", f"--upsim-seed={seed}")) for seed in (1, 1, 2)]

    assert [1, 1, 1] == [len(run) for run in runs]
    assert runs[0] == runs[1] != runs[2]


def test_hundred_seconds_are_not_waited_for(run_tests: RunTests) -> None:
    """Polling a job to its end takes no real time."""
    text = (
        SUBMIT
        + """
def test_poll(upsim):
    http = upsim.http("vicsee")
    job = submit(http, upsim.clip())
    for _ in range(4):
        state = http.get(f"/api/v1/tasks/{job}").json()["data"]["status"]

    assert "completed" == state
    assert upsim.clock.now.minute >= 1
"""
    )
    result = run_tests(text)

    result.assert_outcomes(passed=1)
    assert result.duration < 30


def test_a_project_fixture_named_upsim_stays(run_tests: RunTests) -> None:
    """A project's own fixture `upsim` is kept; fixtures that need ours report the conflict."""
    result = run_tests(
        """
        import pytest

        @pytest.fixture
        def upsim():
            return "mine"

        def test_own(upsim):
            assert upsim == "mine"

        @pytest.mark.parametrize(
            "name", ["upsim_clock", "upsim_intercept", "upsim_server", "upsim_client"]
        )
        def test_hidden(name, request):
            request.getfixturevalue(name)
        """
    )
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(["*Your fixture `upsim` hides the plug-in's and returns a str*"])
