"""Whether a key that was not issued gets an account of its own, or is refused."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from upsim.core.call import Credential
from upsim.engine.api_keys import well_formed
from upsim.engine.issued_keys import Keyring
from upsim.engine.sandbox import Sandbox

MAX_ACCOUNTS = 100_000
"""Accounts of a sandbox. None is dropped, since it may have money; a new key is then unknown."""


class KeyRefusal(NamedTuple):
    """The kind of a refused key, and why it is refused if strictness alone does not say it."""

    credential: Credential
    flaw: str


def refusal_of(
    key: str,
    *,
    provider: str,
    home: Sandbox,
    keys: Keyring,
    providers: Collection[str],
    named: bool,
) -> KeyRefusal | None:
    """Return why a key that was not issued is refused; None if it gets an account in `home`.

    A sandbox with strict keys, and a sandbox that the path names, accept only issued keys.
    """
    fingerprint = keys.fingerprints.of(provider, key)
    if named or home.choices.strict_keys or keys.is_retired(fingerprint):
        issued_form = well_formed(home.scenario_for(provider).baseline.auth, key)
        why: Credential = "unknown" if issued_form else "ill_formed"
        return KeyRefusal(why, keys.owner_of(provider, key, providers))
    owners = home.state.owners
    if (provider, fingerprint.hex()) not in owners and len(owners) >= MAX_ACCOUNTS:
        return KeyRefusal("unknown", f"sandbox {home.id!r} has its most accounts, {MAX_ACCOUNTS}")
    return None
