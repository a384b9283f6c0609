"""Secrets that a recording met, and where they are in a text.

The number of secrets is bounded, and so is the time for one character of a text: the first
characters of a secret lead to the few secrets that begin so.
"""

from __future__ import annotations

from threading import Lock
from urllib.parse import quote

SHORTEST = 6
"""A secret shorter than this is not looked for elsewhere: it could be any word."""
LONGEST = 16_384
"""A secret longer than this is redacted under its name, and not looked for elsewhere."""
MOST_KNOWN = 500
"""Secrets that are remembered of callers, and as many of responses: the newest ones."""


class KnownSecrets:
    """The newest secrets, as they were met and percent-encoded. Threads may share it."""

    def __init__(self) -> None:
        """No secret is known yet."""
        self._orders: dict[bool, dict[str, None]] = {True: {}, False: {}}
        self._starts: dict[str, tuple[str, ...]] = {}
        self._lock = Lock()

    def add(self, secret: str, *, own: bool) -> None:
        """Remember a secret; `own` ones, of the caller, are not displaced by those of responses."""
        if not SHORTEST <= len(secret) <= LONGEST:
            return
        order = self._orders[own]
        with self._lock:
            if secret not in self._orders[not own] and secret not in order:
                for form in _forms(secret):
                    known = self._starts.get(form[:SHORTEST], ())
                    longest = sorted({*known, form}, key=len, reverse=True)
                    self._starts[form[:SHORTEST]] = tuple(longest)
            order.pop(secret, None)
            order[secret] = None
            if len(order) > MOST_KNOWN:
                self._forget(next(iter(order)), own=own)

    def replaced(self, text: str, placeholder: str) -> str:
        """Return the text with a placeholder instead of each known secret."""
        starts, pieces, kept, at = self._starts, [], 0, 0
        if not starts:
            return text
        last = len(text) - SHORTEST
        while at <= last:
            known = starts.get(text[at : at + SHORTEST])
            found = known and next((one for one in known if text.startswith(one, at)), None)
            if found:
                pieces += [text[kept:at], placeholder]
                at = kept = at + len(found)
            else:
                at += 1
        return "".join([*pieces, text[kept:]])

    def _forget(self, secret: str, *, own: bool) -> None:
        del self._orders[own][secret]
        if secret in self._orders[not own]:
            return
        for form in _forms(secret):
            left = tuple(one for one in self._starts[form[:SHORTEST]] if one != form)
            if left:
                self._starts[form[:SHORTEST]] = left
            else:
                del self._starts[form[:SHORTEST]]


def _forms(secret: str) -> set[str]:
    """The secret as it is, and as a part of a URL."""
    return {secret, quote(secret, safe="", errors="replace")}
