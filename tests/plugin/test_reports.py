"""The output of a run: journals of failed tests, commands that repeat them, and costs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from upsim.web.admin.app import CALLS

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

FAILING = """
import pytest


@pytest.mark.upsim(balance={"vicsee": 70})
def test_money(upsim):
    http, body = upsim.http("vicsee"), {"video_url": upsim.clip()}
    first = http.post("/api/v1/tools/upscale-video", json=body)
    second = http.post("/api/v1/tools/upscale-video", json=body)

    assert 200 == second.status_code
"""
SPENDING = """
import pytest


@pytest.mark.parametrize("number", range(4))
def test_money(upsim, number):
    url = upsim.clip("320x240", "30", "2")
    upsim.http("vicsee").post("/api/v1/tools/upscale-video", json={"video_url": url})
    upsim.http("venice").post(
        "/api/v1/video/queue",
        json={"model": "topaz-video-upscale", "upscale_factor": 2, "video_url": url})
    upsim.http("piapi").post(
        "/api/v1/task",
        json={"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": url}})
    if number == 0:
        upsim.set_state(upsim.jobs[0]["id"], "failed", "generation_failed")
"""


def test_failure_shows_its_journal(run_tests: RunTests) -> None:
    """A failed test shows requests, responses, charges, and refusal rules with their evidence."""
    result = run_tests(FAILING)

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            "-+ upsim journal -+",
            r"sandbox t-\w+: scenario baseline, seed \d+, clock auto at 2026-01-01 00:00:00 UTC",
            r"#1 00:00:00.000 vicsee POST /api/v1/tools/upscale-video → 200  job task_\w+",
            r'    request: \{"video_url":',
            r"    answer: ",
            r"#2 00:00:00.000 vicsee POST /api/v1/tools/upscale-video → 402",
            r"    request: ",
            r"    answer: .*INSUFFICIENT_CREDITS",
            r"    refused by insufficient_funds \(documented: Video Upscale.*\)",
            r"    why: affordable: balance: found 6 credits, expected at least 64 credits",
            r"charge -64 credits  job task_\w+  \(.*\)",
        ]
    )


MISUSES = """
import httpx
import pytest


def test_fault(upsim):
    upsim.arm({"at": "nowhere"})


def test_inbox(upsim):
    upsim.inbox.wait(1)


def test_provider(upsim):
    upsim.http("venize")


def test_clip(upsim):
    upsim.clip("4K")


def test_cut(upsim_intercept):
    upsim_intercept.arm({"at": "before_accept", "provider": "vicsee", "do": "drop_connection"})
    headers = {"authorization": "Bearer any"}
    httpx.post("https://vicsee.com/api/v1/tools/upscale-video", headers=headers)


async def called_by_async_code(upsim):
    async with upsim.ahttp("vicsee") as http:
        await http.post("/api/v1/tools/upscale-video")


def test_async_cut(upsim):
    import asyncio

    upsim.arm({"at": "before_accept", "provider": "vicsee", "do": "drop_connection"})
    asyncio.run(called_by_async_code(upsim))
"""


def test_failure_shows_its_own_line(run_tests: RunTests) -> None:
    """Tracebacks end in the test or in the library that it called, not in the plug-in."""
    result = run_tests(MISUSES, "--tb=short")

    result.assert_outcomes(failed=6)
    result.stdout.no_re_match_line(r".*upsim/.*\.py:\d+: in ")
    result.stdout.re_match_lines(
        [r"test_it.py:\d+: in test_fault", r"E .*AdminCallError", r"test_it.py:\d+: in test_clip"]
    )


def test_full_trace_shows_all(run_tests: RunTests) -> None:
    """With `--full-trace`, a traceback shows the plug-in's own lines."""
    result = run_tests(MISUSES, "--full-trace", "-k", "test_provider")

    result.stdout.re_match_lines([r".*upsim/testing/sandboxes.py:\d+: LookupError"])


def test_failure_shows_how_to_repeat_it(run_tests: RunTests) -> None:
    """A failed test shows the command that runs it again with the same ids."""
    result = run_tests(FAILING, "--upsim-seed=9")

    result.stdout.fnmatch_lines(
        ["*upsim reproduce*", "pytest test_it.py::test_money --upsim-seed=9"]
    )


def test_failure_can_be_replayed(run_tests: RunTests) -> None:
    """The printed command replays a failed test whose sandbox can be exported."""
    can_export = any(call.path.endswith("/export") for call in CALLS)
    with_cache = ("-p", "no:randomly", "-p", "no:schemathesis", "-W", "error")
    result = run_tests(FAILING, plain=with_cache)
    commands = [line for line in result.outlines if line.startswith("upsim replay ")]
    codes = [
        subprocess.run(
            [sys.executable, "-m", *shlex.split(command)], capture_output=True, check=False
        ).returncode
        for command in commands
    ]

    assert ([0] if can_export else []) == codes


def test_no_secret_is_shown(run_tests: RunTests) -> None:
    """A failed test prints no key of the sandbox and no webhook secret."""
    text = """
def test_it(upsim):
    secret = {"endpoint": upsim.inbox.url, "secret": "hush-hush"}
    body = {"model": "Qubico/video-toolkit", "task_type": "upscale",
            "config": {"webhook_config": secret}, "input": {"video": upsim.clip()}}
    upsim.http("piapi").post("/api/v1/task", json=body)
    print("KEY", upsim.key("piapi"))
    raise SystemExit
"""
    result = run_tests(text)
    printed = "\n".join(result.outlines)
    key = printed.partition("KEY ")[2].split()[0]
    journal = printed.partition("upsim journal")[2]

    assert ("piapi POST /api/v1/task → 200" in journal, len(key) > 16) == (True, True)
    assert key not in journal.partition("Captured")[0]
    assert "hush-hush" not in journal


def test_journal_is_bounded(run_tests: RunTests) -> None:
    """A failed test shows only its last twenty requests, and shortens each of them."""
    text = """
def test_it(upsim):
    for _ in range(30):
        upsim.http("vicsee").post("/api/v1/tools/upscale-video", content=b"x" * 9000)
    assert 0
"""
    result = run_tests(text)
    shown = [line for line in result.outlines if line.startswith("#")]

    assert ("#11 ", "#30 ", 20) == (shown[0][:4], shown[-1][:4], len(shown))
    assert max(map(len, result.outlines)) < 400
    result.stdout.fnmatch_lines(["(10 earlier requests are not shown)"])


def test_passing_test_shows_nothing(run_tests: RunTests) -> None:
    """A test that passes, or fails as expected, shows no journal."""
    text = """
import pytest

def test_it(upsim):
    upsim.http("vicsee").get("/api/v1/credits")

@pytest.mark.xfail(strict=True)
def test_other(upsim):
    assert 0
"""
    result = run_tests(text, "-rA")

    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.no_fnmatch_line("*upsim journal*")


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_summary_adds_up(run_tests: RunTests, options: tuple[str, ...]) -> None:
    """The summary shows charges minus refunds of all tests, per provider, over all workers."""
    result = run_tests(SPENDING, *options)

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "=* upsim *=",
            "4 sandboxes; the same calls would have cost:",
            "  piapi      0.072 USD (720000 points)",
            "  venice     0.104 USD",
            "  vicsee     96 credits",
        ]
    )


def test_summary_says_when_nothing_was_charged(run_tests: RunTests) -> None:
    """If all requests of a run were free, the summary says so."""
    result = run_tests("def test_it(upsim):\n    upsim.http('vicsee').get('/api/v1/credits')\n")

    result.stdout.fnmatch_lines(["1 sandbox, nothing charged"])


def test_unused_plug_in_prints_nothing(run_tests: RunTests) -> None:
    """A run that uses no sandbox prints no summary."""
    run_tests("def test_it():\n    pass\n").stdout.no_fnmatch_line("*= upsim =*")


def test_reports_escape_foreign_text(pytester: pytest.Pytester) -> None:
    """Requests and responses are printed with escapes for control characters."""
    pytester.makepyfile(
        """
        from upsim.client.exceptions import RefusedError

        def test_hostile(upsim):
            http = upsim.http("vicsee")
            http.get("/api/v1/tasks/%1B]0;owned%07%C2%9B")
            raise RefusedError(400, "\\x1b]0;owned\\x07\\x9b\\u202e")
        """
    )
    shown = pytester.runpytest_subprocess("-p", "no:cacheprovider").stdout.str()

    assert r"RefusedError: 400 \u001b]0;owned\u0007\u009b\u202e" in shown
    assert "upsim journal" in shown
    assert [] == [c for c in shown if not c.isprintable() and c not in "\n\t"]
