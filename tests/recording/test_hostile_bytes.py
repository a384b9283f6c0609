"""No bytes of a server or a caller make a recording raise, cut a connection or lose an exchange."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.recording.conftest import entries
from upsim_contracts.cassettes.cassette import read_cassette
from upsim_contracts.record.command import recording

JSON = {"content-type": "application/json"}
DEEP = b"[" * 1_000_000 + b"]" * 1_000_000
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "nested": (200, JSON, DEEP),
    "nested as deep as Python reads": (200, JSON, b'{"a":' * 900 + b"1" + b"}" * 900),
    "invalid UTF-8": (200, JSON, b'{"id": "\xff\xfe"}'),
    "half a surrogate pair": (200, JSON, b'{"secret": "\\ud800", "id": "\\udfff"}'),
    "NaN": (200, JSON, b'{"status": NaN, "cost": Infinity}'),
    "huge integer": (200, JSON, b'{"balance": ' + b"9" * 5000 + b"}"),
    "huge exponent": (200, JSON, b'{"balance": 1e999999999, "cost": -1E+99999}'),
    "duplicate keys": (200, JSON, b'{"id": 1, "id": 2, "id": "3"}'),
    "binary": (200, JSON, bytes(range(256))),
    "empty": (200, JSON, b""),
    "null": (200, JSON, b"null"),
    "UTF-16": (200, JSON, '{"a": "é"}'.encode("utf-16")),
    "a byte-order mark": (200, JSON, b"\xef\xbb\xbf{}"),
    "truncated gzip": (200, {**JSON, "content-encoding": "gzip"}, gzip.compress(b"{}" * 99)[:-9]),
    "no gzip": (200, {**JSON, "content-encoding": "gzip"}, b"{}"),
    "brotli": (200, {**JSON, "content-encoding": "br"}, b"\x0b\x02\x80{}\x03"),
    "a gzip bomb": (200, {**JSON, "content-encoding": "gzip"}, gzip.compress(b" " * 50_000_000)),
    "17 MB": (200, JSON, b'"' + b"x" * 17_000_000 + b'"'),
    "strange status": (799, JSON, b"{}"),
    "strange header": (200, {**JSON, "x-balance": "\xff\x80é"}, b"{}"),
    "broken links": (
        200,
        JSON,
        b'{"url": "http://[", "b": "http://localhost:99999/x", "c": "http://a@:b/"}',
    ),
    "long spaces": (200, JSON, json.dumps({"a": " " * 200_000 + "!"}).encode()),
    "long word": (200, JSON, json.dumps({"a": "a.b+" * 50_000}).encode()),
    "base64 that is none": (200, JSON, '{"a": "data:video/mp4;base64,é"}'.encode()),
}
BODIES: dict[str, tuple[str, bytes]] = {
    **{name: ("application/json", body) for name, (_, _, body) in ANSWERS.items()},
    "no boundary": ("multipart/form-data", b"--x\r\n\r\n"),
    "nested parts": (
        "multipart/form-data; boundary=x",
        b"".join(
            b"--x%d\r\ncontent-type: multipart/mixed; boundary=x%d\r\n\r\n" % (n, n + 1)
            for n in range(3000)
        ),
    ),
    "a part's broken head": (
        "multipart/form-data; boundary=x",
        b"--x\r\ncontent-disposition: form-data; filename*=utf-8'%\xff; name=\"\r\n\r\nabc\r\n--x",
    ),
    "strange type": ("application/json; \xff=\x80", b"{}"),
}


@contextmanager
def upstream(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """Give the address of a server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status, "x")
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - http.server's names

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def recorded(
    folder: Path,
    url: str,
    method: str,
    path: str,
    provider: str = "venice",
    **options: Any,  # noqa: ANN401 - httpx
) -> tuple[tuple[int, bytes], Path]:
    """Send one request through a recording; return the answer and the cassette."""
    file = folder / "c.jsonl"
    order = {"upstream": url, "to": file, "provider": provider}

    async def send() -> tuple[int, bytes]:
        with recording(order, None, lambda _line: None) as session:
            transport = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://r.test") as http:
                async with http.stream(method, path, **options) as answer:
                    raw = b"".join([chunk async for chunk in answer.aiter_raw()])
                return answer.status_code, raw

    return asyncio.run(send()), file


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(
    ("provider", "method", "path"),
    [
        ("venice", "GET", "/venice/api/v1/billing/balance"),
        ("vicsee", "POST", "/vicsee/api/v1/tools/upscale-video"),
    ],
)
def test_any_response_is_forwarded_and_recorded(
    tmp_path: Path, provider: str, method: str, path: str, name: str
) -> None:
    """The client gets exactly what the server sent, and the cassette is readable."""
    status, headers, body = ANSWERS[name]
    sent = {"json": {"video_url": "http://localhost:1/x"}} if method == "POST" else {}
    with upstream(status, headers, body) as url:
        answer, file = recorded(tmp_path, url, method, path, provider, **sent)
    exchanges = read_cassette(file).exchanges

    assert [status] == [one.status for one in exchanges]
    assert (502 if status > 599 else status, body) == answer
    assert len(entries(file)) == 2


@pytest.mark.parametrize("name", BODIES)
def test_any_request_is_forwarded_and_recorded(tmp_path: Path, name: str) -> None:
    """Any request of a client is forwarded to the server and recorded in the cassette."""
    kind, body = BODIES[name]
    headers = {b"content-type": kind.encode("latin-1"), b"x-odd": b"\xff"}
    with upstream(200, JSON, b"{}") as url:
        answer, file = recorded(
            tmp_path, url, "POST", "/venice/api/v1/video/queue", headers=headers, content=body
        )

    assert (200, b"{}") == answer
    assert [200] == [one.status for one in read_cassette(file).exchanges]


@pytest.mark.parametrize(
    "path", ["/venice/api/v1/%FF%00?a=%FF&secret=%80%", "/api/v1/x?http://[", "/api/v1/" + "x" * 9]
)
def test_any_path_is_forwarded(tmp_path: Path, path: str) -> None:
    """The bytes of a path or a query are forwarded unchanged."""
    with upstream(200, JSON, b"{}") as url:
        answer, file = recorded(tmp_path, url, "GET", path)

    assert (200, 1) == (answer[0], len(read_cassette(file).exchanges))


def test_a_path_without_steps_is_refused(tmp_path: Path) -> None:
    """The recorder refuses `OPTIONS *`, because `*` is not a provider path."""
    sent: list[Any] = []

    async def ask() -> None:
        order = {"upstream": "http://127.0.0.1:9", "to": tmp_path / "c", "provider": "venice"}
        scope = {"type": "http", "method": "OPTIONS", "path": "*", "raw_path": b"*", "headers": []}
        scope |= {"query_string": b"", "scheme": "http", "server": ("127.0.0.1", 1)}

        async def take(message: Any) -> None:  # noqa: ANN401 - ASGI
            sent.append(message)

        async def give() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        with recording(order, None, lambda _line: None) as session:
            await session.application(scope, give, take)

    asyncio.run(ask())

    assert 404 == sent[0]["status"]
