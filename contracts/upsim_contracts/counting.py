"""Numbers with their nouns, in the right form."""

from __future__ import annotations


def counted(number: object, noun: str) -> str:
    """Return a number with its noun; a currency such as `USD` has one form.

    >>> counted(1, "fact"), counted(48, "credit"), counted("0.5", "USD"), counted(0, "fact")
    ('1 fact', '48 credits', '0.5 USD', '0 facts')
    """
    return f"{number} {noun}{'' if str(number).lstrip('-') == '1' or noun.isupper() else 's'}"
