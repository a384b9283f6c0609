"""Sentences for developers: the wrong part of a request, its value, and the expected value.

They appear in the log line, the journal and `why`, never in a provider's response. Texts
from a client are shortened and quoted, and URLs are shown without user and query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from upsim.core.numbers import counted
from upsim.core.printable_text import printable
from upsim.core.secrets import hidden_text

SHOWN = 80
"""Characters of a client's value that a sentence quotes."""
MAX_READ = 1_000
"""Characters of a client's value that are looked at; a data URL whose head is longer is refused."""
_MAX_NAMED = 10
"""Allowed values that a sentence lists."""
_PATH = re.compile(r"[A-Za-z]:[\\/]|[~.]{0,2}[\\/]|[^:,;]*\.[A-Za-z0-9]{2,4}\Z")
"""How paths of files begin, and how names of files end."""
_HOST_AND_PATH = re.compile(
    r"(?:(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}|localhost|[0-9]+(?:\.[0-9]+){3})(?::[0-9]{1,5})?/",
    re.ASCII,
)
"""How a URL begins whose scheme was forgotten."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,20}):(?![0-9]{1,5}(?:/|\Z))", re.ASCII)
"""How a URL begins. One letter is a drive of Windows, and a number after a colon is a port."""
_UNREADABLE = {
    "file": "a file on your own disk, which a provider cannot read",
    "blob": "an object of a browser's page, which only that page can read",
    "s3": "an object of a bucket, which needs a signed https URL",
    "gs": "an object of a bucket, which needs a signed https URL",
}
"""Schemes that clients send by mistake, with what such a URL names."""
_MAX_PATH_LENGTH = 300
_SEARCHED = 1 << 18
"""Maximum characters of a base64 text that are checked for invalid ones: one millisecond."""
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=\s]")
_ABSENT = object()
_WORDS: Mapping[object, str] = {_ABSENT: "nothing", None: "null"}


def quoted(text: str) -> str:
    """Return the start of a text in quotes, escaped, without the secret parts of a URL."""
    read = text[:MAX_READ]
    safe = hidden_text(read.partition("#")[0] if "://" in read else read)
    cut = safe if len(safe) <= SHOWN and len(text) <= MAX_READ else f"{safe[:SHOWN]}…"
    escaped = cut.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(escaped)}"'


def typed(value: object) -> str:
    """Return a JSON value with its type: `the number 2`, `the text "2"`, `an empty list`."""
    if isinstance(value, str):
        return f"the text {quoted(value)}" if value else "an empty text"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, Mapping):
        return "an object" if value else "an empty object"
    if isinstance(value, bool):
        return str(value).lower()
    return _WORDS.get(value) or f"the number {_digits(value)}"


def told(value: object) -> str:
    """Return a value as a short text: texts and numbers are cut, lists and objects only named."""
    return typed(value) if isinstance(value, list | Mapping) else _digits(value)


def kind_of(value: object) -> str:
    """Return the JSON name of a value's type."""
    if value is None:
        return "null"
    names = {bool: "boolean", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "number")


def wrong(field: str, value: object, expected: str) -> str:
    """Return the sentence for a field with an invalid value."""
    return f"{field}: found {typed(value)}, expected {expected}"


def of(field: str, inputs: Mapping[str, object], expected: str) -> str:
    """Return `wrong` for the last part of a dotted field, which may be missing in its object."""
    return wrong(field, inputs.get(field.rpartition(".")[2], _ABSENT), expected)


def needed(field: str, inputs: Mapping[str, object], kind: str) -> str:
    """Return `of` for a field that must not be empty; an empty text has no valid type."""
    empty = inputs.get(field.rpartition(".")[2]) == ""
    return of(field, inputs, f"{kind} that is not empty" if empty else kind)


def wrong_choice(field: str, value: object, allowed: Iterable[str], kind: str = "text") -> str:
    """Return the sentence for a value outside of the allowed texts or numbers.

    If a value of the wrong type spells an allowed one, the sentence names only that one.
    """
    choices = tuple(allowed)
    plain = isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)
    spelt = _digits(value) if plain else ""
    same = [spelt] if spelt in choices else []
    shown = [quoted(choice) if kind == "text" else choice for choice in same or choices]
    more = ["…"] if len(shown) > _MAX_NAMED else []
    return wrong(field, value, f"the {kind} {_either([*shown[:_MAX_NAMED], *more])}")


def header(name: str, value: bytes | str | None, expected: str) -> str:
    """Return the sentence for a missing or wrong header."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    found = "nothing" if text is None else quoted(text)
    return f"{name}: found {found}, expected {expected}"


def video(source: str, detail: str) -> str:
    """Return the sentence for a video that cannot be fetched or measured, with a remedy."""
    return f"video: {described(source)}: {detail}"


def described(source: str) -> str:
    """Return the type of a text that was sent as a video, and its beginning."""
    start = source[:MAX_READ].strip()
    scheme = scheme_of(start)
    if scheme == "data":
        head = quoted(f"data:{start[5:].partition(',')[0]}")
        return f"a data URL of {len(source)} characters, {head}"
    if scheme in _UNREADABLE:
        return f"{quoted(start)}, {_UNREADABLE[scheme]}"
    if scheme or "://" in start:
        blank = "" if source[:1] == start[:1] else ", with white space before it"
        return f"the URL {quoted(start)}{blank}"
    return _described_text(source, start)


def scheme_of(text: str) -> str:
    r"""The scheme of a URL in small letters; empty for any other text.

    >>> scheme_of("S3://bucket/a.mp4"), scheme_of("blob:https://a.example/1")
    ('s3', 'blob')
    >>> scheme_of(r"C:\clips\a.mp4"), scheme_of("localhost:80/a.mp4"), scheme_of("AAAA")
    ('', '', '')
    """
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""


def _described_text(source: str, start: str) -> str:
    if not source:
        return typed(source)
    if len(source) <= _MAX_PATH_LENGTH and _HOST_AND_PATH.match(start):
        return f"{quoted(start)}, which has no scheme ({quoted(f'https://{start}')}?)"
    if len(source) <= _MAX_PATH_LENGTH and _PATH.match(start):
        return f"{quoted(start)}, a file on your own disk, which a provider cannot read"
    return f"the text {quoted(source)} of {counted(len(source), 'character')}"


def data_url_flaw(url: str) -> str:
    """Return why a data URL is not a video in base64."""
    head, comma, _ = url[5:MAX_READ].partition(",")
    if not comma:
        where = "before its data" if len(url) <= MAX_READ else f"in its first {MAX_READ} characters"
        return f"there is no comma {where}"
    media_type, *parameters = head.split(";")
    names = [parameter.strip().lower() for parameter in parameters]
    if "base64" not in names:
        hint = " (a comma inside codecs=… ends the head)" if "codecs" in head.lower() else ""
        return f"there is no ;base64 before its first comma{hint}"
    if names[-1] != "base64":
        return f";base64 is followed by {quoted(parameters[-1])}, expected it last before the comma"
    return f"its media type is {quoted(media_type)}, expected video/…"


def base64_flaw(text: str) -> str:
    """Return why a text is not base64, plain or in a data URL."""
    scheme = scheme_of(text)
    if scheme not in ("", "data"):
        return f"its scheme is {scheme}, expected base64, bare or in a data URL"
    if text[:5].lower() == "data:" and "base64" not in text[:MAX_READ].partition(",")[0].lower():
        return data_url_flaw(text)
    start = text.find(",") + 1 if text[:5].lower() == "data:" else 0
    stray = _NOT_BASE64.search(text, start, _SEARCHED)
    if stray is not None:
        return f"{quoted(stray[0])} at character {stray.start() + 1} is not base64"
    if len(text) > _SEARCHED:
        return f"after {_SEARCHED} characters it is not base64, or badly padded"
    return "its base64 is empty, or has a wrong length or padding"


def _digits(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), *words[-1:]] if len(words) > 1 else words)
