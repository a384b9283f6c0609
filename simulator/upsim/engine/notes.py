"""Notes on headers that a provider takes as they are, and that their caller may mean otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from upsim.core import causes
from upsim.core.call import Call

_SCHEME = b"bearer "


def notes(call: Call) -> Iterator[str]:
    """Yield a sentence for each such header of a call."""
    auth = call.rules.baseline.auth
    if not auth.scheme and call.credential == "known":
        key = call.headers.get(auth.header.encode(), b"")
        if key[: len(_SCHEME)].lower() == _SCHEME:
            name, scheme = auth.header.title(), key[: len(_SCHEME)].decode().strip()
            yield f"{name}: the word {scheme} is taken as part of the key; send the key alone"
    encoding = call.headers.get(b"content-encoding")
    if encoding and call.document is not None and encoding.strip().lower() != b"identity":
        found = causes.header("Content-Encoding", encoding, "no such header")
        yield f"{found}: the body came uncompressed and was read"
