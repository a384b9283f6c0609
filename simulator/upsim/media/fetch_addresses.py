"""The IP addresses from which videos may be fetched."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Literal

from upsim.core.hosts import Address, is_this_machine, resolvable

_RESOLVING = ThreadPoolExecutor(8, thread_name_prefix="upsim-resolve")
_NAT64 = IPv6Network("64:ff9b::/96")
_SPECIAL = (
    IPv4Network("192.0.0.0/24"),  # for protocols of the IETF
    IPv4Network("192.88.99.0/24"),  # relays, no longer used
    IPv6Network("fec0::/10"),  # private, no longer used
    IPv6Network("3fff::/20"),  # for documentation
)
"""Networks that not every Python version knows as private."""


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """`loopback`: only this machine, no redirects.

    `public`: only the internet, with redirects.
    """

    name: Literal["loopback", "public"]
    redirects: int = 0
    allow_loopback: bool = False

    def allows(self, address: Address) -> bool:
        """Return whether a connection to `address` is allowed.

        >>> PUBLIC.allows(ip_address("::ffff:10.0.0.1"))
        False
        """
        inner = embedded(address)
        if is_this_machine(inner):
            return self.name == "loopback" or self.allow_loopback
        return self.name == "public" and _is_public(inner)


LOOPBACK = FetchPolicy("loopback")
PUBLIC = FetchPolicy("public", redirects=5)


def embedded(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and not any(address in net for net in _SPECIAL)


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host name or an IP literal; none for an unknown name.

    Names are resolved in separate threads. Otherwise a name server that does not respond
    would block the threads that read bodies and journals.
    """
    ask = partial(socket.getaddrinfo, resolvable(host), port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, ask)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
