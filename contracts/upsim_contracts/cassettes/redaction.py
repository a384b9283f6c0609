"""Remove secrets from recordings: keys, webhook secrets, signatures, query values of links.

The name of a field decides whether its value is secret. A value that was once found to be
secret is removed wherever else it appears.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from upsim_contracts.cassettes.known_secrets import KnownSecrets

PLACEHOLDER = "(redacted)"
MIN_KEY_LENGTH = 16
_NAME = re.compile(
    r"secret|passw|api[-_]?key|authoriz|credential|signature|cookie|bearer"
    r"|(?:^|[-_])(?:token|key|sig|auth)$|(?:access|refresh|session|security|id)[-_]?token",
    re.IGNORECASE,
)
_HOOK = re.compile(r"webhook|callback|endpoint|notify", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
_SPELT = re.compile(
    r"((?:secret|password|api[-_]?key|token|signature)[\"']?\s*[:=]\s*[\"']?)([^\"'\s&,}]+)",
    re.IGNORECASE,
)
_FORMS = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+|\bBearer\s+[^\s\"',}]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}"
)
"""Patterns of webhook secrets, bearer tokens and mail addresses in any text."""


def is_secret(name: str) -> bool:
    """Return whether a field of this name holds a secret."""
    return _NAME.search(name) is not None


def is_webhook_url(name: str) -> bool:
    """Return whether a link in a field of this name is a client's webhook URL."""
    return _HOOK.search(name) is not None


class Redactor:
    """Redacts secrets, and remembers them to find them elsewhere."""

    def __init__(self, known: KnownSecrets | None = None, *, own: bool = False) -> None:
        """Redact the `known` secrets; with `own`, remember new secrets as the caller's."""
        self._known = known or KnownSecrets()
        self._own = own

    def of_caller(self) -> Redactor:
        """Return a redactor for requests: secrets of responses never displace its secrets."""
        return Redactor(self._known, own=True)

    def learn(self, value: str) -> None:
        """Redact this value everywhere from now on."""
        scheme, _, rest = value.partition(" ")
        for one in (value, rest if scheme.lower() in ("bearer", "basic") else ""):
            if one != PLACEHOLDER:
                self._known.add(one.strip(), own=self._own)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the redacted headers, with their names in lower case."""
        for name, value in headers.items():
            if is_secret(name):
                self.learn(value)
        return {
            name.lower(): PLACEHOLDER if is_secret(name) else self.text(value)
            for name, value in headers.items()
        }

    def document(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 - JSON
        """Return a document in which a placeholder text replaces each secret."""
        self._search(value, name)
        return self._clean(value, name)

    def text(self, text: str) -> str:
        """Return a text without known secrets, their encoded forms and query values of links."""
        text = self._known.replaced(text, PLACEHOLDER)
        text = _LINK.sub(lambda found: self.link(found[0]), text)
        text = _FORMS.sub(PLACEHOLDER, text)
        return _SPELT.sub(lambda found: found[1] + PLACEHOLDER, text)

    def link(self, link: str, *, hook: bool = False) -> str:
        """Return a link without user name and query values; keep only the host of a webhook URL."""
        try:
            parts = urlsplit(link)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return PLACEHOLDER
        query = parts.query
        for name, value in parse_qsl(query):
            if is_secret(name) or hook:
                self.learn(value)
        host = f"{parts.scheme}://{parts.hostname or ''}{port}"
        if hook:
            return host if parts.path in ("", "/") and not query else f"{host}/{PLACEHOLDER}"
        return f"{host}{parts.path}{_query(query)}"

    def path(self, path: str) -> str:
        """Return a path with its query, in which secrets and links are redacted."""
        bare, mark, query = path.partition("?")
        if not mark:
            return self.text(bare)
        kept = []
        for one, value in parse_qsl(query, keep_blank_values=True):
            name = quote(one, safe="[]:,")
            if is_secret(one):
                self.learn(value)
                kept.append(f"{name}={PLACEHOLDER}")
            elif _LINK.match(value):
                kept.append(f"{name}={quote(self.link(value, hook=is_webhook_url(one)))}")
            else:
                kept.append(f"{name}={quote(self.text(value), safe=':,')}")
        return f"{self.text(bare)}?{'&'.join(kept)}"

    def _search(self, value: object, name: str) -> None:
        """Learn the secrets of a document before any of it is written."""
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self._search(inner, str(key))
        elif isinstance(value, list):
            for inner in value:
                self._search(inner, name)
        elif isinstance(value, str):
            if _hides(name, value):
                self.learn(value)
            for found in _FORMS.findall(value):
                self.learn(found)

    def _clean(self, value: Any, name: str) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._clean(one, str(key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self._clean(inner, name) for inner in value]
        if _hides(name, value):
            return PLACEHOLDER
        if isinstance(value, str):
            if _LINK.fullmatch(value) and is_webhook_url(name):
                return self.link(value, hook=True)
            return self.text(value)
        return value


def _hides(name: str, value: object) -> bool:
    """Return whether a document's value is secret.

    A short `key` counts as a name, not as a secret.
    """
    if isinstance(value, bool) or value == "" or not isinstance(value, str | int | Decimal):
        return False
    return is_secret(name) and (name.lower() != "key" or len(str(value)) >= MIN_KEY_LENGTH)


def _query(query: str) -> str:
    """Return a query with names but redacted values; the `bytes` of a synthetic clip remain."""
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    kept = dict(parse_qsl(query))
    pairs = [
        f"{n}={kept[n] if n == 'bytes' and kept[n].isdecimal() else PLACEHOLDER}" for n in names
    ]
    return f"?{'&'.join(pairs)}" if pairs else ("?" + PLACEHOLDER if query else "")
