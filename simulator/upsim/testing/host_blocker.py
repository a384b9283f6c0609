"""No test calls a real provider by accident: its hosts are not resolved.

Nor is the host of the simulator in this process, which has no socket.

Nothing of the product but `core.hosts` is imported before a name with a dot is looked up.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

HINT = (
    "upsim blocks {host} in tests. Let the call reach a sandbox with the fixture upsim_intercept, "
    "give your code the address of the fixture upsim_server, or run with "
    "--upsim-target=live --upsim-cap=AMOUNT to call the real API and pay for it"
)
IN_PROCESS_HINT = (
    "{host} is the simulator in this process, which no socket reaches: the clients of upsim.http "
    "and upsim.ahttp do. Let your code call the provider's own host with the fixture "
    "upsim_intercept, or give it upsim_server.base_url(…), the address of a real socket"
)
SYNC = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
CONNECTS = ("connect", "connect_ex")


class BlockedHostError(socket.gaierror):
    """A host of a provider, or of the simulator in this process, was looked up in a test."""


class HostBlocker:
    """Changes name resolution while it is up, and counts what it blocked."""

    def __init__(self) -> None:
        """Down, until it is put up."""
        self.blocked: dict[str, int] = {}
        self._undo: list[tuple[Any, str, object]] = []
        self._ours: list[tuple[Any, str, object, object]] = []
        self._late: set[str] = set()

    def start(self) -> None:
        """Begin to block."""
        for name in SYNC:
            self._put(socket, name, self._first_argument(getattr(socket, name)))
        for name in CONNECTS:
            self._put(socket.socket, name, self._address(getattr(socket.socket, name)))
        self.look_around()

    def look_around(self) -> None:
        """Block in libraries with a resolver of their own, once they are imported.

        What another plug-in put back is blocked again: pytest-socket restores after each test the
        functions that it found when it was imported.
        """
        for owner, name, before, new in self._ours:
            if getattr(owner, name) is before:
                setattr(owner, name, new)
        uvloop, aiohttp = sys.modules.get("uvloop"), sys.modules.get("aiohttp")
        if uvloop is not None and "uvloop" not in self._late:
            self._late.add("uvloop")
            for name, at in (("getaddrinfo", 0), ("create_connection", 1)):
                own = getattr(uvloop.Loop, name)
                self._put(uvloop.Loop, name, self._awaited(own, "host", at))
        if aiohttp is not None and hasattr(aiohttp, "TCPConnector") and "aiohttp" not in self._late:
            self._late.add("aiohttp")
            own = aiohttp.TCPConnector._resolve_host  # noqa: SLF001 - there is no public place
            self._put(aiohttp.TCPConnector, "_resolve_host", self._awaited(own, "host", 0))

    def stop(self) -> None:
        """Put everything back."""
        self._late.clear()
        self._ours.clear()
        while self._undo:
            owner, name, old = self._undo.pop()
            if old is None:
                delattr(owner, name)
            else:
                setattr(owner, name, old)

    def _put(self, owner: Any, name: str, new: object) -> None:  # noqa: ANN401 - a module or class
        self._undo.append((owner, name, vars(owner).get(name)))
        self._ours.append((owner, name, getattr(owner, name), new))
        setattr(owner, name, new)

    def _first_argument(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def resolve(host: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in socket
            self._check(host)
            return original(host, *args, **options)

        return resolve

    def _address(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(own: socket.socket, address: Any) -> Any:  # noqa: ANN401 - as in socket
            if isinstance(address, tuple) and address:
                self._check(address[0])
            return original(own, address)

        return connect

    def _awaited(
        self, original: Callable[..., Awaitable[Any]], name: str, at: int
    ) -> Callable[..., Awaitable[Any]]:
        async def resolve(own: object, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as theirs
            self._check(options.get(name, args[at] if len(args) > at else None))
            return await original(own, *args, **options)

        return resolve

    def _check(self, host: object) -> None:
        if isinstance(host, bytes | bytearray):
            host = host.decode("latin-1")
        name, hint = _blocked(host) if isinstance(host, str) and "." in host else ("", "")
        if hint:
            self.blocked[name] = self.blocked.get(name, 0) + 1
            raise BlockedHostError(socket.EAI_NONAME, hint.format(host=name))


def _blocked(host: str) -> tuple[str, str]:
    """The plain name of a host in any spelling, and what helps whom it is not resolved for.

    The rest of the product waits for a name.
    """
    from upsim.core.hosts import IN_PROCESS_NAME, address_of, bare

    name = bare(host)
    if name == IN_PROCESS_NAME:
        return name, IN_PROCESS_HINT
    if address_of(host) is not None:
        return name, ""
    from upsim.interception.hosts import provider_hosts

    return name, HINT if name in provider_hosts() else ""
