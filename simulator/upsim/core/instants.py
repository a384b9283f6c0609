"""Times of the virtual clock: integer microseconds since the Unix epoch, and their formats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND = 1_000_000
DAY = 86_400 * SECOND
LATEST: Instant = 221_845_392_000 * SECOND
"""9000-01-01T00:00:00Z: no clock goes beyond, so that every instant can be spelt."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def _whole_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def iso(instant: Instant, digits: int = 3) -> str:
    """Return RFC 3339 in UTC with `Z` and this number of fractional digits (0 for none)."""
    seconds, micros = divmod(instant, SECOND)
    if digits == 3:  # noqa: PLR2004 - by far the most usual
        return f"{_whole_second(seconds)}.{micros // 1000:03d}Z"
    if digits == 0:
        return _whole_second(seconds) + "Z"
    fraction = f"{micros:06d}".ljust(digits, "0")[:digits]
    return f"{_whole_second(seconds)}.{fraction}Z"


def from_iso(text: str) -> Instant:
    """Return the time of an ISO 8601 text; without an offset it is in UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def http_date(instant: Instant) -> str:
    """Return the time as an HTTP `Date` header (RFC 7231)."""
    moment = _EPOCH + timedelta(seconds=instant // SECOND)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day}, {moment:%d} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"


def seconds_to_micros(text: str) -> int:
    """Return a decimal number of seconds as whole microseconds, without the use of floats."""
    whole, _, fraction = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return int(whole or "0") * SECOND + sign * int(fraction.ljust(6, "0")[:6] or "0")
