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
    """Nothing to say, and what could not be judged."""
    found = card(admin)
    assert (True, [], []) == (found["clean"], found["findings"], found["callers"])
    assert 1 == len(found["not_judged"])


@each_sample
def test_a_careful_caller_is_clean(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """Polls at the advised pace, stops at the end and fetches the file."""
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
def test_polls_without_a_pause_are_told(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """A busy loop is a finding with its numbers, the advice and the exchanges."""
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


def test_one_hasty_poll_is_no_finding(admin: Admin) -> None:
    """Somebody may press a button twice."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(2):
        VICSEE.status(http, job)
    assert [] == names(card(admin))


def test_pauses_may_be_spread(admin: Admin) -> None:
    """A quarter less than advised is the jitter of a careful client."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for pause in (0.75, 0.75, 0.75):
        VICSEE.status(http, job)
        pass_time(admin, pause)
    assert [] == names(card(admin))


def test_a_failed_poll_may_be_tried_again_at_once(admin: Admin) -> None:
    """After trouble there was no answer that a caller should have waited after."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    arm(admin, at="poll", do={"respond": 502})
    for _ in range(6):
        VICSEE.status(http, job)
    assert [] == names(card(admin))


def test_pauses_on_an_auto_clock_are_judged_on_request(start_admin: Start) -> None:
    """There a poll lets time pass, and a test may leave the waiting out."""
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


def test_waiting_on_an_auto_clock_counts_beside_its_jumps(start_admin: Start) -> None:
    """A caller that moves the clock on instead of sleeping is clean also when all is judged."""
    admin = start_admin(clock="auto")
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(3):
        VICSEE.status(http, job)
        pass_time(admin, 1)
    http.get(VICSEE.output(http, job)).raise_for_status()

    assert [] == names(card(admin, "?pauses=all"))


def test_polls_of_an_ended_job_are_wasted(admin: Admin) -> None:
    """A look or two more is no sin; a loop that does not know the end is."""
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
    """A client may poll on after answers that it could not read, not after one that it could."""
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


def test_a_retry_after_an_altered_poll_is_not_hasty(start_admin: Start) -> None:
    """A client may ask again at once for what it could not read."""
    admin = start_admin(clock="auto")
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    arm(admin, at="poll", first=2, do={"patch": {"data": None}})
    for _ in range(3):
        VICSEE.status(http, job)
        pass_time(admin, 0.5)
    assert "polled_too_often" not in names(card(admin, "?pauses=all"))


@each_sample
def test_the_same_submit_twice_is_told(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """A paid request that was repeated while its first job lives names both jobs."""
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


def test_a_submit_whose_answer_was_lost_counts(admin: Admin) -> None:
    """The repetition that costs money: the job exists though its caller saw a 500."""
    http = caller(admin)
    arm(admin, at="after_accept", first=1, do={"respond": 500})
    assert 500 == VICSEE.submit(http, CLIP).status_code
    VICSEE.job(http, CLIP)
    assert ["submitted_twice"] == names(card(admin))


def test_other_submits_are_not_the_same(admin: Admin) -> None:
    """Another video, another account, a refused one, and one after the first has ended."""
    http = caller(admin)
    finished_at = finished(admin, http)
    http.get(finished_at)
    VICSEE.job(http, CLIP)
    VICSEE.job(http, CLIP.replace("_2s", "_3s"))
    VICSEE.job(admin.vicsee("sk-other"), CLIP)
    VICSEE.submit(http, "")
    VICSEE.submit(http, "")
    assert [] == names(card(admin))


def test_the_same_submit_much_later_is_another(admin: Admin) -> None:
    """After ten minutes it is taken for meant, though the first job is stuck."""
    http = caller(admin)
    VICSEE.job(http, CLIP)
    for job in admin.get("sandboxes/default/jobs")["jobs"]:
        admin.put(f"sandboxes/default/jobs/{job['id']}/state", {"state": "processing"})
    pass_time(admin, 601)
    VICSEE.job(http, CLIP)
    assert [] == names(card(admin))


@each_sample
def test_a_failure_that_nobody_read_is_told(admin: Admin, sample: Any) -> None:  # noqa: ANN401 - a Sample
    """Until an answer has said so, however that looks."""
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


def test_a_failure_in_a_lost_answer_is_not_read(admin: Admin) -> None:
    """What a fault replaced has told the caller nothing."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    arm(admin, at="poll", first=1, do={"respond": 503})
    VICSEE.status(http, job)
    assert ["failure_never_read"] == names(card(admin))


def test_a_file_that_nobody_fetched_is_told(admin: Admin) -> None:
    """It was paid for; a HEAD does not fetch it, a GET of a part does."""
    http = caller(admin)
    url = finished(admin, http)
    assert ["output_never_fetched"] == names(card(admin))
    http.head(url)
    assert ["output_never_fetched"] == names(card(admin))
    http.get(url, headers={"range": "bytes=0-9"})
    assert [] == names(card(admin))


def test_retry_after_must_be_waited_for(admin: Admin) -> None:
    """A second try before its time names both exchanges, the seconds asked and waited."""
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


def test_other_operations_need_not_wait(admin: Admin) -> None:
    """A poll may go on while submits are refused for a while."""
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


def test_findings_stay_when_jobs_go(admin: Admin) -> None:
    """Of a job that the sandbox forgets, what was found is kept."""
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    admin.post("sandboxes/default/reset?what=jobs")
    found = card(admin)
    assert (["failure_never_read"], 1) == (names(found), found["callers"][0]["jobs"])


def test_of_many_jobs_the_newest_are_counted(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of older ones what their caller's requests showed is kept, and that they were there."""
    monkeypatch.setattr(client_activity, "MAX_JOBS", 4)
    monkeypatch.setattr(client_activity, "AT_ONCE", 2)
    http = caller(admin)
    for seconds in (1, 1, 2, 3, 4, 5, 6):
        VICSEE.job(http, CLIP.replace("_2s", f"_{seconds}s"))

    found = card(admin)
    assert 5 == len(admin.sim.sandbox.activity.tallies)
    assert (["submitted_twice"], 7) == (names(found), found["callers"][0]["jobs"])


def test_findings_keep_their_order(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found of jobs that went first comes first, whatever made them go."""
    monkeypatch.setattr(client_activity, "MAX_JOBS", 1)
    monkeypatch.setattr(client_activity, "AT_ONCE", 1)
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    admin.put(f"sandboxes/default/jobs/{job}/state", {"state": "failed"})
    admin.post("sandboxes/default/reset?what=jobs")
    for seconds in (1, 1, 2, 3, 4):
        VICSEE.job(http, CLIP.replace("_2s", f"_{seconds}s"))
    assert ["failure_never_read", "submitted_twice"] == names(card(admin))


def test_what_shows_nothing_pushes_no_finding_out(
    start_admin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that were polled too soon once are no findings, and take no place of one."""
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


def test_polls_are_judged_by_the_rules_of_their_job(start_admin: Start, tmp_path: Path) -> None:
    """Advice that came after the submit is none that its caller could have had."""
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
def test_a_reset_begins_anew(admin: Admin, what: str) -> None:
    """With the journal its card is emptied too."""
    http = caller(admin)
    VICSEE.job(http, CLIP)
    VICSEE.job(http, CLIP)
    admin.post(f"sandboxes/default/reset?what={what}")
    found = card(admin)
    assert (True, []) == (found["clean"], found["callers"])


def test_exchanges_that_the_journal_lost_keep_their_number(start_admin: Start) -> None:
    """A finding does not depend on the ring."""
    admin = start_admin()
    http = caller(admin)
    job = VICSEE.job(http, CLIP)
    for _ in range(1_003):
        VICSEE.status(http, job)
    (found,) = card(admin)["findings"]
    first = found["exchanges"][0]
    assert (3, None, None) == (first["number"], first["method"], first["status"])


def test_one_provider_can_be_asked_for(admin: Admin) -> None:
    """Findings and callers of others are left out."""
    http = caller(admin)
    VICSEE.job(http, CLIP)
    VICSEE.job(http, CLIP)
    found = card(admin, "?provider=venice")
    assert ([], []) == (found["findings"], found["callers"])
    assert ["vicsee"] == [one["provider"] for one in card(admin, "?provider=vicsee")["callers"]]


def test_advice_has_its_evidence(admin: Admin) -> None:
    """What a caller is judged by comes from the baseline."""
    VICSEE.job(caller(admin), CLIP)
    advised = card(admin)["callers"][0]["advised"]
    assert ("1", "1.5", "10", "documented") == (
        advised["every"],
        advised["factor"],
        advised["most"],
        advised["evidence"]["grade"],
    )


def test_an_unknown_choice_is_refused(admin: Admin) -> None:
    """The nearest one is named."""
    found = refusal_of(admin.http.get("/__sim/sandboxes/default/report-card?pauses=al"))
    assert (400, "invalid") == found[:2]
    assert "did you mean all?" in found[2]


async def test_a_long_card_leaves_others_their_turn() -> None:
    """While hundreds of jobs are judged, other tasks run; the card is the same as drawn at once."""
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
