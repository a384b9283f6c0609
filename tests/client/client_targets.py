"""A sandbox for a client, in process or behind a socket, and a hand that is sync or async alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from inspect import isawaitable
from typing import Any

import httpx

from tests.e2e.conftest import Server
from tests.samples import expected_upscale, model_calls
from upsim import Simulator
from upsim.client import AsyncClient, Client, connect, connect_async, model_names, sandbox_sleeper
from upsim.client.adapter_discovery import library
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

LOCAL = "http://127.0.0.1:4747"
MODELS = model_names()
CLIP = "640x360_30fps_4s.mp4"
Way = tuple[str, str, str]
EIGHT_WAYS: list[Way] = list(
    itertools.product(("sync", "async"), ("process", "socket"), ("guide", "live"))
)
PAIRS_OF_WAYS: list[tuple[Way, Way]] = [
    (("sync", "process", "guide"), ("async", "socket", "live")),
    (("sync", "process", "live"), ("async", "socket", "guide")),
    (("sync", "socket", "guide"), ("async", "process", "live")),
    (("sync", "socket", "live"), ("async", "process", "guide")),
]
"""Both ways of a pair together have every choice."""
SHORT = {(model, way) for number, model in enumerate(MODELS) for way in PAIRS_OF_WAYS[number % 4]}
"""Cases of the short suite: each model meets each choice, and each two choices meet in a model."""
PRICES = {
    f"{made.provider}/{made.model}": expected_upscale(made, "640x360 30fps 4s")
    for made in model_calls()
}
"""Price, unit, billed quantity and output size of `CLIP`, worked out by the contracts."""


def clip(name: str = CLIP) -> bytes:
    """Return a clip with exactly these properties."""
    return make_clip(parse_clip_name(name))


@dataclass(slots=True)
class World:
    """One sandbox of a simulator, and how clients and tests get at it."""

    model: str
    base_url: str
    admin_url: str
    key: str
    sandbox: str
    admin: Callable[..., Any]
    http: Callable[[], Any]
    async_http: Callable[[], Any]
    token: str | None = None
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def provider(self) -> str:
        """The model's provider."""
        return self.model.partition("/")[0]

    @property
    def media_url(self) -> str:
        """The URL at which the simulator serves the clip."""
        return f"{self.admin_url}/media/synthetic/{CLIP}"

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the lines of the ledger of this kind."""
        found = self.admin("GET", f"sandboxes/{self.sandbox}/ledger?provider={self.provider}")
        return [entry for entry in found["entries"] if entry["kind"] == kind]

    def charged(self) -> Decimal:
        """Return what was charged, less what was given back."""
        amounts = [*self.entries("charge"), *self.entries("refund")]
        return -sum((Decimal(entry["amount"]) for entry in amounts), Decimal(0))

    def arm(self, **fault: object) -> None:
        """Let something go wrong."""
        self.admin("POST", f"sandboxes/{self.sandbox}/faults", {"provider": self.provider, **fault})

    def calls(self, method: str, part: str) -> list[dict[str, Any]]:
        """Return the journal's exchanges with this method and this part of the path."""
        found = self.admin("GET", f"sandboxes/{self.sandbox}/journal?limit=1000")
        return [
            row for row in found["exchanges"] if row["method"] == method and part in row["target"]
        ]


class Hand:
    """A client whose methods are called alike, whether they are awaited or not."""

    def __init__(self, client: Client | AsyncClient, runner: asyncio.Runner) -> None:
        """Await on `runner` what can be awaited."""
        self.client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method or a value of the client
        found = getattr(self.client, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the client's own
            result = found(*arguments, **options)
            return self._runner.run(_awaited(result)) if isawaitable(result) else result

        return call


async def _awaited(result: Awaitable[Any]) -> Any:  # noqa: ANN401 - the client's own
    return await result


def in_process(
    stack: ExitStack,
    model: str,
    *,
    scenario: str | None = None,
    clock: str = "manual",
    dialect: str = "",
    **options: Any,  # noqa: ANN401 - options of the simulator
) -> World:
    """Return the sandbox of a new simulator in this process."""
    sim = stack.enter_context(Simulator(scenario, clock=clock, seed=1, **options))
    http = stack.enter_context(httpx.Client(transport=sim.transport()))
    provider = model.partition("/")[0]
    return _world(
        stack,
        World(
            model=model,
            base_url=f"{LOCAL}/{provider}" + _prefix(provider, dialect),
            admin_url=LOCAL,
            key="sk-of-the-tests",
            sandbox="default",
            admin=_admin(http, LOCAL, None),
            http=lambda: http,
            async_http=lambda: httpx.AsyncClient(transport=sim.transport()),
        ),
    )


def over_socket(
    stack: ExitStack,
    model: str,
    server: Server,
    *,
    scenario: str | None = None,
    clock: str = "manual",
    dialect: str = "",
) -> World:
    """Return a sandbox of a running server."""
    admin = _admin(server.http, server.base_url, server.admin_token)
    order = {"clock": clock, "seed": 1} | ({"scenario": scenario} if scenario else {})
    made = admin("POST", "sandboxes", order)
    stack.callback(admin, "DELETE", f"sandboxes/{made['id']}")
    provider = model.partition("/")[0]
    return _world(
        stack,
        World(
            model=model,
            base_url=f"{server.base_url}/{provider}" + _prefix(provider, dialect),
            admin_url=server.base_url,
            key=made["keys"][provider],
            sandbox=made["id"],
            admin=admin,
            http=lambda: None,
            async_http=lambda: None,
            token=server.admin_token,
        ),
    )


def hand(world: World, *, kind: str = "sync", **settings: Any) -> Hand:  # noqa: ANN401 - of connect
    """Return a client of the sandbox's model, `sync` or `async`, closed with the sandbox."""
    http: Any = world.http() if kind == "sync" else world.async_http()
    sleeper = sandbox_sleeper(world.admin_url, world.sandbox, token=world.token, http=http)
    shared: dict[str, Any] = {
        "api_key": world.key,
        "base_url": world.base_url,
        "seed": 1,
        "sleeper": sleeper,
    }
    client: Client | AsyncClient
    if kind == "sync":
        client = connect(world.model, http=http, **{**shared, **settings})
        world.stack.callback(client.close)
    else:
        client = connect_async(world.model, http=http, **{**shared, **settings})
        world.stack.callback(lambda: world.runner.run(client.close()))
        if http is not None:
            world.stack.callback(lambda: world.runner.run(http.aclose()))
    return Hand(client, world.runner)


def _prefix(provider: str, dialect: str) -> str:
    """Return the path that chooses a dialect, where the provider has it."""
    return f"/{dialect}" if dialect in library().baseline(provider).baseline.dialects else ""


def _world(stack: ExitStack, world: World) -> World:
    stack.callback(world.runner.close)
    stack.enter_context(world.stack)
    return world


def _admin(http: httpx.Client, base: str, token: str | None) -> Callable[..., Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = http.request(method, f"{base}/__sim/{path}", json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    return call
