"""What holds for every test of this suite."""

from __future__ import annotations

from hypothesis import settings


def test_examples_have_no_deadline() -> None:
    """No example of Hypothesis fails because the machine is slow."""
    assert settings.default is not None
    assert settings.default.deadline is None
