"""What no client should send, over a real socket: it is answered, and the server goes on."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Sandbox, Server

MEGABYTE = 1 << 20
SUBMITS = {
    "wavespeed": "/api/v3/wavespeed-ai/video-upscaler",
    "venice": "/api/v1/video/queue",
    "piapi": "/api/v1/task",
    "vicsee": "/api/v1/generate",
}
EVERY = pytest.mark.parametrize("provider", list(SUBMITS))


def head(provider: str, key: str, *lines: str, path: str = "", method: str = "POST") -> bytes:
    """Return a request up to its body, with the key in both places where one is looked for."""
    target = path or f"/{provider}{SUBMITS[provider]}"
    own = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    return "\r\n".join([*own, f"x-api-key: {key}", *lines, "", ""]).encode("latin-1")


@contextlib.contextmanager
def connection(server: Server) -> Iterator[socket.socket]:
    """Open a connection to the server."""
    url = httpx.URL(server.base_url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as sock:
        yield sock


def answer_of(sock: socket.socket) -> tuple[int, bytes]:
    """Read one answer: its status and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65_536)
        assert piece, f"the connection ended after {data!r}"
        data += piece
    start, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in start.lower().split(b"\r\n") if line.startswith(b"content-length")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        body += sock.recv(65_536)
    return int(start.split(b" ")[1]), body


def ask(server: Server, request: bytes) -> tuple[int, bytes]:
    """Send a request on a connection of its own and read the answer."""
    with connection(server) as sock:
        sock.sendall(request)
        return answer_of(sock)


def resident(server: Server) -> int:
    """Return the bytes of memory that the server holds."""
    status = Path(f"/proc/{server.pid}/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@EVERY
def test_an_announced_gigabyte_is_refused_immediately(sandbox: Sandbox, provider: str) -> None:
    """A body with a far too large length is refused before any of it arrives."""
    lines = ("Content-Type: application/json", "Content-Length: 1000000000")
    status, body = ask(sandbox.server, head(provider, sandbox.keys[provider], *lines))
    assert (status in (400, 413), isinstance(json.loads(body), dict)) == (True, True)


@EVERY
def test_an_endless_body_is_refused(sandbox: Sandbox, provider: str) -> None:
    """A chunked body without an end is refused, and memory does not grow with it."""
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    piece = b"100000\r\n" + b" " * MEGABYTE + b"\r\n"
    before = resident(sandbox.server)
    with connection(sandbox.server) as sock:
        sock.sendall(head(provider, sandbox.keys[provider], *lines))
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                sock.sendall(piece)
        with contextlib.suppress(ConnectionError):
            assert answer_of(sock)[0] in (400, 413)
    assert resident(sandbox.server) - before < 150 * MEGABYTE


@EVERY
@pytest.mark.parametrize(
    "body", [b"{", b'{"a": "\\ud800"}', b"\xff\xfe", b"[" * 100_000, b'{"a": 1e999}', b"NaN"]
)
def test_invalid_json_is_refused_in_json(sandbox: Sandbox, provider: str, body: bytes) -> None:
    """A body that is no JSON gets a JSON error."""
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    request = head(provider, sandbox.keys[provider], *lines) + body
    status, found = ask(sandbox.server, request)
    assert (400 <= status < 500, isinstance(json.loads(found), dict)) == (True, True)


@EVERY
def test_the_absolute_form_of_a_target(sandbox: Sandbox, provider: str) -> None:
    """A request in the form for proxies gets the same response."""
    path = f"http://localhost/{provider}/nonsense"
    request = head(provider, sandbox.keys[provider], path=path, method="GET")
    plain = head(provider, sandbox.keys[provider], path=f"/{provider}/nonsense", method="GET")
    assert ask(sandbox.server, request) == ask(sandbox.server, plain)


@EVERY
@pytest.mark.parametrize("method", ["PATCH", "PUT", "OPTIONS", "TRACE"])
def test_a_wrong_method_is_refused(sandbox: Sandbox, provider: str, method: str) -> None:
    """The provider refuses methods that a path does not have."""
    request = head(provider, sandbox.keys[provider], "Content-Length: 0", method=method)
    status, body = ask(sandbox.server, request)
    assert (status in (404, 405), len(body) > 0) == (True, True)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"post /vicsee/api/v1/generate HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /vicsee HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST /vicsee/api/v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /vicsee/api/v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
    ],
)
def test_invalid_http_is_a_400(server: Server, request_bytes: bytes) -> None:
    """Bytes that are no HTTP request get a 400."""
    assert ask(server, request_bytes)[0] == 400


@pytest.mark.parametrize("path", ["/%", "/%zz", "/%00", "/%ff", "/" + "a" * 60_000, "/é"])
def test_an_odd_path_gets_a_response(server: Server, path: str) -> None:
    """Invalid escapes, odd bytes and long paths get a response."""
    request = f"GET /vicsee{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    assert 400 <= ask(server, request)[0] < 500


def test_a_long_header_is_accepted(server: Server) -> None:
    """A key header of sixty kilobytes is a key like any other."""
    lines = f"GET /vicsee/api/v1/credits HTTP/1.1\r\nHost: localhost\r\nX-Long: {'x' * 60_000}"
    assert ask(server, f"{lines}\r\n\r\n".encode())[0] == 401


def test_without_a_host_the_admin_api_refuses(server: Server) -> None:
    """A request of HTTP/1.0 without a Host is refused."""
    assert ask(server, b"GET /__sim/sandboxes HTTP/1.0\r\n\r\n")[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        "Host: localhost\r\nOrigin: http://evil.example",
        "Host: localhost\r\nOrigin: null",
        "Host: localhost\r\nX-Forwarded-For: 10.0.0.1",
        "Host: localhost\r\nForwarded: for=10.0.0.1",
        "Host: localhost\r\nSec-Fetch-Site: same-site",
    ],
)
def test_the_admin_api_refuses_pages_and_proxies(server: Server, header: str) -> None:
    """Requests of another origin and of a proxy are refused over a socket too."""
    request = f"GET /__sim/sandboxes HTTP/1.1\r\n{header}\r\n\r\n".encode()
    assert ask(server, request)[0] == 401


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/vicsee/api/v1/models", "evil.example"),
        ("/__sim/sandboxes", "evil.example"),
        ("http://evil.example/vicsee/api/v1/models", "localhost"),
        ("http://evil.example/media/synthetic/16x16_1fps_1s.mp4", "localhost"),
    ],
)
def test_a_foreign_host_is_refused(server: Server, target: str, host: str) -> None:
    """A rebound name is refused over a socket, in the header and in the target."""
    status, body = ask(server, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (status, json.loads(body)["error"]["code"]) == (421, "foreign_host")


def test_the_host_of_an_absolute_url_wins(server: Server) -> None:
    """A request in a proxy's form reaches the provider of its URL, and its links have that host."""
    url = "http://api.wavespeed.ai/api/v3/wavespeed-ai/video-upscaler"
    body = b'{"video": "https://clips.example/v.mp4"}'
    lines = [f"POST {url} HTTP/1.1", "Host: localhost", "Authorization: Bearer any"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    status, answer = ask(server, head.encode() + body)
    found = json.loads(answer)["data"]["urls"]["get"]
    assert (status, found.partition("/predictions")[0]) == (200, "http://api.wavespeed.ai/api/v3")


def test_http_2_is_refused_with_a_message(server: Server) -> None:
    """A request line with another version gets a 505."""
    expected = (505, b"This server speaks HTTP/1.1.")
    assert expected == ask(server, b"GET /__sim/livez HTTP/2.0\r\nHost: localhost\r\n\r\n")


def test_a_form_resets_nothing(sandbox: Sandbox) -> None:
    """A form post from any page is refused."""
    answer = sandbox.server.http.post(
        f"{sandbox.server.base_url}/__sim/sandboxes/{sandbox.id}/reset", data={"what": "all"}
    )
    assert answer.status_code == 415


def test_a_disconnected_client_is_forgotten(sandbox: Sandbox) -> None:
    """A connection that ends in the middle of a body leaves nothing."""
    lines = ("Content-Type: application/json", "Content-Length: 100")
    with connection(sandbox.server) as sock:
        sock.sendall(head("vicsee", sandbox.keys["vicsee"], *lines) + b'{"model"')
    assert sandbox.charges("vicsee") == []


@EVERY
def test_the_server_continues_after_a_flood(sandbox: Sandbox, provider: str) -> None:
    """After a refused flood, the same connection pool still gets responses."""
    lines = ("Content-Type: application/json", "Content-Length: 1000000000")
    ask(sandbox.server, head(provider, sandbox.keys[provider], *lines))
    url = f"{sandbox.server.base_url}/__sim/livez"
    assert sandbox.server.http.get(url).status_code == 200
