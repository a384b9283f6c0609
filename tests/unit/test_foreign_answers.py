"""No client of this repository keeps a cookie of a response, or unpacks one without a bound."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import httpx

from upsim.client.http.connections import async_connections, sync_connections
from upsim.untrusted_connections import NoCookies

ROOT = Path(__file__).parents[2]
CLIENTS = {"httpx.Client", "httpx.AsyncClient"}
UNPACKING = re.compile(r"\.a?iter_(?:bytes|text|lines)\(")
"""How httpx unpacks each encoding that a response names, to any size."""
PLAIN_ONLY = {
    "simulator/upsim/client/http/admin.py",  # after a check that nothing is compressed
    "simulator/upsim/client/http/runners.py",  # of what a transport gave as a whole
}


def test_every_client_rejects_cookies() -> None:
    """Each call that creates an HTTP client passes the cookie jar that stores no cookies."""
    found = {
        f"{file.relative_to(ROOT)}:{call.lineno}": jar_of(call)
        for folder in ("simulator", "contracts")
        for file in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in CLIENTS
    }
    assert len(found) > 10
    assert [] == [place for place, jar in found.items() if jar != "NoCookies()"]


def jar_of(call: ast.Call) -> str:
    """Return the code of the argument for cookies."""
    return next((ast.unparse(one.value) for one in call.keywords if one.arg == "cookies"), "")


def test_no_response_is_unpacked_in_pieces() -> None:
    """No module lets httpx decompress a response piece by piece.

    A response without compression is excepted.
    """
    found = {
        f"{file.relative_to(ROOT)}"
        for folder in ("simulator", "contracts")
        for file in (ROOT / folder).rglob("*.py")
        if UNPACKING.search(file.read_text("utf-8"))
    }
    assert PLAIN_ONLY == found


def test_own_connections_store_no_cookie() -> None:
    """The sync and the async client store no cookie that a server sets."""
    request = httpx.Request("GET", "http://127.0.0.1:9/")
    answer = httpx.Response(200, headers=[("set-cookie", "a=b; path=/")], request=request)
    for http in (sync_connections(), async_connections()):
        http.cookies.extract_cookies(answer)
        assert isinstance(http.cookies.jar, NoCookies)
        assert [] == [*http.cookies.jar]
