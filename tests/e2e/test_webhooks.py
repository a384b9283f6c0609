"""Webhooks over real sockets: a server process, a receiver that checks signatures, and Ctrl-C."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

KEY = {"Authorization": "Bearer wavespeed-key"}
SUBMIT = "/wavespeed/api/v3/runwayml/upscale-v1"
VIDEO = "https://clips.example/12.mp4"
PATIENCE = 300.0


@dataclass(slots=True)
class Got:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server of the test; `reply` says what a handler does and which status it sends."""

    reply: Callable[[Got], int] = lambda _got: 200
    got: list[Got] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    def wait(self, count: int) -> list[Got]:
        """Return what came once so many requests did."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, PATIENCE), self.got
        return self.got

    def take(self, got: Got) -> int:
        """Keep a request and return the status of its answer."""
        with self.arrived:
            self.got.append(got)
            self.arrived.notify_all()
        return self.reply(got)


@dataclass(slots=True)
class Server:
    """An `upsim serve` of one's own."""

    process: subprocess.Popen[bytes]
    url: str

    def admin(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the admin API."""
        answer = httpx.request(
            method, f"{self.url}/__sim/{path}", json=body, timeout=30, trust_env=False
        )
        return answer.raise_for_status().json()

    def submit(self, hook: str, video: str = VIDEO) -> str:
        """Submit a task that tells this address of its end."""
        answer = httpx.post(
            f"{self.url}{SUBMIT}",
            params={"webhook": hook},
            json={"video": video},
            headers=KEY,
            trust_env=False,
        )
        found: str = answer.raise_for_status().json()["data"]["id"]
        return found

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Ask WaveSpeed for something."""
        answer = httpx.get(f"{self.url}/wavespeed/api/v3/{path}", headers=KEY, trust_env=False)
        return answer.raise_for_status().json()["data"]


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """Return a function that starts a receiver."""
    with ExitStack() as stack:

        def start(
            reply: Callable[[Got], int] = lambda _got: 200, *, threads: bool = True
        ) -> Receiver:
            receiver = Receiver(reply)

            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    body = self.rfile.read(int(self.headers["content-length"]))
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    self.send_response(receiver.take(Got(self.path, headers, body)))
                    self.send_header("content-length", "0")
                    self.end_headers()

                def log_message(self, *_args: object) -> None:
                    """Say nothing."""

            kind = ThreadingHTTPServer if threads else HTTPServer
            server = kind(("127.0.0.1", 0), Handler)
            if isinstance(server, ThreadingHTTPServer):
                server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
            return receiver

        yield start


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server with these options."""
    with ExitStack() as stack:

        def start(*options: str) -> Server:
            ready = tmp_path / "ready.json"
            command = [sys.executable, "-m", "upsim", "serve", "--port", "0", "--quiet"]
            process = subprocess.Popen(
                [*command, "--ready-file", str(ready), *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 20)
            stack.callback(process.kill)
            deadline = time.monotonic() + PATIENCE
            while not ready.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            return Server(process, json.loads(ready.read_text("utf-8"))["base_url"])

        yield start


@pytest.mark.parametrize("clock", ["auto", "scaled:1000", "real"])
def test_a_webhook_comes_without_polls(
    serve: Callable[..., Server], receive: Callable[..., Receiver], clock: str
) -> None:
    """Nobody polls: the clock itself, or a quiet moment on an `auto` clock, brings the webhook."""
    server, receiver = serve("--clock", clock, "--pace", "100"), receive()
    task = server.submit(receiver.url)
    (got, *_) = receiver.wait(1)

    assert json.loads(got.body)["id"] == task


def test_a_real_receiver_can_verify(
    serve: Callable[..., Server], receive: Callable[..., Receiver]
) -> None:
    """Timestamp and signature satisfy a verifier that reads its own clock."""
    server, receiver = serve("--clock", "manual"), receive()
    server.submit(receiver.url)
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    (got,) = receiver.got
    secret = server.get("webhook/secret")["secret"].removeprefix("whsec_")
    second = got.headers["webhook-timestamp"]
    signed = f"{got.headers['webhook-id']}.{second}.".encode() + got.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()

    assert f"v3,{expected}" == got.headers["webhook-signature"]
    assert abs(time.time() - int(second)) < 300


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_a_receiver_may_poll_in_its_handler(
    serve: Callable[..., Server], receive: Callable[..., Receiver], clock: str
) -> None:
    """While a clock is advanced the receiver asks for the result, and nobody waits for ever."""
    seen: list[str] = []

    def poll(got: Got) -> int:
        seen.append(server.get(f"predictions/{got.headers['webhook-id']}/result")["status"])
        return 200

    server, receiver = serve("--clock", clock), receive(poll)
    for _ in range(3):
        server.submit(receiver.url)
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})

    assert seen == ["completed"] * 3
    assert len(receiver.got) == 3


def test_a_receiver_with_one_thread_may_advance_the_clock(
    serve: Callable[..., Server], receive: Callable[..., Receiver]
) -> None:
    """The advance in its handler is answered at once, and what it set off comes afterwards."""

    def advance(_got: Got) -> int:
        server.admin("POST", "sandboxes/default/clock/advance", {"seconds": 1000})
        return 200

    server, receiver = serve("--clock", "manual"), receive(advance, threads=False)
    for seconds in ("5", "60"):
        server.submit(receiver.url, f"https://clips.example/{seconds}.mp4")
        server.admin("POST", "sandboxes/default/clock/advance", {"seconds": 10})
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    told = server.admin("GET", "sandboxes/default/webhooks")["deliveries"]

    assert ["delivered"] * 2 == [delivery["outcome"] for delivery in told]
    assert [1, 1] == [len(delivery["attempts"]) for delivery in told]


def test_a_hanging_receiver_delays_no_answer(
    serve: Callable[..., Server], receive: Callable[..., Receiver]
) -> None:
    """While a receiver does not answer, callers are answered as ever."""
    free = threading.Event()

    def hang(_got: Got) -> int:
        free.wait(PATIENCE)
        return 200

    server, receiver = serve("--clock", "auto"), receive(hang)
    task = server.submit(receiver.url)
    receiver.wait(1)
    status = server.get(f"predictions/{task}/result")["status"]  # gives up before the receiver does
    free.set()

    assert status == "completed"


@pytest.mark.parametrize("advancing", [False, True])
def test_ctrl_c_ends_a_delivery(
    serve: Callable[..., Server], receive: Callable[..., Receiver], *, advancing: bool
) -> None:
    """A receiver that hangs does not keep the server alive, nor does an advance that waits."""
    free = threading.Event()

    def hang(_got: Got) -> int:
        free.wait(PATIENCE)
        return 200

    clock, receiver = "manual" if advancing else "auto", receive(hang)
    server = serve("--clock", clock, "--webhook-timeout", "10m")
    server.submit(receiver.url)
    if advancing:
        threading.Thread(target=_advance, args=(server,), daemon=True).start()
    receiver.wait(1)
    server.process.send_signal(signal.SIGINT)
    try:
        ended = server.process.wait(PATIENCE / 2)  # while the receiver hangs
    finally:
        free.set()

    assert ended == 0


def test_a_deleted_sandbox_cuts_its_delivery(
    serve: Callable[..., Server], receive: Callable[..., Receiver]
) -> None:
    """Emptying a sandbox while its receiver hangs ends the delivery, and no retry follows."""
    free = threading.Event()

    def hang(_got: Got) -> int:
        free.wait(PATIENCE)
        return 500

    server, receiver = serve("--clock", "auto"), receive(hang)
    server.submit(receiver.url)
    receiver.wait(1)
    server.admin("DELETE", "sandboxes/default")
    free.set()
    other = receive()
    server.submit(other.url)
    other.wait(1)

    assert len(receiver.got) == 1
    assert len(server.admin("GET", "sandboxes/default/webhooks")["deliveries"]) == 1


def test_many_webhooks_come_each_once(
    serve: Callable[..., Server], receive: Callable[..., Receiver]
) -> None:
    """A hundred tasks end at once, and each is told exactly once."""
    server, receiver = serve("--clock", "manual"), receive()
    tasks = {server.submit(receiver.url) for _ in range(100)}
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})

    assert sorted(tasks) == sorted(json.loads(got.body)["id"] for got in receiver.got)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 200_000,
    ],
    ids=["nothing", "garbage", "odd", "half", "chunks", "zipped", "redirect", "long"],
)
def test_garbage_is_logged(serve: Callable[..., Server], answer: bytes) -> None:
    """Whatever bytes come back, the attempt is in the log and the server lives."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def babble() -> None:
        while True:
            try:
                taken, _ = listening.accept()
                taken.recv(65536)
                taken.sendall(answer)
                taken.close()
            except OSError:
                return

    threading.Thread(target=babble, daemon=True).start()
    server = serve("--clock", "manual")
    server.submit(f"http://127.0.0.1:{port}/")
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    (found,) = server.admin("GET", "sandboxes/default/webhooks")["deliveries"]
    listening.close()

    assert len(found["attempts"]) >= 1
    assert found["outcome"] in ("delivered", "given_up")


@pytest.mark.parametrize("secret", ["two\r\nx-injected: yes", "nul\x00", "a\nb"])
def test_a_secret_never_splits_a_request(
    serve: Callable[..., Server], receive: Callable[..., Receiver], secret: str
) -> None:
    """PiAPI's secret is sent verbatim; one that cannot stand in a header is not sent at all."""
    server, receiver = serve("--clock", "manual"), receive()
    config = {"webhook_config": {"endpoint": receiver.url, "secret": secret}}
    body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "config": config}
    httpx.post(
        f"{server.url}/piapi/api/v1/task",
        json={**body, "input": {"video": VIDEO}},
        headers={"x-api-key": "any"},
        trust_env=False,
    ).raise_for_status()
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    (found,) = server.admin("GET", "sandboxes/default/webhooks")["deliveries"]

    assert [] == receiver.got
    assert "LocalProtocolError" in found["attempts"][0]["error"]


def test_allowed_hosts_are_called(
    serve: Callable[..., Server], receive: Callable[..., Receiver]
) -> None:
    """A host name beside loopback is called once `--webhook-allow` names it."""
    receiver = receive()
    name = socket.gethostname().lower()
    try:
        socket.gethostbyname(name)
    except OSError:
        pytest.skip("this machine's own name cannot be looked up")
    server = serve("--clock", "manual", "--webhook-allow", name)
    server.submit(receiver.url.replace("127.0.0.1", name))
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    (found,) = server.admin("GET", "sandboxes/default/webhooks")["deliveries"]

    assert found["outcome"] in ("delivered", "given_up")  # the name may not lead to loopback


def test_the_inbox_receives_over_a_socket(serve: Callable[..., Server]) -> None:
    """The server's own inbox gets what is sent to the server's own address."""
    server = serve("--clock", "auto")
    task = server.submit(f"{server.url}/__sim/sandboxes/default/inbox/mine")
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    found = server.admin("GET", "sandboxes/default/inbox/mine/messages")["messages"]

    assert [task] == [message["headers"]["webhook-id"] for message in found]


def _advance(server: Server) -> None:
    try:
        server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    except httpx.HTTPError:
        return  # the server was ended meanwhile
