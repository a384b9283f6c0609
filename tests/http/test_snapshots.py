"""Forks, named snapshots, and what a sandbox was at an earlier instant."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest

from tests.http.conftest import Admin, ScenarioFile, Start
from upsim.engine import snapshot_store
from upsim.engine.snapshot_store import MAX_SNAPSHOTS

OPENING = 10_000


@pytest.fixture
def box(admin: Admin) -> dict[str, Any]:
    """Return a sandbox `box` with one job of VicSee that is being processed."""
    made = admin.sandbox(id="box", balances={"vicsee": OPENING})
    admin.job(made["keys"]["vicsee"])
    return made


def jobs(admin: Admin, sandbox: str, query: str = "") -> dict[str, str]:
    """Return the jobs of a sandbox with their states."""
    found = admin.get(f"sandboxes/{sandbox}/jobs{query}")["jobs"]
    return {job["id"]: job["state"] for job in found}


def balance(admin: Admin, sandbox: str, query: str = "") -> list[str]:
    """Return the balances of the accounts of a sandbox."""
    accounts = admin.get(f"sandboxes/{sandbox}/accounts{query}")["accounts"]
    return [account["balance"] for account in accounts]


def now(admin: Admin, sandbox: str) -> str:
    """Return the time of a sandbox's clock."""
    found: str = admin.get(f"sandboxes/{sandbox}/clock")["now"]
    return found


def test_a_fork_has_the_jobs_and_the_balance_of_its_source(
    admin: Admin, box: dict[str, Any]
) -> None:
    """A fork shows the same jobs, money and time, and its new key is for the same account."""
    fork = admin.post("sandboxes", {"id": "fork", "fork": {"sandbox": "box"}})

    assert jobs(admin, "fork") == jobs(admin, "box")
    assert balance(admin, "fork") == balance(admin, "box") != [str(OPENING)]
    assert now(admin, "fork") == now(admin, "box")
    assert not set(fork["keys"].values()) & set(box["keys"].values())
    left = admin.vicsee(fork["keys"]["vicsee"]).get("/api/v1/credits").json()["data"]["credits"]
    assert [str(left)] == balance(admin, "box")


def test_a_fork_goes_on_independently(admin: Admin, box: dict[str, Any]) -> None:
    """After a fork, neither sandbox sees the jobs, charges or time of the other one."""
    fork = admin.post("sandboxes", {"id": "fork", "fork": {"sandbox": "box"}})
    (first,) = jobs(admin, "box")
    left = balance(admin, "box")

    admin.post("sandboxes/fork/clock/advance", {"to": "idle"})
    second = admin.job(fork["keys"]["vicsee"])
    assert jobs(admin, "fork") == {first: "completed", second: "waiting"}
    assert (jobs(admin, "box"), balance(admin, "box")) == ({first: "waiting"}, left)

    assert admin.job(box["keys"]["vicsee"]) == second, "both draw the same next id"
    admin.call("DELETE", "sandboxes/box")
    assert jobs(admin, "fork") == {first: "completed", second: "waiting"}


def test_a_fork_of_an_earlier_instant(admin: Admin, box: dict[str, Any]) -> None:
    """A fork can begin at an instant in the past of its source."""
    then, left = now(admin, "box"), balance(admin, "box")
    admin.post("sandboxes/box/clock/advance", {"seconds": 3600})
    admin.job(box["keys"]["vicsee"])

    admin.post("sandboxes", {"id": "fork", "fork": {"sandbox": "box", "at": then}})

    assert now(admin, "fork") == then
    assert (list(jobs(admin, "fork").values()), balance(admin, "fork")) == (["waiting"], left)
    admin.post("sandboxes/fork/clock/advance", {"to": "idle"})
    assert list(jobs(admin, "fork").values()) == ["completed"]


def test_lists_show_the_state_at_an_instant(admin: Admin, box: dict[str, Any]) -> None:
    """With `at`, jobs, accounts, ledger and journal are as they were then."""
    then, left = now(admin, "box"), balance(admin, "box")
    (first,) = jobs(admin, "box")
    admin.post("sandboxes/box/clock/advance", {"to": "idle"})
    admin.job(box["keys"]["vicsee"])
    earlier = f"?at={then}"

    assert jobs(admin, "box", earlier) == {first: "waiting"}
    assert admin.get(f"sandboxes/box/jobs/{first}{earlier}")["state"] == "waiting"
    assert balance(admin, "box", earlier) == left
    assert admin.get(f"sandboxes/box/ledger{earlier}")["total"] == 1
    assert len(admin.get(f"sandboxes/box/journal{earlier}")["exchanges"]) == 1
    assert (len(jobs(admin, "box")), balance(admin, "box") == left) == (2, False)


def test_a_restored_sandbox_continues_its_report_card(admin: Admin) -> None:
    """A restored sandbox has the findings of its snapshot; a fork has none at first."""
    first = admin.job()
    admin.job()
    admin.post("sandboxes/default/snapshots", {"name": "twice"})
    admin.job()
    admin.post("sandboxes/default/snapshots/twice/restore")
    third = admin.job()
    admin.post("sandboxes", {"id": "fork", "fork": {"sandbox": "default"}})

    card = admin.get("sandboxes/default/report-card")
    assert card["callers"][0]["jobs"] == 3
    assert [finding["numbers"]["first"] for finding in card["findings"]] == [first, ANY]
    assert (card["findings"][1]["job"], card["findings"][1]["exchanges"][1]["number"]) == (third, 3)
    assert admin.get("sandboxes/fork/report-card")["clean"]


@pytest.mark.parametrize("at", ["2025-12-31T23:59:59Z", "2027-01-01T00:00:00Z"])
def test_an_instant_outside_the_history_is_refused(
    admin: Admin, box: dict[str, Any], at: str
) -> None:
    """A refusal names the span of instants whose state is known."""
    for refused in (
        admin.refusal("GET", f"sandboxes/{box['id']}/jobs?at={at}"),
        admin.refusal("POST", "sandboxes", {"fork": {"sandbox": "box", "at": at}}),
    ):
        assert refused[:2] == (409, "history")
        assert "from 2026-01-01T00:00:00.000000Z to 2026-01-01T00:00:00.000000Z" in refused[2]


def test_history_that_was_compacted_is_refused(start_admin: Start) -> None:
    """Once old jobs are forgotten, the instants before are refused, and later ones shown."""
    admin = start_admin(jobs_max=10)
    began = now(admin, "default")
    for _ in range(2100):
        admin.job()
        admin.post("sandboxes/default/clock/advance", {"to": "idle"})

    status, code, message = admin.refusal("GET", f"sandboxes/default/jobs?at={began}")
    assert (status, code) == (409, "history")
    assert "outside the kept history" in message
    assert jobs(admin, "default", f"?at={now(admin, 'default')}") == jobs(admin, "default")


def test_a_snapshot_is_restored_with_keys_that_stay_valid(
    admin: Admin, box: dict[str, Any]
) -> None:
    """A restored sandbox has the old jobs, money, faults and time, and the same keys."""
    admin.post(
        "sandboxes/box/faults", {"provider": "vicsee", "at": "poll", "do": "drop_connection"}
    )
    made = admin.post("sandboxes/box/snapshots", {"name": "before"})
    assert (made["name"], made["jobs"], made["accounts"]) == ("before", 1, 1)
    before = (jobs(admin, "box"), balance(admin, "box"), now(admin, "box"))
    admin.call("DELETE", "sandboxes/box/faults")
    admin.post("sandboxes/box/clock/advance", {"to": "idle"})
    admin.job(box["keys"]["vicsee"])

    admin.post("sandboxes/box/snapshots/before/restore")

    assert (jobs(admin, "box"), balance(admin, "box"), now(admin, "box")) == before
    assert len(admin.get("sandboxes/box/faults")["faults"]) == 1
    admin.call("DELETE", "sandboxes/box/faults")
    assert admin.job(box["keys"]["vicsee"]) in jobs(admin, "box")
    assert [one["name"] for one in admin.get("sandboxes/box/snapshots")["snapshots"]] == ["before"]


def test_a_fork_of_a_snapshot(admin: Admin, box: dict[str, Any]) -> None:
    """A fork can begin at a named snapshot, which stays as it is."""
    admin.post(f"sandboxes/{box['id']}/snapshots", {})
    admin.post("sandboxes/box/clock/advance", {"to": "idle"})
    for name in ("first", "second"):
        order = {"id": name, "fork": {"sandbox": "box", "snapshot": "s1"}}
        admin.post("sandboxes", order)
        assert list(jobs(admin, name).values()) == ["waiting"]
        admin.post(f"sandboxes/{name}/clock/advance", {"to": "idle"})


def test_uploaded_files_stay_while_a_snapshot_has_them(admin: Admin, box: dict[str, Any]) -> None:
    """A file that the sandbox forgot can still be downloaded after a restore."""
    key = box["keys"]["wavespeed"]
    client = admin.caller("wavespeed", key)
    files = {"file": ("a.mp4", b"not a video", "video/mp4")}
    sent = client.post("/api/v3/media/upload/binary", files=files).json()
    url = sent["data"]["download_url"]
    admin.post("sandboxes/box/snapshots", {"name": "with-file"})
    admin.post("sandboxes/box/clock/advance", {"seconds": 40 * 86_400})
    assert admin.http.get(url).status_code == 404

    admin.post("sandboxes/box/snapshots/with-file/restore")

    found = admin.http.get(url)
    assert (found.status_code, found.content) == (200, b"not a video")
    held = admin.sim.registry.blobs
    assert admin.call("DELETE", "sandboxes/box/snapshots/with-file").status_code == 200
    assert admin.call("DELETE", "sandboxes/box").status_code == 200
    assert not held._holds


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "sandboxes", {"fork": {"sandbox": "bos"}}, 404, "did you mean box?"),
        ("POST", "sandboxes", {"fork": {"sandbox": "box"}, "seed": 3}, 400, "seed: a fork takes"),
        (
            "POST",
            "sandboxes",
            {"fork": {"sandbox": "box", "at": "now", "snapshot": "a"}},
            400,
            "one of at and snapshot",
        ),
        ("POST", "sandboxes", {"fork": {"sandbox": "box", "at": "soon"}}, 400, "fork.at"),
        ("POST", "sandboxes", {"fork": {"sandbox": "box", "snapshot": "kep"}}, 404, "mean kept?"),
        ("POST", "sandboxes", {"id": "box", "fork": {"sandbox": "box"}}, 409, "already a sandbox"),
        ("POST", "sandboxes/box/snapshots", {"name": "a b"}, 400, "name: at most 64 letters"),
        ("POST", "sandboxes/box/snapshots", {"name": "kept"}, 409, "already has a snapshot"),
        ("POST", "sandboxes/box/snapshots/none/restore", None, 404, "there are: kept"),
        ("DELETE", "sandboxes/box/snapshots/none", None, 404, "there are: kept"),
        ("GET", "sandboxes/box/jobs?at=soon", None, 400, "at="),
    ],
)
def test_wrong_forks_and_snapshots_are_refused(
    admin: Admin,
    box: dict[str, Any],
    method: str,
    path: str,
    body: object,
    status: int,
    said: str,
) -> None:
    """Each refusal names the value and what is allowed; nothing is made."""
    admin.post(f"sandboxes/{box['id']}/snapshots", {"name": "kept"})
    found = admin.refusal(method, path, body)
    assert (found[0], said in found[2]) == (status, True), found
    assert len(admin.get("sandboxes")["sandboxes"]) == 2


def test_a_sandbox_has_a_limited_number_of_snapshots(
    admin: Admin, box: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal says how many snapshots there may be and what to do."""
    assert MAX_SNAPSHOTS == 20
    monkeypatch.setattr(snapshot_store, "MAX_SNAPSHOTS", 1)
    admin.post(f"sandboxes/{box['id']}/snapshots", {})
    refused = admin.refusal("POST", "sandboxes/box/snapshots", {})
    assert refused[0] == 409
    assert "the maximum; delete one" in refused[2]


def test_a_fork_across_a_change_of_rules_is_refused(
    start_admin: Start, scenario_file: ScenarioFile
) -> None:
    """The rules of an earlier instant are not kept, so a fork says what to do instead."""
    path = scenario_file(
        {
            "extends": "vicsee/baseline",
            "summary": "A plan changes.",
            "changes": [{"after": "1h", "set": {"accounts": {"vicsee": {"balance": "5"}}}}],
        }
    )
    admin = start_admin(scenario=path)
    began = now(admin, "default")
    admin.job()
    admin.post("sandboxes/default/clock/advance", {"seconds": 7200})

    refused = admin.refusal("POST", "sandboxes", {"fork": {"sandbox": "default", "at": began}})

    assert refused[0] == 409
    assert "the rules of 'default' changed after" in refused[2]
    admin.post("sandboxes", {"id": "fork", "fork": {"sandbox": "default"}})
    assert balance(admin, "fork") == balance(admin, "default")
