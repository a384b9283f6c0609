"""Spellings of hosts, for the tests of everything that asks whether a host is this machine."""

from __future__ import annotations

LOOPBACK = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "foo.localhost",
    "a.b.LocalHost.",
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0x7f.1",
    "0x7F000001",
    "0177.1",
    "017700000001",
    "2130706433",
    "0.0.0.0",  # noqa: S104 - called, not bound to
    "0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
)
"""Names of this machine, as written in a Host header or a URL."""

IPV6 = frozenset(host for host in LOOPBACK if host[0] == "[" and ":ffff:" not in host.lower())
"""Those of them that a server on 127.0.0.1 does not hear of."""

ELSEWHERE = (
    "example.com",
    "localhost.example.com",
    "notlocalhost",
    "local-host",
    "127.0.0.1.example.com",
    "128.0.0.1",
    "126.255.255.255",
    "10.1",
    "1.127",
    "2130706432.1",
    "4294967296",
    "0x1ffffffff",
    "08.1",
    "127.0.0.256",
    "127.256.1",
    "127.0.0.0.1",
    "127..1",
    "1e3",
    "0x",
    "localhost..",
    "[::2]",
    "[::ffff:10.0.0.1]",
    "[fe80::1]",
    "api.venice.ai",
    ".",
)
"""None of these does."""

ODD_PORTS = (
    "0",
    "080",
    "00080",
    "+80",
    "-1",
    "8_0",
    "65536",
    "99999",
    "123456",
    "8\uff10",  # full-width digits
    "\u0668\u0660",  # Arabic digits
    "\u00b2",
)
"""Ports that some parsers read as numbers; nothing here is dialled or listened on."""

LOOPBACK_IN_UNICODE = (
    "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1",
    "127\uff610\uff611",
    "localhost\u3002",
    "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54",
    "\uff11\uff12\uff17.1",
    "foo\u3002LOCALHOST",
)
"""Spellings of loopback that a resolver reads as ASCII, and that no Host header has."""

UNUSABLE_HOSTS = {
    "a long label": f"{'a' * 70}.localhost",
    "an empty label": "a..localhost",
    "a first label that is empty": ".test",
}
"""Hosts that no resolver can be asked for."""

UNUSABLE_URLS = {
    **{name: f"http://{host}/f" for name, host in UNUSABLE_HOSTS.items()},
    "a long name in Unicode": f"http://{'é' * 60_000}.test/",
    "a surrogate host": "http://\ud800.test/f",
    "a surrogate path": "http://127.0.0.1:1/\ud800",
    "a surrogate query": "http://127.0.0.1:1/?a=\udfff",
    "a null in the host": "http://127.0.0.1\0.test/f",
    "control characters": "http://127.0.0.1:1/\n\r\0x",
    "a long path": f"http://127.0.0.1:1/{'é' * 10_000}",
    "half an address": "http://[::1/f",
}
"""URLs to which no request can be sent."""
