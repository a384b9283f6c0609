"""`upsim upscale`, as somebody at a shell uses it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.e2e.conftest import Server
from upsim.cli import main
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

UPSIM = [sys.executable, "-m", "upsim"]
MODELS = {
    "venice": (1280, 720, "$0.052"),
    "piapi": (1280, 720, "$0.036"),
    "vicsee": (1280, 720, "64 credits"),
    "video-upscaler": (1920, 1080, "$0.025"),
    "upscale-v1": (3840, 2160, "$0.10"),
}
"""The size that each makes of the clip by default, and its price."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return a clip of four seconds."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(make_clip(parse_clip_name("640x360_30fps_4s.mp4")))
    return path


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `upsim upscale` in a folder and return what it printed."""
    return subprocess.run(
        [*UPSIM, "upscale", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def error_of(told: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    """Return the error of a JSON answer."""
    return json.loads(told.stdout)["error"]


@pytest.mark.parametrize("model", MODELS)
def test_each_model_makes_its_file(
    clip: Path, tmp_path: Path, require_tool: Callable[[str], str], model: str
) -> None:
    """The file has the size that is told, by ffprobe; one line says size, price and job."""
    width, height, price = MODELS[model]
    told = run(tmp_path, "clip.mp4", "--model", model, "--to", "large.mp4")
    show = ["-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height"]
    found = subprocess.run(
        [require_tool("ffprobe"), *show, "-of", "csv=p=0", tmp_path / "large.mp4"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert (0, "") == (told.returncode, told.stderr)
    assert f"{width},{height}" == found.stdout.strip()
    assert f"large.mp4: {width}x{height} 30 fps 4 s" in told.stdout
    assert f"charged {price}" in told.stdout
    assert clip.exists()


def test_json_holds_what_the_line_says(clip: Path, tmp_path: Path) -> None:
    """With --json price, quantity, file and measured output are there for programs."""
    told = run(tmp_path, str(clip), "--model", "venice", "--to", "a.mp4", "--json")
    found = json.loads(told.stdout)

    assert {"amount": "0.052", "unit": "USD"} == found["price"] == found["spent"]
    assert {"width": 1280, "height": 720, "fps": "30", "seconds": "4"} == found["output"]
    assert (tmp_path / "a.mp4").stat().st_size == found["bytes"]


@pytest.mark.parametrize(
    ("scenario", "model", "kind", "words"),
    [
        ("vicsee/insufficient-funds", "vicsee", "BalanceError", "Not enough credits"),
        ("piapi/moderation-late", "piapi", "JobFailedError", "(refunded)"),
    ],
)
def test_a_refusal_or_failure_is_told(
    clip: Path, tmp_path: Path, scenario: str, model: str, kind: str, words: str
) -> None:
    """The provider's own text, what becomes of the money, exit code 1, and no file."""
    arguments = [str(clip), "--model", model, "--to", "a.mp4", "--scenario", scenario, "--json"]
    told = run(tmp_path, *arguments, *(["--factor", "4"] if model == "vicsee" else []))

    assert (1, kind) == (told.returncode, error_of(told)["kind"])
    assert words in told.stderr
    assert ["clip.mp4"] == [path.name for path in tmp_path.iterdir()]


def test_the_simulator_of_the_command_tells_the_cause(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees its log: a second line, and the document, have the cause that is in its journal.

    The provider's own list of mistakes stands in the first line.
    """
    monkeypatch.chdir(clip.parent)
    wrong = "upscale_factor: Expected number, received string"
    nowhere = "http://127.0.0.1:9/nothing.mp4"
    for arguments, first, second in (
        (["clip.mp4", "--model", "venice", "--option", "upscale_factor=two"], wrong, '"two"'),
        ([nowhere, "--model", "piapi"], "400 failed to get valid video", nowhere),
    ):
        line = ["upscale", *arguments, "--to", "a.mp4"]
        told = CliRunner().invoke(main, [*line, "--json"])
        lines = told.stderr.splitlines()
        cause = json.loads(told.stdout)["error"]["cause"]

        assert (1, 2) == (told.exit_code, len(lines))
        assert lines[0].endswith(first)
        assert f"upsim: cause: {cause}" == lines[1]
        assert second in cause


def test_a_running_simulator(server: Server, clip: Path, tmp_path: Path) -> None:
    """With the address of a simulator the job is made there, under the key of the variable."""
    made = server.admin("POST", "sandboxes", {"clock": "auto"})
    told = run(
        tmp_path,
        str(clip),
        *("--model", "vicsee", "--to", "a.mp4", "--target", server.base_url),
        VICSEE_API_KEY=made["keys"]["vicsee"],
    )
    jobs = server.admin("GET", f"sandboxes/{made['id']}/jobs")["jobs"]

    assert 0 == told.returncode, told.stderr
    assert [re.search(r"job (\S+)", told.stdout)[1]] == [job["id"] for job in jobs]  # type: ignore[index]


def _is_polled(server: Server, box: str) -> bool:
    """Return whether the client has read the response to its submit: it polls the job."""
    exchanges = server.admin("GET", f"sandboxes/{box}/journal")["exchanges"]
    return any(one["method"] == "GET" and one["job"] for one in exchanges)


def test_an_interrupted_job_is_taken_up_again(server: Server, clip: Path, tmp_path: Path) -> None:
    """Ctrl-C says id and charge of the job, and a command that gets its file without paying."""
    made = server.admin("POST", "sandboxes", {"clock": "manual"})
    box, key = made["id"], made["keys"]["wavespeed"]
    command = [*UPSIM, "upscale", str(clip), "--model", "upscale-v1", "--to", "a.mp4"]
    with subprocess.Popen(
        [*command, "--target", server.base_url, "--api-key", key],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not _is_polled(server, box):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)

    assert 130 == process.returncode
    assert "Traceback" not in errors
    (job,) = server.admin("GET", f"sandboxes/{box}/jobs")["jobs"]
    assert f"The job {job['id']} was accepted (charged $0.10)" in errors
    again = re.search(r"upsim (upscale --job .*)", errors)
    assert again is not None
    server.admin("POST", f"sandboxes/{box}/clock/advance", {"to": "idle"})

    told = subprocess.run(
        [*UPSIM, *again[1].split(), "--api-key", key],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    ledger = server.admin("GET", f"sandboxes/{box}/ledger?provider=wavespeed")["entries"]

    assert 0 == told.returncode, told.stderr
    assert (tmp_path / "a.mp4").stat().st_size > 0
    assert ["charge"] == [entry["kind"] for entry in ledger]


def test_a_job_that_takes_too_long(server: Server, clip: Path, tmp_path: Path) -> None:
    """After --timeout the command ends with 1, and tells how the job is taken up again."""
    made = server.admin("POST", "sandboxes", {"clock": "manual"})
    told = run(
        tmp_path,
        str(clip),
        *("--model", "venice", "--to", "a b.mp4", "--target", server.base_url),
        *("--timeout", "1", "--api-key", made["keys"]["venice"], "--cap", "0.50"),
    )

    assert 1 == told.returncode
    assert re.search(r"--job \S+ --model venice\S+ --to 'a b.mp4' --target", told.stderr)


def test_a_simulated_job_that_takes_too_long_is_not_said_to_go_on(
    clip: Path, tmp_path: Path
) -> None:
    """The simulator of the command ends with it, and so does the job: nobody can poll it later."""
    line = ["upscale", str(clip), "--model", "piapi/video-toolkit", "--timeout", "2m"]
    line += ["--scenario", "piapi/stuck-in-queue", "--to", str(tmp_path / "new.mp4")]
    done = CliRunner().invoke(main, line)

    assert done.exit_code == 1
    assert re.search(r"is still at 'pending' after 120 s\. The job .* ended with this", done.stderr)


def test_an_address_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    """In a simulation a public address stands for the provider's default clip, and that is said."""
    told = run(tmp_path, "https://example.com/a.mp4", "--model", "vicsee", "--to", "a.mp4")

    assert 0 == told.returncode
    assert "a.mp4: 1708x960 30 fps 8.5 s" in told.stdout
    assert "https://example.com/a.mp4 was not downloaded" in told.stderr


def test_the_cap_holds(clip: Path, tmp_path: Path) -> None:
    """What would cost more than the cap is not sent."""
    told = run(tmp_path, str(clip), "--model", "venice", "--to", "a.mp4", "--cap", "0.05", "--json")

    assert (1, "CapReachedError") == (told.returncode, error_of(told)["kind"])
    assert "0" == json.loads(told.stdout)["spent"]["amount"]


def test_a_terminal_shows_a_bar(clip: Path, tmp_path: Path) -> None:
    """On a terminal there is a bar while it runs; --quiet leaves it out."""
    shown = {}
    for extra in ("--quiet", "--render=synthetic"):
        ours, theirs = pty.openpty()
        subprocess.run(
            [*UPSIM, "upscale", str(clip), "--model", "upscale-v1", "--to", "a.mp4", extra],
            cwd=tmp_path,
            env={**os.environ, "TERM": "xterm-256color"},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        shown[extra] = _all_of(ours)

    assert b"" == shown["--quiet"]
    assert b"\x1b[" in shown["--render=synthetic"]


def _all_of(terminal: int) -> bytes:
    found = b""
    try:
        while chunk := os.read(terminal, 65536):
            found += chunk
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(terminal)
    return found


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["clip.mp4"], "Missing option '--model'"),
        (["clip.mp4", "--model", "venice"], "Missing option '--to'"),
        (["--model", "venice", "--to", "a.mp4"], "name a FILE or URL, or resume a job with --job"),
        (["no.mp4", "--model", "venice", "--to", "a.mp4"], "the file 'no.mp4' does not exist"),
        ([".", "--model", "venice", "--to", "a.mp4"], "'.' is a folder"),
        (["clip.mp4", "--model", "nope", "--to", "a.mp4"], "there is no model 'nope'"),
        (["clip.mp4", "--model", "topaz-video-upscale", "--to", "a.mp4"], "is ambiguous: use"),
        (["clip.mp4", "--model", "venice", "--to", "."], "is a directory"),
        (["clip.mp4", "--model", "venice", "--to", "no/a.mp4"], "cannot be written"),
        (["clip.mp4", "--model", "venice", "--to", "x" * 300], "cannot be written"),
        (
            ["clip.mp4", "--model", "venice", "--to", "a.mp4", "--target", "live"],
            "set the maximum with --cap",
        ),
        (
            ["clip.mp4", "--model", "venice", "--to", "a.mp4", "--target", "live", "--cap", "1"],
            "a live API needs a key",
        ),
        (
            ["clip.mp4", "--model", "venice", "--to", "a.mp4", "--target", "http://example.com"],
            "is not this machine",
        ),
        (["clip.mp4", "--model", "venice", "--to", "a.mp4", "--target", "simm"], "is neither sim"),
        (["clip.mp4", "--model", "venice", "--to", "a.mp4", "--cap", "much"], "is not an amount"),
        (["clip.mp4", "--model", "venice", "--to", "a.mp4", "--cap", "-1"], "is not 0 or more"),
        (
            ["clip.mp4", "--model", "venice", "--to", "a.mp4", "--job", "x"],
            "use either FILE or --job",
        ),
        (["--job", "x", "--model", "venice", "--to", "a.mp4"], "--job needs --target"),
        (
            ["clip.mp4", "--model", "venice", "--to", "a.mp4", "--scenario", "venice/nope"],
            "there is no scenario 'venice/nope'",
        ),
        (
            ["clip.mp4", "--model", "venice", "--to", "a.mp4", "--scenario", "vicsee/plan-pro"],
            "belongs to vicsee",
        ),
    ],
)
def test_wrong_usage(clip: Path, tmp_path: Path, arguments: list[str], reason: str) -> None:
    """What cannot be meant is said before anything is sent, with exit code 2."""
    told = run(tmp_path, *arguments)

    assert (2, "") == (told.returncode, told.stdout)
    assert reason in " ".join(told.stderr.split())
    assert [clip.name] == [path.name for path in tmp_path.iterdir()]
