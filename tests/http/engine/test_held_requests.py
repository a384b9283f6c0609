"""Requests that are held open until a job ends, under each clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from tests.stateful.asgi_client import ADMIN, Answer, Request, exchange
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
def test_a_held_submit_returns_the_completed_job(
    make_world: MakeWorld, order: dict[str, Any]
) -> None:
    """A submit in sync mode returns the completed job, under every clock that moves by itself."""
    world = make_world(**order)
    held = world.submit("wavespeed", enable_sync_mode=True).json()["data"]
    assert (held["status"], len(held["outputs"])) == ("completed", 1)


def test_an_auto_clock_stops_at_the_end_of_the_held_job(auto: World) -> None:
    """A held submit moves an `auto` clock to the end of its job and no further."""
    auto.submit("wavespeed", enable_sync_mode=True)
    assert auto.sandbox.now == EPOCH_OF_TESTS + 73_000_000


def test_an_auto_clock_stops_at_the_wait_limit_of_the_provider(auto: World) -> None:
    """If a held job takes longer than the provider's limit of 90 s, the clock stops there."""
    auto.on_plan("wavespeed", "bronze")
    for _ in range(3):
        auto.accepted("wavespeed")
    auto.submit("wavespeed", enable_sync_mode=True)
    assert auto.sandbox.now == EPOCH_OF_TESTS + 90_000_000


def test_a_held_submit_under_a_manual_clock_fails_in_process(manual: World) -> None:
    """In process, a held submit under a `manual` clock raises an error that says what to do.

    Without the error the test would wait forever, because only the test can advance the clock.
    """
    with pytest.raises(HeldByManualClockError, match="use clock='auto', or submit without waiting"):
        manual.submit("wavespeed", enable_sync_mode=True)


def test_a_held_submit_under_a_manual_clock_of_a_server_times_out(make_app: MakeApp) -> None:
    """If the clock is not advanced, the server ends a held submit after `hold_seconds`.

    These are real seconds. The response is the provider's own timeout.
    """
    app = make_app(clock="manual", hold_seconds=0.05)
    (held,) = together(exchange(app, SUBMIT, KEY))
    assert held.json()["data"]["code"] == 5004


def test_the_default_hold_time_is_30_seconds() -> None:
    """By default a server holds a submit under a `manual` clock for 30 real seconds."""
    assert ServerSettings().hold_seconds == 30


def test_a_held_submit_ends_when_the_clock_is_advanced(make_app: MakeApp) -> None:
    """If the clock is advanced to the end of the job, a held submit returns the completed job."""
    app = make_app(clock="manual")
    held = held_and(app, "POST", "/clock/advance", {"seconds": 73})
    assert held["status"] == "completed"


def test_a_held_submit_returns_before_later_deadlines_run(make_app: MakeApp) -> None:
    """A long advance ends a held submit with the completed job, before the job is deleted."""
    app = make_app(clock="manual")
    held = held_and(app, "POST", "/clock/advance", {"seconds": 8 * 86_400})
    assert held["status"] == "completed"


def test_a_held_submit_times_out_if_one_advance_passes_its_limit(make_app: MakeApp) -> None:
    """If one advance passes the provider's limit and then the job's end, the submit times out."""
    app = make_app(clock="manual")
    body = {**BODY, "target_resolution": "4k"}
    submit = Request("POST", SUBMIT.path, body)
    advance = Request("POST", "/__sim/sandboxes/default/clock/advance", {"seconds": 1000})
    held, _ = together(exchange(app, submit, KEY), once_held(app, advance))
    assert held.json()["data"]["code"] == 5004


def test_a_held_submit_ends_when_its_job_is_forced_to_fail(make_app: MakeApp) -> None:
    """If the admin API forces the job to fail, the held submit returns the failed job."""
    app = make_app(clock="manual")

    async def fail() -> Answer:
        while not (jobs := app.registry.default.state.jobs):
            await checkpoint()
        path = f"/__sim/sandboxes/default/jobs/{next(iter(jobs))}/state"
        return await exchange(app, Request("PUT", path, {"state": "failed"}), ADMIN)

    held, _ = together(exchange(app, SUBMIT, KEY), fail())
    assert held.json()["data"]["status"] == "failed"


@pytest.mark.parametrize("what", ["all", "jobs"])
def test_a_held_submit_ends_when_a_reset_removes_its_job(make_app: MakeApp, what: str) -> None:
    """A reset ends a held submit, which returns the last state of its job."""
    app = make_app(clock="manual")
    assert held_and(app, "POST", f"/reset?what={what}")["status"] == "created"


def test_a_held_submit_ends_when_its_clock_becomes_auto(make_app: MakeApp) -> None:
    """If a `manual` clock becomes `auto`, a held submit returns the completed job."""
    app = make_app(clock="manual")
    assert held_and(app, "PATCH", "/clock", {"mode": "auto"})["status"] == "completed"


def test_held_submits_leave_no_listeners(make_app: MakeApp) -> None:
    """After its held submits have ended, the sandbox has no listeners left."""
    app = make_app(clock="auto")
    together(*(exchange(app, SUBMIT, KEY) for _ in range(5)))
    assert app.registry.default.listeners == ()


def test_a_delayed_response_leaves_all_deadlines_to_the_advance(make_app: MakeApp) -> None:
    """An advance reports every deadline, also those due while a delayed response waits.

    All 13 jobs end at the same time; one of them has a submit whose response is delayed until then.
    """
    app = make_app(clock="manual")
    delay = {"provider": "wavespeed", "at": "after_accept", "do": {"delay": "30s"}}
    submit = Request("POST", SUBMIT.path, {"video": BODY["video"]})
    together(*(exchange(app, submit, KEY) for _ in range(12)))
    fault = Request("POST", "/__sim/sandboxes/default/faults", delay)
    advance = Request("POST", "/__sim/sandboxes/default/clock/advance", {"seconds": 200})
    together(exchange(app, fault, ADMIN))
    delayed, advanced = together(exchange(app, submit, KEY), once_held(app, advance))
    steps = [step["state"] for step in advanced.json()["fired"] if step["kind"] == "step"]

    assert delayed.status == 200
    assert [steps.count(state) for state in ("processing", "completed")] == [13, 13]
