"""The simulator of one test process, created when a test first needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from upsim.testing.admin_responses import AdminCallError
from upsim.testing.pytest_marker import MarkError
from upsim.testing.run_costs import Costs
from upsim.testing.sandbox_requests import sandbox_request
from upsim.testing.sandboxes import SandboxHandle, ask
from upsim.testing.server_thread import ServerThread
from upsim.testing.simulator_targets import SimulatorTarget
from upsim.untrusted_connections import NoCookies

FIRST = 10.0
"""Seconds that a server may take for its first response."""
Protocols = Callable[[], type[asyncio.Protocol]]


class PytestSession:
    """A target, the sandboxes that tests have created there, and their costs."""

    def __init__(
        self, target: str, *, seed: int, token: str, origin: str = "", protocol: Protocols
    ) -> None:
        """Prepare the target: `sim`, `socket` or the URL of a server.

        `origin` says where the target came from.
        `protocol` returns the protocol of a server in this process.
        """
        self._seed = seed
        self._origin = origin
        self._protocol = protocol
        self._server = ServerThread() if target in ("sim", "socket") else None
        self.costs = Costs()
        self._target = self._made(target, token)
        self._lost: str | None = None
        """The reason why no server responds: empty if it responds, None before the first check."""

    def sandbox(
        self, name: str, asked: Mapping[str, Any], *, folder: Path | None = None
    ) -> SandboxHandle:
        """Return a new sandbox for the test with this name; the test file is in `folder`.

        Raises MarkError for an unknown name or an invalid value.
        """
        shared = self._target.shared
        if shared:
            self._look()
        body = sandbox_request(asked, name=name, seed=self._seed, shared=shared, folder=folder)
        try:
            return SandboxHandle(self._target, body)
        except AdminCallError as error:
            raise MarkError(str(error)) from None
        except httpx.ConnectError as error:
            raise MarkError(self._unanswered(error)) from None

    def _look(self) -> None:
        """Check once whether the server responds. Raises MarkError, the same for each test.

        Otherwise a run of a thousand tests would wait for a missing server in every test.
        """
        if self._lost is None:
            self._lost = ""
            base = f"{self._target.base_url}/__sim"
            try:
                with httpx.Client(
                    transport=self._target.wire,
                    base_url=base,
                    timeout=FIRST,
                    cookies=NoCookies(),
                ) as http:
                    ask(http, "GET", "livez", seconds=FIRST)
            except (httpx.ConnectError, AdminCallError) as error:
                self._lost = self._unanswered(error)
        if self._lost:
            raise MarkError(self._lost)

    def _unanswered(self, error: Exception) -> str:
        address = self._target.base_url
        return f"no simulator responds at {address}: {error} ({self._origin})"

    def end(self, sandbox: SandboxHandle) -> None:
        """Add the cost of a sandbox, and remove the sandbox."""
        if sandbox.closed:
            return
        accounts = sandbox.ledger.accounts()
        entries = sandbox.ledger.entries() if any(a["entries"] for a in accounts) else []
        self.costs.take(accounts, entries)
        sandbox.close()

    def serve(self) -> str:
        """Return the URL of a real socket, through which requests reach the sandboxes."""
        return self._target.base_url if self._server is None else self._listening(self._server)

    def close(self) -> None:
        """End everything that this session has started."""
        self._target.wire.end()
        if self._server is not None:
            self._server.close()

    def _made(self, target: str, token: str) -> SimulatorTarget:
        if self._server is None:
            return SimulatorTarget.at(target, token, shared=True)
        if target == "socket":
            return SimulatorTarget.at(self._listening(self._server), self._server.token)
        return SimulatorTarget.in_process(self._server)

    def _listening(self, server: ServerThread) -> str:
        return server.listen(self._protocol())
