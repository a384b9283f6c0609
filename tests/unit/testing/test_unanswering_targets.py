"""A test run at a server that gives no whole answer says so at once, and does not hang."""

from __future__ import annotations

import socket
from asyncio import Protocol
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread

import pytest

from upsim.testing import simulator_session
from upsim.testing.pytest_marker import MarkError
from upsim.testing.running_server import origin_of
from upsim.testing.simulator_session import PytestSession


class Server:
    """Says one thing to each caller, and one more for as long as it is read."""

    def __init__(self, first: bytes, more: bytes) -> None:
        """Listen on a free port."""
        self.callers = 0
        self._said = first, more
        self._ended = Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.02)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._ended.set()
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError), self._listening.accept()[0] as caller:
                self.callers += 1
                self._speak(caller)

    def _speak(self, caller: socket.socket) -> None:
        first, more = self._said
        with suppress(OSError):
            caller.sendall(first)
            while not self._ended.wait(0.02):
                caller.sendall(more)


OK = b"HTTP/1.1 200 OK\r\n"
BODY = OK + b"content-length: 99999\r\n\r\n"


@pytest.fixture(
    params=[(b"", b""), (OK, b"a: b\r\n"), (BODY, b" "), (b"HTTP nonsense\r\n\r\n", b"")]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a server that is silent, drips a head, drips a body, or speaks no HTTP."""
    found = Server(*request.param)
    yield found
    found.close()


@pytest.mark.parametrize("named", [True, False])
def test_a_target_that_never_responds_is_tried_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    """A silent target delays the first test for a limited time, and later tests not at all.

    Both errors name the request, and say where the URL came from.
    """
    monkeypatch.setenv("UPSIM_URL", server.url)
    monkeypatch.setattr(simulator_session, "FIRST", 0.3)
    origin = origin_of(server.url if named else "server")
    run = PytestSession(server.url, seed=1, token="", origin=origin, protocol=lambda: Protocol)
    said = set()
    for _ in range(2):
        with pytest.raises(MarkError) as caught:
            run.sandbox("test", {})
        said.add(str(caught.value))
    run.close()

    (message,) = said
    assert message.startswith(
        f"no simulator responds at {server.url}: no complete response to GET "
    )
    assert "/__sim/livez: " in message
    typed = server.url if named else "server; UPSIM_URL has this URL"
    assert message.endswith(f" (--upsim-target={typed})")
    monkeypatch.delenv("UPSIM_URL")
    assert "--upsim-target=server; the default, as UPSIM_URL is not set" == origin_of("server")
    assert server.callers == 1
