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
