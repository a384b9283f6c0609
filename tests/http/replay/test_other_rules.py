"""Sessions in which the rules change, by plan or because a file was edited, are replayed too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.http.replay.conftest import ASSUMED, VICSEE, Recorded, Start, document_of, replayed, same
from upsim.app import app_for
from upsim.engine.reload import reload
from upsim.web.replay.export_document import ExportError
from upsim.web.replay.pytest_writer import written

BASE = """extends: vicsee/baseline
faults:
  - {{at: poll, every: {every}, do: {{respond: {{status: 502, body: bad}}}}}}
"""
PLAN = """extends: base.yaml
changes:
  - after: {after}
    set: {{models: {{topaz-video-upscale: {{billing: {{rate: {{table: {{"2": "{rate}"}}}}}}}}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a scenario that plans another price, over one with a fault."""
    (tmp_path / "base.yaml").write_text(BASE.format(every=2), "utf-8")
    (tmp_path / "mine.yaml").write_text(PLAN.format(after="10m", rate=20), "utf-8")
    return tmp_path


def used(run: Recorded) -> list[object]:
    """Submit and poll twice; return what was charged and how the polls ended."""
    data = run.call("POST", VICSEE, "sk-k", json={"video_url": ASSUMED}).json()["data"]
    path = f"/vicsee/api/v1/tasks/{data['id']}"
    return [data["creditsUsed"], *(run.call("GET", path, "sk-k").status_code for _ in range(2))]


def edit(run: Recorded, file: Path, text: str) -> None:
    """Edit a file and let it hold."""
    file.write_text(text, "utf-8")
    reload(run.sim.registry, run.sim.registry.library.renewed())


def edited_session(run: Recorded, folder: Path) -> dict[str, Any]:
    """Edit what a file extends, its plan before and after it takes place; export at the end."""
    found = [used(run)]
    edit(run, folder / "base.yaml", BASE.format(every=1))
    found.append(used(run))
    run.admin("POST", "clock/advance", {"seconds": 600})
    found.append(used(run))
    edit(run, folder / "mine.yaml", PLAN.format(after="10m", rate=30))
    found.append(used(run))
    edit(run, folder / "mine.yaml", PLAN.format(after="20m", rate=30))
    found.append(used(run))
    run.admin("POST", "clock/advance", {"seconds": 600})
    found.append(used(run))
    assert [[144, 200, 502], *([rate * 9, 502, 502] for rate in (16, 20, 30, 16, 30))] == found
    return run.export()


def test_a_replay_applies_the_planned_changes_of_a_scenario(start: Start, folder: Path) -> None:
    """A planned change of a scenario applies in the replay at the same time."""
    run = start(scenario=str(folder / "mine.yaml"))
    prices = [used(run)[0]]
    run.admin("POST", "clock/advance", {"seconds": 600})
    prices.append(used(run)[0])
    report = run.replayed()

    assert [144, 180] == prices
    assert [] == report.notes
    same(report, 7)


def test_a_replay_applies_reloaded_files_without_the_files(start: Start, folder: Path) -> None:
    """A reload of an edited scenario applies in the replay at the same place, without the file."""
    export = edited_session(start(scenario=str(folder / "mine.yaml")), folder)
    for file in folder.iterdir():
        file.unlink()
    report = replayed(export)

    assert ([], 3) == (report.notes, report.kinds["files read again"])
    same(report, 20)


def test_a_replay_ignores_an_edit_that_was_not_reloaded(start: Start, folder: Path) -> None:
    """An export contains the values of the sandbox's start, even if the file was edited later."""
    run = start(scenario=str(folder / "mine.yaml"))
    used(run)
    (folder / "mine.yaml").write_text(PLAN.format(after="0s", rate=99), "utf-8")
    (folder / "base.yaml").unlink()

    same(run.replayed(), 3)


def test_a_written_test_repeats_the_reloads(start: Start, folder: Path) -> None:
    """A test written from a session with reloaded files repeats the reloads and passes."""
    document = document_of(edited_session(start(scenario=str(folder / "mine.yaml")), folder))
    app = app_for(document)
    try:
        text = asyncio.run(written(app, document, source="session.json")).text
    finally:
        app.close()
    names: dict[str, Any] = {}
    exec(compile(text, "test_session.py", "exec"), names)  # noqa: S102 - what users run

    names["test_session"]()
    assert 3 == text.count("session.reread(")


@pytest.mark.parametrize("values", [{}, {"provider": "vicsee"}, "text", {"knobs": 3}])
def test_an_export_with_invalid_reloaded_values_is_refused(
    start: Start, folder: Path, values: object
) -> None:
    """If the reloaded values in an export are invalid, the replay raises `ExportError`."""
    export = edited_session(start(scenario=str(folder / "mine.yaml")), folder)
    reread = next(entry["reread"] for entry in export["commands"] if "reread" in entry)
    reread[next(iter(reread))] = values

    with pytest.raises(ExportError, match="reload"):
        replayed(export)


def test_a_sandbox_with_an_inline_scenario_replays(start: Start) -> None:
    """A sandbox whose scenario was sent in a request replays with the same responses."""
    run = start()
    rate = {"topaz-video-upscale": {"billing": {"rate": {"table": {"2": "30"}}}}}
    document = {
        "extends": "vicsee/refused-as-the-url-says",
        "models": rate,
        "seed": 4,
        "media": [{"url": ASSUMED, "duration": 8.25, "size": "854x480", "fps": 30}],
        "faults": [{"at": "poll", "every": 2, "do": {"respond": 502}}],
        "changes": [{"after": "10m", "set": {"faults": []}}],
    }
    body = {"id": "mine", "scenario": document, "clock": "manual"}
    made = run.http.post("/__sim/sandboxes", json=body).raise_for_status().json()
    key = made["keys"]["vicsee"]
    data = run.call("POST", VICSEE, key, json={"video_url": ASSUMED}).json()["data"]
    path = f"/vicsee/api/v1/tasks/{data['id']}"
    polls = [run.call("GET", path, key).status_code for _ in range(2)]
    run.admin("POST", "clock/advance", {"seconds": 600}, box="mine")
    polls += [run.call("GET", path, key).status_code for _ in range(2)]
    shown = run.http.get("/__sim/sandboxes/mine").json()
    run.admin("POST", "faults", {"at": "poll", "do": {"respond": 503}}, box="mine")
    polls.append(run.call("GET", path, key).status_code)
    report = run.replayed("mine")

    assert (270, [200, 502, 200, 200, 503]) == (data["creditsUsed"], polls)
    assert "request body" == shown["scenario"]
    assert [] == report.notes
    same(report, 8)
