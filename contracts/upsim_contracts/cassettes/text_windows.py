"""Search and decode long bodies in pieces.

One call of C code holds the interpreter's lock until it ends. Without pieces, no other thread
could respond to a request during that call.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterator

WINDOW = 2**20
"""Bytes that one call of C code searches, decodes or copies."""
REACH = 64 * 2**10
"""Bytes beyond a window that a match may have: more than any path, or a boundary of a form."""


def substituted(
    pattern: re.Pattern[bytes], replacement: Callable[[re.Match[bytes]], bytes], content: bytes
) -> bytes:
    """Replace matches as `pattern.sub` does.

    The part of a match beyond `REACH` bytes may remain.
    """
    whole: list[bytes] = []
    at = 0
    is_changed = False
    for end in range(WINDOW, len(content) + WINDOW, WINDOW):
        pieces: list[bytes] = []
        while at < end:
            found = pattern.search(content, at, end + REACH)
            if found is None or found.start() >= end:
                pieces.append(content[at:end])
                at = end
            else:
                is_changed = True
                pieces += [content[at : found.start()], replacement(found)]
                at = found.end()
        whole.append(b"".join(pieces))
    return b"".join(whole) if is_changed else content


def positions(content: bytes, sign: bytes) -> Iterator[int]:
    """Yield the offsets of a short text in the content, without overlaps."""
    at = 0
    for end in range(WINDOW, len(content) + WINDOW, WINDOW):
        while at < end:
            found = content.find(sign, at, end + len(sign) - 1)
            if found >= 0:
                yield found
            at = end if found < 0 else found + len(sign)


def is_more(content: bytes, signs: tuple[bytes, ...], most: int) -> bool:
    """Return whether these signs together occur more than `most` times in the content."""
    count = 0
    for start in range(0, len(content), WINDOW):
        count += sum(content.count(sign, start, start + WINDOW + len(sign) - 1) for sign in signs)
        if count > most:
            return True
    return False


def text_of(content: bytes) -> str:
    """Return the text of a JSON document. Raises ValueError if it is not in UTF-8, -16 or -32."""
    read = codecs.getincrementaldecoder(json.detect_encoding(content))()
    starts = range(0, len(content), WINDOW)
    pieces = [read.decode(content[at : at + WINDOW]) for at in starts]
    return "".join([*pieces, read.decode(b"", final=True)])


def decoded_base64(text: str) -> bytes:
    """Return the bytes that base64 encodes; ignore other ASCII characters. Raises ValueError."""
    if not text.isascii():
        raise ValueError("no base64 has letters beyond ASCII")
    pieces: list[bytes] = []
    rest = ""
    padded = text.find("=")
    plain = len(text) if padded < 0 else padded
    if len(text) - plain > WINDOW:
        raise ValueError("base64 that goes on behind its end")
    for start in range(0, plain, WINDOW):
        letters = rest + _OTHER.sub("", text[start : min(start + WINDOW, plain)])
        whole = len(letters) // 4 * 4
        pieces.append(base64.b64decode(letters[:whole]))
        rest = letters[whole:]
    pieces.append(base64.b64decode(rest + text[plain:]))
    return b"".join(pieces)


_OTHER = re.compile(r"[^A-Za-z0-9+/]+")
