"""All that one test process has of the simulator; made when a test first asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from upsim.network import NoCookies
from upsim.testing.costs import Costs
from upsim.testing.marks import MarkError
from upsim.testing.sandbox_requests import sandbox_request
from upsim.testing.sandboxes import AdminCallError, SandboxHandle, ask
from upsim.testing.server_thread import ServerThread
from upsim.testing.targets import SimulatorTarget
from upsim.testing.whole_files import write_whole

FIRST = 10.0
"""Seconds that a server may take for its first answer."""
Protocols = Callable[[], type[asyncio.Protocol]]


class PytestSession:
    """A target, the sandboxes of tests at it, and what they cost."""

    def __init__(self, target: str, *, seed: int, token: str, protocol: Protocols) -> None:
        """`target` is `sim`, `socket` or the address of a server.

        `protocol` gives the protocol of a server in this process, if there is to be one.
        """
        self._seed = seed
        self._protocol = protocol
        self._world = ServerThread() if target in ("sim", "socket") else None
        self.costs = Costs()
        self._target = self._made(target, token)
        self._lost: str | None = None
        """Why no server answers; empty once one did, None before anybody looked."""

    def sandbox(
        self, name: str, asked: Mapping[str, Any], *, folder: Path | None = None
    ) -> SandboxHandle:
        """A fresh sandbox for the test of this name, whose file is in `folder`.

        Raises MarkError for what there is not.
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
        """Look once whether a server answers. Raises MarkError, for each test the same.

        A run of a thousand tests must not wait for each of them.
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
        return f"no simulator answers at {address}: {error} (--upsim-target={address})"

    def end(self, sandbox: SandboxHandle) -> None:
        """Take what a sandbox cost, and remove it."""
        if sandbox.closed:
            return
        accounts = sandbox.ledger.accounts()
        entries = sandbox.ledger.entries() if any(a["entries"] for a in accounts) else []
        self.costs.take(accounts, entries)
        sandbox.close()

    def serve(self) -> str:
        """The address of a real socket that leads to the sandboxes."""
        return self._target.base_url if self._world is None else self._listening(self._world)

    def close(self) -> None:
        """End what was started."""
        self._target.wire.end()
        if self._world is not None:
            self._world.close()

    def _made(self, target: str, token: str) -> SimulatorTarget:
        if self._world is None:
            return SimulatorTarget.at(target, token, shared=True)
        if target == "socket":
            return SimulatorTarget.at(self._listening(self._world), self._world.token)
        return SimulatorTarget.in_process(self._world)

    def _listening(self, world: ServerThread) -> str:
        return world.listen(self._protocol())


def save_export(sandbox: SandboxHandle, file: Path) -> bool:
    """Write the file that reproduces a sandbox; False where its server cannot tell.

    Raises OSError.
    """
    try:
        content = sandbox.export()
    except AdminCallError:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content)
    return True
