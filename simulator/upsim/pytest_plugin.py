"""The pytest plug-in: fixtures, the marker `upsim`, options, a host blocker and a report.

The plug-in imports only pytest and the standard library. It imports upsim when a test first
needs it. So test runs without upsim stay fast, and coverage of upsim itself is complete.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest

from upsim.testing.pytest_marker import MARKER, MarkError, asked
from upsim.testing.pytest_run import TOKEN, PytestRun
from upsim.testing.running_server import OF_THE_TESTS, URL

if TYPE_CHECKING:
    from upsim.client import AsyncClient, Client
    from upsim.testing.handles import ClockHandle, InboxHandle, LedgerHandle
    from upsim.testing.sandboxes import SandboxHandle

COSTS = "upsim_costs"
CARDS = "upsim_cards"
SIMULATED_ONLY = (
    "This test needs a sandbox, and --upsim-target=live has none; use the fixture upsim_client."
)
SERVER_NEEDS_A_SOCKET = (
    "The fixture upsim_server opens a port, and this run forbids sockets; allow them for this test "
    "with @pytest.mark.enable_socket, or use upsim.http(), upsim_client or upsim_intercept"
)
NO_CAP = "The live target needs --upsim-cap, the maximum that each client may spend."


RUN = pytest.StashKey[PytestRun]()
SANDBOXES = pytest.StashKey["list[SandboxHandle]"]()


# -- the run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("upsim", "simulated video-upscaling APIs")
    group.addoption(
        "--upsim-target",
        default="sim",
        metavar="sim|socket|server|URL|live",
        help="target of the tests: this process (default), a socket of it, a server"
        f" (the one at {URL}, or a URL; its token in {TOKEN}), or the real APIs, which cost money",
    )
    group.addoption(
        "--upsim-cap",
        metavar="AMOUNT",
        help="maximum to spend with --upsim-target=live, per client, in the provider's unit",
    )
    group.addoption(
        "--upsim-seed",
        type=int,
        default=0,
        metavar="N",
        help="seed for the ids of each test, together with the test's name (default: 0)",
    )
    group.addoption(
        "--upsim-report-card",
        action="store_true",
        help="print a report card of client mistakes at the end of the run",
    )


def pytest_report_header() -> list[str]:
    """Name the variables `UPSIM_…` that nothing reads, with the nearest one that is read."""
    known = (URL, TOKEN, *OF_THE_TESTS)
    names = [
        name for name in os.environ if name.startswith("UPSIM_") and not name.startswith(known)
    ]
    if not names:
        return []
    commands = entry_points(group="console_scripts", name="upsim")
    return [f"upsim: {line}" for one in commands for line in one.load().unknown_variables(names)]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and block the providers' hosts unless the tests are live."""
    config.addinivalue_line("markers", MARKER)
    if "pytest_socket" in sys.modules:
        # The product is imported within a test, when `socket.socket` may be a class that refuses.
        # The class of encrypted sockets, made by `import ssl`, must not inherit from that one.
        importlib.import_module("ssl")
    run = config.stash[RUN] = PytestRun(config, _protocol)
    if not run.live:
        run.guard.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the simulator if it was used, and restore name resolution."""
    run = config.stash.get(RUN, None)
    if run is not None:
        run.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the costs of a worker's tests to the main process."""
    output = getattr(session.config, "workeroutput", None)
    packed = session.config.stash[RUN].packed()
    if output is not None and packed is not None:
        output[COSTS] = packed
    if output is not None:
        output[CARDS] = session.config.stash[RUN].cards


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - a type of pytest-xdist
    """Receive the costs of a worker."""
    output, run = getattr(node, "workeroutput", {}), node.config.stash[RUN]
    packed = output.get(COSTS)
    if packed is not None:
        run.gathered.append(packed)
    run.cards += [tuple(found) for found in output.get(CARDS, ())]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # noqa: ANN401 - not public
    """Print the costs of the run."""
    found = config.stash[RUN].costs()
    if found is None:
        return
    from upsim.core.numbers import counted
    from upsim.testing.run_costs import per_dollar

    lines = found.lines(per_dollar())
    terminalreporter.section("upsim")
    if config.stash[RUN].live:
        terminalreporter.write_line("the calls to the real APIs have cost:")
    used = counted(found.sandboxes, "sandbox")
    if not config.stash[RUN].live:
        terminalreporter.write_line(
            f"{used}; the same calls would have cost:" if lines else f"{used}, nothing charged"
        )
    for line in lines:
        terminalreporter.write_line(f"  {line}")
    _print_cards(terminalreporter, config.stash[RUN].cards)


def _print_cards(terminalreporter: Any, cards: list[tuple[str, list[str]]]) -> None:  # noqa: ANN401 - not public
    if not cards:
        return
    from upsim.core.printable_text import printable

    terminalreporter.section("upsim report card")
    for test, lines in sorted(cards):
        terminalreporter.write_line(test)
        for line in lines:
            terminalreporter.write_line(f"  {printable(line)}")


# -- one test


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker is invalid; block HTTP libraries imported since the last test."""
    run = item.config.stash[RUN]
    if not run.live:
        run.guard.look_around()
    try:
        asked(item.iter_markers("upsim"))
    except MarkError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the requests of a failed test, and how to reproduce it."""
    blocked = item.config.stash[RUN].guard.blocked
    report = yield
    if report.failed:
        for sandbox in item.stash.get(SANDBOXES, []):
            if not sandbox.closed:
                _add_sandbox(report, item, sandbox)
        if blocked:
            names = ", ".join(f"{host} ({n}×)" for host, n in sorted(blocked.items()))
            _add(report, "upsim blocked", f"hosts that were looked up: {names}")
    if report.when == "teardown":
        blocked.clear()
    return report


def _add_sandbox(report: pytest.TestReport, item: pytest.Item, sandbox: SandboxHandle) -> None:
    """Add a sandbox's journal and report card, or why its server did not return them."""
    import httpx

    from upsim.testing.admin_responses import AdminCallError
    from upsim.testing.reproduction import commands_to_reproduce

    try:
        _add(report, "upsim journal", _journal(sandbox))
        for name, text in _report_card(sandbox):
            _add(report, name, text)
        seed = item.config.stash[RUN].seed
        _add(report, "upsim reproduce", commands_to_reproduce(item, sandbox, seed=seed))
    except (AdminCallError, httpx.ConnectError) as error:
        _add(report, "upsim journal", f"not readable at {sandbox.target.base_url}: {error}")


def _add(report: pytest.TestReport, name: str, text: str) -> None:
    """Add a section to a report; text that came from servers and clients is escaped."""
    from upsim.core.printable_text import LINES, printable

    report.sections.append((name, printable(text, keep=LINES)))


def _journal(sandbox: SandboxHandle) -> str:
    from upsim.testing.journal_text import journal_text

    return journal_text(sandbox)


def _report_card(sandbox: SandboxHandle) -> list[tuple[str, str]]:
    """Return the client mistakes of a sandbox as a report section, if there are any."""
    card = sandbox.report_card
    return [] if card.clean else [("upsim report card", card.text)]


def _protocol() -> Any:  # noqa: ANN401 - a class of uvicorn's kind
    from upsim.cli.cuttable_connections import CuttableProtocol

    return CuttableProtocol


# -- fixtures


Sandboxes = Callable[..., "SandboxHandle"]


@pytest.fixture
def upsim_sandboxes(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    """Return a function that creates sandboxes, with the arguments of the marker.

    All these sandboxes are removed after the test.
    """
    run = request.config.stash[RUN]
    if run.live:
        pytest.skip(SIMULATED_ONLY)
    made: list[SandboxHandle] = request.node.stash.setdefault(SANDBOXES, [])
    name, folder = request.node.nodeid, request.node.path.parent

    def make(**options: Any) -> SandboxHandle:  # noqa: ANN401 - what the marker takes
        number = len(made) + 1
        own_name = name if number == 1 else f"{name}#{number}"
        try:
            made.append(run.session.sandbox(own_name, options, folder=folder))
        except MarkError as error:
            refusal = str(error)
        else:
            return made[-1]
        pytest.fail(f"no sandbox for {name}: {refusal}", pytrace=False)

    yield make
    refusal = _ended(run, name, made)
    made.clear()
    if refusal:
        pytest.fail(f"the sandbox of {name} cannot be ended: {refusal}", pytrace=False)


def _ended(run: PytestRun, name: str, made: list[SandboxHandle]) -> str:
    """Remove all sandboxes of a test, even if one removal fails; return the error text or ""."""
    if not made:
        return ""
    import httpx

    from upsim.testing.admin_responses import AdminCallError

    try:
        with ExitStack() as stack:
            for sandbox in made:
                stack.callback(run.session.end, sandbox)
                if run.cards_wanted and not sandbox.closed:
                    stack.callback(_keep_card, run, name, sandbox)
    except (AdminCallError, httpx.ConnectError) as error:
        return f"{run.target}: {error}"
    return ""


def _keep_card(run: PytestRun, test: str, sandbox: SandboxHandle) -> None:
    card = sandbox.report_card
    if not card.clean:
        run.cards.append((test, card.text.splitlines()))


@pytest.fixture
def upsim(request: pytest.FixtureRequest, upsim_sandboxes: Sandboxes) -> SandboxHandle:
    """Return a new sandbox: keys, URLs, clients, clock, ledger, inbox, journal, jobs."""
    return upsim_sandboxes(**asked(request.node.iter_markers("upsim")))


def _real(given: SandboxHandle) -> SandboxHandle:
    """Return the sandbox; fail if a user's own fixture `upsim` hides the plug-in's fixture."""
    if not hasattr(given, "intercept"):
        pytest.fail(
            f"Your fixture `upsim` hides the plug-in's and returns a {type(given).__name__}; this "
            "fixture needs the sandbox. Rename yours, or let it return the sandbox.",
            pytrace=False,
        )
    return given


@pytest.fixture
def upsim_clock(upsim: SandboxHandle) -> ClockHandle:
    """Return the clock of the sandbox."""
    return _real(upsim).clock


@pytest.fixture
def upsim_ledger(upsim: SandboxHandle) -> LedgerHandle:
    """Return the ledger of the sandbox."""
    return _real(upsim).ledger


@pytest.fixture
def upsim_inbox(upsim: SandboxHandle) -> InboxHandle:
    """Return a receiver of webhooks in the sandbox."""
    return _real(upsim).inbox


@pytest.fixture
def upsim_intercept(upsim: SandboxHandle) -> Iterator[SandboxHandle]:
    """Redirect requests for the providers' own hosts to the sandbox; return the sandbox."""
    with _real(upsim).intercept():
        yield upsim


@dataclass(frozen=True, slots=True)
class Server:
    """A server on a real socket, for code that needs a URL; the key selects the sandbox."""

    url: str
    sandbox: SandboxHandle

    def base_url(self, provider: str, dialect: str = "") -> str:
        """Return the URL prefix of a provider's own paths."""
        return self.sandbox.base_url_at(self.url, provider, dialect)

    def key(self, provider: str) -> str:
        """Return the key of this test's sandbox."""
        return self.sandbox.key(provider)


@pytest.fixture
def upsim_server(pytestconfig: pytest.Config, upsim: SandboxHandle) -> Server:
    """Return a server on a free port of this machine, connected to the sandbox."""
    try:
        url = pytestconfig.stash[RUN].session.serve()
    except RuntimeError as error:  # the plug-in pytest-socket forbids sockets
        pytest.fail(f"{SERVER_NEEDS_A_SOCKET} ({error})", pytrace=False)
    return Server(url, _real(upsim))


@pytest.fixture
def upsim_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Return a function that makes a reference client of a model, with the options of `connect`.

    The client uses the sandbox's key and clock. With the live target it uses the real API and the
    key from the environment, and stops at the cap.
    """
    run = request.config.stash[RUN]
    sandbox = None if run.live else _real(request.getfixturevalue("upsim"))
    from upsim.testing.clients import client_of, live_client, missing_key, provider_of

    def make(model: str, **settings: Any) -> Client:  # noqa: ANN401 - what `connect` takes
        if sandbox is not None:
            return stack.enter_context(client_of(sandbox, model, settings))
        if run.cap is None:
            pytest.skip(NO_CAP)
        if variable := missing_key(model):
            pytest.skip(f"The live target needs a key for {model} in the variable {variable}.")
        client = stack.enter_context(live_client(model, run.cap, settings))
        stack.callback(lambda: run.pay(provider_of(model), client.spent.amount, client.spent.unit))
        return client

    with ExitStack() as stack:
        yield make


@pytest.fixture
def upsim_async_client(upsim: SandboxHandle) -> Callable[..., AsyncClient]:
    """Return a function that makes async clients; use each in an `async with` block."""

    def make(model: str, **settings: Any) -> AsyncClient:  # noqa: ANN401 - what `connect_async` takes
        from upsim.testing.clients import async_client_of

        return async_client_of(_real(upsim), model, settings)

    return make
