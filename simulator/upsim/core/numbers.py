"""Numbers as they are written plainly: ASCII digits, a minus, a point; nothing else is one.

`int`, `float` and `Decimal` also take `1_000`, ` 5 `, digits of any script, `1e3` and `NaN`.
"""

from __future__ import annotations

import re
from decimal import Decimal

_COUNT = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
COUNT_FORM = "a whole number of plain digits"
DECIMAL_FORM = "a decimal number in plain digits, such as 5 or 0.50"


def counted(number: Decimal | int | str, noun: str) -> str:
    """Return a number with its noun, singular or plural; a currency such as `USD` has one form.

    >>> counted(1, "credit"), counted(48, "credit"), counted(2, "USD"), counted("0.5", "second")
    ('1 credit', '48 credits', '2 USD', '0.5 seconds')
    >>> counted(2, "box"), counted(2, "entry"), counted(2, "")
    ('2 boxes', '2 entries', '2')
    """
    if not noun:  # a scenario may say that amounts have no unit
        return str(number)
    if str(number).lstrip("-") == "1" or noun.isupper():
        return f"{number} {noun}"
    if noun[-1] == "y":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun[-1] in 'sx' else 's'}"


def plain_count(text: str) -> int | None:
    """The whole number from 0 that a text spells plainly, with up to 18 digits.

    >>> plain_count("12"), plain_count("1_000"), plain_count(" 5"), plain_count("²")
    (12, None, None, None)
    """
    return int(text) if _COUNT.fullmatch(text) else None


def plain_decimal(text: str) -> Decimal | None:
    """The number that a text spells plainly, with up to 40 digits before and after its point.

    >>> plain_decimal("0.50"), plain_decimal("1e3"), plain_decimal("NaN"), plain_decimal("٣")
    (Decimal('0.50'), None, None, None)
    """
    found = Decimal(text) if _DECIMAL.fullmatch(text) else None
    return None if found is None or (not found and found.is_signed()) else found
