"""Running mutants: each in a child process of its own, judged by nothing but its killer.

The parent has imported all that the simulator needs, but nothing of the simulator: a child is
forked in a millisecond and imports the wrong simulator in a fraction of a second.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import httpx

from upsim_contracts.exceptions import StaleMutantError
from upsim_contracts.mutants.catalogue import Mutant
from upsim_contracts.mutants.planting import plant, scenario_file
from upsim_contracts.running import judge
from upsim_contracts.spending import Purse
from upsim_contracts.target import Target
from upsim_contracts.verify import book_of, pricer

Fate = Literal["killed", "survived", "stale", "error"]
PRELOADED = (
    "anyio",
    "av",
    "click",
    "jsonschema",
    "msgspec",
    "starlette.applications",
    "starlette.routing",
    "yaml",
)
"""What the simulator imports from elsewhere, so that a child finds it there."""
SECONDS = 60
PYTEST_FAILED = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant, how long its killer took, and what the killer saw."""

    mutant: Mutant
    fate: Fate
    seconds: float
    saw: str = ""


def run_all(mutants: Iterable[Mutant], *, workers: int = 2) -> Iterator[Result]:
    """The fate of each mutant, in order."""
    for name in PRELOADED:
        importlib.import_module(name)
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(run, mutants)


def run(mutant: Mutant, *, planted: bool = True) -> Result:
    """Judge one mutant; `planted` False is the right simulator under the same killer."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(mutant, theirs, planted))
    started = time.perf_counter()
    child.start()
    theirs.close()
    fate: Fate
    try:
        fate, saw = ours.recv() if ours.poll(SECONDS) else ("killed", "it never ends")
    except EOFError:
        fate, saw = "error", "the child ended without a word"
    child.kill()
    child.join()
    return Result(mutant, fate, time.perf_counter() - started, saw)


def _child(mutant: Mutant, out: Connection, planted: bool) -> None:  # noqa: FBT001 - a process's argument
    """What it raises goes to standard error, and the parent hears nothing."""
    if mutant.patch is not None and planted:
        plant(mutant.patch)
    try:
        with tempfile.TemporaryDirectory() as folder:
            out.send(_by_fact(mutant, Path(folder), planted) if mutant.fact else _by_test(mutant))
    except StaleMutantError as error:
        out.send(("stale", str(error)))
    out.close()


def _by_fact(mutant: Mutant, folder: Path, planted: bool) -> tuple[Fate, str]:  # noqa: FBT001 - as above
    book = book_of(mutant.provider)
    fact = next((fact for fact in book.facts if fact.id == mutant.fact), None)
    if fact is None:
        return "stale", f"{mutant.provider} has no fact {mutant.fact!r}"
    scenario = str(scenario_file(mutant, folder)) if mutant.overlay and planted else None
    simulator: Any = importlib.import_module("upsim").Simulator
    with simulator(clock="manual") as made, httpx.Client(transport=made.transport()) as http:
        target = Target(
            "sim",
            mutant.provider,
            made.base_url("").rstrip("/"),
            http,
            Purse(None, book.unit),
            simulator=True,
            admin_token=made.app.registry.settings.admin_token,
            scenario=scenario,
        )
        verdict = judge(book, fact, target, pricer(mutant.provider), lambda _seconds: None)
    if verdict.outcome == "broken":
        return "killed", "; ".join(map(str, verdict.mismatches))
    return ("survived", "") if verdict.outcome == "held" else ("error", verdict.reason)


def _by_test(mutant: Mutant) -> tuple[Fate, str]:
    """By pytest in this process; its output goes nowhere."""
    pytest: Any = importlib.import_module("pytest")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-n0"]
        options += ["--upsim-profile", "mutants"]
        code = pytest.main([*options, str(mutant.test)])
    if code == PYTEST_FAILED:
        return "killed", f"{mutant.test} fails"
    return ("survived", "") if code == 0 else ("error", f"pytest ended with {code}")
