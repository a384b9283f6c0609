"""Prevent accidental requests to real providers in tests: their hosts are not resolved.

The host of the simulator in this process is not resolved either, because it has no socket.
The blocker imports only `core.hosts` of upsim until a name with a dot is looked up.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

HINT = (
    "upsim blocks {host} in tests. Lead the request to a sandbox with the fixture upsim_intercept, "
    "give your code the URL of the fixture upsim_server, or run with "
    "--upsim-target=live --upsim-cap=AMOUNT to call the real API and pay for it"
)
IN_PROCESS_HINT = (
    "{host} is the simulator in this process and has no socket: use the clients of upsim.http "
    "and upsim.ahttp. Or let your code call the provider's own host with the fixture "
    "upsim_intercept, or give it upsim_server.base_url(…), the address of a real socket"
)
SYNC = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
CONNECTS = ("connect", "connect_ex")


class BlockedHostError(socket.gaierror):
    """A test looked up the host of a provider, or of the simulator in this process."""


class HostBlocker:
    """A replacement of name resolution that blocks hosts and counts the blocked lookups."""

    def __init__(self) -> None:
        """Prepare the blocker; it is inactive until `start`."""
        self.blocked: dict[str, int] = {}
        self._undo: list[tuple[Any, str, object]] = []
        self._ours: list[tuple[Any, str, object, object]] = []
        self._late: set[str] = set()

    def start(self) -> None:
        """Start to block foreign hosts."""
        for name in SYNC:
            self._put(socket, name, self._first_argument(getattr(socket, name)))
        for name in CONNECTS:
            self._put(socket.socket, name, self._address(getattr(socket.socket, name)))
        self.look_around()

    def look_around(self) -> None:
        """Block libraries that have their own resolver and have been imported since the last call.

        Also block again what another plug-in has restored: pytest-socket restores, after each test,
        the functions that it found at its import.
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
        """Stop blocking, and restore name resolution."""
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
    """Return the plain name of a host, and advice for the user; empty texts if it is allowed.

    Other modules of upsim are imported only when a name is looked up.
    """
    from upsim.core.hosts import IN_PROCESS_NAME, address_of, bare

    name = bare(host)
    if name == IN_PROCESS_NAME:
        return name, IN_PROCESS_HINT
    if address_of(host) is not None:
        return name, ""
    from upsim.interception.provider_hosts import provider_hosts

    return name, HINT if name in provider_hosts() else ""
