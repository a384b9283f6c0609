"""Files as base64 text, bare or as a data URI: the two forms that clients send."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from upsim.core.causes import MAX_READ
from upsim.core.percent_encoding import unescaped

_WHITESPACE = str.maketrans("", "", " \t\r\n\f\v")


@dataclass(frozen=True, slots=True)
class Encoded:
    """Base64 text, and the media type that a data URI gave it (empty for bare text).

    The text of a data URI may be percent-encoded (`escaped`).
    """

    media_type: str
    text: str
    escaped: bool = False


def is_web_address(text: str) -> bool:
    """Return whether the text starts like an http or https URL."""
    return text[:8].lower().startswith(("http://", "https://"))


def encoded(text: str) -> Encoded | None:
    """Return the base64 of a text; None for a data URI that holds something else.

    In a data URI, only the beginning is searched for the comma: a long text costs time in one call.
    """
    if text[:5].lower() != "data:":
        return Encoded("", text)
    comma = text.find(",", 5, MAX_READ)
    media_type, *parameters = text[5 : max(comma, 5)].lower().split(";")
    if "base64" not in parameters:
        return None
    payload = text[comma + 1 :]
    return Encoded(media_type.strip(), payload, escaped="%" in payload)


def decoded(file: Encoded) -> bytes | None:
    """The bytes of base64 text, ignoring whitespace; None if the text is not valid."""
    plain = unescaped(file.text).decode("latin-1") if file.escaped else file.text
    try:
        return base64.b64decode(plain.translate(_WHITESPACE), validate=True)
    except ValueError:
        return None
