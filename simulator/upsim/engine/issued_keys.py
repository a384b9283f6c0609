"""The keys that a server issued, stored as fingerprints, and the holder of each key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from upsim.core.baseline import Auth
from upsim.core.bounded_cache import BoundedCache
from upsim.engine.api_keys import MAX_KEY_LENGTH, can_be_sent
from upsim.engine.exceptions import KeyTakenError, SandboxRefusedError
from upsim.engine.key_fingerprints import Fingerprints
from upsim.engine.seeds import Draw, Seeds, fresh_seed

MAX_RETIRED_KEPT = 4096
"""Maximum keys of deleted sandboxes that are refused; older ones count as unknown again."""
MAX_KEYS = 100_000
"""Keys of a sandbox, those of all its accounts together."""


class KeyHolder(msgspec.Struct, frozen=True):
    """The sandbox and owner of an issued key; keys with the same `owner` share one account."""

    sandbox: str
    provider: str
    owner: str


class KeyForm(NamedTuple):
    """The header and scheme in which a request carries its key."""

    header: str
    scheme: str


class Keyring:
    """Issued keys, and retired keys, which are refused because their sandbox was deleted."""

    def __init__(self, secret: str) -> None:
        """Start without keys. Another secret gives another fingerprint of the same key."""
        self.fingerprints = Fingerprints(secret)
        self._holders: dict[bytes, KeyHolder] = {}
        self._issued: dict[str, list[bytes]] = {}
        self._retired: BoundedCache[bytes, str] = BoundedCache(MAX_RETIRED_KEPT)
        self._forms: dict[str, dict[KeyForm, set[str]]] = {}

    def issue(self, holder: KeyHolder, auth: Auth, brought: str | None = None) -> str:
        """Issue a key for an owner's account: `brought`, or a random key in the provider's form.

        Raises SandboxRefusedError for a key that cannot be sent, or that has another holder.
        """
        provider = holder.provider
        if brought is not None and not can_be_sent(brought):
            msg = (
                f"a {provider} key is 1 to {MAX_KEY_LENGTH} visible ASCII characters without spaces"
            )
            raise SandboxRefusedError(msg)
        issued = brought or new_key(auth, Seeds(fresh_seed()).draw("key", 0))
        fingerprint = self.fingerprints.of(provider, issued)
        known = self._holders.get(fingerprint)
        if known is not None and known != holder:
            msg = f"this {provider} key already belongs to sandbox {known.sandbox!r}"
            msg += "" if known.sandbox != holder.sandbox else f", account {known.owner[:80]!r}"
            raise KeyTakenError(msg)
        keys = self._issued.setdefault(holder.sandbox, [])
        if known is None and len(keys) >= MAX_KEYS:
            msg = f"sandbox {holder.sandbox!r} has {MAX_KEYS} keys, the most that one may have"
            raise SandboxRefusedError(f"{msg}; make another sandbox")
        self._retired.pop(fingerprint, None)
        self.know(provider, auth, holder.sandbox)
        self._holders[fingerprint] = holder
        if known is None:
            keys.append(fingerprint)
        return issued

    def restore(
        self, fingerprint: bytes, holder: KeyHolder | None, sandbox: str, auth: Auth | None
    ) -> None:
        """Add a key that an earlier server issued to a holder, or that it retired."""
        if holder is None or auth is None:
            self._retired[fingerprint] = sandbox
            return
        self.know(holder.provider, auth, holder.sandbox)
        self._holders[fingerprint] = holder
        self._issued.setdefault(holder.sandbox, []).append(fingerprint)

    def know(self, provider: str, auth: Auth, sandbox: str) -> None:
        """Add the headers in which the rules of this sandbox accept a provider's keys."""
        forms = [KeyForm(auth.header, auth.scheme)]
        if auth.second is not None:
            forms.append(KeyForm(auth.second.header, auth.second.scheme))
        known = self._forms.setdefault(provider, {})
        for form in forms:
            known.setdefault(form, set()).add(sandbox)

    def forms(self, provider: str) -> tuple[KeyForm, ...]:
        """Return the headers that may carry a provider's keys, by all rules used so far."""
        return tuple(self._forms.get(provider, ()))

    def holder(self, fingerprint: bytes) -> KeyHolder | None:
        """Return the holder of a key; None for a key that was not issued."""
        return self._holders.get(fingerprint)

    def is_retired(self, fingerprint: bytes) -> bool:
        """Return whether a key is refused because its sandbox was deleted."""
        return fingerprint in self._retired

    def owner_of(self, provider: str, key: str, providers: Iterable[str]) -> str:
        """Return the holder of a refused key in words; empty if the key was not issued."""
        for name in (provider, *providers):
            fingerprint = self.fingerprints.of(name, key)
            holder, deleted = self._holders.get(fingerprint), self._retired.get(fingerprint)
            of = "" if name == provider else f" of {name}"
            if holder is not None:
                return f"it is a key{of} of sandbox {holder.sandbox!r}"
            if deleted is not None:
                return f"it is a key{of} of the deleted sandbox {deleted!r}".removesuffix(" ''")
        return ""

    def retire(self, provider: str, key: str) -> None:
        """Refuse a key from now on, like a key of a deleted sandbox."""
        self._retired[self.fingerprints.of(provider, key)] = ""

    def forget(self, sandbox: str) -> None:
        """Retire the keys of a deleted sandbox: they are refused from now on."""
        for forms in self._forms.values():
            for form, sandboxes in list(forms.items()):
                sandboxes.discard(sandbox)
                if not sandboxes:
                    del forms[form]
        for fingerprint in self._issued.pop(sandbox, ()):
            self._holders.pop(fingerprint, None)
            self._retired[fingerprint] = sandbox


def new_key(auth: Auth, draw: Draw) -> str:
    """Return a new key in the provider's real form and length."""
    return auth.key_prefix + draw.text(auth.key_alphabet, auth.key_length)
