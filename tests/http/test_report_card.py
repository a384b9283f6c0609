"""The report card: what it says of careless callers, and that it says nothing of careful ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.conftest import SAMPLES, refusal_of
from upsim import Simulator
from upsim.engine import client_activity, report_card

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.conftest import Admin, Start
    from upsim.core.instants import Instant
    from upsim.engine.client_activity import JobActivity
    from upsim.engine.report_card import ClientFinding, ReportCardBuilder

CLIP = "http://127.0.0.1:4747/media/synthetic/320x240_30fps_2s.mp4"
OWN_CLIP = "http://upsim.test/media/synthetic/320x240_30fps_2s.mp4"
VICSEE = SAMPLES["vicsee"]
LATER_ADVICE = """
extends: vicsee/baseline
summary: After ten seconds longer pauses are advised.
changes:
  - after: 10s
    set:
      polling: {every: "60", most: "60"}
"""
each_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


def card(admin: Admin, query: str = "", box: str = "default") -> dict[str, Any]:
    """Return the report card of a sandbox."""
    found: dict[str, Any] = admin.get(f"sandboxes/{box}/report-card{query}")
    return found


def names(found: dict[str, Any]) -> list[str]:
    """Return the names of the findings."""
    return [finding["name"] for finding in found["findings"]]


def pass_time(admin: Admin, seconds: float) -> None:
    """Let time pass."""
    admin.post("sandboxes/default/clock/advance", {"seconds": seconds})


def caller(admin: Admin, provider: str = "vicsee") -> httpx.Client:
    """Return a client of a provider in the sandbox `default`."""
    return admin.caller(provider, "sk-any" if provider == "vicsee" else "a-key")


def finished(admin: Admin, http: httpx.Client) -> str:
    """Return the address of the file of a job that was polled once it had ended."""
    job = VICSEE.job(http, CLIP)
    admin.post("sandboxes/default/clock/advance", {"to": "idle"})
    return VICSEE.output(http, job)


def arm(admin: Admin, **fault: object) -> None:
    """Arm a fault of vicsee."""
    admin.post("sandboxes/default/faults", {"provider": "vicsee", **fault})


def test_an_unused_sandbox_is_clean(admin: Admin) -> None:
    """The card of an unused sandbox has no finding, and lists what it could not check."""
    found = card(admin)
    assert (True, [], []) == (found["clean"], found["findings"], found["callers"])
    assert 1 == len(found["not_judged"])


@each_sample
def test_a_correct_client_is_clean(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """A client that polls as advised, stops at the end and downloads the file has no finding."""
    http = caller(admin, sample.provider)
    job = sample.job(http, CLIP)
    for _ in range(2):
        pass_time(admin, 5)
        assert 200 == sample.status(http, job).status_code
    pass_time(admin, 600)
    http.get(sample.output(http, job)).raise_for_status()

    found = card(admin)
    assert (True, []) == (found["clean"], found["findings"])
    only = found["callers"][0]
    assert (1, 3, 0, 0, "5") == (
        only["jobs"],
        only["polls"],
        only["hasty_polls"],
        only["late_polls"],
        only["shortest_pause"],
    )


@each_sample
def test_polls_without_a_pause_are_reported(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """A busy loop is a finding with its numbers, the advice and the requests."""
    http = caller(admin, sample.provider)
    job = sample.job(http, CLIP)
    for _ in range(9):
        sample.status(http, job)

    (found,) = card(admin)["findings"]
    assert ("polled_too_often", "warning", job) == (found["name"], found["severity"], found["job"])
    assert (9, 8, "0") == tuple(found["numbers"][n] for n in ("polls", "hasty", "shortest"))
    assert [3, 4, 5, 6, 7] == [shown["number"] for shown in found["exchanges"]]
    assert {200} == {shown["status"] for shown in found["exchanges"]}
    assert (
        found["advice"]
        == f"Wait {found['numbers']['advised']} s or more between two polls of a job."
    )


def test_one_early_poll_is_no_finding(admin: Admin) -> None:
    """A single poll that comes too early is no finding."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(2):
        VICSEE.status(http, job)
    assert [] == names(card(admin))


def test_pauses_may_vary(admin: Admin) -> None:
    """A pause a quarter shorter than advised is accepted as jitter."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for pause in (0.75, 0.75, 0.75):
        VICSEE.status(http, job)
        pass_time(admin, pause)
    assert [] == names(card(admin))


def test_a_failed_poll_may_be_retried_immediately(admin: Admin) -> None:
    """A client may retry a failed poll immediately."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    arm(admin, at="poll", do={"respond": 502})
    for _ in range(6):
        VICSEE.status(http, job)
    assert [] == names(card(admin))


def test_pauses_on_an_auto_clock_are_checked_on_request(start_admin: Start) -> None:
    """On an `auto` clock, pauses are checked on request only, because tests may omit them."""
    admin = start_admin(clock="auto")
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(3):
        VICSEE.status(http, job)
    http.get(VICSEE.output(http, job)).raise_for_status()

    lenient, strict = card(admin), card(admin, "?pauses=all")
    assert (True, True) == (lenient["clean"], "auto clock" in lenient["not_judged"][0])
    assert ["polled_too_often"] == names(strict)
    assert "0" == strict["findings"][0]["numbers"]["shortest"]


def test_waiting_on_an_auto_clock_counts(start_admin: Start) -> None:
    """A client that advances the clock instead of sleeping has no finding about pauses."""
    admin = start_admin(clock="auto")
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(3):
        VICSEE.status(http, job)
        pass_time(admin, 1)
    http.get(VICSEE.output(http, job)).raise_for_status()

    assert [] == names(card(admin, "?pauses=all"))


def test_polls_of_an_ended_job_are_reported(admin: Admin) -> None:
    """A few polls after the end are accepted, and a loop after the end is a finding."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    pass_time(admin, 600)
    http.get(VICSEE.output(http, job))
    for _ in range(3):
        VICSEE.status(http, job)
    assert [] == names(card(admin))

    VICSEE.status(http, job)
    (found,) = card(admin)["findings"]
    assert ("polled_after_the_end", 5, 4) == (
        found["name"],
        found["numbers"]["polls"],
        found["numbers"]["after"],
    )


ALTERED: dict[str, object] = {
    "delayed": {"delay": "3s"},
    "another status": {"patch": {"data.status": "odd"}},
    "another type": {"headers": {"content-type": "text/html"}},
    "slow": {"trickle": {"chunk": 64, "pause": "1s"}},
}


@pytest.mark.parametrize("do", ALTERED.values(), ids=ALTERED)
def test_polls_after_an_altered_end_are_no_finding(start_admin: Start, do: object) -> None:
    """A client may poll again after an end that a fault made unreadable."""
    admin = start_admin(clock="auto")
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    pass_time(admin, 600)
    arm(admin, at="poll", first=5, do=do)
    for _ in range(6):
        VICSEE.status(http, job)
        pass_time(admin, 600)
    assert "polled_after_the_end" not in names(card(admin))
    for _ in range(4):
        VICSEE.status(http, job)
    assert "polled_after_the_end" in names(card(admin))


def test_a_retry_after_an_altered_poll_is_not_early(start_admin: Start) -> None:
    """A client may repeat a poll immediately if a fault made the response unreadable."""
    admin = start_admin(clock="auto")
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    arm(admin, at="poll", first=2, do={"patch": {"data": None}})
    for _ in range(3):
        VICSEE.status(http, job)
        pass_time(admin, 0.5)
    assert "polled_too_often" not in names(card(admin, "?pauses=all"))


@each_sample
def test_a_repeated_submit_is_reported(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """A paid request that is repeated while its first job runs names both jobs."""
    http = caller(admin, sample.provider)
    first = sample.job(http, CLIP)
    second = sample.job(http, CLIP)

    (found,) = card(admin)["findings"]
    assert ("submitted_twice", "error", second) == (
        found["name"],
        found["severity"],
        found["job"],
    )
    assert {"first": first} == found["numbers"]
    assert [1, 2] == [shown["number"] for shown in found["exchanges"]]


def test_a_submit_with_a_lost_response_counts(admin: Admin) -> None:
    """A repeated submit counts even if the client got a 500, because the first job exists."""
    http = caller(admin)
    arm(admin, at="after_accept", first=1, do={"respond": 500})
    assert 500 == VICSEE.submit(http, CLIP).status_code
    VICSEE.job(http, CLIP)
    assert ["submitted_twice"] == names(card(admin))


def test_different_submits_are_no_repetition(admin: Admin) -> None:
    """Another video, another account, a refused submit and an ended job are no repetition."""
    http = caller(admin)
    finished_at = finished(admin, http)
    http.get(finished_at)
    VICSEE.job(http, CLIP)
    VICSEE.job(http, CLIP.replace("_2s", "_3s"))
    VICSEE.job(admin.vicsee("sk-other"), CLIP)
    VICSEE.submit(http, "")
    VICSEE.submit(http, "")
    assert [] == names(card(admin))


def test_a_late_repetition_is_a_new_submit(admin: Admin) -> None:
    """After ten minutes, the same submit counts as intended."""
    http = caller(admin)
    VICSEE.job(http, CLIP)
    for job in admin.get("sandboxes/default/jobs")["jobs"]:
        admin.put(f"sandboxes/default/jobs/{job['id']}/state", {"state": "processing"})
    pass_time(admin, 601)
    VICSEE.job(http, CLIP)
    assert [] == names(card(admin))


@each_sample
def test_an_unread_failure_is_reported(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """A failure is a finding until a response has shown it to the client."""
    http = caller(admin, sample.provider)
    job = sample.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    (found,) = card(admin)["findings"]
    assert ("failure_never_read", job, "failed") == (
        found["name"],
        found["job"],
        found["numbers"]["state"],
    )

    sample.status(http, job)
    assert [] == names(card(admin))


def test_a_failure_in_a_lost_response_is_unread(admin: Admin) -> None:
    """A failure in a response that a fault replaced counts as unread."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    arm(admin, at="poll", first=1, do={"respond": 503})
    VICSEE.status(http, job)
    assert ["failure_never_read"] == names(card(admin))


def test_an_undownloaded_file_is_reported(admin: Admin) -> None:
    """A paid file is a finding until a GET downloads a part; a HEAD does not count."""
    http = caller(admin)
    url = finished(admin, http)
    assert ["output_never_fetched"] == names(card(admin))
    http.head(url)
    assert ["output_never_fetched"] == names(card(admin))
    http.get(url, headers={"range": "bytes=0-9"})
    assert [] == names(card(admin))


def test_an_ignored_retry_after_is_reported(admin: Admin) -> None:
    """An early retry names both requests, and the seconds asked and waited."""
    http = caller(admin)
    headers = {"retry-after": "30"}
    arm(
        admin,
        at="before_accept",
        first=2,
        do={"respond": {"status": 429, "headers": headers, "body": {}}},
    )
    VICSEE.submit(http, CLIP)
    pass_time(admin, 12)
    VICSEE.submit(http, CLIP)
    pass_time(admin, 30)
    VICSEE.submit(http, CLIP)

    (found,) = card(admin)["findings"]
    assert ("retry_after_ignored", "error", None) == (
        found["name"],
        found["severity"],
        found["job"],
    )
    assert {"asked": "30", "waited": "12"} == found["numbers"]
    assert [1, 2] == [shown["number"] for shown in found["exchanges"]]


def test_retry_after_applies_to_its_operation(admin: Admin) -> None:
    """A poll may continue while submits must wait."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    arm(
        admin,
        at="after_accept",
        first=1,
        do={"headers": {"retry-after": "9"}},
    )
    VICSEE.submit(http, "")
    VICSEE.status(http, job)
    assert [] == names(card(admin))


def test_findings_stay_when_jobs_are_forgotten(admin: Admin) -> None:
    """Findings about a forgotten job are kept."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    admin.post("sandboxes/default/reset?what=jobs")
    found = card(admin)
    assert (["failure_never_read"], 1) == (names(found), found["callers"][0]["jobs"])


def test_of_many_jobs_the_newest_are_counted(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of older jobs, the findings about requests and the number of jobs are kept."""
    monkeypatch.setattr(client_activity, "MAX_JOBS", 4)
    monkeypatch.setattr(client_activity, "AT_ONCE", 2)
    http = caller(admin)
    for seconds in (1, 1, 2, 3, 4, 5, 6):
        VICSEE.job(http, CLIP.replace("_2s", f"_{seconds}s"))

    found = card(admin)
    assert 5 == len(admin.sim.sandbox.activity.tallies)
    assert (["submitted_twice"], 7) == (names(found), found["callers"][0]["jobs"])


def test_findings_keep_their_order(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings about jobs that were forgotten first come first."""
    monkeypatch.setattr(client_activity, "MAX_JOBS", 1)
    monkeypatch.setattr(client_activity, "AT_ONCE", 1)
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    admin.post("sandboxes/default/reset?what=jobs")
    for seconds in (1, 1, 2, 3, 4):
        VICSEE.job(http, CLIP.replace("_2s", f"_{seconds}s"))
    assert ["failure_never_read", "submitted_twice"] == names(card(admin))


def test_jobs_without_findings_push_no_finding_out(
    start_admin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job with one early poll takes no place of a finding."""
    monkeypatch.setattr(client_activity, "MAX_JOBS", 1)
    monkeypatch.setattr(client_activity, "AT_ONCE", 1)
    monkeypatch.setattr(report_card, "MAX_FINDINGS", 2)
    admin = start_admin()
    http = caller(admin)
    for seconds in (1, 1, 2, 3, 4, 5, 6):
        job = VICSEE.job(http, CLIP.replace("_2s", f"_{seconds}s"))
        VICSEE.status(http, job)
        VICSEE.status(http, job)

    found = card(admin)
    assert (["submitted_twice"], 7) == (names(found), found["callers"][0]["hasty_polls"])


def test_polls_are_checked_by_the_rules_of_their_job(start_admin: Start, tmp_path: Path) -> None:
    """Polling advice that changed after the submit does not apply to the job."""
    path = tmp_path / "patient.yaml"
    path.write_text(LATER_ADVICE, "utf-8")
    admin = start_admin(scenario=str(path))
    http = caller(admin)
    early = VICSEE.job(http, CLIP)
    pass_time(admin, 20)
    late = VICSEE.job(http, CLIP.replace("_2s", "_1s"))
    for _ in range(4):
        pass_time(admin, 5)
        VICSEE.status(http, early)
        VICSEE.status(http, late)

    found = card(admin)["findings"]
    hasty = [f["job"] for f in found if f["name"] == "polled_too_often"]
    assert [late] == hasty


@pytest.mark.parametrize("what", ["journal", "all"])
def test_a_reset_of_the_journal_empties_the_card(admin: Admin, what: str) -> None:
    """A reset of the journal also removes all findings."""
    http = caller(admin)
    VICSEE.job(http, CLIP)
    VICSEE.job(http, CLIP)
    admin.post(f"sandboxes/default/reset?what={what}")
    found = card(admin)
    assert (True, []) == (found["clean"], found["callers"])


def test_findings_keep_the_numbers_of_old_requests(start_admin: Start) -> None:
    """A finding keeps the number of a request that the journal no longer has."""
    admin = start_admin()
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(1_003):
        VICSEE.status(http, job)
    (found,) = card(admin)["findings"]
    first = found["exchanges"][0]
    assert (3, None, None) == (first["number"], first["method"], first["status"])


def test_one_provider_can_be_requested(admin: Admin) -> None:
    """With `provider`, the card leaves out findings about other providers."""
    http = caller(admin)
    VICSEE.job(http, CLIP)
    VICSEE.job(http, CLIP)
    found = card(admin, "?provider=venice")
    assert ([], []) == (found["findings"], found["callers"])
    assert ["vicsee"] == [one["provider"] for one in card(admin, "?provider=vicsee")["callers"]]


def test_advice_has_its_evidence(admin: Admin) -> None:
    """Polling advice comes from the baseline, with its evidence."""
    VICSEE.job(caller(admin), CLIP)
    advised = card(admin)["callers"][0]["advised"]
    assert ("1", "1.5", "10", "documented") == (
        advised["every"],
        advised["factor"],
        advised["most"],
        advised["evidence"]["grade"],
    )


def test_an_unknown_choice_is_refused(admin: Admin) -> None:
    """The refusal names the nearest choice."""
    found = refusal_of(admin.http.get("/__sim/sandboxes/default/report-card?pauses=al"))
    assert (400, "invalid") == found[:2]
    assert "did you mean all?" in found[2]


async def test_a_long_card_does_not_block_other_tasks() -> None:
    """While hundreds of jobs are checked, other tasks run, and the card stays the same."""
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    with Simulator(clock="manual") as simulator:
        key = {"Authorization": "Bearer a-key"}
        async with httpx.AsyncClient(
            transport=simulator.transport(), base_url="http://127.0.0.1", headers=key
        ) as http:
            for _ in range(3 * report_card.TURN):
                made = await http.post(
                    "/vicsee/api/v1/tools/upscale-video", json={"video_url": OWN_CLIP}
                )
                assert made.status_code == 200, made.text
            await http.post("/__sim/sandboxes/default/clock/advance", json={"to": "idle"})
            drawn: list[int] = []
            real = report_card.ReportCardBuilder._judged

            def judged(
                box: ReportCardBuilder, job: str, tally: JobActivity, now: Instant
            ) -> Iterator[ClientFinding]:
                drawn.append(len(turns))
                return real(box, job, tally, now)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(report_card.ReportCardBuilder, "_judged", judged)
                ticking = asyncio.create_task(others())
                answer = await http.get("/__sim/sandboxes/default/report-card")
                ticking.cancel()

    found = answer.json()
    assert 3 * report_card.TURN == found["callers"][0]["jobs"]
    assert 2 * 3 * report_card.TURN - 1 == len(found["findings"])  # unread; repeated but the first
    assert len(set(drawn)) >= 3
