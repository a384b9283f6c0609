"""Short histories in process, each of which becomes a member of the corpus."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import SAMPLES, Sample
from tests.http.fault_client import headers_of, patient
from tests.http.replay.conftest import ASSUMED, CLIP, LOCAL, Recorded
from tests.http.replay.test_sessions import sample_session
from tests.http.test_fault_scenarios import SCENARIOS as FAULTY
from tests.http.test_scenarios import STEPS, Story
from tests.http.webhooks.conftest import HOOK, SECRET, Answer, Receiver, huge
from tests.uploads import put_file
from upsim import Simulator
from upsim.core.faults import ACTIONS_AT, STAGES, Stage
from upsim.engine.clock import EPOCH_OF_TESTS
from upsim.engine.reload import reload
from upsim.scenario.loader import Library

History = Callable[[], Any]
"""A function that runs a history and returns its export."""
Histories = Iterator[tuple[str, History]]

PROVIDERS = ("piapi", "venice", "vicsee", "wavespeed")
"""The providers of format 1; a later provider gets members of its own."""
CLOCKS = ("manual", "auto", "real", "scaled:50")
BALANCES = {
    "piapi": "/account/info",
    "venice": "/api/v1/billing/balance",
    "vicsee": "/api/v1/credits",
    "wavespeed": "/api/v3/balance",
}
ARGUMENTS: Mapping[str, tuple[object, ...]] = {
    "respond": (500, "internal", {"status": 502, "body": "<b>bad</b>"}),
    "delay": ("2m", {"real": "1ms"}),
    "truncate": ("50%", 40),
    "corrupt": (7,),
    "trickle": ({"chunk": 100, "pause": "8s"},),
    "patch": ({"data.status": "odd"}, {"data": None}),
    "headers": ({"content-type": "text/html"},),
    "late": ("90s",),
}
UPLOADS: Mapping[str, tuple[str, str, Mapping[str, object]]] = {
    "piapi": (
        "POST",
        "/api/ephemeral_resource",
        {"file_name": "clip.mp4", "file_data": base64.b64encode(b"content").decode()},
    ),
    "vicsee": ("POST", "/api/v1/upload", {"contentType": "video/mp4", "sizeBytes": 4}),
    "wavespeed": ("POST", "/api/v3/media/uploads", {"filename": "clip.mp4", "size": 4}),
}


class PlayedWall:
    """A wall clock that only a history moves; it replaces the module `time` of the clocks."""

    def __init__(self) -> None:
        """Start one day after the start of clocks that do not follow it."""
        self.micros = EPOCH_OF_TESTS + 86_400_000_000

    def time_ns(self) -> int:
        """Return the time in nanoseconds."""
        return self.micros * 1000

    def move(self, seconds: float) -> None:
        """Let real time pass."""
        self.micros += round(seconds * 1_000_000)


@contextmanager
def played_wall() -> Iterator[PlayedWall]:
    """Let all clocks read a wall clock that only the history moves."""
    wall = PlayedWall()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("upsim.engine.clock.time", wall)
        yield wall


@dataclass(slots=True)
class Run(Recorded):
    """A simulator, a client of it, and the wall clock."""

    wall: PlayedWall

    def order(self, method: str, path: str, body: object = None) -> None:
        """Call the admin API of the default sandbox, which may refuse."""
        self.http.request(method, f"/__sim/sandboxes/default/{path}", json=body)

    def submit(self, provider: str, video: str = CLIP, key: str = "k") -> str:
        """Submit a video to a provider and return the job."""
        return sample_of(provider).job(self.client(provider, key), video)

    def poll(self, provider: str, job: str, key: str = "k") -> None:
        """Poll a job."""
        sample_of(provider).status(self.client(provider, key), job)

    def client(self, provider: str, key: str = "k") -> httpx.Client:
        """Return a client of a provider."""
        auth = self.sim.registry.library.baseline(provider).baseline.auth
        headers = {auth.header: f"{auth.scheme} {key}".strip()}
        transport = self.sim.transport()
        return httpx.Client(transport=transport, base_url=f"{LOCAL}/{provider}", headers=headers)


@contextmanager
def running(**options: Any) -> Iterator[Run]:  # noqa: ANN401 - options of the simulator
    """Start a simulator whose clocks read a played wall clock."""
    with ExitStack() as stack:
        wall = stack.enter_context(played_wall())
        sim = stack.enter_context(Simulator(**{"clock": "manual", "seed": 1, **options}))
        http = httpx.Client(transport=sim.transport(), base_url=LOCAL)
        yield Run(sim, stack.enter_context(http), wall)


def sample_of(provider: str) -> Sample:
    """Return how the first model of a provider is asked."""
    return next(sample for sample in SAMPLES.values() if sample.provider == provider)


# -- scenarios


def scenarios(provider: str) -> Histories:
    """Yield a history of every shipped scenario of a provider."""
    for name in Library().names():
        if name.startswith(f"{provider}/"):
            yield name, partial(_scenario, name)


def _scenario(name: str) -> Any:  # noqa: ANN401 - JSON
    provider, _, short = name.partition("/")
    steps = STEPS.get(name, [])
    clock = "auto" if short in FAULTY else steps[0].get("clock", "manual") if steps else "manual"
    receiver = Receiver()
    with running(scenario=name, clock=clock, webhook_transport=receiver) as run:
        if short in FAULTY:
            FAULTY[short](patient(run.sim, provider))
        elif steps:
            _story(run, provider, receiver, steps)
        else:
            _life(run, provider)
        return run.export()


def _story(run: Run, provider: str, receiver: Receiver, steps: list[dict[str, Any]]) -> None:
    """Run the steps that the table of scenarios has for a scenario."""
    http = httpx.Client(
        transport=run.sim.transport(),
        base_url=run.sim.base_url(provider),
        headers=headers_of(run.sim, provider),
    )
    story = Story(provider, run.sim, http, run.http, receiver)
    for step in steps:
        (verb, argument), *rest = step.items()
        if verb != "clock":
            getattr(story, verb)(argument, **dict(rest))


def _life(run: Run, provider: str) -> None:
    """Submit, poll at every state, ask for the balance, download, and be refused."""
    job = run.submit(provider)
    for amount in ({"seconds": 1}, {"to": "next"}, {"to": "next"}, {"to": "idle"}):
        run.poll(provider, job)
        run.admin("POST", "clock/advance", amount)
    run.poll(provider, job)
    run.call("GET", f"/{provider}{BALANCES[provider]}", "k")
    run.call("GET", f"/media/outputs/{job}.mp4", headers={"range": "bytes=0-99"})
    sample_of(provider).submit(run.client(provider), "")


# -- dialects and knobs


def dialects() -> Histories:
    """Yield a history of each model in each dialect, by path and by option, and of each knob."""
    for name, sample in SAMPLES.items():
        if sample.provider not in PROVIDERS:
            continue
        for dialect in Library().baseline(sample.provider).baseline.dialects:
            yield f"{name} {dialect} path", partial(_dialect, sample, None, f"/{dialect}")
            yield f"{name} {dialect} option", partial(_dialect, sample, dialect, "")
    for provider in PROVIDERS:
        for knob in Library().baseline(provider).baseline.knobs.values():
            for value in knob.values:
                yield f"{provider} {knob.name} {value}", partial(_knob, provider, knob.name, value)


def _dialect(sample: Sample, option: str | None, path: str) -> Any:  # noqa: ANN401 - JSON
    with running(dialect=option, clock="auto") as run:
        sample_session(run, sample, "k", path)
        return run.export()


def _knob(provider: str, knob: str, value: str) -> Any:  # noqa: ANN401 - JSON
    with running() as run:
        order = {"id": "box", "clock": "auto", "knobs": {provider: {knob: value}}}
        made = run.http.post("/__sim/sandboxes", json=order).raise_for_status().json()
        client, sample = run.client(provider, made["keys"][provider]), sample_of(provider)
        for video in (ASSUMED, CLIP, "", CLIP.replace("_2s", "_700s")):
            sample.submit(client, video)
        jobs = [job["id"] for job in run.admin("GET", "jobs", box="box")["jobs"]]
        for job in (*jobs, "unknown") * 4:
            sample.status(client, job)
        client.get(BALANCES[provider])
        sample.submit(run.client(provider, "of no form"), CLIP)
        return run.export("box")


# -- faults


def faults() -> Histories:
    """Yield a history of each provider and stage with every action, and of each selection."""
    for provider in PROVIDERS:
        for stage in STAGES:
            if stage != "webhook":
                yield f"{provider} {stage}", partial(_faults, provider, stage)
        yield f"{provider} selections", partial(_selections, provider)


def _faults(provider: str, stage: Stage) -> Any:  # noqa: ANN401 - JSON
    with running(clock="auto") as run:
        job = run.submit(provider)
        run.admin("POST", "clock/advance", {"to": "idle"})
        for name in ACTIONS_AT[stage]:
            for argument in ARGUMENTS.get(name, ("",)):
                do = {name: argument} if argument != "" else name
                fault = {"provider": provider, "at": stage, "do": do, "first": 2}
                run.order("POST", "faults", fault)
                _one_of_each(run, provider, job)
                run.order("DELETE", "faults")
        return run.export()


def _selections(provider: str) -> Any:  # noqa: ANN401 - JSON
    chosen: tuple[dict[str, object], ...] = (
        {"every": 2},
        {"after": 1, "first": 1},
        {"probability": "0.5"},
        {"every": 3, "probability": "0.7"},
    )
    with running(clock="auto") as run:
        job = run.submit(provider)
        for selection in chosen:
            for stage in ("before_accept", "poll"):
                fault = {"provider": provider, "at": stage, "do": {"respond": 503}}
                run.admin("POST", "faults", {**fault, **selection})
        for _ in range(5):
            _one_of_each(run, provider, job)
        first = run.admin("GET", "faults")["faults"][0]["id"]
        run.admin("DELETE", f"faults/{first}")
        _one_of_each(run, provider, job)
        return run.export()


def _one_of_each(run: Run, provider: str, job: str) -> None:
    """Make a request of each kind, any of which may break off."""
    client, sample = run.client(provider), sample_of(provider)
    calls: list[Callable[[], object]] = [
        partial(sample.submit, client, CLIP),
        partial(sample.status, client, job),
        partial(client.get, BALANCES[provider]),
        partial(run.http.get, f"/media/outputs/{job}.mp4", headers={"range": "bytes=0-299"}),
    ]
    if provider in UPLOADS:
        method, path, body = UPLOADS[provider]
        calls.append(partial(client.request, method, path, json=body))
    for call in calls:
        with suppress(httpx.TransportError):
            call()


# -- webhooks


def webhooks() -> Histories:
    """Yield a history of each webhook fault, each kind of receiver, and each kind of timestamp."""
    actions = [
        (name, argument)
        for name in ACTIONS_AT["webhook"]
        for argument in ((200, 404, 500) if name == "respond" else ARGUMENTS.get(name, ("",)))
    ]
    for provider in ("piapi", "wavespeed"):
        for name, argument in actions:
            do = {name: argument} if argument != "" else name
            shown = f"{provider} {name} {argument}".strip()
            yield shown, partial(_webhook_fault, provider, do)
        yield f"{provider} receivers", partial(_receivers, provider, "wall")
        yield f"{provider} receivers, virtual timestamps", partial(_receivers, provider, "virtual")
        for what in ("poll", "advance"):
            yield f"{provider} {what} in a handler", partial(_handler, provider, what)
    for clock in CLOCKS:
        yield f"inbox {clock}", partial(_inbox, clock)


def _notify(run: Run, provider: str, hook: str = HOOK) -> str:
    """Submit a video whose job notifies a receiver."""
    sample = sample_of(provider)
    config = {"webhook_config": {"endpoint": hook, "secret": SECRET}}
    hooked = {
        "piapi": replace(sample, body={**sample.body, "config": config}),
        "wavespeed": replace(sample, path=f"{sample.path}?webhook={hook}"),
    }
    return hooked[provider].job(run.client(provider), ASSUMED)


def _webhook_fault(provider: str, do: object) -> Any:  # noqa: ANN401 - JSON
    with running(webhook_transport=Receiver([500, 200, 302])) as run:
        run.order("POST", "faults", {"provider": provider, "at": "webhook", "do": do, "first": 2})
        jobs = [_notify(run, provider) for _ in range(3)]
        for amount in ({"seconds": 30}, {"to": "next"}, {"seconds": 400}, {"to": "idle"}):
            run.admin("POST", "clock/advance", amount)
            run.poll(provider, jobs[0])
        for delivery in run.admin("GET", "webhooks")["deliveries"]:
            run.order("POST", f"webhooks/{delivery['id']}/resend")
        return run.export()


async def _down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


async def _cut(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("the connection was reset", request=request)


async def _words(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(422, text="no such order")


def _receivers(provider: str, stamp: str) -> Any:  # noqa: ANN401 - JSON
    answers: list[Answer | int] = [500, _down, 404, _cut, 302, _words, huge, 204, 200]
    with running(webhook_transport=Receiver(answers), webhook_timestamp=stamp) as run:
        for number in range(4):
            job = _notify(run, provider)
            run.wall.move(number + 0.5)
            run.admin("POST", "clock/advance", {"seconds": 100})
        run.order("PUT", f"jobs/{job}/state", {"state": "cancelled"})
        run.admin("POST", "clock/advance", {"to": "idle"})
        for delivery in run.admin("GET", "webhooks")["deliveries"]:
            run.order("POST", f"webhooks/{delivery['id']}/resend")
        return run.export()


def _handler(provider: str, what: str) -> Any:  # noqa: ANN401 - JSON
    """Let a receiver poll its job or advance the clock before it answers."""
    jobs: list[str] = []
    calls: list[int] = []

    async def take(_request: httpx.Request) -> httpx.Response:
        http = httpx.AsyncClient(
            transport=run.sim.transport(), base_url=LOCAL, headers=headers_of(run.sim, provider)
        )
        async with http:
            if what == "advance":
                path = "/__sim/sandboxes/default/clock/advance"
                answer = await http.post(path, json={"seconds": 7})
            else:
                form = sample_of(provider).poll
                path = form.path.replace("$job", jobs[0])
                answer = await http.request(form.method, f"/{provider}{path}")
            calls.append(answer.status_code)
        return httpx.Response(500 if len(calls) < 2 else 200)

    with running(webhook_transport=httpx.MockTransport(take)) as run:
        for number in range(3):
            jobs.append(_notify(run, provider))
            run.admin("POST", "clock/advance", {"seconds": number + 2})
        run.admin("POST", "clock/advance", {"seconds": 400})
        run.admin("POST", "clock/advance", {"to": "idle"})
        assert len(calls) > 3
        return run.export()


def _inbox(clock: str) -> Any:  # noqa: ANN401 - JSON
    box = f"{LOCAL}/__sim/sandboxes/default/inbox"
    with running(clock=clock, webhook_transport=Receiver()) as run:
        for hook in (f"{box}/good", f"{box}/bad?status=500"):
            _notify(run, "wavespeed", hook)
            _notify(run, "piapi", hook)
        for seconds in (1, 5, 60, 300):
            run.wall.move(seconds)
            if clock != "real":
                run.admin("POST", "clock/advance", {"seconds": seconds})
            run.call("GET", "/wavespeed/api/v3/balance", "k")
        for delivery in run.admin("GET", "webhooks")["deliveries"]:
            run.order("POST", f"webhooks/{delivery['id']}/resend")
        run.http.post(f"{box}/good", json={"from": "outside"})
        run.http.put(f"{box}/other", content=b"\xff\x00")
        return run.export()


# -- rules that change

RATE_20 = {"topaz-video-upscale": {"billing": {"rate": {"table": {"2": "20"}}}}}
INLINE = {
    "extends": "vicsee/baseline",
    "summary": "Prices, refunds and the length of work change during the run.",
    "jobs": [{"lifecycle": [{"waiting": "20s"}, {"failed": "generation_failed"}]}],
    "refund": {"states": ["failed"], "after": "15s"},
    "changes": [
        {"after": "30s", "set": {"models": RATE_20}},
        {"after": "60s", "set": {"refund": {"states": []}}},
        {
            "after": "90s",
            "set": {"jobs": [{"lifecycle": [{"processing": "5s"}, {"completed": None}]}]},
        },
    ],
}
EDITED = """extends: vicsee/baseline
summary: Version {rate}.
models: {{topaz-video-upscale: {{billing: {{rate: {{table: {{"2": "{rate}"}}}}}}}}}}
refund: {{states: {states}, after: "{after}"}}
jobs: [{{lifecycle: [{{waiting: 20s}}, {{failed: generation_failed}}]}}]
"""


def changed_rules() -> Histories:
    """Yield histories of planned changes and of reloaded scenario files."""
    for clock in CLOCKS:
        yield f"planned {clock}", partial(_planned, clock)
        yield f"reload {clock}", partial(_reload, clock)


def _pass(run: Run, clock: str, seconds: int) -> None:
    """Let time pass under any clock."""
    if clock in ("manual", "auto"):
        run.admin("POST", "clock/advance", {"seconds": seconds})
    else:
        run.wall.move(seconds / 50 if clock == "scaled:50" else seconds)


def _planned(clock: str) -> Any:  # noqa: ANN401 - JSON
    with running(scenario=INLINE, clock=clock) as run:
        for _ in range(5):
            job = run.submit("vicsee")
            _pass(run, clock, 25)
            run.poll("vicsee", job)
        run.call("GET", "/vicsee/api/v1/credits", "k")
        return run.export()


def _reload(clock: str) -> Any:  # noqa: ANN401 - JSON
    versions = ((10, "[failed]", 0), (20, "[]", 0), (30, "[failed]", 15))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(EDITED.format(rate=5, states="[failed]", after=5), "utf-8")
        with running(scenario=str(path), clock=clock) as run:
            for rate, states, after in versions:
                job = run.submit("vicsee")
                _pass(run, clock, 12)
                path.write_text(EDITED.format(rate=rate, states=states, after=after), "utf-8")
                reload(run.sim.registry, run.sim.registry.library.renewed())
                _pass(run, clock, 12)
                run.poll("vicsee", job)
            _pass(run, clock, 60)
            run.call("GET", "/vicsee/api/v1/credits", "k")
            text = json.dumps(run.export())
    return json.loads(text.replace(f"{folder}/", ""))  # the folder has a random name


# -- uploads


def uploads() -> Histories:
    """Yield a history of the uploads of each provider that has them."""
    for provider in UPLOADS:
        yield provider, partial(_uploads, provider)
    yield "venice data URLs", _data_urls


def _uploads(provider: str) -> Any:  # noqa: ANN401 - JSON
    send = {"piapi": _to_piapi, "vicsee": _to_vicsee, "wavespeed": _to_wavespeed}[provider]
    with running() as run:
        url = send(run, run.http.get(CLIP).content)
        run.submit(provider, url)
        run.http.get(url)
        run.http.get(url, headers={"range": "bytes=5-9"})
        method, path, body = UPLOADS[provider]
        for wrong in ({}, {**body, next(iter(body)): 5}, {**body, list(body)[-1]: -1}):
            run.client(provider).request(method, path, json=wrong)
        run.client(provider, "").request(method, path, json=body)
        for seconds in (86_399, 1, 7 * 86_400):
            run.admin("POST", "clock/advance", {"seconds": seconds})
            run.http.get(url)
        return run.export()


def _to_piapi(run: Run, clip: bytes) -> str:
    body = {"file_name": "clip.mp4", "file_data": base64.b64encode(clip).decode()}
    answer = run.client("piapi").post("/api/ephemeral_resource", json=body)
    return str(answer.raise_for_status().json()["data"]["url"])


def _to_vicsee(run: Run, clip: bytes) -> str:
    ticket = {"contentType": "video/mp4", "sizeBytes": len(clip)}
    made = run.client("vicsee").post("/api/v1/upload", json=ticket).json()["data"]
    put_file(run.http, made["uploadUrl"], clip[:-1])
    for _ in range(2):
        put_file(run.http, made["uploadUrl"], clip)
    return str(made["publicUrl"])


def _to_wavespeed(run: Run, clip: bytes) -> str:
    files = {"file": ("clip.mp4", clip, "video/mp4")}
    kind = {"content-type": "multipart/form-data; boundary=f00d"}  # httpx draws one at random
    for path in ("upload", "media/upload/binary"):
        made = run.client("wavespeed").post(f"/api/v3/{path}", files=files, headers=kind)
    return str(made.raise_for_status().json()["data"]["download_url"])


def _data_urls() -> Any:  # noqa: ANN401 - JSON
    with running() as run:
        clip = base64.b64encode(run.http.get(CLIP).content).decode()
        for form in ("data:video/mp4;base64,", "data:video/mp4,", ""):
            body = {"model": "topaz-video-upscale", "video_url": form + clip}
            for path in ("quote", "queue"):
                run.client("venice").post(f"/api/v1/video/{path}", json=body)
        run.admin("POST", "clock/advance", {"to": "idle"})
        return run.export()


# -- keys and accounts


def keys() -> Histories:
    """Yield histories of many keys and accounts, in an open and in a strict sandbox."""
    for provider in PROVIDERS:
        yield f"{provider} strict", partial(_strict, provider)
    yield "any key", _any_keys


def _strict(provider: str) -> Any:  # noqa: ANN401 - JSON
    with running() as run:
        order = {"id": "box", "clock": "manual", "strict_keys": True}
        made = run.http.post("/__sim/sandboxes", json=order).raise_for_status().json()
        known = [made["keys"][provider]]
        for account in ("main", "second", "third"):
            path = f"accounts/{provider}/keys"
            known.append(run.admin("POST", path, {"account": account}, "box")["key"])
        jobs = [run.submit(provider, key=key) for key in known]
        run.admin("POST", "clock/advance", {"seconds": 400}, "box")
        for job in jobs:
            for key in known:
                run.poll(provider, job, key)
        for key in known:
            run.call("GET", f"/{provider}{BALANCES[provider]}", key)
        for key in ("sk-nobody", "of-no-form", ""):
            run.call("GET", f"/sandbox/box/{provider}{BALANCES[provider]}", key)
        for change in ({"balance": "7"}, {"balance": "-1"}, {"plan": "none of these"}):
            run.http.put(f"/__sim/sandboxes/box/accounts/{provider}", json=change)
        sample_of(provider).submit(run.client(provider, known[0]), CLIP)
        return run.export("box")


def _any_keys() -> Any:  # noqa: ANN401 - JSON
    with running() as run:
        for number in range(24):
            provider = PROVIDERS[number % 4]
            key = f"sk-{number % 9}"
            job = run.submit(provider, key=key)
            run.poll(provider, job, f"sk-{number % 5}")
            run.call("GET", f"/{provider}{BALANCES[provider]}", key)
        return run.export()


# -- clocks


def clocks() -> Histories:
    """Yield a history of each model under each clock, and of changes of the clock."""
    for clock in CLOCKS:
        for name, sample in SAMPLES.items():
            if sample.provider in PROVIDERS:
                yield f"{name} {clock}", partial(_under, sample, clock)
    yield "changes", _changed_clock


def _under(sample: Sample, clock: str) -> Any:  # noqa: ANN401 - JSON
    with running(clock=clock) as run:
        for _ in range(3):
            sample_session(run, sample, "k")
            _pass(run, clock, 40)
        sample_session(run, sample, "k")
        return run.export()


def _changed_clock() -> Any:  # noqa: ANN401 - JSON
    orders: tuple[dict[str, object], ...] = (
        {"mode": "scaled:10"},
        {"mode": "auto", "pace": 2},
        {"mode": "nothing"},
        {"mode": "real", "pace": 30},
        {"mode": "manual"},
        {"now": "2027-01-01T00:00:00Z"},
        {"mode": "real"},
    )
    with running() as run:
        jobs = [run.submit(provider) for provider in PROVIDERS]
        for order in orders:
            run.order("PATCH", "clock", order)
            run.wall.move(3)
            for provider, job in zip(PROVIDERS, jobs, strict=True):
                run.poll(provider, job)
        run.order("POST", "clock/advance", {"seconds": -1})
        run.order("POST", "clock/advance", {"to": "2001-01-01T00:00:00Z"})
        run.order("POST", "clock/advance", {"to": "idle"})
        return run.export()


# -- admin calls


def admin() -> Histories:
    """Yield histories of every admin call that changes something, and of every kind of reset."""
    yield "changes", _admin_changes
    for what in ("jobs", "ledger", "faults", "journal", "all"):
        yield f"reset {what}", partial(_reset, what)


def _admin_changes() -> Any:  # noqa: ANN401 - JSON
    states = ("waiting", "processing", "completed", "failed", "cancelled", "timeout", "deleted")
    with running(webhook_transport=Receiver()) as run:
        for provider in PROVIDERS:
            for state in states:
                job = run.submit(provider)
                run.order("PUT", f"jobs/{job}/state", {"state": "processing"})
                run.order("PUT", f"jobs/{job}/state", {"state": state})
                run.poll(provider, job)
            for change in ({"balance": "12"}, {"plan": "free"}, {"balance": "x"}, {"balances": 1}):
                run.order("PUT", f"accounts/{provider}", change)
            run.order("POST", f"accounts/{provider}/keys", {"account": "other"})
            run.order("POST", f"accounts/{provider}/keys", {"key": "sk-brought"})
            for do in ({"respond": 500}, "nothing"):
                run.order("POST", "faults", {"provider": provider, "at": "poll", "do": do})
            run.order("DELETE", "faults/unknown")
            run.poll(provider, job)
            run.order("DELETE", "faults")
        run.order("PUT", "jobs/unknown/state", {"state": "failed"})
        run.order("POST", "webhooks/unknown/resend")
        run.order("PATCH", "clock", {"pace": 0})
        run.order("POST", "snapshots", {"name": "here"})
        run.order("DELETE", "snapshots/here")
        run.order("POST", "clock/advance", {"to": "idle"})
        return run.export()


def _reset(what: str) -> Any:  # noqa: ANN401 - JSON
    with running(webhook_transport=Receiver()) as run:
        jobs = [(provider, run.submit(provider)) for provider in PROVIDERS]
        _notify(run, "wavespeed")
        run.admin("POST", "faults", {"provider": "venice", "at": "poll", "do": {"respond": 500}})
        run.admin("POST", f"reset?what={what}")
        for provider, job in jobs:
            run.poll(provider, job)
            run.call("GET", f"/{provider}{BALANCES[provider]}", "k")
            run.submit(provider)
        run.admin("POST", "clock/advance", {"to": "idle"})
        return run.export()


SEQUENCES: Mapping[str, Callable[[], Histories]] = {
    **{f"scenarios-{provider}": partial(scenarios, provider) for provider in PROVIDERS},
    "admin": admin,
    "changed-rules": changed_rules,
    "clocks": clocks,
    "dialects": dialects,
    "faults": faults,
    "keys": keys,
    "uploads": uploads,
    "webhooks": webhooks,
}
