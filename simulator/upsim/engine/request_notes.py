"""Notes on headers and webhook URLs that are accepted, but may be meant differently."""

from __future__ import annotations

from collections.abc import Iterator

from upsim.core import causes
from upsim.core.call import Call
from upsim.core.hosts import host_of
from upsim.core.json_bodies import Malformed
from upsim.core.url_flaws import port_flaw, scheme_flaw

_SCHEME = b"bearer "
_SCHEMES = ("http://", "https://")


def notes(call: Call) -> Iterator[str]:
    """Yield a sentence for each header or webhook URL that may be a mistake."""
    auth = call.rules.baseline.auth
    if not auth.scheme and call.credential == "known":
        key = call.headers.get(auth.header.encode(), b"")
        if key[: len(_SCHEME)].lower() == _SCHEME:
            name, scheme = auth.header.title(), key[: len(_SCHEME)].decode().strip()
            yield f"{name}: the word {scheme} is taken as part of the key; send the key alone"
    encoding = call.headers.get(b"content-encoding")
    was_read = call.document is not None and not isinstance(call.document, Malformed)
    if encoding and was_read and encoding.strip().lower() != b"identity":
        found = causes.header("Content-Encoding", encoding, "no such header")
        yield f"{found}: the body came uncompressed and was read"
    job = call.job
    if job is not None and call.kind == "submit" and job.accepted.webhook is not None:
        yield from _unreachable(job.accepted.webhook.url)


def _unreachable(url: str) -> Iterator[str]:
    """Yield why nothing can be posted to a webhook URL; an empty URL means no webhook."""
    if not url or (url.lower().startswith(_SCHEMES) and host_of(url) and not port_flaw(url)):
        return
    plain = url.partition("?")[0]
    flaw = scheme_flaw(plain) or port_flaw(plain) or "is not http(s)://host[:port][/path]"
    yield f"webhook: found {causes.quoted(plain)}, to which nothing can be posted: it {flaw}"
