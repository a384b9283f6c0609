"""Rules for every test of this suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def test_examples_have_no_deadline() -> None:
    """Hypothesis has no deadline, so no example fails on a slow machine."""
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
