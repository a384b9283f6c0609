"""The form in which a request came, so that every absolute URL in an answer keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UrlBuilder:
    """`base` is scheme and host; `sandbox` is `/sandbox/<id>` or empty; `prefix` is the provider's.

    The prefix holds the dialect when the path named one (`/venice/live`) and is empty when
    the request came by the provider's own host name. `media_sandbox` is there also when a key
    led to the sandbox: a download carries no key, so its URL must name the sandbox.
    """

    base: str
    sandbox: str = ""
    prefix: str = ""
    media_sandbox: str = ""

    def api(self, path: str) -> str:
        """The absolute URL of one of the provider's own paths."""
        return f"{self.base}{self.sandbox}{self.prefix}{path}"

    def media(self, path: str) -> str:
        """The absolute URL of a path below `/media/`."""
        return f"{self.base}{self.media_sandbox}/media/{path}"
