"""Find the sandbox, the account and the rules of a request."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from upsim.core.baseline import SecondHeader
from upsim.core.bounded_cache import BoundedCache
from upsim.core.call import Credential, Headers
from upsim.core.ledger import Account
from upsim.engine.api_keys import Presented, presented, presented_in
from upsim.engine.clock import monotonic
from upsim.engine.command_log import LoggedKey
from upsim.engine.issued_keys import Keyring
from upsim.engine.sandbox import Sandbox, View
from upsim.engine.unissued_keys import refusal_of

Mark = tuple[str | bytes | None, ...]
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
MAX_RESOLUTIONS_KEPT = 4096


class Sandboxes(Protocol):
    """The part of the registry that the lookup of sandboxes uses."""

    default: Sandbox
    sandboxes: dict[str, Sandbox]

    @property
    def providers(self) -> Collection[str]:
        """The names of the providers."""

    def get(self, name: str) -> Sandbox:
        """Return a sandbox by its id. Raises UnknownSandboxError."""


class Resolved(NamedTuple):
    """The sandbox and account of a request. `views` are the provider's views by dialect."""

    sandbox: Sandbox
    credential: Credential
    account: Account | None
    views: dict[str | None, View]
    key: str
    """The name of the key in the command log."""
    key_flaw: str = ""
    """Why a key in the right header was refused, where strictness alone does not say it."""


class Resolver:
    """Finds the sandbox of a request, and caches the result by fingerprints of its headers."""

    def __init__(self, registry: Sandboxes, keys: Keyring) -> None:
        """Use the sandboxes of a registry."""
        self._registry = registry
        self._keys = keys
        self._seen: BoundedCache[Mark, Resolved] = BoundedCache(MAX_RESOLUTIONS_KEPT)
        self._key_headers: dict[str, tuple[bytes, ...]] = {}

    def forget(self) -> None:
        """Clear the cache, because sandboxes, keys or rules have changed."""
        self._seen.clear()
        self._key_headers.clear()

    def resolve(self, provider: str, headers: Headers, named: str | None) -> Resolved:
        """Return the sandbox and account of a request.

        Raises UnknownSandboxError if the path names an unknown sandbox.
        """
        mark = self._mark(provider, headers, named)
        seen = self._seen.get(mark)
        if seen is not None:
            seen.sandbox.last_used = monotonic()
            return seen
        resolved = self._resolve(provider, headers, named)
        if resolved.account is not None:
            self._seen[mark] = resolved
        return resolved

    def _mark(self, provider: str, headers: Headers, named: str | None) -> Mark:
        """Return the cache key of a request: its path and the fingerprints of its key headers."""
        names = self._key_headers.get(provider) or self._read_key_headers(provider)
        held: list[bytes] = []
        for name in names:
            value = headers.get(name)
            held.append(b"" if value is None else self._keys.fingerprints.of_bytes(value))
        return (provider, named, *held)

    def _read_key_headers(self, provider: str) -> tuple[bytes, ...]:
        auth = self._registry.default.scenario_for(provider).baseline.auth
        self._keys.know(provider, auth, self._registry.default.id)
        names = {auth.header: None, **{form.header: None for form in self._keys.forms(provider)}}
        found = self._key_headers[provider] = tuple(name.encode() for name in names)
        return found

    def _home_of(self, provider: str, headers: Headers) -> Sandbox:
        """Return the sandbox of a request's key, in any known header; else the default sandbox."""
        boxes = self._registry
        for form in self._keys.forms(provider):
            found = presented_in(form.header, form.scheme, headers)
            if found.credential == "known":
                holder = self._keys.holder(self._keys.fingerprints.of(provider, found.key))
                if holder is not None:
                    return boxes.sandboxes[holder.sandbox]
        return boxes.default

    def _resolve(self, provider: str, headers: Headers, named: str | None) -> Resolved:
        sandbox = None if named is None else self._registry.get(named)
        home = sandbox or self._home_of(provider, headers)
        auth = home.scenario_for(provider).baseline.auth
        found = presented(auth, headers)
        if found.credential == "missing" and auth.second is not None:
            found = self._in_second_header(provider, auth.second, headers, home)
        if found.credential != "known":
            return self._refused(provider, home, found)
        fingerprint = self._keys.fingerprints.of(provider, found.key)
        holder = self._keys.holder(fingerprint)
        if holder is not None and (sandbox is None or sandbox.id == holder.sandbox):
            home = self._registry.sandboxes[holder.sandbox]
            home.last_used = monotonic()
            return self._known(provider, home, holder.owner, found.key)
        home.last_used = monotonic()
        refusal = refusal_of(
            found.key,
            provider=provider,
            home=home,
            keys=self._keys,
            providers=self._registry.providers,
            named=sandbox is not None,
        )
        if refusal is not None:
            why = Presented(refusal.credential, found.key)
            return self._refused(provider, home, why, refusal.flaw)
        return self._known(provider, home, fingerprint.hex(), found.key)

    def _known(self, provider: str, home: Sandbox, owner: str, key: str) -> Resolved:
        account = home.accounts.of(provider, owner)
        shown = owner_shown(owner, account.number)
        name = self._name_of(
            home, LoggedKey(f"{provider}/{shown}", provider, shown, "known", ""), key
        )
        return Resolved(home, "known", account, home.views(provider), name)

    def _refused(self, provider: str, home: Sandbox, found: Presented, flaw: str = "") -> Resolved:
        why = found.credential
        name = self._name_of(home, LoggedKey(f"{provider}/{why}", provider, "", why, ""), found.key)
        return Resolved(home, why, None, home.views(provider), name, flaw)

    def _name_of(self, home: Sandbox, key: LoggedKey, sent: str) -> str:
        """Return the name of a key in the command log of its sandbox; the log contains no key."""
        if key.credential == "missing" or not home.commands.open:
            return ""
        baseline = home.scenario_for(key.provider).baseline
        facts = (str(fact.value) for name, fact in baseline.facts.items() if "key_prefix" in name)
        prefixes = [text for text in (baseline.auth.key_prefix, *facts) if sent.startswith(text)]
        named = replace(key, prefix=max(prefixes, key=len, default=""))
        return home.commands.key(self._keys.fingerprints.of(key.provider, sent), named)

    def _in_second_header(
        self, provider: str, second: SecondHeader, headers: Headers, home: Sandbox
    ) -> Presented:
        """Return the key in the second header, if the knob of its sandbox allows this header."""
        found = presented_in(second.header, second.scheme, headers)
        if found.credential != "known":
            return Presented("missing")
        taken = home.bound(provider).rules.knobs[second.knob] == second.value
        return found if taken else Presented("missing")


def owner_shown(owner: str, account: int) -> str:
    """Return the name of an owner in exports; a user's own key is shown by its account."""
    return f"account-{account}" if _FINGERPRINT.fullmatch(owner) else owner
