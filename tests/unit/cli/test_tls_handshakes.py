"""Encrypted connections: counted from the first, given up where no handshake ends."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from upsim.cli import tls_handshakes

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = ["openssl", "req", "-x509", *kind, *files, "-subj", "/CN=localhost"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return a function that runs a coroutine on one of the event loops."""

    def runs(program: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(program)

    return runs


async def scheme(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with the scheme of the request."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """Serve with TLS as `upsim serve` does; give the port."""
    config = uvicorn.Config(
        scheme,
        http=HttpToolsProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        ssl_certfile=certificate / "cert.pem",
        ssl_keyfile=certificate / "key.pem",
    )
    config.load()
    tls_handshakes.gated(config)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started)
        try:
            yield listening.getsockname()[1], server
        finally:
            server.should_exit = True
            await task


async def until(holds: Callable[[], bool]) -> None:
    """Let the server go on until this holds."""
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of the test
            await asyncio.sleep(0.001)


def trusting() -> ssl.SSLContext:
    """Return a client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def asked(port: int) -> bytes:
    """Return the response to a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
    writer.write(REQUEST)
    found = await reader.read()
    writer.close()
    return found


async def asked_in_one_piece(port: int) -> bytes:
    """Return the response to a request that comes with the end of its handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting().wrap_bio(incoming, outgoing)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65_536))
    tls.write(REQUEST)
    writer.write(outgoing.read())
    found = b""
    while not found.endswith(b"0\r\n\r\n"):
        try:
            found += tls.read(65_536)
        except ssl.SSLWantReadError:
            incoming.write(await reader.read(65_536))
    writer.close()
    return found


@pytest.mark.parametrize("ask", [asked, asked_in_one_piece])
def test_a_tls_request_is_answered(
    run: Run, certificate: Path, ask: Callable[[int], Awaitable[bytes]]
) -> None:
    """An encrypted request counts as https, also if it arrives with the end of the handshake."""

    async def program() -> None:
        async with serving(certificate) as (port, _):
            found = await ask(port)
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nhttps\r\n" in found

    run(program())


def test_open_handshakes_are_limited(
    run: Run,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Above the limit of open handshakes, new connections are closed at once, with one log line."""
    monkeypatch.setattr(tls_handshakes, "most_connections", lambda: 3)
    caplog.set_level("WARNING", "uvicorn.error")  # the configuration has set another

    async def program() -> None:
        async with serving(certificate) as (port, server):
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            assert [b"", b""] == [await reader.read() for reader, _ in opened[3:]]
            assert 3 == len(server.server_state.connections)
            opened[0][1].close()
            await until(lambda: len(server.server_state.connections) < 3)
            assert (await asked(port)).startswith(b"HTTP/1.1 200")
            for _, writer in opened:
                writer.close()

    run(program())
    assert 1 == sum("connections are open" in line for line in caplog.messages)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", REQUEST, b"\x16\x03\x01\x00\x02\x00\x00"])
def test_an_unfinished_handshake_is_closed(
    run: Run, certificate: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """The connection of a client that is silent or does not use TLS is closed and forgotten."""
    monkeypatch.setattr(tls_handshakes, "LOOK_SECONDS", 0.05)

    async def program() -> None:
        async with serving(certificate) as (port, server):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            while await reader.read():
                pass
            await until(lambda: not server.server_state.connections)
            writer.close()

    run(program())
