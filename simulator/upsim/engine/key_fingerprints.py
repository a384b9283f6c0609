"""Fingerprints of API keys, under which a server stores them instead of the keys."""

from __future__ import annotations

import hashlib


class Fingerprints:
    """Computes fingerprints of keys; a key cannot be computed from its fingerprint."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: str) -> None:
        """Use this secret; another secret gives completely different fingerprints."""
        key = hashlib.blake2b(secret.encode(), digest_size=32).digest()
        self._keyed = hashlib.blake2b(key=key, digest_size=16)

    def of_bytes(self, value: bytes) -> bytes:
        """Return the fingerprint of a header's value as received."""
        hashed = self._keyed.copy()
        hashed.update(value)
        return hashed.digest()

    def of(self, provider: str, key: str) -> bytes:
        """Return the fingerprint of a provider's key."""
        return self.of_bytes(f"{provider}\0{key}".encode("utf-8", "surrogateescape"))
