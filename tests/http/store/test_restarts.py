"""A simulator that opens the file of an earlier one continues all of its sandboxes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.app import Simulator
from upsim.engine.reload import reload
from upsim.media.clip_names import SyntheticClip
from upsim.media.synthetic import ClipMaker
from upsim.store import compaction, sqlite_store

VIDEO = "https://cdn.example/clip.mp4"
SUBMIT = {"model": "topaz-video-upscale", "video_url": VIDEO, "upscale_factor": 2}
LISTS = ("jobs", "accounts", "ledger", "journal", "faults", "webhooks", "report-card", "inbox")


class Life:
    """One simulator on the file of a test, and its clients."""

    def __init__(self, sim: Simulator) -> None:
        """Send requests to a simulator."""
        self.sim = sim
        self.http = httpx.Client(transport=sim.transport(), base_url=sim.base_url(""))
        self.token = {"authorization": "Bearer in-process"}

    def submit(self, key: str = "k", sandbox: str = "") -> str:
        """Submit a job to Venice, and return its id."""
        reply = self.http.post(
            f"{sandbox}/venice/api/v1/video/queue",
            json=SUBMIT,
            headers={"authorization": f"Bearer {key}"},
        )
        assert reply.status_code == httpx.codes.OK, reply.text
        return str(reply.json()["queue_id"])

    def poll(self, job: str, key: str = "k") -> dict[str, Any]:
        """Poll a job of Venice; a file counts as the state `COMPLETED`."""
        reply = self.http.post(
            "/venice/api/v1/video/retrieve",
            json={"model": SUBMIT["model"], "queue_id": job},
            headers={"authorization": f"Bearer {key}"},
        )
        assert reply.status_code == httpx.codes.OK, reply.text
        file = reply.headers["content-type"] == "video/mp4"
        return {"status": "COMPLETED"} if file else dict(reply.json())

    def admin(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the admin API."""
        reply = self.http.request(method, f"/__sim/{path}", json=body, headers=self.token)
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None

    def view(self) -> dict[str, Any]:
        """Return all that the admin API shows of all sandboxes."""
        boxes = self.admin("GET", "sandboxes")["sandboxes"]
        found: dict[str, Any] = {"sandboxes": boxes}
        for box in boxes:
            for name in LISTS:
                if name != "inbox":
                    found[f"{box['id']}/{name}"] = self.admin(
                        "GET", f"sandboxes/{box['id']}/{name}"
                    )
        return found


Lives = Callable[..., Any]


@pytest.fixture
def live(tmp_path: Path) -> Lives:
    """Return a context manager that opens the file of this test again."""

    @contextmanager
    def living(**options: Any) -> Iterator[Life]:  # noqa: ANN401 - options of the simulator
        with Simulator(store=f"sqlite:{tmp_path}/kept.db", **{"clock": "manual", **options}) as sim:
            yield Life(sim)

    return living


def test_everything_that_the_admin_api_shows_is_as_before(live: Lives) -> None:
    """Jobs, accounts, ledger, journal, faults, webhooks and the report card survive."""
    with live() as life:
        made = life.admin("POST", "sandboxes", {"clock": "manual", "seed": 7})
        key = made["keys"]["venice"]
        jobs = [life.submit(), life.submit("other"), life.submit(key)]
        life.admin(
            "POST",
            f"sandboxes/{made['id']}/faults",
            {
                "provider": "venice",
                "at": "poll",
                "do": {"delay": "1s"},
                "first": 1,
            },
        )
        life.sim.advance(2)
        life.poll(jobs[0])
        life.http.post("/venice/api/v1/video/queue", json={"model": 1})
        before = life.view()
    with live(seed=99) as life:
        assert life.view() == before
        assert life.poll(jobs[1], "other")["status"] == "PROCESSING"


def test_a_restarted_simulator_draws_the_ids_that_the_first_would_have_drawn(live: Lives) -> None:
    """The seed in the file counts, and no id is drawn twice."""
    with Simulator(clock="manual", seed=5) as sim:
        expected = [Life(sim).submit() for _ in range(3)]
    found: list[str] = []
    for _ in range(3):
        with live(seed=5 if not found else 6) as life:
            found.append(life.submit())
    assert found == expected


def test_keys_stay_valid_and_those_of_deleted_sandboxes_stay_refused(live: Lives) -> None:
    """Issued keys lead to their sandbox after a restart; a deleted sandbox takes its keys along."""
    with live() as life:
        kept = life.admin("POST", "sandboxes", {"strict_keys": True})
        gone = life.admin("POST", "sandboxes", {"strict_keys": True})
        life.admin("DELETE", f"sandboxes/{gone['id']}")
    with live() as life:
        job = life.submit(kept["keys"]["venice"])
        assert job in life.sim.registry.get(kept["id"]).state.jobs
        reply = life.http.post(
            "/venice/api/v1/video/queue",
            json=SUBMIT,
            headers={"authorization": f"Bearer {gone['keys']['venice']}"},
        )
        assert reply.status_code == httpx.codes.UNAUTHORIZED
        assert gone["id"] in str(life.admin("GET", "sandboxes/default/journal"))
        assert gone["id"] not in life.sim.registry.sandboxes
        assert life.admin("POST", "sandboxes", {})["id"] not in (kept["id"], gone["id"])


def test_a_reset_and_a_cleared_journal_stay_so(live: Lives) -> None:
    """What was removed does not come back."""
    with live() as life:
        life.submit()
        life.admin("POST", "sandboxes/default/reset")
        job = life.submit()
        life.admin("POST", "sandboxes/default/reset?what=journal")
        count = life.sim.sandbox.records.count
    with live() as life:
        assert list(life.sim.sandbox.state.jobs) == [job]
        assert len(life.sim.sandbox.records) == 0
        assert life.sim.sandbox.records.count == count


def test_an_upload_is_served_with_the_same_bytes(live: Lives) -> None:
    """Uploaded files survive; those of a reset sandbox are no longer held."""
    content = ClipMaker().make(SyntheticClip(320, 180, Fraction(30), 30, 100_000))
    with live() as life:
        reply = life.http.post(
            "/wavespeed/api/v3/media/upload/binary",
            files={"file": ("a.mp4", content, "video/mp4")},
            headers={"authorization": "Bearer k"},
        )
        url = reply.json()["data"]["download_url"]
    with live() as life:
        assert life.http.get(url).content == content
        [upload] = life.sim.sandbox.state.uploads.values()
        assert upload.stored is not None


@pytest.mark.parametrize("mode", ["real", "scaled:60"])
def test_a_moving_clock_runs_on_while_no_simulator_runs(
    live: Lives, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that ended in the meantime has ended at its own time."""
    with live(clock=mode) as life:
        job = life.submit()
        due = life.sim.sandbox.state.jobs[job].accepted.due
        seconds = (due - life.sim.sandbox.now) // 1_000_000
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + (seconds + 60) * 10**9)
    with live(clock="manual") as life:
        assert life.poll(job)["status"] == "COMPLETED"
        [move] = [one for one in life.sim.sandbox.state.jobs[job].moves if one.at >= due]
        assert move.at == due
        assert life.sim.sandbox.clock.label == mode


def test_no_clock_goes_back_with_the_clock_of_the_machine(
    live: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wall clock that was put back by an hour does not put the sandbox back."""
    with live(clock="real") as life:
        life.poll(life.submit())
        [*_, last] = life.sim.sandbox.records
        before = last.at
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
    with live() as life:
        assert life.sim.sandbox.run_due() >= before
        life.submit()


def test_a_sent_scenario_and_its_planned_changes_go_on(live: Lives) -> None:
    """A planned change that took place stays in force; a later one takes place after a restart."""
    scenario = {
        "extends": "venice/baseline",
        "changes": [
            {"after": "10s", "set": {"accounts": {"venice": {"balance": 50}}}},
            {"after": "20s", "set": {"accounts": {"venice": {"balance": 3}}}},
        ],
    }
    with live(scenario=scenario) as life:
        life.submit()
        life.sim.advance(12)
        assert [a.balance for a in life.sim.sandbox.state.accounts.values()] == [50]
    with live(scenario=scenario) as life:
        assert [a.balance for a in life.sim.sandbox.state.accounts.values()] == [50]
        life.sim.advance(12)
        assert [a.balance for a in life.sim.sandbox.state.accounts.values()] == [3]
    with live(scenario=scenario) as life:
        life.sim.advance(100)
        assert [a.balance for a in life.sim.sandbox.state.accounts.values()] == [3]


def test_numbers_of_a_sent_scenario_may_be_large(live: Lives) -> None:
    """Whole numbers of any size are kept, and decimal ones exactly."""
    accounts = {"venice": {"balance": 10**28}, "vicsee": {"balance": 10**24}}
    scenario = {"extends": "venice/baseline", "accounts": accounts}
    with live() as life:
        life.admin("POST", "sandboxes", {"id": "rich", "scenario": scenario, "clock": "manual"})
        before = life.sim.registry.main_of(life.sim.registry.get("rich"))
    with live() as life:
        after = life.sim.registry.main_of(life.sim.registry.get("rich"))
        assert before is not None
        assert after is not None
        assert after.values == before.values
        assert after.accounts == before.accounts


def test_jobs_keep_the_prices_of_a_planned_change(live: Lives) -> None:
    """The rules of a change are kept in full, like those of a scenario."""
    retention = {"retention": {"jobs": {"value": 4000}}}
    scenario = {"extends": "venice/baseline", "changes": [{"after": "10s", "set": retention}]}
    with live(scenario=scenario) as life:
        jobs = [life.submit()]
        life.sim.advance(12)
        jobs.append(life.submit())
        before = life.view()
        rules = [life.sim.sandbox.state.jobs[job].accepted.rules for job in jobs]
    assert rules[0] != rules[1]
    for other in (scenario, {"extends": "venice/baseline"}):
        with live(scenario=other) as life:
            box = life.sim.sandbox
            found = [box.bound_of(box.state.jobs[job].accepted) for job in jobs]
            assert [one.rules.baseline.digest for one in found] == rules
            assert other is not scenario or life.view() == before


def write(path: Path, price: str) -> None:
    """Write a scenario that changes a price of Venice."""
    path.write_text(
        "extends: venice/baseline\n"
        f"accounts: {{venice: {{balance: {price}}}}}\n"
        f"retention: {{jobs: {{value: {price}00}}}}\n"
    )


def test_an_edited_scenario_file_is_followed_and_jobs_keep_their_rules(
    live: Lives, tmp_path: Path
) -> None:
    """A restart after an edit is like a reload; without an edit, nothing is recorded."""
    file = tmp_path / "mine.yaml"
    write(file, "40")
    with live(scenario=str(file)) as life:
        job = life.submit()
        old = life.sim.sandbox.state.jobs[job].accepted.rules
    with live(scenario=str(file)) as life:
        assert not life.sim.sandbox.state.rules
    write(file, "41")
    with live(scenario=str(file)) as life:
        box = life.sim.sandbox
        assert box.state.rules.keys() == {"venice"}
        assert box.bound_of(box.state.jobs[job].accepted).rules.baseline.digest == old
        new = life.submit()
        assert box.state.jobs[new].accepted.rules not in (old, "")
    with live(scenario=str(file)) as life:
        box = life.sim.sandbox
        assert box.bound_of(box.state.jobs[job].accepted).rules.baseline.digest == old
        reload(life.sim.registry, life.sim.registry.library.renewed())
        assert box.bound_of(box.state.jobs[job].accepted).rules.baseline.digest == old


def test_rules_without_a_job_are_known_after_two_edits(live: Lives, tmp_path: Path) -> None:
    """A reload, and another edit before the restart: the restart records that one, too."""
    file = tmp_path / "mine.yaml"
    write(file, "40")
    with live(scenario=str(file)) as life:
        life.submit()
        write(file, "41")
        reload(life.sim.registry, life.sim.registry.library.renewed())
        between = life.sim.sandbox.state.rules["venice"]
    write(file, "42")
    with live(scenario=str(file)) as life:
        assert life.sim.sandbox.state.rules["venice"] != between


def test_a_sandbox_outlives_its_scenario_file(live: Lives, tmp_path: Path) -> None:
    """A sandbox whose file was deleted keeps the rules that it had."""
    file = tmp_path / "mine.yaml"
    write(file, "40")
    with live() as life:
        life.admin("POST", "sandboxes", {"id": "own", "scenario": str(file), "clock": "manual"})
        before = life.sim.registry.get("own").scenario_for("venice").baseline.digest
    file.unlink()
    with live() as life:
        box = life.sim.registry.get("own")
        assert box.scenario_for("venice").baseline.digest == before


@pytest.mark.parametrize("lives", [1, 3])
def test_a_compacted_store_gives_the_same(
    live: Lives, lives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots instead of batches change nothing, also if they are written again and again."""
    monkeypatch.setattr(compaction, "MIN_BYTES", 0)
    monkeypatch.setattr(compaction, "EVENTS_PER_PART", 3)
    before: dict[str, Any] = {}
    for _ in range(lives):
        with live(jobs_max=5) as life:
            assert not before or life.view() == before
            for _ in range(10):
                life.submit()
                life.sim.advance(1)
            before = life.view()
            kept = life.sim.registry.store
            [(batches,)] = kept._file.rows("SELECT count(*) FROM batches")
            [(parts,)] = kept._file.rows("SELECT count(*) FROM snapshots")
            assert parts
            assert batches < kept.writes.number * 3 // 4
    with live() as life:
        assert life.view() == before


def test_a_fork_and_a_restored_sandbox_survive(live: Lives) -> None:
    """Sandboxes that continued from a snapshot are kept like any other."""
    with live() as life:
        life.submit()
        fork = life.admin("POST", "sandboxes", {"fork": {"sandbox": "default"}})
        life.admin("POST", "sandboxes/default/snapshots", {"name": "one"})
        life.submit()
        life.admin("POST", "sandboxes/default/snapshots/one/restore")
        before = life.view()
        assert len(life.sim.sandbox.state.jobs) == 1
    with live() as life:
        assert life.view() == before
        assert len(life.sim.registry.get(fork["id"]).state.jobs) == 1


def test_the_log_of_sqlite_is_emptied_again_and_again(
    live: Lives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this, SQLite's own log grows with every write, for as long as requests come."""
    monkeypatch.setattr(sqlite_store, "MAX_LOG_BYTES", 20_000)
    log = tmp_path / "kept.db-wal"
    sizes = []
    with live() as life:
        for _ in range(60):
            life.submit()
            sizes.append(log.stat().st_size)
    assert any(later < earlier for earlier, later in pairwise(sizes))
    assert sizes[-1] < 2 * max(sizes[:20])


def test_named_snapshots_survive_and_can_be_restored(live: Lives) -> None:
    """A snapshot of an earlier simulator restores the state, the journal and the plan."""
    with live() as life:
        first = life.submit()
        shown = life.admin("POST", "sandboxes/default/snapshots", {"name": "one"})
        before = life.view()
        life.submit()
        life.admin("POST", "sandboxes/default/snapshots", {"name": "two"})
        life.admin("DELETE", "sandboxes/default/snapshots/two")
    with live() as life:
        assert life.admin("GET", "sandboxes/default/snapshots")["snapshots"] == [shown]
        assert len(life.sim.sandbox.state.jobs) == 2
        life.sim.advance(3)
        life.admin("POST", "sandboxes/default/snapshots/one/restore")
        assert life.view() == before
        fork = {"fork": {"sandbox": "default", "snapshot": "one"}}
        made = life.admin("POST", "sandboxes", fork)
        assert list(life.sim.registry.get(made["id"]).state.jobs) == [first]
    with live() as life:
        life.admin("DELETE", f"sandboxes/{made['id']}")
        life.admin("DELETE", "sandboxes/default/snapshots/one")
    with live() as life:
        assert life.admin("GET", "sandboxes/default/snapshots")["snapshots"] == []
