"""Jobs above the cap of a sandbox are forgotten in the middle of whatever ended one more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from upsim.engine import retention

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Start

TASK = {"model": "Qubico/video-toolkit", "task_type": "upscale"}
LATE = """
extends: piapi/baseline
summary: Refunds come an hour later.
refund: {after: "3600"}
"""


@pytest.mark.parametrize("jobs_max", [0, 1])
def test_a_cancel_that_makes_the_server_forget_jobs_succeeds(
    start_admin: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs_max: int
) -> None:
    """A cancel returns 200 even if the server then drops old jobs whose refunds are still due.

    The refunds of both accounts are posted first, so the ledger stays balanced.
    """
    monkeypatch.setattr(retention, "FORGET_AT_ONCE", 2)
    path = tmp_path / "late.yaml"
    path.write_text(LATE, "utf-8")
    admin = start_admin(scenario=str(path), jobs_max=jobs_max)
    callers = [admin.caller("piapi", key) for key in ("one", "two")]
    statuses = []
    for number, http in enumerate(callers * 4):
        task = {**TASK, "input": {"video": f"https://example.com/{number}.mp4"}}
        name = http.post("/api/v1/task", json=task).json()["data"]["task_id"]
        statuses.append(http.delete(f"/api/v1/task/{name}").status_code)

    assert [200] * 8 == statuses
    lines = admin.get("sandboxes/default/ledger")["entries"]
    assert 0 == sum(int(line["amount"]) for line in lines if line["kind"] == "carried")
