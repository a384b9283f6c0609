"""Print what the simulator costs beside a bare application, each figure against its first bar."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from fractions import Fraction
from typing import NamedTuple

from upsim.media.clip import Clip
from upsim.media.probe import Prober
from upsim.media.synthetic import ClipMaker

from . import inprocess, memory
from .models import CASES, YARDSTICK, Case
from .servers import Running, load, running, simulator, yardstick

ROUNDS, SECONDS = 5, 0.8
WARM, DRAIN = 3.0, 3.0
"""A job is at work for up to 2.4 s: submits are measured once their number is steady, polls once
there is none left."""
JOBS, STARTS, PROBES = 100_000, 5, 20
SUBMIT_BAR = POLL_BAR = 1.4
START_BAR, INPROCESS_BARS = 0.3, (60.0, 40.0)
BYTES_BAR, PROBE_BAR, FIRST_BAR, AFTER_BAR = 2000.0, 3.0, 150.0, 5.0


class Round(NamedTuple):
    """CPU microseconds a request and answers a second, of the simulator and the bare app."""

    ratio: float
    cpu: float
    bare_cpu: float
    rate: float
    bare_rate: float


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - a report


def verdict(found: float, bar: float, unit: str) -> str:
    """A figure beside its bar."""
    return f"{found:9.2f} {unit:3}  bar {bar:g} {unit}  {'ok' if found <= bar else 'MISSED'}"


def paired(ours: Running, mine: list[str], bare: Running, theirs: list[str]) -> Round:
    """The median of rounds in which each server is loaded in turn."""
    rounds = []
    for _ in range(ROUNDS):
        cpu, rate, _ = load(ours, mine, SECONDS)
        bare_cpu, bare_rate, _ = load(bare, theirs, SECONDS)
        rounds.append(Round(cpu / bare_cpu, cpu, bare_cpu, rate, bare_rate))
    return sorted(rounds)[ROUNDS // 2]


def compare(case: Case, ours: Running, bare: Running) -> None:
    """CPU of submit and poll over that of the bare application."""
    case.fund(ours)
    submit, bare_submit = [case.submit_request(ours)], [YARDSTICK.submit_request(bare)]
    load(ours, submit, WARM)
    load(bare, bare_submit, SECONDS)
    report(case, "submit", paired(ours, submit, bare, bare_submit), SUBMIT_BAR)
    polls = case.poll_requests(ours, [case.submit_once(ours) for _ in range(200)])
    bare_polls = YARDSTICK.poll_requests(bare, [YARDSTICK.submit_once(bare) for _ in range(200)])
    time.sleep(DRAIN)
    load(ours, polls, SECONDS)
    report(case, "poll", paired(ours, polls, bare, bare_polls), POLL_BAR)


def report(case: Case, kind: str, found: Round, bar: float) -> None:
    """Print a comparison."""
    say(
        f"  {case.name:26} {kind:6} {found.cpu:6.1f} us, bare {found.bare_cpu:5.1f} us"
        f" ({found.rate:6.0f}/s, bare {found.bare_rate:6.0f}/s)  {verdict(found.ratio, bar, 'x')}"
    )


def requests_cost() -> None:
    """CPU per request over loopback."""
    say(f"CPU a request over loopback, median of {ROUNDS} paired rounds of {SECONDS} s:")
    for case in CASES:
        with running(simulator("--jobs-max", "1000000")) as ours, running(yardstick()) as bare:
            compare(case, ours, bare)


def in_process_cost() -> None:
    """CPU of a bare call in process."""
    say("One bare call in process (CPU):")
    for name, submit, poll in inprocess.table():
        bars = zip(("submit", "poll"), (submit, poll), INPROCESS_BARS, strict=True)
        for kind, found, bar in bars:
            say(f"  {name:26} {kind:6} {verdict(found, bar, 'us')}")


def start_time() -> None:
    """Start to first answer, pinned to one core; the first start compiles the modules."""
    times = []
    for _ in range(STARTS + 1):
        with running(simulator()) as server:
            times.append(server.started_in)
    say(f"Start to first answer:       {verdict(statistics.median(times[1:]), START_BAR, 's')}")


def memory_cost() -> None:
    """Resident bytes for each kept job."""
    say(f"Memory for each finished job, {JOBS} kept:")
    for case in CASES:
        found = memory.kept(case, JOBS)
        before = f"beside {found.before >> 20} MiB"
        say(f"  {case.name:33} {verdict(found.each, BYTES_BAR, 'B')}  {before}")


def media_cost() -> None:
    """Making and probing files."""
    clip = Clip(2560, 1440, Fraction(30), 300, 10_000_000)
    maker = ClipMaker()
    started = time.perf_counter()
    plain = maker.make(clip)
    first = time.perf_counter()
    for _ in range(PROBES):
        maker.make(clip)
    after = (time.perf_counter() - first) / PROBES
    say(f"10 s 1440p output, first:    {verdict((first - started) * 1000, FIRST_BAR, 'ms')}")
    say(f"10 s 1440p output, after:    {verdict(after * 1000, AFTER_BAR, 'ms')}")
    mkv = maker.make(Clip(1280, 720, Fraction(30), 300, 10_000_000, container="mkv"))
    for name, content in (("plain MP4", plain), ("Matroska", mkv)):
        each = asyncio.run(probe_time(content)) * 1000
        say(f"probe of a {name:16}  {verdict(each, PROBE_BAR, 'ms')}")


async def probe_time(content: bytes) -> float:
    """The median time of a probe as a server makes it: in one loop, with a worker that is there."""
    prober, times = Prober(), []
    for _ in range(PROBES + 1):
        started = time.perf_counter()
        await prober.measure(content)
        times.append(time.perf_counter() - started)
    prober.close()
    return statistics.median(times[1:])


PARTS = {
    "start": start_time,
    "inprocess": in_process_cost,
    "media": media_cost,
    "requests": requests_cost,
    "memory": memory_cost,
}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
