"""Failed jobs at a stranger: charged, failed, refunded within the documented time, or not yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.drifts.stand_in import stand_in
from tests.drifts.verify_and_record import CAP, findings
from upsim.cli.verify import LOCAL
from upsim_contracts.target import Patience
from upsim_contracts.verify.command import run
from upsim_contracts.verify.run import VerifyReport, book_of, verify

FACT = "failed-download-is-refunded"
LATE = {"extends": "wavespeed/baseline", "refund": {"after": "10000"}}
NEVER = {"extends": "wavespeed/baseline", "refund": {"states": []}}
WHOLE = Patience(refund=3 * 3600)


def judged(
    scenario: Mapping[str, object] | None, patience: Patience
) -> tuple[VerifyReport, Decimal]:
    """Check the one fact without the admin API; also return what the ledger says was spent."""
    book = book_of("wavespeed")
    facts = [one for one in book.facts if one.id == FACT]
    with stand_in("wavespeed", scenario=scenario) as made:
        target = replace(made.target(CAP), patience=patience)
        with target.http:
            return verify(book, facts, target, sleep=lambda _seconds: None), made.spent()


@pytest.mark.parametrize("scenario", [None, LATE], ids=["at once", "after hours"])
def test_refund_within_the_documented_time_passes(scenario: Mapping[str, object] | None) -> None:
    """A failed job whose refund comes within three hours passes, and counts as not spent."""
    report, spent = judged(scenario, WHOLE)

    assert [one.outcome for one in report.verdicts] == ["held"]
    assert report.spent == report.predicted == spent == Decimal(0)
    assert any(one.status == 200 for one in report.verdicts[0].exchanges if one.form.paid)


def test_missing_refund_is_one_line() -> None:
    """A job without a refund after the documented time gives one report line."""
    report, spent = judged(NEVER, WHOLE)

    (line,) = findings(report)
    assert "WaveSpeedAI does not refund what failed jobs cost (charged 0.025 USD" in line
    assert report.spent == spent == Decimal("0.025")


def test_refund_fact_runs_last() -> None:
    """The fact about refunds runs last, so that its late refund does not disturb other facts."""
    book = book_of("wavespeed")
    facts = [one for one in book.facts if one.id in (FACT, "billing-rows")]
    with stand_in("wavespeed") as made:
        target = made.target(CAP)
        with target.http:
            report = verify(book, facts, target, sleep=lambda _seconds: None)

    assert facts[0].id == FACT
    assert [one.fact.id for one in report.verdicts] == ["billing-rows", FACT]


def test_refund_that_may_still_come_is_not_judged() -> None:
    """A run that waits a minute does not check a refund that may take three hours."""
    report, spent = judged(NEVER, Patience())

    (verdict,) = report.verdicts
    assert (verdict.outcome, report.broken) == ("not judged", False)
    assert "0.025 USD of job " in verdict.reason
    assert "not refunded after 60 s (documented: within 3h)" in verdict.reason
    assert report.spent == spent == Decimal("0.025")


def test_plan_says_how_refunds_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan of a live run names the fact that checks refunds, or why it has none."""
    run({"as_live": True, "cap": CAP, "only_plan": True}, LOCAL, print)

    lines = [one for one in capsys.readouterr().out.splitlines() if "refunds of failed" in one]
    checking = [one for one in lines if f"checked by {FACT}" in one]
    unable = [one for one in lines if "not checked: no document says how to make a" in one]
    assert (len(checking), len(unable)) == (1, 3)
