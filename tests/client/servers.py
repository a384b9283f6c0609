"""Servers on a real socket that answer as a test says, and clients of them."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from upsim.client import Client, Progress, Retries, Timeouts, connect
from upsim.client.hidden_texts import Link

Reply = Callable[[dict[str, str]], Iterator[bytes]]


def reply(
    body: bytes, status: str = "200 OK", *, kind: str = "application/json", **headers: str
) -> Reply:
    """Return a reply with this body; a header that is given wins, and an empty one is left out."""
    told = {"content-type": kind, "content-length": str(len(body)), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in told.items() if value]
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""])
    return lambda _headers: iter([head.encode(), body])


def endless(head: bytes, drop: bytes = b" ") -> Reply:
    """Return a reply that goes on drop by drop, for ever."""

    def chunks(_headers: dict[str, str]) -> Iterator[bytes]:
        yield head
        never = threading.Event()
        while not never.wait(0.01):
            yield drop

    return chunks


def drops(kind: str) -> Reply:
    """Return a reply whose body comes drop by drop, for ever."""
    return endless(
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 9000000\r\n\r\n".encode()
    )


@contextmanager
def serving(*replies: Reply, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve these replies in turn, the last one for ever; give the address and the lines asked."""
    lines: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while self.answer():
                    pass

        def answer(self) -> bool:
            """Answer a request, and return whether the connection stays."""
            line, *rest = [*iter(lambda: self.rfile.readline().decode().strip(), "")] or [""]
            headers = {k.lower(): v.strip() for k, _, v in (row.partition(":") for row in rest)}
            self.rfile.read(int(headers.get("content-length", 0)))
            if line:
                lines.append(line)
                for chunk in replies[min(len(lines), len(replies)) - 1](headers):
                    self.wfile.write(chunk)
                    line = "" if b"connection: close" in chunk else line
            return bool(line)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            made, address = super().get_request()
            return (tls.wrap_socket(made, server_side=True) if tls else made), address

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}", lines
        finally:
            server.shutdown()
            thread.join()


def asked(lines: list[str]) -> int:
    """Return how many requests came, at least one; a client may give up before it is read."""
    while not lines:
        time.sleep(0.005)
    return len(lines)


@contextmanager
def client_of(*replies: Reply, model: str = "vicsee", **settings: Any) -> Iterator[Client]:  # noqa: ANN401
    """Give a client of a server with these replies."""
    with serving(*replies) as (url, _), connect(model, **settings_of(url) | settings) as client:
        yield client


def settings_of(url: str) -> dict[str, Any]:
    """Return the settings of a client of this server, which waits in no time."""
    return {
        "api_key": "k",
        "base_url": url,
        "retries": Retries(attempts=3),
        "timeouts": Timeouts(connect=5, read=5, answer=0.2, file=20),
        "sleeper": lambda _seconds: None,
    }


def finished(url: str) -> Progress:
    """Return the progress of a job whose file is at an address."""
    return Progress("completed", "completed", Link(url))
