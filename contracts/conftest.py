"""Choose the target of the contract suite: a simulator in this process, or a given server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from upsim import Simulator
from upsim.cli.verify import LOCAL
from upsim_contracts.exceptions import NoContractError, UsageError
from upsim_contracts.suite.fuzzing import PROFILES, Profile
from upsim_contracts.suite.generate_table import Generation, Submit
from upsim_contracts.suite.property_runs import EFFORTS, Explore, Explorer, table_of
from upsim_contracts.target import Target
from upsim_contracts.verify.command import VerifyOptions, open_target
from upsim_contracts.verify.planning import plan
from upsim_contracts.verify.run import book_of, pricer, providers


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for the target, its spending cap, and the amount of searching."""
    parser.addoption("--target", default="sim", help="sim, socket, a URL or live")
    parser.addoption("--contract-provider", help="the provider that a URL or live is")
    parser.addoption("--cap", type=Decimal, help="the most that may be spent, in its unit")
    parser.addoption("--as-live", action="store_true", help="treat a simulator as a stranger")
    parser.addoption("--api-key", help="key for a URL or live")
    parser.addoption(
        "--admin-token",
        default=os.environ.get("UPSIM_ADMIN_TOKEN", ""),
        help="token of a simulator that is not on loopback; else UPSIM_ADMIN_TOKEN",
    )
    parser.addoption(
        "--allow-all-skipped",
        action="store_true",
        help="pass a run in which every test was skipped",
    )
    parser.addoption("--media", help="where synthetic clips are served, for a URL or live")
    parser.addoption(
        "--upsim-profile",
        choices=list(EFFORTS),
        default=os.environ.get("UPSIM_CONTRACT_PROFILE", "ci"),
        help="how long to look: ci (the same each time), nightly (others), mutants (no shrinking)",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Check once that an external target can be reached.

    Raises pytest.UsageError before any test.
    """
    config = session.config
    target = config.getoption("--target")
    if hasattr(config, "workerinput") or config.getoption("--collect-only"):
        return
    order = _order(config)
    costs_unbounded = order.cap is None and (target == "live" or order.as_live)
    try:
        book = book_of(config.getoption("--contract-provider") or providers()[0])
        if target not in LOCAL and not costs_unbounded:  # else each test is skipped
            with ExitStack() as stack:
                open_target(stack, order, book, LOCAL)
    except (UsageError, NoContractError) as error:
        raise pytest.UsageError(str(error)) from None


def _order(config: pytest.Config) -> VerifyOptions:
    """Return the options from the command line."""
    option = config.getoption
    only = option("--contract-provider")
    return VerifyOptions(
        providers=(only,) if only else (),
        target=option("--target"),
        cap=option("--cap"),
        api_key=option("--api-key"),
        admin_token=option("--admin-token"),
        as_live=option("--as-live"),
        media=option("--media"),
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which every chosen test was skipped."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.getoption("--allow-all-skipped"):
        return
    stats = reporter.stats
    ran = any(stats.get(kind) for kind in ("passed", "failed", "error", "xfailed", "xpassed"))
    if stats.get("skipped") and not ran and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line("every test was skipped; --allow-all-skipped passes such a run")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> Profile:
    """Return the profile that the command line chose."""
    return PROFILES.get(request.config.getoption("--upsim-profile"), PROFILES["ci"])


@pytest.fixture
def explore(request: pytest.FixtureRequest, aimed_at: Callable[[str], Target]) -> Explore:
    """Return a function that makes an explorer for a submit or for a provider's table."""
    effort = EFFORTS[request.config.getoption("--upsim-profile")]

    def explorer(subject: Submit | Generation) -> Explorer:
        provider = subject.provider
        return Explorer(aimed_at(provider), table_of(provider), effort)

    return explorer


@pytest.fixture
def application() -> Iterator[Any]:
    """Return an ASGI application that can make sandboxes and accepts only issued API keys."""
    with Simulator(clock="auto", strict_keys=True) as simulator:
        yield simulator.app


@pytest.fixture
def simulator() -> Iterator[Any]:
    """Return a simulator in this process whose clock moves only when a test advances it."""
    with Simulator(clock="manual", strict_keys=True) as made:
        yield made


@pytest.fixture(scope="session")
def aimed_at(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Target]]:
    """Return a function from a provider's name to its target; requests respect the spending cap."""
    only = request.config.getoption("--contract-provider")
    order = _order(request.config)
    if order.cap is not None and hasattr(request.config, "workerinput"):
        raise pytest.UsageError("billed calls run in one process: add -n 0")
    if order.cap is None and (order.target == "live" or order.as_live):
        pytest.skip("a live target costs money: give --cap, the most that may be spent")
    with ExitStack() as stack:

        @cache
        def target(provider: str) -> Target:
            if only not in (None, provider):
                pytest.skip(f"the target is {only}")
            return open_target(stack, order, book_of(provider), LOCAL)

        yield target


@pytest.fixture(scope="session")
def target_of(aimed_at: Callable[[str], Target]) -> Callable[[str], Target]:
    """Return a function from a provider's name to its target; the planned cost is checked first."""

    @cache
    def target(provider: str) -> Target:
        found = aimed_at(provider)
        if found.purse.cap is not None:
            book = book_of(provider)
            plan(book, book.facts, found, pricer(provider)).check(found.purse.cap)
        return found

    return target
