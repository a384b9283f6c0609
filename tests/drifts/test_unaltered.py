"""An unaltered target without its admin API: no false alarm, also after other jobs."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal

import pytest

from upsim.cli.verify import LOCAL
from upsim.scenario.loader import Library
from upsim_contracts.verify.command import VerifyOptions, open_target
from upsim_contracts.verify.run import book_of, verify

LIBRARY = Library()
CASES = [
    pytest.param(provider, dialect, marks=pytest.mark.nightly if place else ())
    for provider in LIBRARY.providers()
    for place, dialect in enumerate(LIBRARY.baseline(provider).baseline.dialects)
]
"""The default dialect of each provider, and at night the others."""
CAP = Decimal(100_000)


@pytest.mark.parametrize(("provider", "dialect"), CASES)
def test_live_run_shows_no_difference(provider: str, dialect: str) -> None:
    """Every fact of a live run passes, also on an account with earlier jobs and charges."""
    order = VerifyOptions(providers=(provider,), dialect=dialect, as_live=True, cap=CAP)
    with ExitStack() as stack:
        target = open_target(stack, order, book_of(provider), LOCAL)
        book = book_of(provider).under(target.dialect)
        accounts = ("new",) if dialect == "live" else ("new", "used")
        reports = [verify(book, book.facts, target, sleep=lambda _seconds: None) for _ in accounts]

    shown = sum(fact.needs_control is None for fact in book.facts)
    for report in reports:
        assert [str(one) for one in report.causes] == []
        assert report.differences == ()
        assert report.count("held") >= shown * 3 / 4


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_facts_of_one_dialect_hold_whatever_dialect_is_verified(provider: str) -> None:
    """A fact that names its dialect passes, or departs, when another dialect is verified."""
    order = VerifyOptions(providers=(provider,), dialect="live")
    with ExitStack() as stack:
        target = open_target(stack, order, book_of(provider), LOCAL)
        book = book_of(provider).under("live")
        facts = [fact for fact in book.facts if fact.given.dialect]
        report = verify(book, facts, target, sleep=lambda _seconds: None)

    assert [str(one) for one in report.causes] == []


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_stranger_fetches_no_video_from_loopback(provider: str) -> None:
    """A server that is bound to other addresses too fetches nothing from loopback."""
    facts = [one for one in book_of(provider).facts if one.needs_control is None]
    videos = [str(step["video"]) for one in facts for step in one.steps if "video" in step]

    assert [video for video in videos if "127.0.0.1" in video or "localhost:" in video] == []
