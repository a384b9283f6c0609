"""The properties of a measured video."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.core.conftest import VIDEO


@given(st.integers(0, 10**12))
def test_seconds_are_exact(duration: int) -> None:
    """The duration in seconds is a decimal with every microsecond."""
    found = replace(VIDEO, duration=duration).seconds

    assert Fraction(duration, 1_000_000) == Fraction(found)
