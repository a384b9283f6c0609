"""Amounts of money in responses, and counts with their noun."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MAX_PLACES = 30
"""Digits before or after the point that an amount of money can have."""


def counted(number: object, noun: str) -> str:
    """Return a number with its noun; a currency such as `USD` has one form.

    >>> counted(1, "fact"), counted(48, "credit"), counted("0.5", "USD"), counted(0, "fact")
    ('1 fact', '48 credits', '0.5 USD', '0 facts')
    """
    return f"{number} {noun}{'' if str(number).lstrip('-') == '1' or noun.isupper() else 's'}"


def amount_of(found: object) -> Decimal | None:
    """Return an amount that a response gives as a number or a text; None for anything else."""
    if isinstance(found, bool) or not isinstance(found, str | int | Decimal):
        return None
    try:
        amount = Decimal(str(found))
    except (InvalidOperation, ValueError):  # a number of thousands of digits is no text
        return None
    return amount if amount.is_finite() and abs(amount.adjusted()) <= MAX_PLACES else None
