"""Print what the report card and the journal say about random histories, to compare two revisions.

The script uses only interfaces that users have, so it also runs with an older revision. It prints
one line of JSON for each finding, each client and each journal entry. Equal behaviour gives equal
lines:

    git worktree add /tmp/before REVISION
    PYTHONPATH=/tmp/before/simulator .venv/bin/python tests/exports/observations.py > before.jsonl
    .venv/bin/python tests/exports/observations.py > after.jsonl
    diff before.jsonl after.jsonl

Run it before and after a change of the code behind the report card or the journal. `--seeds 0:40`
chooses the histories (default: 0:200), and `--steps 1500` makes each one longer (default: 80).
The first different line shows the history and the step, in which reading has begun to differ.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx

from upsim import Simulator

Json = Any
HOST = "http://127.0.0.1:4747"
VIDEOS = ("https://clips.example/8.mp4", f"{HOST}/media/synthetic/160x120_10fps_2s.mp4", "")
KEYS = ("sk-first", "sk-second")
CLOCKS = ("manual", "auto", "scaled:50", "real")
STATES = ("processing", "completed", "failed", "cancelled", "deleted")
PAUSES = (0, 0.1, 0.5, 1, 3, 5, 10, 60, 700)
LATER = ({"retry-after": "9"}, {"retry-after": "1"})
WEBHOOK_FAULTS = ("bad_signature", "stale_signature", "lose", "duplicate", {"late": "9s"})
ANSWER_FAULTS = (
    {"respond": 500},
    {"respond": {"status": 429, "headers": LATER[0], "body": {}}},
    {"headers": LATER[1]},
    {"patch": {"data.status": "odd"}},
    {"truncate": "50%"},
    {"corrupt": 3},
    "drop_connection",
)
SANDBOX = "/__sim/sandboxes/default"


class Calls(NamedTuple):
    """The requests of one provider; `$video`, `$hook` and `$job` are replaced."""

    provider: str
    submits: tuple[tuple[str, Json], ...]
    poll: tuple[str, str, Json]
    others: tuple[tuple[str, str, Json], ...]


TASK = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": "$video"}}
HOOKED = {"webhook_config": {"endpoint": "$hook", "secret": "s3cret"}}
TOPAZ = "topaz-video-upscale"
V3 = "/wavespeed/api/v3"
V1 = "/venice/api/v1"
PROVIDERS = (
    Calls(
        "wavespeed",
        (
            (f"{V3}/runwayml/upscale-v1?webhook=$hook", {"video": "$video"}),
            (f"{V3}/wavespeed-ai/video-upscaler", {"video": "$video"}),
            (f"{V3}/wavespeed-ai/video-upscaler", {"video": "$video", "target_resolution": "4k"}),
        ),
        ("GET", f"{V3}/predictions/$job/result", None),
        (
            ("POST", f"{V3}/predictions", {"page": 1, "page_size": 10}),
            ("POST", f"{V3}/predictions/delete", {"ids": ["$job"]}),
            ("GET", f"{V3}/balance", None),
        ),
    ),
    Calls(
        "venice",
        ((f"{V1}/video/queue", {"model": TOPAZ, "video_url": "$video"}),),
        ("POST", f"{V1}/video/retrieve", {"queue_id": "$job"}),
        (
            ("POST", f"{V1}/video/quote", {"model": TOPAZ, "video_url": "$video"}),
            ("POST", f"{V1}/video/complete", {"model": TOPAZ, "queue_id": "$job"}),
            ("GET", f"{V1}/billing/balance", None),
        ),
    ),
    Calls(
        "piapi",
        (("/piapi/api/v1/task", TASK), ("/piapi/api/v1/task", {**TASK, "config": HOOKED})),
        ("GET", "/piapi/api/v1/task/$job", None),
        (("DELETE", "/piapi/api/v1/task/$job", None), ("GET", "/piapi/account/info", None)),
    ),
    Calls(
        "vicsee",
        (
            ("/vicsee/api/v1/tools/upscale-video", {"video_url": "$video"}),
            (
                "/vicsee/api/v1/tools/upscale-video",
                {"video_url": "$video", "upscale_factor": "4", "nothing": 1},
            ),
        ),
        ("GET", "/vicsee/api/v1/tasks/$job", None),
        (("GET", "/vicsee/api/v1/credits", None), ("GET", "/vicsee/api/v1/nowhere", None)),
    ),
)


class Wall:
    """A wall clock that only a history moves; it replaces the module `time` of the clocks."""

    def __init__(self) -> None:
        """Start at a fixed time."""
        self.micros = 1_780_000_000_000_000

    def time_ns(self) -> int:
        """Return the time in nanoseconds."""
        return self.micros * 1000


class Receiver(httpx.AsyncBaseTransport):
    """A receiver of webhooks with random responses."""

    def __init__(self, draw: random.Random) -> None:
        """Draw the responses from `draw`."""
        self._draw = draw

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take a webhook."""
        await request.aread()
        return httpx.Response(self._draw.choice([200, 200, 404, 500]))


@dataclass(slots=True)
class History:
    """A simulator with a client that makes mistakes, and the observed lines."""

    seed: int
    draw: random.Random
    http: httpx.Client
    wall: Wall
    clock: str
    scenario: str | None
    step: int = 0
    jobs: list[tuple[Calls, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    # -- the client

    def send(self, method: str, path: str, body: Json = None, **headers: str) -> Json:
        """Send a request of a client, whose connection may break, and return the JSON."""
        key = self.draw.choice(KEYS) if self.draw.random() < 0.2 else KEYS[0]
        headers |= {"authorization": f"Bearer {key}", "x-api-key": key}
        with suppress(httpx.TransportError, ValueError):
            return self.http.request(method, path, json=body, headers=headers).json()

    def call(self, calls: Calls, call: tuple[str, str, Json], job: str = "unknown") -> None:
        """Send a request of a provider."""
        method, path, body = self.filled(call, job)
        self.send(method, path, body)
        self.note_jobs(calls)

    def filled(self, call: Json, job: str) -> Json:
        """Return a request with a video, a webhook URL and a job."""
        video = self.draw.choice(VIDEOS)
        hook = self.draw.choice([f"{HOST}{SANDBOX}/inbox/box", "http://receiver.example/hook"])
        text = json.dumps(call).replace("$video", video).replace("$hook", hook)
        return json.loads(text.replace("$job", job))

    def note_jobs(self, calls: Calls) -> None:
        """Remember the jobs that a request has made."""
        known = {job for _, job in self.jobs}
        for job in self.read("/jobs?limit=1000")["jobs"]:
            if job["id"] not in known:
                self.jobs.append((calls, job["id"]))

    def admin(self, method: str, path: str, body: Json = None) -> None:
        """Send a request to the admin API, which may refuse it."""
        self.http.request(method, f"{SANDBOX}{path}", json=body)

    def read(self, path: str) -> Json:
        """Read from the admin API."""
        return self.http.get(f"{SANDBOX}{path}").raise_for_status().json()

    def pass_time(self, seconds: float) -> None:
        """Let time pass under any clock."""
        if self.clock in ("manual", "auto"):
            self.admin("POST", "/clock/advance", {"seconds": seconds})
        else:
            rate = 50 if self.clock == "scaled:50" else 1
            self.wall.micros += round(seconds * 1_000_000 / rate)

    # -- what is compared

    def observe(self) -> None:
        """Add a line for each finding, each client and each journal entry."""
        for query in ("", "?pauses=all", f"?provider={self.draw.choice(PROVIDERS).provider}"):
            card = self.read(f"/report-card{query}")
            for part in ("findings", "callers", "not_judged"):
                for number, item in enumerate(card.pop(part)):
                    self.note(f"report card{query}: {part} {number}", item)
            self.note(f"report card{query}", card)
        since = 0
        while page := self.read(f"/journal?since={since}&limit=500")["exchanges"]:
            for exchange in page:
                since = exchange["number"]
                self.note("journal", exchange)
        for status in (200, 400, 429):
            body = {"status": status}
            found = self.http.post(f"{SANDBOX}/journal/count", json=body).raise_for_status().json()
            self.note(f"journal count {status}", found)

    def note(self, reader: str, found: Json) -> None:
        """Add a line."""
        line = {"history": self.seed, "step": self.step, "reader": reader, "found": found}
        self.lines.append(json.dumps(line, sort_keys=True, ensure_ascii=False))


# -- the steps of a history


def submit(run: History) -> None:
    """Submit a video."""
    calls = run.draw.choice(PROVIDERS)
    path, body = run.draw.choice(calls.submits)
    run.call(calls, ("POST", path, body))


def submit_twice(run: History) -> None:
    """Submit the same video twice, with a pause."""
    calls = run.draw.choice(PROVIDERS)
    request = run.filled(("POST", *run.draw.choice(calls.submits)), "unknown")
    for _ in range(2):
        run.call(calls, tuple(request))
        run.pass_time(run.draw.choice(PAUSES))


def poll(run: History) -> None:
    """Poll a job several times."""
    if run.jobs:
        calls, job = run.draw.choice(run.jobs)
        pause = run.draw.choice(PAUSES)
        for _ in range(run.draw.randint(1, 6)):
            run.call(calls, calls.poll, job)
            run.pass_time(pause)


def other(run: History) -> None:
    """Send a request that is no submit and no poll."""
    calls = run.draw.choice(PROVIDERS)
    jobs = [job for owner, job in run.jobs if owner is calls]
    run.call(calls, run.draw.choice(calls.others), run.draw.choice([*jobs, "unknown"]))


def download(run: History) -> None:
    """Download an output, or a part of it, or ask for its headers."""
    if run.jobs:
        path = f"/media/outputs/{run.draw.choice(run.jobs)[1]}.mp4"
        headers = run.draw.choice([{}, {"range": "bytes=0-9"}])
        run.send(run.draw.choice(["GET", "GET", "HEAD"]), path, **headers)


def fault(run: History) -> None:
    """Arm a fault, or remove all."""
    at = run.draw.choice(["before_accept", "after_accept", "poll", "mid_body", "webhook"])
    do = run.draw.choice(WEBHOOK_FAULTS if at == "webhook" else ANSWER_FAULTS)
    provider = run.draw.choice(PROVIDERS).provider
    some = {"at": at, "do": do, "provider": provider, "first": run.draw.randint(1, 3)}
    run.admin("POST", "/faults", some)
    if run.draw.random() < 0.2:
        run.admin("DELETE", "/faults")


def retry(run: History) -> None:
    """Get a `Retry-After`, and send the same request again after a pause."""
    calls = run.draw.choice(PROVIDERS)
    fault = {"provider": calls.provider, "at": "before_accept", "first": 1}
    run.admin("POST", "/faults", {**fault, "do": ANSWER_FAULTS[1]})
    for _ in range(2):
        run.call(calls, ("POST", *calls.submits[0]))
        run.pass_time(run.draw.choice(PAUSES))


def told(run: History) -> None:
    """Let a webhook with an invalid signature or a failure reach the receiver."""
    calls = run.draw.choice([PROVIDERS[0], PROVIDERS[2]])
    fault = {"provider": calls.provider, "at": "webhook", "first": 1}
    run.admin("POST", "/faults", {**fault, "do": run.draw.choice(WEBHOOK_FAULTS)})
    before = len(run.jobs)
    path, body = calls.submits[-1] if calls.provider == "piapi" else calls.submits[0]
    run.call(calls, ("POST", path, body))
    for _, job in run.jobs[before:]:
        run.admin("PUT", f"/jobs/{job}/state", {"state": "processing"})
        run.admin("PUT", f"/jobs/{job}/state", {"state": run.draw.choice(STATES)})
        run.pass_time(run.draw.choice(PAUSES))


def force(run: History) -> None:
    """Move a job to a state."""
    if run.jobs:
        _, job = run.draw.choice(run.jobs)
        run.admin("PUT", f"/jobs/{job}/state", {"state": run.draw.choice(STATES)})


def account(run: History) -> None:
    """Change the balance or the plan of an account."""
    changes = [{"balance": "0"}, {"balance": "100000"}, {"plan": "free"}, {"plan": "bronze"}]
    provider = run.draw.choice(PROVIDERS).provider
    for number in range(1, 5):
        change = {**run.draw.choice(changes), "account": number}
        run.admin("PUT", f"/accounts/{provider}", change)


def advance(run: History) -> None:
    """Let time pass, or run to the next deadline, or to the end of all work."""
    to = run.draw.choice(["next", "idle", "", ""])
    if to and run.clock in ("manual", "auto"):
        run.admin("POST", "/clock/advance", {"to": to})
    else:
        run.pass_time(run.draw.choice(PAUSES))


def resend(run: History) -> None:
    """Resend a webhook."""
    found = run.read("/webhooks")["deliveries"]
    if found:
        run.admin("POST", f"/webhooks/{run.draw.choice(found)['id']}/resend")


def change_clock(run: History) -> None:
    """Change between clocks that commands move, where no scenario delays responses."""
    if run.clock in ("manual", "auto") and run.scenario is None:
        run.clock = run.draw.choice(["manual", "auto"])
        run.admin("PATCH", "/clock", {"mode": run.clock})


def reset(run: History) -> None:
    """Reset a part of the sandbox, or all of it."""
    what = run.draw.choice(["journal", "jobs", "ledger", "faults", "all"])
    run.admin("POST", f"/reset?what={what}")
    if what in ("jobs", "all"):
        run.jobs.clear()


def observe(run: History) -> None:
    """Read the report card and the journal in the middle of the history."""
    run.observe()


STEPS: Sequence[tuple[Callable[[History], None], int]] = (
    (submit, 20),
    (submit_twice, 6),
    (poll, 24),
    (other, 8),
    (download, 8),
    (fault, 8),
    (force, 4),
    (retry, 3),
    (told, 3),
    (account, 2),
    (advance, 14),
    (resend, 2),
    (change_clock, 1),
    (reset, 1),
    (observe, 1),
)


def observed(seed: int, steps: int) -> Iterator[str]:
    """Run a history and yield the observed lines."""
    draw, wall = random.Random(seed), Wall()  # noqa: S311 - no secret
    clock = CLOCKS[seed % len(CLOCKS)]
    most = draw.choice([5, 40, 100_000])
    scenario = scenario_of(draw) if clock == "auto" else None
    with (
        patch("upsim.engine.clock.time", wall),
        Simulator(
            scenario,
            clock=clock,
            seed=seed,
            jobs_max=most,
            webhook_transport=Receiver(draw),
        ) as sim,
        httpx.Client(transport=sim.transport(), base_url=HOST) as http,
    ):
        run = History(seed, draw, http, wall, clock, scenario)
        kinds, weights = zip(*STEPS, strict=True)
        for run.step in range(steps):
            draw.choices(kinds, weights)[0](run)
        run.observe()
        yield from run.lines


def scenario_of(draw: random.Random) -> str | None:
    """Return a shipped scenario for two of three histories, whose responses may be delayed."""
    if draw.random() < 1 / 3:
        return None
    with Simulator() as sim, httpx.Client(transport=sim.transport(), base_url=HOST) as http:
        found = http.get("/__sim/scenarios").raise_for_status().json()["scenarios"]
    return str(draw.choice(sorted(scenario["name"] for scenario in found)))


def main() -> None:
    """Print the lines of the chosen histories."""
    parser = argparse.ArgumentParser(description="Print what readers say about random histories.")
    parser.add_argument("--seeds", default="0:200", help="first and last seed (default 0:200)")
    parser.add_argument("--steps", type=int, default=80, help="steps of a history (default 80)")
    chosen = parser.parse_args()
    first, last = map(int, chosen.seeds.split(":"))
    for seed in range(first, last):
        for line in observed(seed, chosen.steps):
            sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
