"""Host names and addresses in every spelling, and which of them are this machine's loopback."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

LOCALHOST = "localhost"
IN_PROCESS_NAME = "upsim.test"
"""The host of a simulator in this process; no name service has it."""
MAX_PORT = 65_535
MAX_URL_LENGTH = 8_192
"""Characters of a URL that is taken apart; jobs and caches keep the whole of it."""
_LOCAL_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*localhost", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,16}", re.ASCII)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::([0-9]{0,5}))?", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_MAX_HOST_LENGTH = 1_024
"""Characters of a host that is converted to ASCII; the conversion takes time for long ones."""
_IPV4_BYTES = 4


def bare(host: str) -> str:
    """A host name as names are compared: lower case ASCII as a resolver reads it, no final dot.

    >>> bare("LocalHost."), bare("\uff11\uff12\uff17\u30020\u30020.1"), bare("\u00fc..x")
    ('localhost', '127.0.0.1', '\u00fc..x')
    """
    if not host.isascii() and len(host) <= _MAX_HOST_LENGTH:
        with suppress(UnicodeError):  # no host has such a name
            host = host.encode("idna").decode("ascii")
    return host.removesuffix(".").lower()


def address_of(host: str) -> Address | None:
    """Return the IP address, as `inet_aton` and browsers read it; None for a name.

    >>> address_of("0x7f.1"), address_of("[0:0:0:0:0:0:0:1]"), address_of("example.com")
    (IPv4Address('127.0.0.1'), IPv6Address('::1'), None)
    """
    name = bare(host)
    if ":" not in name:
        return _numbers(name)
    inner = name[1:-1] if name[0] == "[" and name[-1] == "]" else name
    try:
        return IPv6Address(inner)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host leads to this machine: a name of `localhost`, or an address of loopback.

    >>> [is_loopback(host) for host in ("127.1", "foo.localhost", "localhost.example")]
    [True, True, False]
    """
    name = bare(host)
    last = name.rpartition(".")[2]
    if last == LOCALHOST:
        return _LOCAL_NAME.fullmatch(name) is not None
    if not (last[:1].isdigit() or ":" in last):
        return False  # nearly all names: no address ends like this
    address = address_of(name)
    return address is not None and is_this_machine(address)


def is_this_machine(address: Address) -> bool:
    """Return whether an address is on this machine; the unspecified address is."""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback or address.is_unspecified


def is_public(host: str, private_names: Collection[str]) -> bool:
    """Return whether a host is a global address, or a dotted name without a private ending.

    >>> is_public("a.example", ["local"]), is_public("nas.local", ["local"])
    (True, False)
    >>> is_public("10.0.0.1", []), is_public("intranet", [])
    (False, False)
    """
    address = address_of(host)
    if address is not None:
        return address.is_global
    name = bare(host)
    return "." in name and name.rpartition(".")[2] not in private_names


def resolvable(host: str) -> str:
    """Return the host in a spelling that every resolver accepts.

    >>> resolvable("foo.localhost"), resolvable("127.1"), resolvable("Example.com")
    ('localhost', '127.0.0.1', 'Example.com')
    """
    if _LOCAL_NAME.fullmatch(bare(host)):
        return LOCALHOST
    address = address_of(host)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return host if address is None else str(address)


def canonical(host: str) -> str:
    """Return a host for comparisons; each spelling of a loopback host becomes `localhost`."""
    return LOCALHOST if is_loopback(host) else bare(resolvable(host))


def host_of(url: str) -> str:
    """Return the host of a URL; empty if there is no host, or the text is not a URL or too long.

    >>> host_of("https://a.example:8443/x"), host_of("https://[::1"), host_of("x")
    ('a.example', '', '')
    """
    if len(url) > MAX_URL_LENGTH:
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def port_of(text: str) -> int | None:
    """Return the port of a text with plain digits, from 1 to 65535; None for other texts.

    >>> port_of("80"), port_of("080"), port_of("+80"), port_of("0")
    (80, None, None, None)
    """
    port = int(text) if _PORT.fullmatch(text) else 0
    return port if 0 < port <= MAX_PORT else None


def split_authority(authority: str) -> tuple[str, int | None] | None:
    """Return host and port of `host[:port]`, as in a Host header; None for other texts.

    >>> split_authority("[::1]:4747"), split_authority("user@localhost"), split_authority("[::::]")
    (('[::1]', 4747), None, None)
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None or (match[1][0] == "[" and address_of(match[1]) is None):
        return None
    if not match[2]:
        return match[1], None
    port = port_of(match[2])
    return None if port is None else (match[1], port)


def _numbers(name: str) -> IPv4Address | None:
    """Return an IPv4 address of one to four numbers; the last number fills the remaining bytes."""
    parts = name.split(".")
    if len(parts) > _IPV4_BYTES or not all(map(_NUMBER.fullmatch, parts)):
        return None
    try:
        *first, last = (_number(part) for part in parts)
    except ValueError:
        return None  # an octal number with an 8 or a 9
    left = _IPV4_BYTES - len(first)
    if any(number > 0xFF for number in first) or last >> (8 * left):  # noqa: PLR2004 - a byte
        return None
    head = int.from_bytes(bytes(first), "big")
    return IPv4Address((head << (8 * left)) | last)


def _number(text: str) -> int:
    return int(text, 8 if text.isdecimal() and text[0] == "0" else 0)
