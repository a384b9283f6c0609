"""Histories of requests that run at the same time, on the event loop of a server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import httpx

from tests.exports.histories import (
    BALANCES,
    CLOCKS,
    PROVIDERS,
    Histories,
    PlayedWall,
    played_wall,
    sample_of,
)
from tests.http.conftest import SAMPLES, Sample
from tests.http.replay.conftest import ASSUMED, CLIP, LOCAL
from tests.http.webhooks.conftest import HOOK, Receiver
from upsim.app import App
from upsim.core.call import Call, Pending
from upsim.core.instants import SECOND
from upsim.core.media import Measured, Media, Unmeasurable
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.settings import ServerSettings
from upsim.transport import Transport
from upsim.web.media_service import MediaService
from upsim_contracts.facts.fact_files import filled

MAX_SECONDS = 30.0
"""Maximum real seconds of one history: a history that waits forever ends with a TimeoutError."""
STEPS = 40
SEEDS = range(12)
FETCHED = "http://127.0.0.1:9/"
"""Below it are the videos whose measurements a history completes."""
SYNC: Mapping[str, Any] = {"enable_sync_mode": True}
GOOD: Measured = Media(
    duration=3 * SECOND,
    frame_rate=Fraction(25),
    width=320,
    height=240,
    frames=75,
    container="mp4",
    audio=True,
    size=4321,
)
BROKEN: Measured = Unmeasurable("not_a_video", "the content is text")


class OpenMeasurements(MediaService):
    """A media service whose fetched videos are measured when the history says so."""

    def __init__(self, registry: Registry) -> None:
        """Start without open measurements."""
        super().__init__(registry)
        self.open: dict[str, asyncio.Future[Measured]] = {}

    async def measure(self, sandbox: Sandbox, call: Call, wanted: Pending) -> Measured:
        """Return what the history says about a fetched video; measure any other video."""
        if not wanted.source.startswith(FETCHED):
            return await super().measure(sandbox, call, wanted)
        made: asyncio.Future[Measured] = asyncio.get_running_loop().create_future()
        return await self.open.setdefault(wanted.source, made)

    def complete(self, source: str, found: Measured = GOOD) -> None:
        """Complete an open measurement."""
        self.open.pop(source).set_result(found)


@dataclass(slots=True)
class Server:
    """An application as a server has it, a client of it, and the requests without a response."""

    app: App
    http: httpx.AsyncClient
    wall: PlayedWall
    clock: str
    media: OpenMeasurements
    running: list[asyncio.Task[httpx.Response]] = field(default_factory=list)
    fetched: int = 0

    @property
    def box(self) -> Sandbox:
        """The sandbox of the history."""
        return self.app.registry.default

    # -- requests that are complete when these functions return

    async def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request with one key for all providers."""
        await asyncio.sleep(0)  # as on a socket, others run before it
        headers = {"authorization": "Bearer k", "x-api-key": "k"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call the admin API of the sandbox."""
        await asyncio.sleep(0)
        return await self.http.request(method, f"/__sim/sandboxes/default/{path}", json=body)

    async def balance(self, provider: str) -> None:
        """Ask for a balance."""
        await self.call("GET", f"/{provider}{BALANCES[provider]}")

    async def poll(self, job: str) -> None:
        """Poll a job; an unknown one is polled at VicSee."""
        known = self.box.state.jobs.get(job)
        poll = sample_of(known.accepted.provider if known else "vicsee").poll
        path = f"/{known.accepted.provider if known else 'vicsee'}{poll.path}"
        await self.call(poll.method, path.replace("$job", job), filled(poll.body, {"job": job}))

    async def poll_all(self) -> None:
        """Poll all jobs, the oldest first."""
        for job in list(self.box.state.jobs):
            await self.poll(job)

    async def pass_time(self, seconds: int) -> None:
        """Let time pass under any clock; requests that wait for the clock then go on."""
        if self.clock in ("manual", "auto"):
            await self.admin("POST", "clock/advance", {"seconds": seconds})
        else:
            self.wall.move(seconds / 50 if self.clock == "scaled:50" else seconds)
            await self.balance("wavespeed")  # runs what is due
            self.box.wake()  # the timers of waiting requests read the machine's clock
        await self.turns()

    # -- requests that may wait

    def submit(
        self,
        sample: Sample,
        video: str,
        *,
        query: str = "",
        **inputs: Any,  # noqa: ANN401 - JSON
    ) -> asyncio.Task[httpx.Response]:
        """Start to submit a video."""
        body: Any = deepcopy(sample.body)
        inner = body
        for name in sample.video_at[:-1]:
            inner = inner[name]
        inner |= {**inputs, sample.video_at[-1]: video}
        return self.start("POST", f"/{sample.provider}{sample.path}{query}", body)

    def start(self, method: str, path: str, body: object = None) -> asyncio.Task[httpx.Response]:
        """Start a request."""
        call = self.call(method, path, body)
        task = asyncio.get_running_loop().create_task(call)
        self.running.append(task)
        return task

    async def turns(self, count: int = 12) -> None:
        """Let requests go on until they wait for something else than their turn."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def submit_fetched(self, sample: Sample, **inputs: Any) -> str:  # noqa: ANN401 - JSON
        """Start to submit a video that has to be fetched, and return its URL."""
        self.fetched += 1
        source = f"{FETCHED}{self.fetched}.mp4"
        self.submit(sample, source, **inputs)
        await self.turns()
        return source

    async def complete(self, source: str, found: Measured = GOOD) -> None:
        """Complete the measurement of a fetched video, and let its requests go on."""
        self.media.complete(source, found)
        await self.turns()

    async def export(self) -> Any:  # noqa: ANN401 - JSON
        """Complete all measurements, wait for all responses, and return the export."""
        for source in list(self.media.open):
            await self.complete(source)
        while any(not task.done() for task in self.running):
            await self.pass_time(60)
        await asyncio.gather(*self.running, return_exceptions=True)
        return (await self.admin("GET", "export")).raise_for_status().json()


@asynccontextmanager
async def serving(clock: str, wall: PlayedWall, receiver: Receiver) -> AsyncIterator[Server]:
    """Start an application whose fetched videos and receivers belong to the history."""
    settings = ServerSettings(hosts=("127.0.0.1:4747",), clock=clock, pace=1, seed=1)
    app = App(settings, webhook_transport=receiver)
    media = OpenMeasurements(app.registry)
    app.dispatch.media_service = app.dispatch.media.media_service = media
    transport = Transport(app, lambda call: asyncio.run(call()))
    try:
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL, timeout=None) as http:  # noqa: S113 - `played` has a limit
            yield Server(app, http, wall, clock, media)
    finally:
        await app.deliverer.close()
        app.close()


Story = Callable[[Server], Coroutine[Any, Any, None]]


def concurrent() -> Histories:
    """Yield a history of each way to wait, and of random requests, under each clock."""
    for clock in CLOCKS:
        for provider in PROVIDERS:
            yield f"{provider} measured {clock}", partial(_run, clock, partial(_measured, provider))
        for story in (_quotes, _held, _delayed, _downloads, _uploads, _many):
            yield f"{story.__name__[1:]} {clock}", partial(_run, clock, story)
        for seed in SEEDS:
            yield f"random {clock} {seed}", partial(_run, clock, partial(_random, seed))
        if clock != "real":
            for name, meanwhile in ADVANCED.items():
                yield f"advance and {name} {clock}", partial(_run, clock, meanwhile)
    for name, ending in ENDINGS.items():
        yield f"held until {name}", partial(_run, "manual", partial(_held_until, ending))


def _run(clock: str, story: Story) -> Any:  # noqa: ANN401 - JSON
    """Run a story and return its export. Raises TimeoutError if it waits forever."""
    with played_wall() as wall:
        return asyncio.run(_export(clock, wall, story))


async def _export(clock: str, wall: PlayedWall, story: Story) -> Any:  # noqa: ANN401 - JSON
    async with serving(clock, wall, Receiver([500, 200, 404])) as server:
        async with asyncio.timeout(MAX_SECONDS):
            await story(server)
            return await server.export()


async def _measured(provider: str, server: Server) -> None:
    """Complete measurements in another order than that of their requests."""
    first, second, third, fourth = [
        await server.submit_fetched(sample_of(provider)) for _ in range(4)
    ]
    server.submit(sample_of(provider), ASSUMED)
    await server.turns()
    await server.poll_all()
    await server.complete(third)
    await server.balance(provider)
    await server.pass_time(30)
    await server.complete(first, BROKEN)
    await server.admin("PUT", f"accounts/{provider}", {"balance": "0"})
    await server.complete(second)
    await server.admin("PUT", f"accounts/{provider}", {"balance": "1000"})
    await server.admin("POST", "reset?what=jobs")
    await server.complete(fourth)
    await server.pass_time(200)
    await server.poll_all()


async def _quotes(server: Server) -> None:
    """Ask for prices of a video that is submitted at the same time."""
    venice, wavespeed = SAMPLES["venice"], sample_of("wavespeed")
    quoted = f"{FETCHED}quoted.mp4"
    server.start("POST", "/venice/api/v1/video/quote", {**venice.body, "video_url": quoted})
    inputs = {"model_id": wavespeed.model, "inputs": {**wavespeed.body, "video": quoted}}
    server.start("POST", "/wavespeed/api/v3/model/price", inputs)
    server.submit(venice, quoted)
    await server.turns()
    await server.balance("venice")
    await server.complete(quoted)
    await server.pass_time(5)
    await server.poll_all()


async def _held(server: Server) -> None:
    """Hold two submits to WaveSpeed in sync mode while other requests pass."""
    for name in ("video-upscaler", "upscale-v1"):
        server.submit(SAMPLES[name], ASSUMED, query=f"?webhook={HOOK}", **SYNC)
        server.submit(SAMPLES[name], f"{FETCHED}{name}.mp4", **SYNC)
        await server.turns()
        await server.poll_all()
        server.submit(sample_of("piapi"), ASSUMED)
        await server.pass_time(20)
        await server.complete(f"{FETCHED}{name}.mp4")
        await server.pass_time(40)
    await server.poll_all()
    await server.pass_time(60)
    await server.poll_all()


async def _delayed(server: Server) -> None:
    """Delay responses on the clock of the sandbox while other requests pass."""
    for provider in PROVIDERS:
        for at, do in (
            ("before_accept", {"delay": "90s"}),
            ("after_accept", {"delay": "2m"}),
            ("poll", {"delay": "30s"}),
            ("mid_body", {"trickle": {"chunk": 60, "pause": "8s"}}),
        ):
            fault = {"provider": provider, "at": at, "do": do, "first": 1}
            await server.admin("POST", "faults", fault)
            server.submit(sample_of(provider), ASSUMED)
            await server.turns()
            await server.balance(provider)
            poll = asyncio.create_task(server.poll_all())
            await server.turns()
            await server.pass_time(25)
            server.submit(sample_of(provider), ASSUMED)
            await server.pass_time(100)
            while not poll.done():
                await server.pass_time(100)


async def _downloads(server: Server) -> None:
    """Download outputs and poll while time passes."""
    for provider in PROVIDERS:
        await server.submit(sample_of(provider), CLIP)
    await server.pass_time(400)
    for job in server.box.state.jobs:
        for _ in range(2):
            server.start("GET", f"/media/outputs/{job}.mp4")
        server.start("GET", f"/media/outputs/{job}.mp4?{job}")
    await server.poll_all()
    await server.pass_time(7 * 86_400)
    await asyncio.gather(*server.running)
    await server.poll_all()


async def _uploads(server: Server) -> None:
    """Send two files to the same ticket, and submit the upload, at the same time."""
    ticket = {"contentType": "video/mp4", "sizeBytes": 1000}
    made = (await server.call("POST", "/vicsee/api/v1/upload", ticket)).json()["data"]
    files = [put(server.http, made["uploadUrl"], bytes([number]) * 1000) for number in range(2)]
    puts = asyncio.gather(*files)
    server.submit(sample_of("vicsee"), made["publicUrl"])
    await server.pass_time(1)
    await puts
    await server.submit(sample_of("vicsee"), made["publicUrl"])


async def put(http: httpx.AsyncClient, url: str, content: bytes) -> None:
    """Send a file to an upload URL."""
    headers = {"content-type": "video/mp4"}
    await http.put(url, content=content, headers=headers)


async def _many(server: Server) -> None:
    """Send 40 requests at once, most of which have to measure a clip."""
    for number in range(40):
        provider = PROVIDERS[number % 4]
        clip = CLIP.replace("160x120", f"{160 + 2 * (number % 7)}x120")
        if number % 5:
            server.submit(sample_of(provider), clip)
        else:
            server.start("GET", f"/{provider}{BALANCES[provider]}")
    await asyncio.gather(*server.running)
    await server.pass_time(100)
    await server.poll_all()


# -- sync mode under a manual clock


async def _held_until(
    ending: Callable[[Server, str], Coroutine[Any, Any, object]], server: Server
) -> None:
    """Hold a submit until something ends it."""
    held = server.submit(sample_of("wavespeed"), ASSUMED, **SYNC)
    await server.turns()
    (job,) = server.box.state.jobs
    await server.pass_time(10)
    await ending(server, job)
    await server.turns()
    assert held.done()
    await server.poll(job)


async def _forced(state: str, server: Server, job: str) -> None:
    for to in ("processing", state):
        await server.admin("PUT", f"jobs/{job}/state", {"state": to})


ENDINGS: Mapping[str, Callable[[Server, str], Coroutine[Any, Any, object]]] = {
    "its job completes": lambda server, _: server.pass_time(80),
    "the limit": lambda server, _: server.pass_time(1000),
    "an operator completes the job": partial(_forced, "completed"),
    "an operator fails the job": partial(_forced, "failed"),
    "the job is deleted": lambda server, job: server.call(
        "POST", "/wavespeed/api/v3/predictions/delete", {"ids": [job]}
    ),
    "a reset of the jobs": lambda server, _: server.admin("POST", "reset?what=jobs"),
}


# -- advances


async def _jobs_of_all(server: Server) -> None:
    """Accept jobs that end at different times, some of which notify a receiver."""
    for provider in PROVIDERS:
        for query in ("", f"?webhook={HOOK}") if provider == "wavespeed" else ("",):
            await server.submit(sample_of(provider), ASSUMED, query=query)
        await server.pass_time(7)


async def _polls(server: Server) -> None:
    """Poll all jobs between the deadlines of an advance."""
    await _jobs_of_all(server)
    idle = server.start("POST", "/__sim/sandboxes/default/clock/advance", {"to": "idle"})
    while not idle.done():
        await server.poll_all()
        await server.balance("venice")


async def _submits(server: Server) -> None:
    """Submit between the deadlines of an advance."""
    await _jobs_of_all(server)
    idle = server.start("POST", "/__sim/sandboxes/default/clock/advance", {"to": "idle"})
    for number in range(12):
        server.submit(sample_of(PROVIDERS[number % 4]), ASSUMED)
        await asyncio.sleep(0)
    await idle


async def _advances(server: Server) -> None:
    """Start four advances at once; they run one after the other."""
    await _jobs_of_all(server)
    for amount in ({"seconds": 40}, {"to": "next"}, {"seconds": 1}, {"to": "idle"}):
        server.start("POST", "/__sim/sandboxes/default/clock/advance", amount)
        await asyncio.sleep(0)
        await server.poll_all()
    await asyncio.gather(*server.running)


async def _operator(server: Server) -> None:
    """Force states and reset between the deadlines of an advance."""
    await _jobs_of_all(server)
    server.start("POST", "/__sim/sandboxes/default/clock/advance", {"to": "idle"})
    for job in list(server.box.state.jobs):
        await server.admin("PUT", f"jobs/{job}/state", {"state": "failed"})
        await asyncio.sleep(0)
    await server.admin("POST", "reset?what=ledger")
    await asyncio.gather(*server.running)


ADVANCED: Mapping[str, Story] = {
    "polls": _polls,
    "submits": _submits,
    "advances": _advances,
    "an operator": _operator,
}


# -- random requests


async def _random(seed: int, server: Server) -> None:
    """Start and complete requests of all kinds in a random order."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(STEPS):
        await draw.choice(KINDS)(draw, server)


async def _one_fetched(draw: random.Random, server: Server) -> None:
    await server.submit_fetched(sample_of(draw.choice(PROVIDERS)))


async def _one_complete(draw: random.Random, server: Server) -> None:
    if server.media.open:
        source = draw.choice(sorted(server.media.open))
        await server.complete(source, draw.choice([GOOD, GOOD, BROKEN]))


async def _one_held(draw: random.Random, server: Server) -> None:
    sample = SAMPLES[draw.choice(["video-upscaler", "upscale-v1"])]
    if draw.randrange(2):
        await server.submit_fetched(sample, **SYNC)
    else:
        server.submit(sample, ASSUMED, **SYNC)


async def _one_submit(draw: random.Random, server: Server) -> None:
    server.submit(sample_of(draw.choice(PROVIDERS)), draw.choice([ASSUMED, ""]))
    await server.turns(draw.randrange(4))


async def _some_time(draw: random.Random, server: Server) -> None:
    await server.pass_time(draw.choice([1, 20, 60]))


async def _one_forced(draw: random.Random, server: Server) -> None:
    for job in draw.sample(list(server.box.state.jobs), k=min(1, len(server.box.state.jobs))):
        state = draw.choice(["completed", "failed", "deleted"])
        await server.admin("PUT", f"jobs/{job}/state", {"state": state})


async def _one_fault(draw: random.Random, server: Server) -> None:
    at = draw.choice(["poll", "after_accept"])
    fault = {"provider": draw.choice(PROVIDERS), "at": at, "first": 1, "do": {"delay": "15s"}}
    await server.admin("POST", "faults", fault)


async def _one_poll(draw: random.Random, server: Server) -> None:
    poll = asyncio.create_task(server.poll(draw.choice([*server.box.state.jobs, "unknown"])))
    await server.turns(draw.randrange(4))
    while not poll.done():
        await server.pass_time(10)


KINDS = (
    _one_fetched,
    _one_fetched,
    _one_complete,
    _one_complete,
    _one_held,
    _one_submit,
    _some_time,
    _one_forced,
    _one_fault,
    _one_poll,
)
