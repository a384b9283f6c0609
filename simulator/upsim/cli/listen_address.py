"""The address that a server listens on, and its URLs."""

from __future__ import annotations

import errno
import socket
import sys
from ipaddress import ip_address

import click
import msgspec

FINDING = 1
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - only compared, never bound to
"""Addresses that mean all interfaces, each with the address that this machine itself uses."""


class ServerAddress(msgspec.Struct, frozen=True):
    """The base URLs of a server, for this machine and for others, and its host names."""

    base: str
    far: str
    names: tuple[str, ...]


def addresses(host: str, port: int, *, scheme: str) -> ServerAddress:
    """Return the URLs of a server that listens on `host` and `port`."""
    shown = f"[{host}]" if ":" in host else host
    near = ANYWHERE.get(host, shown)
    far = own_address() if host in ANYWHERE else shown
    names = dict.fromkeys((shown, near, far, "127.0.0.1", "localhost", "[::1]"))
    return ServerAddress(
        base=f"{scheme}://{near}:{port}",
        far=f"{scheme}://{far}:{port}",
        names=tuple(f"{name}:{port}" for name in names),
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; if that fails, print the reason and exit."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        hint = (
            " (another server is using it; try --port 0)" if error.errno == errno.EADDRINUSE else ""
        )
        click.echo(f"upsim: cannot listen on {host}:{port}: {error.strerror}{hint}", err=True)
        sys.exit(FINDING)
    return listening


def is_local_only(listening: socket.socket) -> bool:
    """Whether only this machine can connect to a listening socket."""
    return ip_address(str(listening.getsockname()[0]).partition("%")[0]).is_loopback


def own_address() -> str:
    """Return the address by which other machines reach this one, or its name if it has no address.

    A datagram socket finds its own address without sending anything.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
