"""A simulator in process whose webhooks go to a receiver of the test."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.core.webhooks import Delivery

HOOK = "http://receiver.example/hook"
VIDEO = "https://clips.example/12.mp4"
LOCAL = "http://localhost:4747"
SECRET = "s3cret"
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Endless(httpx.AsyncByteStream):
    """A body that never ends."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Send kilobytes for ever."""
        while True:
            self.sent += 1024
            yield b"x" * 1024


@dataclass
class Receiver(httpx.AsyncBaseTransport):
    """What came, and at which virtual instant; `answers` are used up one by one, then 200."""

    answers: list[Answer | int] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sim: Simulator | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take a request and answer it."""
        await request.aread()
        self.requests.append(request)
        if self.sim is not None:
            self.seconds.append((self.sim.sandbox.now - START) / 1_000_000)
        answer = self.answers.pop(0) if self.answers else 200
        return httpx.Response(answer) if isinstance(answer, int) else await answer(request)

    @property
    def bodies(self) -> list[Any]:
        """Return the documents that came."""
        return [httpx.Response(200, content=r.content).json() for r in self.requests]


START = 1_767_225_600_000_000


@dataclass(frozen=True, slots=True)
class World:
    """A simulator, its receiver, and clients."""

    sim: Simulator
    receiver: Receiver
    admin: httpx.Client
    clients: dict[str, httpx.Client]

    def wavespeed(self, hook: str = HOOK, **inputs: object) -> str:
        """Submit a task that tells this address of its end."""
        path = "/api/v3/wavespeed-ai/video-upscaler"
        answer = self.clients["wavespeed"].post(
            path, params={"webhook": hook}, json={"video": VIDEO, **inputs}
        )
        found: str = answer.raise_for_status().json()["data"]["id"]
        return found

    def piapi(self, hook: str = HOOK, secret: str | None = SECRET) -> str:
        """Submit a task that tells this address of its end."""
        config: dict[str, object] = {"webhook_config": {"endpoint": hook, "secret": secret}}
        body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "config": config}
        answer = self.clients["piapi"].post(
            "/api/v1/task", json={**body, "input": {"video": VIDEO}}
        )
        found: str = answer.raise_for_status().json()["data"]["task_id"]
        return found

    def status(self, task: str) -> str:
        """Return the status of a WaveSpeed task."""
        answer = self.clients["wavespeed"].get(f"/api/v3/predictions/{task}/result")
        found: str = answer.raise_for_status().json()["data"]["status"]
        return found

    def call(self, method: str, path: str, body: object = None, *, ok: bool = True) -> Any:  # noqa: ANN401
        """Call the admin API about the sandbox `default`."""
        answer = self.admin.request(method, f"/__sim/sandboxes/default/{path}", json=body)
        assert answer.is_success == ok, answer.text
        return answer.json()

    @property
    def deliveries(self) -> list[Delivery]:
        """Return all deliveries, oldest first."""
        return list(self.sim.sandbox.state.deliveries.values())

    @property
    def only(self) -> Delivery:
        """Return the one delivery there is."""
        (found,) = self.deliveries
        return found

    @property
    def secret(self) -> str:
        """Return the signing secret of the WaveSpeed account."""
        answer = self.clients["wavespeed"].get("/api/v3/webhook/secret")
        found: str = answer.raise_for_status().json()["data"]["secret"]
        return found


Start = Callable[..., World]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a simulator; receivers that hang are given up soon."""
    with ExitStack() as stack:

        def begin(*answers: Answer | int, clock: str = "manual", **options: Any) -> World:  # noqa: ANN401
            receiver = Receiver(list(answers))
            chosen = {"webhook_transport": receiver, "webhook_seconds": 0.05, **options}
            sim = Simulator(clock=clock, seed=1, **chosen)
            stack.enter_context(sim)
            receiver.sim = sim
            clients = {
                "wavespeed": httpx.Client(
                    transport=sim.transport(),
                    base_url=sim.base_url("wavespeed"),
                    headers={"Authorization": "Bearer mine"},
                ),
                "piapi": httpx.Client(
                    transport=sim.transport(),
                    base_url=sim.base_url("piapi"),
                    headers={"x-api-key": "mine"},
                ),
            }
            admin = httpx.Client(transport=sim.transport(), base_url=LOCAL)
            return World(sim, receiver, admin, clients)

        yield begin


@pytest.fixture
def world(start: Start) -> World:
    """Return a simulator on a clock that stands still, and a receiver that takes everything."""
    return start()


async def hang(_request: httpx.Request) -> httpx.Response:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def reset(_request: httpx.Request) -> httpx.Response:
    """Cut the connection."""
    raise httpx.ReadError("the connection was reset")


async def redirect(_request: httpx.Request) -> httpx.Response:
    """Point elsewhere."""
    return httpx.Response(307, headers={"location": "http://elsewhere.example/"})


async def huge(_request: httpx.Request) -> httpx.Response:
    """Answer without end."""
    return httpx.Response(200, stream=Endless())


async def garbage(_request: httpx.Request) -> httpx.Response:
    """Break the protocol."""
    raise httpx.RemoteProtocolError("illegal status line: \x00\xff")


async def fail(_request: httpx.Request) -> httpx.Response:
    """Raise what no transport should."""
    raise RuntimeError("a bug of the test")


def is_signed(request: httpx.Request, secret: str) -> bool:
    """Check a signature as the provider's page tells receivers to."""
    name, second = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    version, found = request.headers["webhook-signature"].split(",")
    signed = f"{name}.{second}.".encode() + request.content
    expected = hmac.new(secret.removeprefix("whsec_").encode(), signed, hashlib.sha256).hexdigest()
    return version == "v3" and hmac.compare_digest(expected, found)
