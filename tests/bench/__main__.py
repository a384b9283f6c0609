"""Print what the simulator costs beside a bare application, each figure against its first bar."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from upsim.media.clip_names import SyntheticClip
from upsim.media.probe import Prober
from upsim.media.synthetic import ClipMaker

from . import inprocess, memory
from .models import CASES, YARDSTICK, Case
from .servers import Running, load, reference_app, running, simulator

JOBS, STARTS, PROBES = 100_000, 9, 20
SUBMIT_BAR = POLL_BAR = 1.4
STORE_BAR = 1.1
START_BAR, INPROCESS_BARS = 1.75, (60.0, 40.0)
BYTES_BAR, PROBE_BAR, FIRST_BAR, AFTER_BAR = 1000.0, 3.0, 150.0, 5.0
FAULT_BAR = 5.0


@dataclass(frozen=True, slots=True)
class Length:
    """How long requests are sent: paired rounds of so many seconds, of which the median counts.

    Submits are measured once the number of jobs at work is steady (`warm`), polls once there is
    none left (`drain`); `pace` says how fast jobs go, the longest of which lasts 100 seconds.
    """

    rounds: int
    seconds: float
    pace: int
    warm: float
    drain: float


LONG = Length(rounds=5, seconds=0.8, pace=30, warm=3.5, drain=4.0)
SHORT = Length(rounds=3, seconds=0.4, pace=300, warm=0.5, drain=0.5)


class Round(NamedTuple):
    """CPU microseconds a request and answers a second, of the simulator and the bare app."""

    ratio: float
    cpu: float
    bare_cpu: float
    rate: float
    bare_rate: float


@dataclass(slots=True)
class Bench:
    """The figures, and how far the farthest ratio is from its bar (1: at the bar).

    Only ratios are kept: they hold on any machine, and while others use it too.
    """

    length: Length
    farthest: float = 0.0

    def say(self, text: str) -> None:
        """Print a line at once."""
        print(text, flush=True)  # noqa: T201 - a report

    def verdict(self, found: float, bar: float, unit: str) -> str:
        """A figure beside its bar."""
        return f"{found:9.2f} {unit:3}  bar {bar:g} {unit}  {'ok' if found <= bar else 'MISSED'}"

    # -- over loopback

    def requests(self) -> None:
        """CPU per request over loopback."""
        length = self.length
        each = f"{length.rounds} paired rounds of {length.seconds} s"
        self.say(f"CPU a request over loopback, median of {each}:")
        for case in CASES:
            server = simulator("--jobs-max", "1000000", "--pace", str(length.pace))
            with running(server) as ours, running(reference_app()) as bare:
                self._compare(case, ours, bare)

    def _compare(self, case: Case, ours: Running, bare: Running) -> None:
        """CPU of submit and poll over that of the bare application."""
        case.fund(ours)
        submit, bare_submit = [case.submit_request(ours)], [YARDSTICK.submit_request(bare)]
        load(ours, submit, self.length.warm)
        load(bare, bare_submit, self.length.seconds)
        self._report(case, "submit", self._paired(ours, submit, bare, bare_submit), SUBMIT_BAR)
        polls = case.poll_requests(ours, [case.submit_once(ours) for _ in range(200)])
        own = [YARDSTICK.submit_once(bare) for _ in range(200)]
        bare_polls = YARDSTICK.poll_requests(bare, own)
        time.sleep(self.length.drain)
        load(ours, polls, self.length.seconds)
        self._report(case, "poll", self._paired(ours, polls, bare, bare_polls), POLL_BAR)

    def _paired(self, ours: Running, mine: list[str], bare: Running, theirs: list[str]) -> Round:
        """The median of rounds in which each server is loaded in turn."""
        rounds = []
        for _ in range(self.length.rounds):
            cpu, rate, _ = load(ours, mine, self.length.seconds)
            bare_cpu, bare_rate, _ = load(bare, theirs, self.length.seconds)
            rounds.append(Round(cpu / bare_cpu, cpu, bare_cpu, rate, bare_rate))
        return sorted(rounds)[len(rounds) // 2]

    def _report(self, case: Case, kind: str, found: Round, bar: float) -> None:
        self.farthest = max(self.farthest, found.ratio / bar)
        self.say(
            f"  {case.name:26} {kind:6} {found.cpu:6.1f} us, bare {found.bare_cpu:5.1f} us"
            f" ({found.rate:6.0f}/s, bare {found.bare_rate:6.0f}/s)"
            f"  {self.verdict(found.ratio, bar, 'x')}"
        )

    def stores(self) -> None:
        """CPU per request with a SQLite store, over that of a server without one."""
        self.say("CPU a request with --store sqlite:, over that of memory:")
        for case in CASES[:1]:
            for kind, options in (("sqlite", ()), ("fsync", ("--fsync",))):
                self._compare_store(case, kind, options)

    def _compare_store(self, case: Case, kind: str, options: tuple[str, ...]) -> None:
        usual = ("--jobs-max", "20000", "--pace", str(self.length.pace))
        with tempfile.TemporaryDirectory() as folder:
            kept = simulator(*usual, "--store", f"sqlite:{folder}/store.db", *options)
            with running(kept) as ours, running(simulator(*usual)) as memory_only:
                for server in (ours, memory_only):
                    case.fund(server)
                submits = [[case.submit_request(one)] for one in (ours, memory_only)]
                for server, plan in zip((ours, memory_only), submits, strict=True):
                    load(server, plan, self.length.warm)
                found = self._paired(ours, submits[0], memory_only, submits[1])
                self._report(case, f"submit {kind}", found, STORE_BAR)
                polls = [
                    case.poll_requests(one, [case.submit_once(one) for _ in range(200)])
                    for one in (ours, memory_only)
                ]
                time.sleep(self.length.drain)
                found = self._paired(ours, polls[0], memory_only, polls[1])
                self._report(case, f"poll {kind}", found, STORE_BAR)

    # -- the others

    def inprocess(self) -> None:
        """CPU of a bare call in process."""
        self.say("One bare call in process (CPU):")
        for name, submit, poll in inprocess.table():
            bars = zip(("submit", "poll"), (submit, poll), INPROCESS_BARS, strict=True)
            for kind, found, bar in bars:
                self.say(f"  {name:26} {kind:6} {self.verdict(found, bar, 'us')}")

    def faults(self) -> None:
        """What a fault costs a submit or a poll that it cannot match."""
        self.say("One armed fault that cannot match, in process (CPU):")
        for case in CASES:
            for name, added in inprocess.faults(case):
                verdict = self.verdict(added, FAULT_BAR, "us")
                self.say(f"  {case.name:26} {name:29} {verdict}")

    def start(self) -> None:
        """Start to first answer beside the bare application's; the first starts compile modules."""
        times = []
        for _ in range(STARTS + 1):
            with running(simulator()) as ours, running(reference_app()) as bare:
                times.append((ours.started_in, bare.started_in))
        ours_in, bare_in = (statistics.median(found) for found in zip(*times[1:], strict=True))
        self.farthest = max(self.farthest, ours_in / bare_in / START_BAR)
        self.say(
            f"Start to first answer:  {ours_in:.3f} s, bare {bare_in:.3f} s"
            f"  {self.verdict(ours_in / bare_in, START_BAR, 'x')}"
        )

    def memory(self) -> None:
        """Resident bytes for each kept job."""
        self.say(f"Memory for each finished job, {JOBS} kept:")
        for case in CASES:
            found = memory.kept(case, JOBS)
            before = f"beside {found.before >> 20} MiB"
            self.say(f"  {case.name:33} {self.verdict(found.each, BYTES_BAR, 'B')}  {before}")

    def media(self) -> None:
        """Making and probing files."""
        clip = SyntheticClip(2560, 1440, Fraction(30), 300, 10_000_000)
        maker = ClipMaker()
        started = time.perf_counter()
        plain = maker.make(clip)
        first = (time.perf_counter() - started) * 1000
        started = time.perf_counter()
        for _ in range(PROBES):
            maker.make(clip)
        after = (time.perf_counter() - started) / PROBES * 1000
        self.say(f"10 s 1440p output, first:    {self.verdict(first, FIRST_BAR, 'ms')}")
        self.say(f"10 s 1440p output, after:    {self.verdict(after, AFTER_BAR, 'ms')}")
        mkv = maker.make(SyntheticClip(1280, 720, Fraction(30), 300, 10_000_000, container="mkv"))
        for name, content in (("plain MP4", plain), ("Matroska", mkv)):
            each = asyncio.run(probe_time(content)) * 1000
            self.say(f"probe of a {name:16}  {self.verdict(each, PROBE_BAR, 'ms')}")


async def probe_time(content: bytes) -> float:
    """The median time of a probe as a server makes it: in one loop, with a worker that is there."""
    prober, times = Prober(), []
    for _ in range(PROBES + 1):
        started = time.perf_counter()
        await prober.measure(content)
        times.append(time.perf_counter() - started)
    prober.close()
    return statistics.median(times[1:])


PARTS = ("start", "inprocess", "faults", "media", "requests", "stores", "memory")
IN_SHORT = ("start", "inprocess", "media", "requests")


def main() -> None:
    """Run the parts that are named, by default all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--short", action="store_true", help=f"less exact: {', '.join(IN_SHORT)} in a minute"
    )
    parser.add_argument(
        "--fail-beyond", type=float, metavar="N", help="exit with 1 if a ratio is N times its bar"
    )
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; allowed: {', '.join(PARTS)}")
    bench = Bench(SHORT if given.short else LONG)
    for part in given.parts or (IN_SHORT if given.short else PARTS):
        getattr(bench, part)()
    if given.fail_beyond is not None and bench.farthest > given.fail_beyond:
        bench.say(f"A ratio is {bench.farthest:.2f} times its bar; {given.fail_beyond:g} may be.")
        sys.exit(1)


if __name__ == "__main__":
    main()
