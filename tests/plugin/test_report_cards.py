"""The report card in tests: an assertion, a section of a failure, a summary of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

CARELESS = """
import pytest

SUBMIT = "/api/v1/tools/upscale-video"


@pytest.fixture
def twice(upsim):
    http, body = upsim.http("vicsee"), {"video_url": upsim.clip()}
    for _ in range(2):
        http.post(SUBMIT, json=body)


def test_assertion(upsim, twice):
    assert upsim.report_card.clean


def test_lines(upsim, twice):
    (found,) = upsim.report_card.named("submitted_twice")
    assert "error" == found["severity"]
    assert "#2 00:00:00.000 POST /vicsee/api" not in upsim.report_card.text
    assert "POST " + SUBMIT in upsim.report_card.text


def test_careful(upsim):
    upsim.http("vicsee").post(SUBMIT, json={"video_url": upsim.clip()})
    assert upsim.report_card.clean
    assert "<clean report card>" == repr(upsim.report_card)
    assert "no client mistakes found" == upsim.report_card.text


def test_pauses(upsim):
    http = upsim.http("vicsee")
    job = http.post(SUBMIT, json={"video_url": upsim.clip()}).json()["data"]["id"]
    for _ in range(3):
        http.get("/api/v1/tasks/" + job)
    assert not upsim.report_card.named("polled_too_often")
    assert upsim.read_report_card(all_pauses=True).named("polled_too_often")
"""


def test_failure_lists_the_findings(run_tests: RunTests) -> None:
    """A failed `assert upsim.report_card.clean` lists the findings and shows the exchanges."""
    result = run_tests(CARELESS)

    result.assert_outcomes(passed=3, failed=1)
    result.stdout.re_match_lines(
        [
            r"E\s+assert False",
            r"E\s+\+  where False = <report card: submitted_twice \(1×\)>\.clean",
            r"-+ upsim report card -+",
            r"error: submitted_twice: vicsee job task_\w+ \(first task_\w+\)",
            r"    #1 00:00:00.000 POST /api/v1/tools/upscale-video → 200",
            r"    #2 00:00:00.000 POST /api/v1/tools/upscale-video → 200",
            r"    Never send a paid request again .*",
        ]
    )


def test_summary_is_off_by_default(run_tests: RunTests) -> None:
    """Without the option, a pytest run prints no report card at its end."""
    result = run_tests(CARELESS, "-k", "test_lines")

    result.stdout.no_fnmatch_line("*upsim report card*")


def test_summary_names_the_tests(run_tests: RunTests) -> None:
    """With the option, the end of the run lists each test that has findings."""
    result = run_tests(CARELESS, "-k", "lines or careful", "--upsim-report-card")

    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [
            r"=+ upsim report card =+",
            r"test_it\.py::test_lines",
            r"  error: submitted_twice: vicsee job task_\w+ .*",
        ]
    )
    result.stdout.no_fnmatch_line("test_it.py::test_careful")


def test_summary_includes_xdist_workers(run_tests: RunTests) -> None:
    """The summary also lists each finding of pytest-xdist workers, once."""
    result = run_tests(CARELESS, "-k", "lines or careful", "--upsim-report-card", "-n", "2")

    told = [line for line in result.outlines if line == "test_it.py::test_lines"]
    assert 1 == len(told)
