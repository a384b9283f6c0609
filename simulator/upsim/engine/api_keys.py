"""API keys as requests carry them."""

from __future__ import annotations

from typing import NamedTuple

from upsim.core.baseline import Auth
from upsim.core.call import Credential, Headers

MAX_KEY_LENGTH = 512


class Presented(NamedTuple):
    """The key in a request, or why there is none."""

    credential: Credential
    key: str = ""


def presented(auth: Auth, headers: Headers) -> Presented:
    """Read the key of a request as the provider documents it."""
    return presented_in(auth.header, auth.scheme, headers)


def presented_in(header: str, scheme: str, headers: Headers) -> Presented:
    """Read the key of a request from one header."""
    value = headers.get(header.encode())
    return Presented("missing") if value is None else _read(scheme, value.decode("latin-1").strip())


def _read(expected: str, value: str) -> Presented:
    if not value:
        return Presented("missing")
    if not expected:
        return Presented("known", value)
    scheme, _, token = value.partition(" ")
    token = token.strip()
    if scheme.lower() != expected.lower() or not token:
        return Presented("malformed")
    return Presented("known", token)


def well_formed(auth: Auth, key: str) -> bool:
    """Whether a key begins like one of the provider's own."""
    return key.startswith(auth.key_prefix)


def can_be_sent(key: str) -> bool:
    """Whether a key that a user brings can be sent in a header."""
    visible = all("!" <= character <= "~" for character in key)
    return 0 < len(key) <= MAX_KEY_LENGTH and visible
