"""The randomness of a sandbox. This is the one module that draws it.

Each draw is a function of the seed, its purpose and a count that is part of the state. So a draw
for one purpose shifts no other, and a restored sandbox draws what it would have drawn.
"""

from __future__ import annotations

import hashlib
import secrets

BLOCK_BITS = 512
"""Random bits that one hash gives."""


class Draw:
    """The random bits of one draw, in order."""

    __slots__ = ("_bits", "_blocks", "_keyed", "_left", "_name")

    def __init__(self, keyed: hashlib.blake2b, name: str) -> None:
        """Draw from the hash that a seed has keyed, under the name of the draw."""
        self._keyed, self._name = keyed, name
        self._bits = self._left = self._blocks = 0

    def getrandbits(self, k: int, /) -> int:
        """Return the next `k` random bits as a whole number."""
        while self._left < k:
            self._bits |= self._block() << self._left
            self._left += BLOCK_BITS
        found = self._bits & ((1 << k) - 1)
        self._bits >>= k
        self._left -= k
        return found

    def text(self, alphabet: str, length: int) -> str:
        """Return a random text over an alphabet."""
        return "".join(alphabet[self.getrandbits(64) % len(alphabet)] for _ in range(length))

    def _block(self) -> int:
        block = self._keyed.copy()
        block.update(f"{self._name}/{self._blocks}".encode())
        self._blocks += 1
        return int.from_bytes(block.digest(), "big")


class Seeds:
    """The draws and secrets of a sandbox, all from one seed."""

    __slots__ = ("_keyed", "seed")

    def __init__(self, seed: int) -> None:
        """Equal seeds give equal draws."""
        self.seed = seed
        key = hashlib.blake2b(str(seed).encode()).digest()
        self._keyed = hashlib.blake2b(key=key)

    def draw(self, purpose: str, count: int, retry: int = 0) -> Draw:
        """Return draw number `count` for a purpose; `retry` replaces an id that is taken."""
        return Draw(self._keyed, f"{purpose}/{count}/{retry}")

    def secret(self, name: str, size: int) -> bytes:
        """Return bytes that are always the same for this name."""
        return hashlib.shake_256(f"{self.seed}:secret:{name}".encode()).digest(size)


def derived_seed(seed: int, name: str) -> int:
    """Return a seed that is derived from another seed and a name."""
    return int.from_bytes(Seeds(seed).secret(name, 6), "big")


def fresh_seed() -> int:
    """Return a random seed for a server without its own."""
    return secrets.randbits(48)


def fresh_token() -> str:
    """Return an unguessable token for the admin API and for fingerprints."""
    return secrets.token_urlsafe(24)
