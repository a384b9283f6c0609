"""Requests that are held open until a job ends, under each clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from tests.stateful.asgi import ADMIN, Answer, Request, exchange
from upsim.app import App
from upsim.engine.clock import EPOCH_OF_TESTS
from upsim.engine.settings import ServerSettings
from upsim.web.held_requests import HeldByManualClockError

if TYPE_CHECKING:
    from tests.http.engine.conftest import MakeWorld, World

KEY = {"authorization": "Bearer any", "content-type": "application/json"}
BODY = {"video": "https://example.com/clip.mp4", "enable_sync_mode": True}
SUBMIT = Request("POST", "/wavespeed/api/v3/wavespeed-ai/video-upscaler", BODY)
MakeApp = Callable[..., App]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Return a function that makes an application as a server has it: others may call it too."""
    made: list[App] = []

    def make(**options: Any) -> App:  # noqa: ANN401 - settings
        made.append(App(ServerSettings(hosts=("upsim.test",), admin_token="in-process", **options)))
        return made[-1]

    yield make
    for app in made:
        app.close()


def together(*calls: Awaitable[Answer]) -> list[Answer]:
    """Run calls at the same time and return their answers."""

    async def gathered() -> list[Answer]:
        return list(await asyncio.gather(*calls))

    return asyncio.run(gathered())


async def once_held(app: App, request: Request) -> Answer:
    """Send a request to the admin API as soon as another one is held."""
    while not app.registry.default.listeners:
        await checkpoint()
    return await exchange(app, request, ADMIN)


def held_and(app: App, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Hold a submit, call the admin API meanwhile, and return the record of the submit."""
    meanwhile = Request(method, f"/__sim/sandboxes/default{path}", body)
    held, called = together(exchange(app, SUBMIT, KEY), once_held(app, meanwhile))
    assert (held.status, called.status) == (200, 200), (held, called)
    return held.json()["data"]


@pytest.mark.parametrize(
    "order", [{"clock": "auto"}, {"clock": "scaled:10000"}, {"clock": "real", "pace": 10_000}]
)
def test_a_held_submit_answers_with_the_end_of_the_job(
    make_world: MakeWorld, order: dict[str, Any]
) -> None:
    """Whether time jumps, runs fast, or the job does."""
    world = make_world(**order)
    held = world.submit("wavespeed", enable_sync_mode=True).json()["data"]
    assert (held["status"], len(held["outputs"])) == ("completed", 1)


def test_an_auto_clock_stands_at_the_end_of_the_held_job(auto: World) -> None:
    """It jumped from deadline to deadline, no further."""
    auto.submit("wavespeed", enable_sync_mode=True)
    assert auto.sandbox.now == EPOCH_OF_TESTS + 73_000_000


def test_an_auto_clock_stands_at_the_providers_limit(auto: World) -> None:
    """A job that takes longer than the 90 seconds of a wait is left at work."""
    auto.on_plan("wavespeed", "bronze")
    for _ in range(3):
        auto.accepted("wavespeed")
    auto.submit("wavespeed", enable_sync_mode=True)
    assert auto.sandbox.now == EPOCH_OF_TESTS + 90_000_000


def test_a_manual_clock_in_process_fails_at_once(manual: World) -> None:
    """Nobody could advance it meanwhile; the message says what to do."""
    with pytest.raises(HeldByManualClockError, match="use clock='auto', or submit without waiting"):
        manual.submit("wavespeed", enable_sync_mode=True)


def test_a_manual_clock_of_a_server_is_waited_for_in_real_time(make_app: MakeApp) -> None:
    """After the bound the answer is that of the provider when its own wait runs out."""
    app = make_app(clock="manual", hold_seconds=0.05)
    (held,) = together(exchange(app, SUBMIT, KEY))
    assert held.json()["data"]["code"] == 5004


def test_the_bound_of_a_manual_clock_is_half_a_minute() -> None:
    """Unless a test makes it shorter."""
    assert ServerSettings().hold_seconds == 30


def test_a_held_submit_ends_when_somebody_advances_the_clock(make_app: MakeApp) -> None:
    """The answer is the completed task."""
    app = make_app(clock="manual")
    held = held_and(app, "POST", "/clock/advance", {"seconds": 73})
    assert held["status"] == "completed"


def test_a_held_submit_sees_the_state_it_waits_for_and_no_later_one(make_app: MakeApp) -> None:
    """An advance lets it answer before the deadlines that follow."""
    app = make_app(clock="manual")
    held = held_and(app, "POST", "/clock/advance", {"seconds": 8 * 86_400})
    assert held["status"] == "completed"


def test_a_job_that_ends_after_the_providers_limit_comes_too_late(make_app: MakeApp) -> None:
    """Also when one advance goes over both."""
    app = make_app(clock="manual")
    body = {**BODY, "target_resolution": "4k"}
    submit = Request("POST", SUBMIT.path, body)
    advance = Request("POST", "/__sim/sandboxes/default/clock/advance", {"seconds": 1000})
    held, _ = together(exchange(app, submit, KEY), once_held(app, advance))
    assert held.json()["data"]["code"] == 5004


def test_a_held_submit_ends_when_somebody_ends_its_job(make_app: MakeApp) -> None:
    """Whatever the end."""
    app = make_app(clock="manual")

    async def fail() -> Answer:
        while not (jobs := app.registry.default.state.jobs):
            await checkpoint()
        path = f"/__sim/sandboxes/default/jobs/{next(iter(jobs))}/state"
        return await exchange(app, Request("PUT", path, {"state": "failed"}), ADMIN)

    held, _ = together(exchange(app, SUBMIT, KEY), fail())
    assert held.json()["data"]["status"] == "failed"


@pytest.mark.parametrize("what", ["all", "jobs"])
def test_a_held_submit_ends_when_its_job_is_forgotten(make_app: MakeApp, what: str) -> None:
    """A reset lets go of who waits; the answer is the task as it was last."""
    app = make_app(clock="manual")
    assert held_and(app, "POST", f"/reset?what={what}")["status"] == "created"


def test_a_held_submit_ends_when_its_clock_becomes_another(make_app: MakeApp) -> None:
    """It is told that time may pass now."""
    app = make_app(clock="manual")
    assert held_and(app, "PATCH", "/clock", {"mode": "auto"})["status"] == "completed"


def test_nobody_listens_after_a_held_submit(make_app: MakeApp) -> None:
    """What waited is gone."""
    app = make_app(clock="auto")
    together(*(exchange(app, SUBMIT, KEY) for _ in range(5)))
    assert app.registry.default.listeners == ()
