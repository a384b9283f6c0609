"""Ids that look like a real id but do not exist."""

from __future__ import annotations

HEX = "0123456789abcdef"


def beside(job: str, place: int, by: int) -> str:
    """Return an id of the same form that differs in one character, counted from the end."""
    places = [number for number, sign in enumerate(job) if sign in HEX]
    number = places[-1 - place % len(places)]
    digits = HEX[:10] if job[number].isdecimal() else HEX[10:]
    sign = digits[(digits.index(job[number]) + 1 + by % (len(digits) - 1)) % len(digits)]
    return job[:number] + sign + job[number + 1 :]
