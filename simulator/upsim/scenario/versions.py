"""The version of this package, and the date of the newest fact of a baseline."""

from __future__ import annotations

from upsim.scenario.model import Scenario


def own_version() -> str:
    """Return the version of this package; a checkout that was never installed has no version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("upsim")
    except PackageNotFoundError:
        return "0 (not installed)"


def latest_date(scenario: Scenario) -> str:
    """Return the newest date in the evidence of a baseline's errors and limits."""
    baseline = scenario.baseline
    dates = [fact.evidence.date for fact in baseline.limits.values()]
    dates += [rule.evidence.date for rule in baseline.errors.values()]
    return max(dates)
