"""Check the base URL of a server: it ends before the path of a provider or of the admin API."""

from __future__ import annotations

DEFAULT_URL = "http://127.0.0.1:4747"
_OTHERS = {"__sim": "the admin API", "sandbox": "a sandbox"}
"""First steps of paths that belong to no provider, and what their URLs lead to."""


def base_url_flaw(url: str) -> str:
    """Return why a text is not a server's base URL, with the remedy; empty for a base URL."""
    from upsim.core.url_flaws import public_url_flaw  # not at every start of a test run

    flaw = public_url_flaw(url)
    if flaw:
        return f"it {flaw}" if " give " in flaw else f"it {flaw}, such as {DEFAULT_URL}"
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    first = path.partition("/")[0]
    meant = _OTHERS.get(first) or _provider_meant(first)
    return f"this is the URL of {meant}; that of the server is {scheme}://{host}" if meant else ""


def _provider_meant(step: str) -> str:
    # Not at every start of a command or a test run.
    from upsim.client.adapter_discovery import providers
    from upsim.core.nearest_names import closest

    return closest(step, providers()) if step else ""
