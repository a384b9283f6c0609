"""Instants and their spellings."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core.instants import DAY, LATEST, SECOND, from_iso, http_date, iso, seconds_to_micros

INSTANTS = st.integers(0, LATEST)


@given(INSTANTS)
def test_six_digits_are_read_back(instant: int) -> None:
    """An instant written with six fractional digits is read back exactly."""
    assert from_iso(iso(instant, 6)) == instant


@given(INSTANTS, st.integers(0, 5))
def test_fewer_digits_are_cut_not_rounded(instant: int, digits: int) -> None:
    """An instant written with fewer digits is cut to them, not rounded."""
    step = 10 ** (6 - digits)

    assert from_iso(iso(instant, digits)) == instant - instant % step


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        (0, "2026-03-02T09:15:04Z"),
        (1, "2026-03-02T09:15:04.2Z"),
        (3, "2026-03-02T09:15:04.218Z"),
        (6, "2026-03-02T09:15:04.218999Z"),
        (9, "2026-03-02T09:15:04.218999000Z"),
    ],
)
def test_the_number_of_digits(digits: int, text: str) -> None:
    """With zero digits, the point is left out; above six digits zeros are added."""
    assert text == iso(1_772_442_904 * SECOND + 218_999, digits)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "2026-01-01T01:30:00+01:30",
        "2025-12-31T16:00:00-08:00",
    ],
)
def test_offsets_are_read(text: str) -> None:
    """A time with an offset is converted; a time without an offset is in UTC."""
    assert from_iso(text) == 1_767_225_600 * SECOND


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "1e3"])
def test_invalid_dates_are_refused(text: str) -> None:
    """A text that is not a date is refused."""
    with pytest.raises(ValueError, match=r"."):
        from_iso(text)


@given(st.integers(DAY, LATEST - DAY), st.integers(-14, 14))
def test_every_offset_names_the_same_instant(instant: int, hours: int) -> None:
    """A time has the same instant in every UTC offset."""
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)

    there = utc.astimezone(timezone(timedelta(hours=hours)))

    assert from_iso(utc.isoformat()) == from_iso(there.isoformat())


@given(INSTANTS)
def test_http_dates_match_the_email_module(instant: int) -> None:
    """Python's email date parser reads our HTTP dates as the same second."""
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant // SECOND)

    assert expected == parsedate_to_datetime(http_date(instant))


def test_an_http_date() -> None:
    """An HTTP date has the form of RFC 9110, in English for every locale."""
    assert http_date(784_111_777 * SECOND) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(st.integers(-(10**15), 10**15))
def test_seconds_as_text_are_read_back(micros: int) -> None:
    """Whole microseconds, written as decimal seconds, are read back exactly."""
    assert micros == seconds_to_micros(f"{Decimal(micros) / SECOND:f}")


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("8", 8_000_000),
        ("8.5", 8_500_000),
        (".25", 250_000),
        ("8.0000019", 8_000_001),
        ("-0.5", -500_000),
        ("60.", 60_000_000),
    ],
)
def test_seconds_as_text(text: str, micros: int) -> None:
    """Parts of a microsecond are cut, and the digits on one side of the point may be missing."""
    assert micros == seconds_to_micros(text)


def test_a_day() -> None:
    """A day has 86,400 seconds, because the clock has no leap seconds."""
    assert iso(DAY) == "1970-01-02T00:00:00.000Z"
