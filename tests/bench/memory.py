"""Resident bytes for each finished job that is kept, in a process of its own.

Usage: `python -m tests.bench.memory CASE JOBS`; CASE is a place in `CASES`. Prints a JSON object.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import dataclass

from upsim.app import App
from upsim.engine.settings import ServerSettings

from .inprocess import call, funded
from .models import CASES, Case
from .servers import Running, environment, resident

AT_ONCE = 1000
UNTIL_ENDED = 300 * 1_000_000
"""Every job of the cases is at its end after five minutes; none is forgotten that soon."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What kept jobs take, and what there was before."""

    each: float
    before: int


def kept(case: Case, jobs: int) -> Kept:
    """Submit so many jobs and let them end; measured in a child, whose memory nobody else used."""
    place = CASES.index(case)
    command = [sys.executable, "-m", "tests.bench.memory", str(place), str(jobs)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment()).stdout
    return Kept(**json.loads(said))


def measure(case: Case, jobs: int) -> Kept:
    """Measure here."""
    settings = ServerSettings(clock="manual", admin_token="bench", jobs_max=10 * jobs)
    app = App(settings)
    submit = case.submit_request(Running("http://127.0.0.1:4747", 0, 0.0))
    funded(app, submit)
    finish(app, submit, AT_ONCE)
    before = resident()
    for _ in range(0, jobs, AT_ONCE):
        finish(app, submit, AT_ONCE)
    gc.collect()
    return Kept(each=(resident() - before) / jobs, before=before)


def finish(app: App, submit: str, jobs: int) -> None:
    """Submit so many jobs and let them all end."""
    for _ in range(jobs):
        call(app, submit)
    sandbox = app.registry.default
    for _ in sandbox.advance(sandbox.now + UNTIL_ENDED):
        pass
    assert sandbox.idle


if __name__ == "__main__":
    found = measure(CASES[int(sys.argv[1])], int(sys.argv[2]))
    print(json.dumps({"each": found.each, "before": found.before}))  # noqa: T201 - its answer
