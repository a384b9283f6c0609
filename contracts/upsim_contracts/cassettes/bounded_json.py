"""JSON documents of limited size, so that each can be stored, compared and read again."""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from upsim_contracts.cassettes.text_windows import WINDOW, decoded_base64, is_more, text_of

MAX_TEXT_LENGTH = 4096
MAX_LETTERS = 2**20
"""Characters of a text that spells no file; looking for secrets in it would take long."""
_DATA = re.compile(r"data:[\w/+.-]*;base64,(?=.)", re.DOTALL)
_MAX_HEAD_LENGTH = 300
_ALPHABET = (string.ascii_letters + string.digits + "+/" + string.whitespace).encode()
_MAX_PADDING = 2
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_MAX_PLACES = 300
_ESCAPED = tuple(rb"\u00%s" % code for code in (b"2c", b"2C", b"5b", b"5B", b"7b", b"7B"))
"""A comma and brackets as JSON escapes; they are kept unchanged when the text is written again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a document may be: its values, levels, and the characters of a number."""

    values: int
    levels: int
    digits: int

    @property
    def escapes(self) -> int:
        """The most backslashes in a document: each costs as much time as twenty letters."""
        return 5 * self.values

    @property
    def letters(self) -> int:
        """The most characters of all short texts. A long text must be the base64 of a file."""
        return 80 * self.values


BODY = Bounds(values=200_000, levels=100, digits=300)
"""A body as it came. One with more values would hold up other requests.

Every comma and bracket counts as a value, also within a text.
"""
KEPT = Bounds(values=300_000, levels=100, digits=310)
"""The same body as it is written: without secrets, and each number in our own spelling."""
HEAD = Bounds(values=500_000, levels=100, digits=310)
"""A line of a cassette without its two bodies."""
LINE = Bounds(HEAD.values + 2 * KEPT.values, KEPT.levels + 4, KEPT.digits)
"""A line of a cassette."""


class UnusualError(ValueError):
    """JSON that exceeds the bounds or is not allowed in any document; the message says which."""


def parsed(content: bytes, bounds: Bounds = BODY) -> tuple[Any] | None:
    """Return a JSON document in a tuple, because it can be null; None if `read_document` raises."""
    try:
        return (read_document(content, bounds),)
    except ValueError:
        return None


def read_document(content: bytes, bounds: Bounds = BODY) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON document, in which numbers with a point are Decimals.

    Raises UnusualError for:

    - NaN, or half of a surrogate pair
    - a document or a number beyond the bounds
    - a text of more than a million characters that is not base64

    Raises ValueError if the content is not JSON.
    """
    signs = (b",", b"[", b"{", *_ESCAPED) if b"\\" in content else (b",", b"[", b"{")
    if is_more(content, signs, bounds.values):
        raise UnusualError(f"it holds more than {bounds.values:,} values")
    if is_more(content, (b"\\",), bounds.escapes):
        raise UnusualError(f"it holds more than {bounds.escapes:,} backslashes")

    def number(digits: str) -> int | Decimal:
        return _number(digits, bounds.digits)

    try:
        found = json.loads(
            _text(content), parse_float=number, parse_int=number, parse_constant=_refuse
        )
    except RecursionError as error:
        raise UnusualError(_too_deep(bounds)) from error
    _check(found, bounds)
    return found


def _text(content: bytes) -> str | bytes:
    """Return a document in the form that `json.loads` takes; a short document stays unchanged."""
    return text_of(content) if len(content) > WINDOW else content


def encoded(value: object) -> bytes:
    """Return JSON in which a Decimal is a number with all its digits."""
    return _ENCODER.encode(value)


def has_repeats(content: bytes) -> bool:
    """Return whether an object of a JSON document, as `parsed` reads it, has a key twice.

    Servers disagree about which of the two values they use.
    """
    found = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) < len(pairs)

    json.loads(_text(content), object_pairs_hook=note)
    return found


def spelled_bytes(text: str) -> bytes | None:
    """Return the bytes that a long text encodes; None if the text encodes no file."""
    head = _DATA.match(text, 0, _MAX_HEAD_LENGTH)
    if head is None and (len(text) <= MAX_TEXT_LENGTH or not _is_base64(text)):
        return None
    try:
        return decoded_base64(text[head.end() :] if head else text)
    except ValueError:  # bytes that base64 cannot spell, and letters that it does not have
        return None


def _number(digits: str, longest: int) -> int | Decimal:
    """Return a number with all its digits. Raises UnusualError if it is too long or too large."""
    found = Decimal(digits) if len(digits) <= longest else Decimal("NaN")
    if not found.is_finite() or abs(found.adjusted()) > _MAX_PLACES:
        raise UnusualError(f"it holds a number of more than {_MAX_PLACES} digits or places")
    return int(digits) if digits.lstrip("-").isdecimal() else found


def _refuse(word: str) -> object:
    raise UnusualError(f"it holds {word}, which is no JSON")


def _too_deep(bounds: Bounds) -> str:
    return f"it is nested more than {bounds.levels} levels deep"


def _check(found: object, bounds: Bounds) -> None:
    """Check the depth of a document, and that its texts can be encoded and stored."""
    level: list[object] = [found]
    letters = 0
    for _ in range(bounds.levels):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, str):
                _check_text(one)
                letters += len(one) if len(one) <= MAX_LETTERS else 0
        if letters > bounds.letters:
            raise UnusualError(f"its texts have more than {bounds.letters:,} characters")
        if not inner:
            return
        level = inner
    raise UnusualError(_too_deep(bounds))


def _check_text(text: str) -> None:
    if len(text) > MAX_LETTERS and spelled_bytes(text) is None:
        raise UnusualError(f"it holds a text of more than {MAX_LETTERS:,} characters")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UnusualError("it holds half of a surrogate pair") from error


def _is_base64(text: str) -> bool:
    """Return whether a text has only base64 letters and at most two `=` at its end.

    The check runs in C code and takes milliseconds for a text of any length.
    """
    bare = text.rstrip()
    letters = bare.rstrip("=")
    if not text.isascii() or not letters or len(bare) - len(letters) > _MAX_PADDING:
        return False
    return not any(
        letters[start : start + WINDOW].encode().translate(None, _ALPHABET)
        for start in range(0, len(letters), WINDOW)
    )
