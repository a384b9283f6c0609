"""The journal says why: check, rule, evidence, values, money and faults of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.conftest import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Admin, Start

BOX = "sandboxes/default"


def last(admin: Admin, box: str = BOX) -> dict[str, Any]:
    """Return the newest exchange."""
    found: dict[str, Any] = admin.get(f"{box}/journal")["exchanges"][-1]
    return found


LONG = [
    ("vicsee", "not_too_long", {"max": "60", "found": "612.5"}),
    ("venice", "short_enough", {"max": "300", "found": "612.5"}),
    ("video-upscaler", "length_within_limit", {"max": "600", "found": "612.5"}),
]


@pytest.mark.parametrize(("name", "check", "compared"), LONG)
def test_a_refusal_names_its_check_and_the_compared_values(
    admin: Admin, name: str, check: str, compared: dict[str, str]
) -> None:
    """The reason of a refusal has the limit and the measured value."""
    sample = SAMPLES[name]
    caller = admin.caller(sample.provider, "k")
    url = "http://127.0.0.1:4747/media/synthetic/64x48_2fps_612.5s.mp4"
    assert sample.submit(caller, url).status_code >= 400

    exchange = last(admin)
    why = exchange["why"]

    assert (check, compared) == (why["check"], why["compared"])
    assert why["rule"]["evidence"] == exchange["evidence"]
    assert (exchange["refused_by"], exchange["status"]) == (
        why["rule"]["name"],
        why["rule"]["status"],
    )
    assert ("612.5", "64x48") == (why["measured"]["duration"], why["measured"]["size"])
    assert [] == why["entries"]


HALF_A_FRAME = "http://127.0.0.1:4747/media/synthetic/64x48_29.97fps_2.5s.mp4"
NEAREST = (
    "seconds 2.5 are no whole number of frames at 2997/100 fps; nearest: "
    "2.469136 (74 frames) or 2.502503 (75 frames)"
)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_impossible_clip_gets_a_reason(admin: Admin, name: str) -> None:
    """The response has the provider's words; the journal has the simulator's reason."""
    sample = SAMPLES[name]
    answer = sample.submit(admin.caller(sample.provider, "k"), HALF_A_FRAME)
    exchange = last(admin)

    assert {"detail": NEAREST} == exchange["why"]["compared"]
    assert "frames" not in answer.text
    assert ("wavespeed" == sample.provider) == (exchange["refused_by"] is None)


def test_an_accepted_job_shows_its_charge(admin: Admin) -> None:
    """The journal entry of a submit has the ledger entries of the charge, with their formula."""
    job = admin.job()
    why = last(admin)["why"]
    (entry,) = why["entries"]

    assert ("charge", "-144", job) == (entry["kind"], entry["amount"], entry["job"])
    assert "9 seconds × 16 = 144 credits" == entry["formula"]
    assert "topaz-video-upscale" == why["model"]
    assert why["price"]["grade"] == "documented"
    assert (None, None, {}) == (why["check"], why["rule"], why["compared"])


def test_a_poll_shows_no_earlier_charge(admin: Admin) -> None:
    """The journal entry of a poll has only the ledger entries of the poll itself."""
    job = admin.job()
    admin.vicsee().get(f"/api/v1/tasks/{job}")
    assert [] == last(admin)["why"]["entries"]


def test_a_cancelled_task_shows_its_refund(admin: Admin) -> None:
    """The journal entry of a cancellation has the refund."""
    sample = SAMPLES["piapi"]
    caller = admin.caller("piapi", "k")
    job = sample.job(caller, "https://clips.example/8.mp4")
    caller.delete(f"/api/v1/task/{job}")
    (entry,) = last(admin)["why"]["entries"]
    assert ("refund", job) == (entry["kind"], entry["job"])


def test_assumed_media_are_noted(admin: Admin) -> None:
    """The journal says that the default video was assumed for a URL that was not fetched."""
    admin.job()
    exchange = last(admin)
    assert exchange["why"]["assumed"] is True
    assert exchange["why"]["measured"] == exchange["assumed_media"]


def test_insufficient_funds_show_price_and_balance(admin: Admin) -> None:
    """A refusal for insufficient funds shows the price and the balance."""
    box = admin.sandbox(id="box", balances={"vicsee": 143})
    admin.vicsee(box["keys"]["vicsee"]).post(
        "/api/v1/tools/upscale-video", json={"video_url": "https://clips.example/8.mp4"}
    )
    why = last(admin, "sandboxes/box")["why"]
    expected = ("affordable", {"required": "144", "available": "143"})
    assert expected == (why["check"], why["compared"])


def test_a_fault_shows_its_rule(admin: Admin) -> None:
    """The journal entry has each fired fault with its action."""
    order = {"provider": "vicsee", "at": "poll", "on": "*", "do": {"delay": {"real": "1ms"}}}
    fault = admin.post(f"{BOX}/faults", order)
    admin.vicsee().get("/api/v1/credits")

    exchange = last(admin)
    (acted,) = exchange["why"]["faults"]

    assert exchange["fault"] == acted["id"] == fault["id"]
    assert (fault["do"], None) == (acted["do"], acted["evidence"])


SCENARIO = """
extends: vicsee/baseline
summary: Every second poll is refused.
evidence: {grade: observed, source: "a report", date: 2026-11-20}
faults:
  - {id: tired, at: poll, every: 2, do: {respond: {status: 429, body: busy}}}
"""


def test_a_fault_of_a_scenario_has_its_evidence(start_admin: Start, tmp_path: Path) -> None:
    """A fault of a scenario has the source in which the behaviour was reported."""
    file = tmp_path / "tired.yaml"
    file.write_text(SCENARIO)
    admin = start_admin(scenario=str(file))
    job = admin.job()
    for _ in range(2):
        admin.vicsee().get(f"/api/v1/tasks/{job}")
    exchange = last(admin)
    (acted,) = exchange["why"]["faults"]
    evidence = {"grade": "observed", "source": "a report", "date": "2026-11-20"}
    assert (429, "tired", evidence) == (exchange["status"], acted["id"], acted["evidence"])
