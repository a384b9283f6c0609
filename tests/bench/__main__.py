"""Print what the simulator costs beside a bare application, each figure against its first bar."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from fractions import Fraction

from upsim.media.clip import Clip
from upsim.media.probe import Prober
from upsim.media.synthetic import ClipMaker

from . import inprocess
from .models import CASES, YARDSTICK, Case
from .servers import Running, load, running, simulator, yardstick

ROUNDS, SECONDS = 3, 1.5
JOBS = 100_000
SUBMIT_BAR = POLL_BAR = 1.4
START_BAR, INPROCESS_BARS = 0.3, (60.0, 40.0)
BYTES_BAR, PROBE_BAR, FIRST_BAR, AFTER_BAR = 2000.0, 3.0, 150.0, 5.0


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - a report


def verdict(found: float, bar: float, unit: str) -> str:
    """A figure beside its bar."""
    return f"{found:9.2f} {unit:3}  bar {bar:g} {unit}  {'ok' if found <= bar else 'MISSED'}"


def compare(case: Case, ours: Running, bare: Running) -> tuple[float, float]:
    """CPU of submit and poll over that of the bare application, paired round by round."""
    ratios = []
    case.fund(ours)
    mine = [case.submit_once(ours) for _ in range(200)]
    theirs = [YARDSTICK.submit_once(bare) for _ in range(200)]
    pairs = (
        ([case.submit_request(ours)], [YARDSTICK.submit_request(bare)]),
        (case.poll_requests(ours, mine), YARDSTICK.poll_requests(bare, theirs)),
    )
    for kind, (our_requests, bare_requests) in zip(("submit", "poll"), pairs, strict=True):
        rounds = []
        for _ in range(ROUNDS):
            cpu, rate, _ = load(ours, our_requests, SECONDS)
            bare_cpu, bare_rate, _ = load(bare, bare_requests, SECONDS)
            rounds.append((cpu / bare_cpu, cpu, bare_cpu, rate, bare_rate))
        ratio, cpu, bare_cpu, rate, bare_rate = sorted(rounds)[ROUNDS // 2]
        bar = SUBMIT_BAR if kind == "submit" else POLL_BAR
        say(
            f"  {case.name:26} {kind:6} {cpu:6.1f} us, bare {bare_cpu:5.1f} us"
            f" ({rate:6.0f}/s, bare {bare_rate:6.0f}/s)  {verdict(ratio, bar, 'x')}"
        )
        ratios.append(ratio)
    return ratios[0], ratios[1]


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
    """Start to first answer, pinned to one core."""
    times = []
    for _ in range(5):
        with running(simulator()) as server:
            times.append(server.started_in)
    say(f"Start to first answer:       {verdict(statistics.median(times), START_BAR, 's')}")


def memory_cost() -> None:
    """Resident bytes for each kept job."""
    say(f"Memory for each job, {JOBS} jobs kept:")
    for case in CASES:
        with running(simulator("--jobs-max", str(10 * JOBS), "--clock", "manual")) as server:
            case.fund(server)
            load(server, [case.submit_request(server)], 1.0)
            before, done = server.memory(), 0
            while done < JOBS:
                done += load(server, [case.submit_request(server)], 3.0)[2]
            each = (server.memory() - before) / done
            say(f"  {case.name:26} {verdict(each, BYTES_BAR, 'B')}  idle+{before >> 20} MiB")


def media_cost() -> None:
    """Making and probing files."""
    clip = Clip(2560, 1440, Fraction(30), 300, 10_000_000)
    maker, prober = ClipMaker(), Prober()
    started = time.perf_counter()
    data = maker.make(clip)
    first = time.perf_counter()
    for _ in range(10):
        maker.make(clip)
    after = (time.perf_counter() - first) / 10
    say(f"10 s 1440p output, first:    {verdict((first - started) * 1000, FIRST_BAR, 'ms')}")
    say(f"10 s 1440p output, after:    {verdict(after * 1000, AFTER_BAR, 'ms')}")
    mkv = maker.make(Clip(1280, 720, Fraction(30), 300, 10_000_000, container="mkv"))
    for name, content in (("plain MP4", data), ("Matroska", mkv)):
        asyncio.run(prober.measure(content))
        started = time.perf_counter()
        for _ in range(20):
            asyncio.run(prober.measure(content))
        each = (time.perf_counter() - started) / 20 * 1000
        say(f"probe of a {name:16}  {verdict(each, PROBE_BAR, 'ms')}")
    prober.close()


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
