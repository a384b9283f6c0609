"""Run simulators in child processes, and return what each child reports."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import httpx

from upsim.untrusted_connections import NoCookies
from upsim_contracts.facts.fact_files import Book
from upsim_contracts.spending_guard import SpendingBudget
from upsim_contracts.target import Target

SECONDS = 60
_WORK: list[Callable[..., Any]] = []
"""What this process was forked for; empty in the parent."""


@contextmanager
def simulator(book: Book, provider: str, scenario: str | None) -> Iterator[Target]:
    """Yield a simulator in this process, as a target that validates a scenario."""
    simulators: Any = importlib.import_module("upsim").Simulator
    with (
        simulators(clock="manual") as made,
        httpx.Client(transport=made.transport(), cookies=NoCookies()) as http,
    ):
        yield Target(
            "sim",
            provider,
            made.base_url("").rstrip("/"),
            http,
            SpendingBudget(None, book.unit),
            simulator=True,
            admin_token=made.app.registry.settings.admin_token,
            scenario=scenario,
        )


def in_child(work: Callable[[], Any], *, seconds: float = SECONDS) -> Any:  # noqa: ANN401 - what it finds
    """Return the result of work in a forked process.

    Without a result, return an outcome and its reason.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(work, theirs))
    child.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(seconds) else ("killed", "it never ends")
    except EOFError:
        return "error", "the child ended without a word"
    finally:
        child.kill()
        child.join()
        ours.close()


def _child(work: Callable[[], object], out: Connection) -> None:
    """Do the work; an exception is printed to standard error, and the parent gets no result."""
    out.send(work())
    out.close()


@contextmanager
def forked(work: Callable[..., Any], workers: int) -> Iterator[Callable[..., Future[Any]]]:
    """Yield a function that runs work in forked processes, which share this process's data."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_WORK.append, initargs=(work,)
    ) as pool:
        yield lambda *asked: pool.submit(_do, *asked)


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Limit the CPU time of a block. Raises TimeoutError inside the block."""
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _do(*asked: object) -> Any:  # noqa: ANN401 - what it finds
    return _WORK[-1](*asked)


def _stop(_number: int, _frame: object) -> None:
    raise TimeoutError("it never ends")
