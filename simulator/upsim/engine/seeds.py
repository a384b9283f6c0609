"""The randomness of a sandbox. This is the one module that draws it.

Each purpose has a stream of its own, so that a new draw in one shifts no other.
"""

from __future__ import annotations

import hashlib
import random
import secrets


class Seeds:
    """Named streams and secrets, all from one seed."""

    __slots__ = ("_streams", "seed")

    def __init__(self, seed: int) -> None:
        """Equal seeds give equal streams."""
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: str) -> random.Random:
        """The stream of this purpose."""
        found = self._streams.get(name)
        if found is None:
            found = self._streams[name] = random.Random(f"{self.seed}:{name}")
        return found

    def restart(self, name: str) -> None:
        """Let the stream of this purpose begin anew."""
        self._streams.pop(name, None)

    def secret(self, name: str, size: int) -> bytes:
        """Bytes that are always the same for this name, without a stream's state."""
        return hashlib.shake_256(f"{self.seed}:secret:{name}".encode()).digest(size)

    def text(self, name: str, alphabet: str, length: int) -> str:
        """The next text of a stream, over an alphabet."""
        stream = self.stream(name)
        return "".join(alphabet[stream.randrange(len(alphabet))] for _ in range(length))


def derived_seed(seed: int, name: str) -> int:
    """A seed that follows from another and a name."""
    return int.from_bytes(Seeds(seed).secret(name, 6), "big")


def fresh_seed() -> int:
    """A seed for a server that was not given one."""
    return secrets.randbits(48)


def fresh_token() -> str:
    """Return an unguessable token for the admin API and for fingerprints."""
    return secrets.token_urlsafe(24)
