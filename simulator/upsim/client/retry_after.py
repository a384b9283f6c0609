"""The pause that a provider asks for with `Retry-After`: seconds or a date (RFC 9110, 10.2.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from upsim.client.clocks import wall


def seconds_until(told: str, date: str) -> float | None:
    """Return the seconds that a `Retry-After` asks for; None if it is invalid.

    A date is compared with the server's own `Date`, because the two clocks may differ.
    """
    text = told.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _timestamp(text)
    if until is None:
        return None
    sent = _timestamp(date)
    return max(0.0, until - (wall() if sent is None else sent))


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
