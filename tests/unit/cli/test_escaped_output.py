"""A terminal that takes nothing more ends a command with a line; no error shows foreign bytes."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recording.test_reports import HEAD
from upsim.cli import main
from upsim.cli.escaped_output import escaped_output, is_output_lost
from upsim.cli.request_log import say
from upsim_contracts.cassettes.cassette import Writer

FULL = os.strerror(errno.ENOSPC)
COMMANDS = {
    "version": "--version",
    "help": "serve --help",
    "doctor": "doctor",
    "list": "scenarios list",
    "show": "scenarios show venice/baseline",
    "explain": "scenarios explain vicsee/insufficient-funds",
    "completion": "completion bash",
    "quote": "quote --duration 5 --size 640x360 --fps 30",
    "quote as JSON": "quote --duration 5 --size 640x360 --fps 30 --json",
    "validate": "validate --json mistaken.yaml",
    "drift": "drift c.jsonl --no-simulator",
    "verify": "verify --provider vicsee --plan",
}
DEVICE = Path("/dev/full")


class Failing(io.StringIO):
    """A buffered stream whose device fails."""

    def __init__(self, code: int) -> None:
        """Fail with this error number as soon as something is written."""
        super().__init__()
        self.code = code

    def flush(self) -> None:
        """Fail if there is something to write."""
        if self.getvalue():
            raise OSError(self.code, os.strerror(self.code))


def run(line: str, code: int, monkeypatch: pytest.MonkeyPatch) -> tuple[object, str]:
    """Return exit code and standard error of a command whose standard output fails."""
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Failing(code))
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as ended:
        main(line.split(), prog_name="upsim")
    return ended.value.code, errors.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_failing_output_ends_a_command_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """If its output fails, a command ends with exit code 1.

    A full disk prints one error line; a closed pipe prints none.
    """
    monkeypatch.chdir(tmp_path)
    Path("mistaken.yaml").write_text("extends: nothing\n", "utf-8")
    with Path("c.jsonl").open("wb", buffering=0) as file:
        Writer(file, HEAD)
    line = f"Error: cannot write to standard output: {FULL}\n"

    assert (1, line) == run(COMMANDS[name], errno.ENOSPC, monkeypatch)
    assert (1, "") == run(COMMANDS[name], errno.EPIPE, monkeypatch)


def test_server_lines_never_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """If its output fails, a server reports the loss once and raises no error."""
    errors = io.StringIO()
    for code, lost in ((errno.ENOSPC, True), (errno.EPIPE, False)):
        monkeypatch.setattr(sys, "stdout", Failing(code))
        monkeypatch.setattr(sys, "stderr", errors)
        with escaped_output():
            say("a\n")
            assert lost is is_output_lost()
    with escaped_output():
        sys.stdout.write("")

    assert f"upsim: cannot write to standard output: {FULL}\n" == errors.getvalue()


def test_missing_and_failing_streams_are_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command with a closed stdout or a failing stderr ends with its normal exit code."""
    for out, err in ((None, None), (io.StringIO(), Failing(errno.ENOSPC))):
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        for line, code in (("--version", 0), ("nothing", 2)):
            with pytest.raises(SystemExit) as ended:
                main([line], prog_name="upsim")

            assert code == ended.value.code


def test_reports_that_cannot_be_written_are_usage_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report file that cannot be written is a usage error with one line.

    If its folder is missing, the command stops before it sends a request.
    """
    with (tmp_path / "c.jsonl").open("wb", buffering=0) as file:
        Writer(file, HEAD)
    cassette, missing = tmp_path / "c.jsonl", tmp_path / "none" / "x"
    long = tmp_path / ("x" * 300)
    for line, told in (
        *((f"drift {cassette} --{kind} {missing}", missing) for kind in ("json", "html")),
        (f"drift {cassette} --scenario {missing}", missing),
        (f"drift {cassette} --no-simulator --json {long}", long),
        *((f"verify --plan --{kind} {missing}", missing) for kind in ("json", "html", "junit")),
    ):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main(line.split(), prog_name="upsim")

        assert 2 == ended.value.code
        assert f"cannot write {told}: " in sys.stderr.getvalue()  # type: ignore[union-attr]


UNHANDLED = """
import asyncio, json, threading
from upsim.cli import doctor, main

def fail(*_args, **_options):
    raise RuntimeError(json.loads(TEXT))

async def wait():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)

def failing(**_options):
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    asyncio.run(wait())
    fail()

doctor.command.callback = failing
main(["doctor"])
"""


def test_tracebacks_are_escaped() -> None:
    """The traceback of an unhandled error in a command, thread or callback is escaped."""
    osc = "\x1b]0;owned\x07\x9b31m\u202e"
    code = f"TEXT = {json.dumps(osc)!r}\n{UNHANDLED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    text = done.stderr.decode("utf-8")

    assert (1, b"") == (done.returncode, done.stdout)
    assert [] == [c for c in text if not c.isprintable() and c not in "\n\t"]
    assert 3 == text.count(r"RuntimeError: \u001b]0;owned\u0007\u009b31m\u202e")


@pytest.mark.skipif(not DEVICE.is_char_device(), reason="there is no device that is always full")
def test_server_that_cannot_print_its_url_ends() -> None:
    """If `upsim serve` cannot print its URL and token, it ends with one line and exit code 1."""
    command = [sys.executable, "-m", "upsim", "serve", "--port", "0"]
    with DEVICE.open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, timeout=300, check=False
        )

    line = f"upsim: cannot write to standard output: {FULL}\n"
    assert (1, line) == (done.returncode, done.stderr.decode())
