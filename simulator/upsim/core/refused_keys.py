"""Say what is wrong with the key of a refused request: its header, its scheme, or the key."""

from __future__ import annotations

from upsim.core.call import Call

_MAX_SCHEME_LENGTH = 20
"""Letters of an authentication scheme that are shown; a longer word may be a key."""


KEY_HEADERS = ("authorization", "x-api-key", "api-key")
"""Headers in which APIs take a key; a beginner sends it in that of another provider."""


def key_flaw(call: Call) -> str:
    """Return what is wrong with the key of a request, without the key itself."""
    auth = call.rules.baseline.auth
    name = auth.header.title()
    expected = f"{name}: {auth.scheme} <key>".replace("  ", " ")
    given = call.header(auth.header.encode())
    if call.credential == "missing":
        found = _missing_flaw(call, auth.header) if given is None else "its value is empty"
    elif call.credential == "malformed":
        found = _scheme_flaw(auth.scheme, given or "")
    else:
        strict = "and keys are strict" if call.credential == "unknown" else "nor has the right form"
        found = call.key_flaw or f"the key was not issued, {strict}"
        expected = "a key of a sandbox, of POST /__sim/sandboxes"
    return f"{name}: {found}; expected {expected}"


def _missing_flaw(call: Call, header: str) -> str:
    others = (name for name in KEY_HEADERS if name != header and call.header(name.encode()))
    return "no header came" + "".join(f", but {name.title()} did" for name in others)


def _scheme_flaw(expected: str, given: str) -> str:
    scheme, _, token = given.strip().partition(" ")
    if scheme.lower() == expected.lower():
        return f"no key follows {expected}"
    known = token and scheme.isalpha() and len(scheme) <= _MAX_SCHEME_LENGTH
    return f"the scheme is {scheme}" if known else f"there is no scheme {expected} before the key"
