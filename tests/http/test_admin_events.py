"""`GET …/events`: everything that happens in a sandbox, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import httpx
import pytest

from tests.http.conftest import LOCAL, VICSEE_SUBMIT
from upsim.app import IN_PROCESS_HOST
from upsim.core.events import CountsCarried, EntriesCarried, Event, JobPolled
from upsim.core.secrets import HIDDEN
from upsim.engine import live_events as feeds
from upsim.web.admin import events
from upsim.web.admin.event_views import NAMES

if TYPE_CHECKING:
    from starlette.types import Message, Scope

    from tests.http.conftest import Admin
    from upsim.app import App
    from upsim.engine.sandbox import Sandbox

TURNS = 20


@dataclass
class Reader:
    """A connection that reads a stream, and can stop reading."""

    app: App
    sandbox: str = "default"
    query: str = ""
    last: str = ""
    text: str = ""
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def begin(self, *, reading: bool = True) -> Reader:
        """Connect."""
        if reading:
            self.reads.set()
        self.task = asyncio.create_task(self.app(self._scope(), self._receive, self._send))
        await turns()
        return self

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return what came, each with its name and id."""
        found = []
        for block in self.text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in lines:
                told = json.loads(lines["data"])
                found.append({"id": lines.get("id"), "event": lines["event"], "data": told})
        return found

    @property
    def names(self) -> list[str]:
        """Return the names of what came."""
        return [event["event"] for event in self.events]

    @property
    def ended(self) -> bool:
        """Return whether the stream is over."""
        return self.task is not None and self.task.done()

    async def leave(self) -> None:
        """Go away."""
        self.gone.set()
        await turns()
        assert self.ended

    def _scope(self) -> Scope:
        headers = [(b"host", b"127.0.0.1:4747")]
        if self.last:
            headers.append((b"last-event-id", self.last.encode()))
        return {
            "type": "http",
            "method": "GET",
            "path": f"/__sim/sandboxes/{self.sandbox}/events",
            "query_string": self.query.encode(),
            "headers": headers,
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.text += message["body"].decode()


async def turns() -> None:
    """Let everybody have some turns of the loop."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


Scene = Callable[["App", httpx.AsyncClient], Coroutine[Any, Any, None]]


def play(admin: Admin, scene: Scene) -> None:
    """Run a scene in an event loop, with a client of the simulator."""

    async def run() -> None:
        async with httpx.AsyncClient(transport=admin.sim.transport(), base_url=LOCAL) as http:
            await scene(admin.sim.app, http)

    asyncio.run(run())


async def submit(http: httpx.AsyncClient, key: str = "k") -> str:
    """Submit a video, and return the id of its job."""
    body = {"video_url": "https://clips.example/8.mp4?sig=canary"}
    headers = {"authorization": f"Bearer {key}"}
    answer = await http.post(f"/vicsee{VICSEE_SUBMIT}", json=body, headers=headers)
    found: str = answer.json()["data"]["id"]
    await turns()
    return found


async def advance(http: httpx.AsyncClient, seconds: int) -> None:
    """Let time pass in `default`."""
    path = "/__sim/sandboxes/default/clock/advance"
    assert (await http.post(path, json={"seconds": seconds})).is_success
    await turns()


def test_the_life_of_a_job_is_streamed_in_order(admin: Admin) -> None:
    """The stream has account, job, charge and response, then the job's moves and the clock."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        reader = await Reader(app).begin()
        await submit(http)
        await advance(http, 100)
        await reader.leave()
        expected = ["account.opened", "job.accepted", "ledger.entry", "exchange"]
        assert expected == reader.names[:4]
        moves = [e["data"]["state"] for e in reader.events if e["event"] == "job.moved"]
        assert ["processing", "completed"] == moves
        assert "clock.moved" == reader.names[-1]
        assert b"text/event-stream; charset=utf-8" == reader.headers[b"content-type"]
        assert b"no-store" == reader.headers[b"cache-control"]
        numbers = [int(str(e["id"]).rpartition("-")[2]) for e in reader.events]
        assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers

    play(admin, scene)


def test_a_request_is_streamed_as_the_journal_shows_it(admin: Admin) -> None:
    """The stream has the reasons of a response, and hides what the journal hides."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        reader = await Reader(app, query="types=exchange").begin()
        await submit(http)
        (event,) = reader.events
        journal = (await http.get("/__sim/sandboxes/default/journal")).json()["exchanges"]
        told = {k: v for k, v in event["data"].items() if k != "type"}
        assert journal == [told]
        assert HIDDEN in told["request"]["text"]
        assert "canary" not in reader.text
        await reader.leave()

    play(admin, scene)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("job", {"job.accepted", "job.moved"}),
        ("job.moved", {"job.moved"}),
        ("ledger,clock", {"ledger.entry", "clock.moved"}),
        ("ledger.entry, exchange", {"ledger.entry", "exchange"}),
    ],
)
def test_a_reader_chooses_event_types(admin: Admin, types: str, expected: set[str]) -> None:
    """A reader can choose events by name or by family."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        reader = await Reader(app, query=f"types={types.replace(' ', '%20')}").begin()
        await submit(http)
        await advance(http, 100)
        assert expected == set(reader.names)
        await reader.leave()

    play(admin, scene)


def test_an_unknown_type_is_refused(admin: Admin) -> None:
    """A misspelt event type gets an error, not an empty stream."""
    found = admin.refusal("GET", "sandboxes/default/events?types=job,legder")
    assert (400, "invalid", "types: 'legder' is unknown; did you mean ledger?") == found


def test_a_reader_continues_after_its_last_event(admin: Admin) -> None:
    """A reader that comes back gets the events that it missed."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        first = await Reader(app).begin()
        await submit(http)
        await first.leave()
        await submit(http)
        last = first.events[-1]["id"]
        second = await Reader(app, last=str(last)).begin()
        assert ["job.accepted", "ledger.entry", "exchange"] == second.names
        await second.leave()

    play(admin, scene)


def test_a_gap_says_how_many_events_were_missed(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a reader missed more events than are kept, a `gap` event has their number."""
    monkeypatch.setattr(feeds.Feed.__init__, "__defaults__", (4,))

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        first = await Reader(app).begin()
        await submit(http)
        await first.leave()
        for _ in range(3):
            await submit(http)
        second = await Reader(app, last=str(first.events[0]["id"])).begin()
        gap, *rest = second.events
        assert ("gap", None) == (gap["event"], gap["id"])
        assert 8 == gap["data"]["missed"]
        assert 4 == len(rest)
        await second.leave()

    play(admin, scene)


def listeners(sandbox: Sandbox) -> list[tuple[object, ...]]:
    """Return the listeners for the events and the requests of a sandbox."""
    return [sandbox.listeners, sandbox.records._listeners]


def test_events_without_a_reader_are_counted_as_a_gap(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long after the last reader left, no event is kept, but the gap has their number."""
    monkeypatch.setattr(feeds, "LINGERS", -1.0)

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        sandbox = app.registry.default
        first = await Reader(app).begin()
        await submit(http)
        await first.leave()
        await submit(http)
        assert listeners(sandbox) == [(), ()]
        await submit(http)
        second = await Reader(app, last=str(first.events[-1]["id"])).begin()
        (gap,) = second.events
        assert 6 == gap["data"]["missed"]
        await submit(http)
        assert ["gap", "job.accepted", "ledger.entry", "exchange"] == second.names
        await second.leave()

    play(admin, scene)


@pytest.mark.parametrize("last", ["other-1", "x", "-1", "9" * 500])
def test_an_unknown_event_id_gives_a_gap(admin: Admin, last: str) -> None:
    """A reader with an event id from before a restart learns that the sandbox began anew."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        reader = await Reader(app, last=last).begin()
        await submit(http)
        gap = reader.events[0]
        assert ("gap", None) == (gap["event"], gap["data"]["missed"])
        assert "the sandbox began anew" == gap["data"]["reason"]
        await reader.leave()

    play(admin, scene)


def test_a_slow_reader_delays_no_request(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not read gets a last event and is dropped; other requests go on."""
    monkeypatch.setattr(feeds.Feed.__init__, "__defaults__", (16,))

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        slow = await Reader(app).begin(reading=False)
        quick = await Reader(app).begin()
        for _ in range(20):
            await submit(http)
        assert 61 == len(quick.events)
        assert 16 == len(app.registry.default.feed.after(0))
        slow.reads.set()
        await turns()
        assert slow.ended
        assert ["dropped"] == slow.names
        assert 45 == slow.events[0]["data"]["missed"]
        await quick.leave()

    play(admin, scene)


@pytest.mark.parametrize("call", ["reset", "delete"])
def test_a_stream_ends_with_its_sandbox(admin: Admin, call: str) -> None:
    """A reset or a deletion of the sandbox ends the stream with a last event."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        await http.post("/__sim/sandboxes", json={"id": "box"})
        reader = await Reader(app, "box").begin()
        path = "/__sim/sandboxes/box"
        await (http.post(f"{path}/reset") if call == "reset" else http.delete(path))
        await turns()
        assert reader.ended
        assert {"reason": "the sandbox was reset or deleted"} == reader.events[-1]["data"]

    play(admin, scene)


def test_a_stream_ends_with_the_server(admin: Admin) -> None:
    """A server that stops ends the streams of its readers immediately."""

    async def scene(app: App, _http: httpx.AsyncClient) -> None:
        reader = await Reader(app).begin()
        app.streams.close()
        await turns()
        assert reader.ended
        assert {"reason": "the server stops"} == reader.events[-1]["data"]
        app.streams.closing = False

    play(admin, scene)


def test_a_sandbox_without_readers_keeps_no_events(admin: Admin) -> None:
    """A sandbox without readers has no ring of events and calls no listener."""
    admin.job()
    sandbox = admin.sim.sandbox
    assert (None, [(), ()]) == (sandbox._feed, listeners(sandbox))


def test_the_number_of_readers_is_limited(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox refuses readers above its limit; a reader that leaves makes room."""
    monkeypatch.setattr(events, "MAX_READERS", 1)

    async def scene(app: App, _http: httpx.AsyncClient) -> None:
        first = await Reader(app).begin()
        second = await Reader(app).begin()
        assert (409, True) == (second.status, second.ended)
        await first.leave()
        third = await Reader(app).begin()
        assert 200 == third.status
        await third.leave()

    play(admin, scene)


def test_a_silent_stream_sends_comments(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments keep a silent connection open, and the sandbox in use."""
    monkeypatch.setattr(events, "HEARTBEAT", 0.001)

    async def scene(app: App, _http: httpx.AsyncClient) -> None:
        reader = await Reader(app).begin()
        async with asyncio.timeout(120):
            while "still here" not in reader.text:  # noqa: ASYNC110 - one turn of the loop each
                await asyncio.sleep(0)
        await reader.leave()

    play(admin, scene)


def test_a_moving_clock_streams_what_is_due(admin: Admin) -> None:
    """The stream shows the moves of a job when they are due, without a poll."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        await http.post("/__sim/sandboxes", json={"id": "box", "clock": "scaled:100000"})
        keys = await http.post("/__sim/sandboxes/box/accounts/vicsee/keys", json={})
        reader = await Reader(app, "box", query="types=job.moved").begin()
        await submit(http, keys.json()["key"])
        async with asyncio.timeout(120):
            while len(reader.events) < 2:  # noqa: ASYNC110 - one turn of the loop each
                await asyncio.sleep(0)
        assert "completed" == reader.events[-1]["data"]["state"]
        await reader.leave()

    play(admin, scene)


def test_faults_and_webhooks_are_streamed(admin: Admin) -> None:
    """The stream shows each fired fault and each webhook attempt, with hidden secrets."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        reader = await Reader(app, query="types=fault,webhook").begin()
        fault = {"provider": "piapi", "at": "poll", "do": {"delay": {"real": "1ms"}}, "id": "slow"}
        await http.post("/__sim/sandboxes/default/faults", json=fault)
        hook = {
            "endpoint": f"{IN_PROCESS_HOST}/__sim/sandboxes/default/inbox/a?t=canary",
            "secret": "canary",
        }
        body = {
            "model": "Qubico/video-toolkit",
            "task_type": "upscale",
            "input": {"video": "https://clips.example/8.mp4"},
            "config": {"webhook_config": hook},
        }
        headers = {"x-api-key": "k"}
        answer = await http.post("/piapi/api/v1/task", json=body, headers=headers)
        job = answer.json()["data"]["task_id"]
        await http.get(f"/piapi/api/v1/task/{job}", headers=headers)
        await advance(http, 10_000)
        await turns()
        matched = next(e["data"] for e in reader.events if e["event"] == "fault.matched")
        assert ("slow", True, "slow") == (
            matched["fault"],
            matched["fired"],
            matched["rule"]["id"],
        )
        expected = ["webhook.created", "webhook.attempt", "webhook.ended"]
        assert expected == [name for name in reader.names if name.startswith("webhook")]
        attempt = next(e["data"] for e in reader.events if e["event"] == "webhook.attempt")
        assert (200, job) == (attempt["status"], attempt["job"])
        assert "canary" not in reader.text
        await reader.leave()

    play(admin, scene)


def test_a_changed_clock_is_streamed(admin: Admin) -> None:
    """The stream shows a new clock mode or pace like a jump of the clock."""

    async def scene(app: App, http: httpx.AsyncClient) -> None:
        reader = await Reader(app, query="types=clock").begin()
        path = "/__sim/sandboxes/default/clock"
        await http.patch(path, json={"mode": "auto"})
        await http.patch(path, json={"pace": 7})
        await http.patch(path, json={"mode": "real"})
        await turns()
        told = [(event["data"]["mode"], event["data"]["pace"]) for event in reader.events]
        assert [("auto", None), ("auto", None), ("real", 7)] == told
        await reader.leave()

    play(admin, scene)


def test_in_process_a_stream_ends_immediately(admin: Admin) -> None:
    """The in-process transport returns complete responses, so a stream in it ends immediately."""
    answer = admin.call("GET", "sandboxes/default/events")
    assert answer.text.endswith('data: {"reason":"in process nothing can be followed"}\n\n')
    assert 200 == admin.call("HEAD", "sandboxes/default/events").status_code


def test_every_event_has_a_name() -> None:
    """Every event that can be committed has a name in the stream."""
    carried = {EntriesCarried, CountsCarried}
    assert set(get_args(Event)) - carried <= set(NAMES)


def test_small_events_show_their_fields(admin: Admin) -> None:
    """An event without a view of its own shows its texts and numbers."""
    sandbox: Sandbox = admin.sim.sandbox
    from upsim.web.admin.event_views import view

    shown = view(sandbox, JobPolled(sandbox.now, "j"))
    assert {"type": "job.polled", "at": "2026-01-01T00:00:00.000000Z", "job": "j"} == shown
