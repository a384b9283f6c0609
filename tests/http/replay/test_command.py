"""`upsim replay`: what it prints, its exit codes, and the test that it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.http.replay.conftest import ASSUMED, CLIP, LOCAL, VICSEE, WAVESPEED, Recorded, Start
from upsim.cli import main


@pytest.fixture
def file(start: Start, tmp_path: Path) -> Path:
    """Return the file of a session with a job, a refusal, a fault, a webhook and an advance."""
    return written(session(start(clock="manual")), tmp_path)


def session(run: Recorded) -> dict[str, Any]:
    """Do a bit of everything and export."""
    job = run.call("POST", VICSEE, "k", json={"video_url": CLIP}).json()["data"]["id"]
    run.call("POST", VICSEE, "other", json={"video_url": ""})
    run.call("POST", VICSEE, json={"video_url": ""})
    hook = f"{LOCAL}/__sim/sandboxes/default/inbox/a?status=500"
    run.call("POST", WAVESPEED, "k", params={"webhook": hook}, json={"video": ASSUMED})
    refused = {"provider": "vicsee", "at": "poll", "first": 1, "do": {"respond": {"status": 502}}}
    run.admin("POST", "faults", refused)
    run.call("GET", f"/vicsee/api/v1/tasks/{job}", "k")
    run.admin("POST", "clock/advance", {"seconds": 300})
    run.call("GET", f"/vicsee/api/v1/tasks/{job}", "k")
    run.call("GET", f"/media/outputs/{job}.mp4")
    run.admin("POST", "accounts/vicsee/keys", {"account": "second"})
    return run.export()


def written(export: dict[str, Any], folder: Path) -> Path:
    """Return a file that holds an export."""
    path = folder / "session.json"
    path.write_text(json.dumps(export), encoding="utf-8")
    return path


def invoke(*arguments: object) -> Result:
    """Return what came of `upsim replay`."""
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def test_replay_with_the_same_responses_exits_with_0(file: Path) -> None:
    """If all responses are the same, `upsim replay` exits with 0 and prints their number."""
    done = invoke(file)
    lines = done.stdout.splitlines()

    assert (0, 3) == (done.exit_code, len(lines))
    assert lines[0].endswith("sandbox default, scenario baseline, clock manual, seed 1")
    assert "10 responses, none differ" in lines[2]


def test_replay_with_a_different_response_exits_with_1(file: Path) -> None:
    """If a response differs, `upsim replay` exits with 1 and prints the old and the new value."""
    found = json.loads(file.read_text("utf-8"))
    found["commands"][1]["answer"]["status"] = 402
    found["sandbox"]["seed"] = 5
    file.write_text(json.dumps(found), "utf-8")
    done = invoke(file)

    assert (1, True) == (done.exit_code, "#2 at 2026-01-01T00:00:00.000000Z: POST" in done.stdout)
    assert "    status\n      recorded  402\n      now       200\n" in done.stdout


def test_replay_prints_json(file: Path) -> None:
    """With `--json`, `upsim replay` prints its whole result as one JSON document."""
    done = invoke(file, "--json")
    found = json.loads(done.stdout)

    assert (0, True, 10, []) == (
        done.exit_code,
        found["same"],
        found["compared"],
        found["differences"],
    )


@pytest.mark.parametrize("text", ["{}", "not JSON", '{"format": "upsim-export", "version": 1}'])
def test_replay_refuses_a_file_that_is_no_export(tmp_path: Path, text: str) -> None:
    """If the file is no export, `upsim replay` exits with 2 and prints one sentence."""
    path = tmp_path / "x.json"
    path.write_text(text, "utf-8")
    done = invoke(path)

    assert (2, True) == (done.exit_code, "x.json is " in done.stderr)
    assert "Traceback" not in done.output


@pytest.mark.parametrize("options", [("--to", "x.py"), ("--unknown",)])
def test_replay_refuses_wrong_usage(file: Path, options: tuple[str, ...]) -> None:
    """`--to` without `--pytest`, or an unknown option, makes `upsim replay` exit with 2."""
    assert invoke(file, *options).exit_code == 2


def test_replay_reports_a_test_file_that_cannot_be_written(file: Path, tmp_path: Path) -> None:
    """If the folder of `--to` does not exist, `upsim replay` exits with 2 and a message."""
    done = invoke(file, "--pytest", "--to", tmp_path / "none" / "test_x.py")

    assert (2, True) == (done.exit_code, "cannot write" in done.stderr)


def test_replay_writes_no_test_if_a_response_differs(file: Path) -> None:
    """If a replayed response differs, `--pytest` writes no test and exits with 2."""
    found = json.loads(file.read_text("utf-8"))
    found["sandbox"]["seed"] = 5
    file.write_text(json.dumps(found), "utf-8")
    done = invoke(file, "--pytest")

    assert (2, "") == (done.exit_code, done.stdout)
    assert "gets another answer than was recorded" in done.stderr


@pytest.mark.parametrize("clock", ["manual", "auto", "real", "scaled:100"])
def test_the_written_test_passes(start: Start, tmp_path: Path, clock: str) -> None:
    """The test that `upsim replay --pytest` writes passes without the export."""
    run = start(clock=clock)
    if clock == "real":
        run.call("POST", VICSEE, "k", json={"video_url": CLIP})
        path = written(run.export(), tmp_path)
    else:
        path = written(session(run), tmp_path)
    done = invoke(path, "--pytest", "--to", tmp_path / "test_session.py")
    path.unlink()

    assert (0, 0) == (done.exit_code, run_pytest(tmp_path))


def test_the_written_test_fails_if_a_response_differs(file: Path, tmp_path: Path) -> None:
    """The written test fails if one expected value in it is changed."""
    text = invoke(file, "--pytest").stdout
    (tmp_path / "test_session.py").write_text(
        text.replace('"creditsUsed": 32', '"creditsUsed": 31')
    )

    assert '"creditsUsed": 32' in text
    assert 1 == run_pytest(tmp_path)


def test_the_written_test_passes_ruff(file: Path) -> None:
    """The written test passes ruff, except for the line length."""
    text = invoke(file, "--pytest").stdout
    command = ["ruff", "check", "--isolated", "--select", "E,F,W,I", "--ignore", "E501", "-"]
    done = subprocess.run(
        [sys.executable, "-m", *command], input=text, capture_output=True, text=True, check=False
    )

    assert (0, "All checks passed!\n") == (done.returncode, done.stdout)


def run_pytest(folder: Path) -> int:
    """Run the tests of a folder and return the exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # importing those installed here takes a second
    }
    done = subprocess.run(
        [*command, "test_session.py"], cwd=folder, env=environment, capture_output=True, check=False
    )
    return done.returncode
