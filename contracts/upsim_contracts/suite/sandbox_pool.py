"""Sandboxes for single cases: each case gets a new one, and the oldest ones are removed.

The remaining sandboxes end with the application, which is created for one run.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from upsim_contracts.documents.openapi import document
from upsim_contracts.exceptions import ContractError
from upsim_contracts.suite.fuzzing_formats import CLIPS, HOST

ADMIN = "http://127.0.0.1/__sim"
KEPT = 500
"""Cases are made some time before they are sent."""


class PooledSandbox(NamedTuple):
    """A sandbox, and the header that selects it."""

    sandbox: str
    header: str
    value: str


class SandboxPool:
    """Creates sandboxes of the application under test through its admin API."""

    def __init__(self, app: Any, provider: str, key: str = "") -> None:  # noqa: ANN401 - ASGI
        """Create sandboxes of `app` with a provider key; `{number}` in `key` makes it unique."""
        from schemathesis.python import asgi

        self._http: Any = asgi.get_client(app)
        self._http.trust_env = False  # a proxy of the environment is looked for in each request
        self._provider = provider
        self._header, self._scheme = key_header(provider)
        self._key = key
        self._number = 0
        self._made: deque[str] = deque()
        self.here = PooledSandbox("", self._header, "")

    def enter(self) -> PooledSandbox:
        """Return a new sandbox."""
        self._number += 1
        keys = {self._provider: self._key.format(number=self._number)} if self._key else {}
        order = {"clock": "auto", "keys": keys}
        answer = self._http.post(f"{ADMIN}/sandboxes", json=order)
        if not answer.ok:
            raise ContractError(f"no sandbox could be made: {answer.status_code} {answer.text}")
        made = answer.json()
        key = made["keys"][self._provider]
        self.here = PooledSandbox(made["id"], self._header, f"{self._scheme} {key}".strip())
        self._made.append(self.here.sandbox)
        if len(self._made) > KEPT:
            self._http.delete(f"{ADMIN}/sandboxes/{self._made.popleft()}")
        return self.here

    def clip(self) -> bytes:
        """Return a short video from the target."""
        found: bytes = self._http.get(f"{HOST}/media/synthetic/{CLIPS[0]}").content
        return found


def key_header(provider: str) -> tuple[str, str]:
    """Return the name of the key's header and the prefix of its value, from the document."""
    schemes = document(provider)["components"]["securitySchemes"]
    scheme = next(iter(schemes.values()))
    if scheme["type"] == "apiKey":
        return str(scheme["name"]), ""
    return "Authorization", str(scheme["scheme"]).capitalize()
