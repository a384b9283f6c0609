"""Secrets that a recording has found, and their positions in a text.

The number of secrets is limited. The time per character of a text is limited too, even for
secrets with the same beginning. One binary search finds the longest secret at a position.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from threading import Lock
from urllib.parse import quote

SHORTEST = 6
"""A secret shorter than this is not looked for elsewhere: it could be any word."""
MAX_LENGTH = 16_384
"""A secret of more bytes than this is redacted under its name, and not looked for elsewhere."""
MAX_KNOWN = 500
"""Secrets that are remembered of callers, and as many of responses: the newest ones."""
_END = b"\xff"
"""No text in UTF-8 has this byte: a secret with it sorts behind all that begin with the secret."""


class KnownSecrets:
    """The newest secrets, each as it was found and percent-encoded. Thread-safe."""

    def __init__(self) -> None:
        """Start without known secrets."""
        self._orders: dict[bool, dict[str, None]] = {True: {}, False: {}}
        self._forms: Counter[bytes] = Counter()
        self._starts: Counter[bytes] = Counter()
        self._prefixes = _Prefixes()
        self._lock = Lock()

    def add(self, secret: str, *, own: bool) -> None:
        """Remember a secret. Secrets of responses never displace the caller's `own` secrets."""
        if not SHORTEST <= len(secret) <= MAX_LENGTH:
            return
        order = self._orders[own]
        with self._lock:
            if secret not in self._orders[not own] and secret not in order:
                for form in _forms(secret):
                    self._use(form)
            order.pop(secret, None)
            order[secret] = None
            if len(order) > MAX_KNOWN:
                self._forget(next(iter(order)), own=own)

    def replaced(self, text: str, placeholder: str) -> str:
        """Return the text with a placeholder instead of each known secret."""
        starts = self._starts
        if not starts or len(text) < SHORTEST:
            return text
        searched, pieces, kept, at = text.encode("utf-8", "surrogatepass"), [], 0, 0
        last = len(searched) - SHORTEST
        while at <= last:
            found = b""
            if searched[at : at + SHORTEST] in starts:
                with self._lock:
                    found = self._prefixes.longest(searched[at : at + MAX_LENGTH])
            if found:
                pieces += [searched[kept:at], placeholder.encode()]
                at = kept = at + len(found)
            else:
                at += 1
        return b"".join([*pieces, searched[kept:]]).decode("utf-8", "surrogatepass")

    def _use(self, form: bytes) -> None:
        self._forms[form] += 1
        if self._forms[form] == 1:
            self._starts[form[:SHORTEST]] += 1
            self._prefixes.add(form)

    def _forget(self, secret: str, *, own: bool) -> None:
        del self._orders[own][secret]
        if secret in self._orders[not own]:
            return
        for form in _forms(secret):
            self._forms[form] -= 1
            if not self._forms[form]:
                del self._forms[form]
                self._prefixes.remove(form)
                self._starts[form[:SHORTEST]] -= 1
                if not self._starts[form[:SHORTEST]]:
                    del self._starts[form[:SHORTEST]]


class _Prefixes:
    """Find the longest of many stored forms with which a text begins.

    Every text that begins with a form sorts between the form and the end of its range. `_owners`
    maps both edges to the longest form that matches from there on. At the end of a range this is
    the shorter form that encloses the range.
    """

    def __init__(self) -> None:
        self._edges: list[bytes] = []
        self._owners: dict[bytes, bytes] = {}

    def longest(self, text: bytes) -> bytes:
        """Return the longest form with which the text begins; empty bytes if no form matches."""
        at = bisect_right(self._edges, text)
        return self._owners[self._edges[at - 1]] if at else b""

    def add(self, form: bytes) -> None:
        """Add a new form of a secret."""
        outer = self.longest(form)
        first = bisect_left(self._edges, form)
        last = bisect_left(self._edges, form + _END)
        self._hand_over(first, last, outer, form)
        self._edges[first:last] = [form, *self._edges[first:last], form + _END]
        self._owners |= {form: form, form + _END: outer}

    def remove(self, form: bytes) -> None:
        """Remove a form of a secret."""
        outer = self._owners.pop(form + _END)
        first = bisect_left(self._edges, form)
        last = bisect_left(self._edges, form + _END)
        del self._edges[last], self._edges[first], self._owners[form]
        self._hand_over(first, last - 1, form, outer)

    def _hand_over(self, first: int, last: int, old: bytes, new: bytes) -> None:
        """Replace one form by another as the longest match in a range of edges."""
        for edge in self._edges[first:last]:
            if self._owners[edge] == old:
                self._owners[edge] = new


def _forms(secret: str) -> set[bytes]:
    """Return the secret itself and its percent-encoded form, each if it is not too long."""
    encoded = quote(secret, safe="", errors="replace").encode()
    return {
        one for one in (secret.encode("utf-8", "surrogatepass"), encoded) if len(one) <= MAX_LENGTH
    }
