"""What a recording of an unaltered provider shows: nothing."""

from __future__ import annotations

import pytest

from tests.recording.conftest import Studio
from tests.recording.sample_requests import CALLERS


@pytest.mark.parametrize("dialect", ["", "live"])
@pytest.mark.parametrize("provider", CALLERS)
def test_a_documented_provider_shows_no_difference(
    studio: Studio, provider: str, dialect: str
) -> None:
    """A job at a provider that follows its documents shows no difference, in either dialect."""
    cassette = studio.record(provider, CALLERS[provider], dialect=dialect)
    lines = studio.drift(cassette)

    assert [] == studio.said
    assert ["no differences"] == [line.partition(": ")[2].partition(" in ")[0] for line in lines]
