"""Hosts in every spelling: what leads to this machine, and what only looks so."""

from __future__ import annotations

import socket

import pytest

from tests.hosts import ELSEWHERE, LOOPBACK, LOOPBACK_IN_UNICODE, ODD_PORTS, UNUSABLE_URLS
from upsim.core.hosts import (
    address_of,
    canonical,
    host_of,
    is_loopback,
    resolvable,
    split_authority,
)
from upsim.core.url_flaws import port_flaw, public_url_flaw, scheme_flaw, url_flaw


@pytest.mark.parametrize("host", [*LOOPBACK, *LOOPBACK_IN_UNICODE])
def test_loopback_in_every_spelling(host: str) -> None:
    """Every spelling of a loopback address is recognised and equals `localhost`."""
    assert (is_loopback(host), canonical(host)) == (True, "localhost")


@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_hosts_are_not_loopback(host: str) -> None:
    """A host that only resembles loopback is not loopback."""
    assert not is_loopback(host)


@pytest.mark.parametrize("host", [*LOOPBACK, *ELSEWHERE])
def test_addresses_are_read_as_inet_aton_does(host: str) -> None:
    """A text is read as the same IPv4 address to which a connection would go."""
    try:
        expected = socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return
    assert expected == str(address_of(host))


@pytest.mark.parametrize("host", LOOPBACK)
def test_unusual_loopback_spellings_are_normalised(host: str) -> None:
    """A rare loopback spelling is resolved as `localhost` or as a plain address."""
    found = resolvable(host)
    assert found == "localhost" or str(address_of(found)) == found


@pytest.mark.parametrize("host", ["Example.com", "8.8.8.8", "api.venice.ai."])
def test_other_names_are_resolved_unchanged(host: str) -> None:
    """Other host names are passed to the resolver unchanged."""
    assert resolvable(host) == host


@pytest.mark.parametrize(
    ("authority", "parts"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost:4747", ("LocalHost", 4747)),
        ("[::1]", ("[::1]", None)),
        ("[::1]:1", ("[::1]", 1)),
        ("a.b:", ("a.b", None)),
        ("a.b:65535", ("a.b", 65535)),
        *((f"a.b:{port}", None) for port in (*ODD_PORTS, "x")),
        ("::1", None),
        ("[::1", None),
        ("[::1].evil.example", None),
        ("user@localhost", None),
        ("localhost:1:2", None),
        (" localhost", None),
        ("localhost/", None),
        ("", None),
    ],
)
def test_an_authority_is_split(authority: str, parts: tuple[str, int | None] | None) -> None:
    """An authority is split into host and port; any other text gives None."""
    assert parts == split_authority(authority)


@pytest.mark.parametrize("host", ["a.b", "[::1]", "u:p@a.b", "u@[::1]", ""])
def test_the_port_of_a_url_is_a_plain_number(host: str) -> None:
    """The port of a URL is empty or a plain number from 1 to 65535."""
    ends = ("", "/x:080", "?a:080", "#:080")
    well = [f"http://{host}{port}{end}" for port in ("", ":", ":1", ":65535") for end in ends]
    wrong = [f"//{host}:{port}{end}" for port in (*ODD_PORTS, "x", "1:2") for end in ends]
    assert [url for url in well if port_flaw(url)] == []
    assert [url for url in wrong if not port_flaw(url)] == []
    assert port_flaw("data:video/mp4;base64,//a:080") == "" == port_flaw("x")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.example:8443/x", "a.example"),
        ("https://a.example/" + "x" * 100_000, ""),
        ("https://[::1", ""),
        ("x", ""),
    ],
    ids=["port", "long", "broken", "bare"],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    """The host of a URL is read in lower case; a non-URL or a very long text has no host."""
    assert host == host_of(url)


@pytest.mark.parametrize("host", ["[::g]", "a:b", "[::1", ":"])
def test_colons_alone_make_no_address(host: str) -> None:
    """A text with colons that is not an IPv6 address gives no address."""
    assert address_of(host) is None


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("https://sim.example/base", ""),
        ("http://[::1]:4747", ""),
        ("http://[::1", "is not a URL"),
        *((url, "is not http(s)://host[:port][/path]") for url in ("x", "ftp://a", "http://")),
        *(
            (f"http://{rest}", "is not http(s)://host[:port][/path]")
            for rest in ("a:99999999", "a/?x", "a/#x", "b@a", "a b", "\ud800")
        ),
        ("sim.example/base", "lacks https://: give https://sim.example/base"),
    ],
)
def test_public_url_is_http_with_a_host(url: str, flaw: str) -> None:
    """A public URL must be an http or https URL with a host, and end with its path."""
    assert flaw == public_url_flaw(url)


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("127.0.0.1:4747/venice", "lacks http://: give http://127.0.0.1:4747/venice"),
        ("LocalHost", "lacks http://: give http://LocalHost"),
        ("sim.example:80", "lacks http://: give http://sim.example:80"),
        ("https:/sim.example", "lacks https://: give https://sim.example"),
        ("sim.example", "lacks https://: give https://sim.example"),
        ("server", ""),
        ("/venice", ""),
        ("http://127.0.0.1:4747", ""),
    ],
)
def test_text_that_lacks_a_scheme(url: str, flaw: str) -> None:
    """A text with a host but an incomplete scheme is recognised; a plain word is not."""
    assert scheme_flaw(url) == flaw


def test_unicode_names_equal_their_ascii_form() -> None:
    """A Unicode host name equals its ASCII form; a name without an ASCII form stays unchanged."""
    assert canonical("m\u00fcnchen.example") == canonical("XN--MNCHEN-3YA.example")
    assert canonical("\u00e9" * 2_000) == "\u00e9" * 2_000
    assert canonical("\u00e9..x") == "\u00e9..x"
    assert not is_loopback("\u0661\u0662\u0667.0.0.1")  # Arabic digits are not read as ASCII


@pytest.mark.parametrize("url", UNUSABLE_URLS.values(), ids=UNUSABLE_URLS)
def test_unusable_urls_have_a_flaw(url: str) -> None:
    """Each URL that cannot be requested has a flaw; a URL with Unicode characters has none."""
    assert url_flaw(url)
    assert url_flaw("https://m\u00fcnchen.example/\u00e9?x=\u00e9") == ""
