"""The host and prefix of a request's URL; all URLs in the response use the same."""

from __future__ import annotations

import msgspec


class UrlBuilder(msgspec.Struct, frozen=True):
    """The parts of absolute URLs, as the request used them.

    `base` is scheme and host, `sandbox` is `/sandbox/<id>` or empty, `prefix` is the
    provider's. The prefix includes the dialect if the path named one (`/venice/live`). It is
    empty if the request used the provider's own host name. `media_sandbox` is also set if a
    key selected the sandbox: a download carries no key, so its URL must name the sandbox.
    """

    base: str
    sandbox: str = ""
    prefix: str = ""
    media_sandbox: str = ""

    def api(self, path: str) -> str:
        """Return the absolute URL of one of the provider's own paths."""
        return f"{self.base}{self.sandbox}{self.prefix}{path}"

    def media(self, path: str) -> str:
        """Return the absolute URL of a path below `/media/`."""
        return f"{self.base}{self.media_sandbox}/media/{path}"
