"""The machine finds what careless clients do wrong, in short examples, and lets careful ones be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import Phase, settings

from tests.kit.sample_clients import CARELESS, Careful, ResubmitsOnTransportError, call
from upsim.client import connect, connect_async, model_names
from upsim.kit import ClientMachine, FaultPlan, RunawayError, run_client
from upsim.kit.client_machine import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from upsim.testing.sandboxes import SandboxHandle

FRESH = settings(SETTINGS, database=None, derandomize=True)
FEW = settings(FRESH, max_examples=10, stateful_step_count=6)


def machine_of(client: type[Careful]) -> type[ClientMachine]:
    """Return a machine around a sample client."""

    class Sample(ClientMachine):
        """Uses the sample client."""

        model = "vicsee"

        def upscale(self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]) -> bytes:
            """Upscale with it."""
            return call(client, sandbox, source, options)

    return Sample


def failure_of(client: type[Careful], explored: settings = FRESH) -> tuple[str, list[str]]:
    """Return what is found of a sample client, and the steps that show it."""
    with pytest.raises(AssertionError) as found:
        run_client(machine_of(client), settings=explored)
    notes = [line for note in found.value.__notes__ for line in note.splitlines()]
    steps = [line for line in notes if line.startswith("state.upscale")]
    return str(found.value), steps


FOUND = {
    "ResubmitsOnTimeout": ("one order was charged 2 times: ", "after_accept: delay 20m>"),
    "ResubmitsOnServerError": ("one order was charged 2 times: ", "after_accept: respond 500>"),
    "ResubmitsOnTransportError": (
        "one order was charged 2 times: ",
        "after_accept: drop_connection>",
    ),
    "NeverPauses": ("warning: polled_too_often: vicsee job ", "state.upscale_valid("),
    "IgnoresFailure": ("the client never ends: it has sent 200 ", "state.upscale_what_fails("),
    "SucceedsWithoutFile": (
        "the file has 0 bytes, but the job's output has ",
        "download: respond 500>",
    ),
}
"""The message and the step by which each careless client is found."""
EACH_CARELESS = pytest.mark.parametrize("client", CARELESS, ids=lambda client: client.__name__)


@EACH_CARELESS
def test_each_careless_client_is_found_before_exploration(client: type[Careful]) -> None:
    """One readable step shows the client's mistake, even with one example of Hypothesis."""
    text, steps = failure_of(client, settings(FRESH, max_examples=1, stateful_step_count=1))
    message, step = FOUND[client.__name__]
    assert text.startswith(message)
    assert 1 == len(steps)
    assert step in steps[0]


@pytest.mark.nightly
@pytest.mark.timeout(600)
@EACH_CARELESS
def test_each_careless_client_is_found_in_ten_runs(client: type[Careful]) -> None:
    """With the documented settings, each of ten runs finds the mistake in 30 s of CPU time."""
    for _ in range(10):
        before = time.process_time()
        text, _steps = failure_of(client, settings(SETTINGS, database=None))
        assert text.startswith(FOUND[client.__name__][0])
        assert time.process_time() - before < 30


def test_exploration_finds_mistakes_too() -> None:
    """Without first plans, the machine still finds a lost response among random plans."""

    class Explored(machine_of(ResubmitsOnTransportError)):  # type: ignore[misc]  # made here
        """Tries no plan first."""

        def first_plans(self) -> tuple[FaultPlan, ...]:
            """Return no first plan."""
            return ()

    with pytest.raises(AssertionError, match="one order was charged "):
        run_client(Explored, settings=settings(FRESH, phases=[Phase.generate]))


def test_a_failure_shows_no_path_of_the_kit() -> None:
    """A traceback shows the user's own class, and hides the lines of the kit and of Hypothesis."""
    case = machine_of(ResubmitsOnTransportError).TestCase("runTest")
    with pytest.raises(AssertionError) as found:
        case.runTest()
    shown = found.traceback.filter(found)
    assert {Path(__file__)} == {Path(entry.path) for entry in shown}
    assert "class Sample(ClientMachine):" == str(shown[-1].statement).strip()


def test_a_careful_client_passes() -> None:
    """A correct client passes, also under faults, with failing jobs and without funds."""
    run_client(machine_of(Careful), settings=settings(FRESH, max_examples=20))


def reference_machine(name: str) -> type[ClientMachine]:
    """Return a machine around the reference client, with a model."""

    class Reference(ClientMachine):
        """Uses the reference client."""

        model = name

        def upscale(self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]) -> Path:
            """Upscale with it."""
            with (
                httpx.Client(transport=sandbox.wire) as http,
                connect(
                    name,
                    http=http,
                    api_key=sandbox.key(self.provider),
                    base_url=sandbox.base_url(self.provider),
                    sleeper=self.sleep,
                    seed=1,
                ) as client,
            ):
                done = client.upscale(source, self.folder / "large.mp4", options=dict(options))
            return done.path

    return Reference


@pytest.mark.parametrize("name", model_names())
def test_the_reference_client_passes(name: str) -> None:
    """The reference client of each model passes the Hypothesis machine."""
    run_client(reference_machine(name), settings=FEW)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["Careful", *model_names()])
def test_a_correct_client_passes_a_thousand_examples(name: str) -> None:
    """A correct client passes a thousand examples, and each run draws different examples."""
    machine = machine_of(Careful) if name == "Careful" else reference_machine(name)
    run_client(machine, settings=settings(SETTINGS, max_examples=1000, database=None))


def test_async_clients_pass_too() -> None:
    """The machine runs a coroutine to its end, and its sleeps move the sandbox's clock."""

    class Async(ClientMachine):
        """Uses the reference client for async code."""

        model = "piapi"

        async def upscale(
            self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]
        ) -> Path:
            """Upscale with it."""
            async with (
                httpx.AsyncClient(transport=sandbox.wire) as http,
                connect_async(
                    "piapi",
                    http=http,
                    api_key=sandbox.key("piapi"),
                    base_url=sandbox.base_url("piapi"),
                    seed=1,
                ) as client,
            ):
                done = await client.upscale(
                    source, self.folder / "large.mp4", options=dict(options)
                )
            return done.path

    run_client(Async, settings=settings(FEW, max_examples=4))


class InTwoSteps(ClientMachine):
    """A client with hooks of its own for submit and poll, which calls the provider's own host."""

    model = "vicsee"
    intercepts = True

    def submit(self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]) -> str:
        """Return the id."""
        with self._http(sandbox) as http:
            return Careful(http).submit({"video_url": source, **options})

    def poll(self, sandbox: SandboxHandle, job: str) -> bytes | None:
        """Return the file once there is one."""
        with self._http(sandbox) as http:
            found = Careful(http).look(job)
            if found["status"] == "failed":
                raise ValueError(found)
            return Careful(http).download(found["result"]["url"]) if found["result"] else None

    def _http(self, sandbox: SandboxHandle) -> httpx.Client:
        headers = {"authorization": f"Bearer {sandbox.key('vicsee')}"}
        host = "https://vicsee.com"
        return httpx.Client(base_url=host, headers=headers, verify=False)  # noqa: S501 - intercepted


def test_submit_and_poll_may_be_given_apart() -> None:
    """With separate submit and poll functions, the machine waits between polls as advised.

    Requests to the provider's own host are intercepted.
    """
    run_client(InTwoSteps, settings=FEW)


def test_the_fixture_s_sandboxes_can_be_used(
    upsim_sandboxes: Callable[..., SandboxHandle],
) -> None:
    """Inside a test, the machine uses the sandboxes of that test."""
    run_client(
        machine_of(Careful), sandboxes=upsim_sandboxes, settings=settings(FEW, max_examples=3)
    )


class Hollow(Careful):
    """Gives half of what it got."""

    def download(self, url: str) -> bytes:
        """Return the first half of a file."""
        found = super().download(url)
        return found[: len(found) // 2]


class Silent(Careful):
    """Says nothing of refusals."""

    def upscale(self, source: str, options: Mapping[str, str]) -> bytes:
        """Return the file, or nothing."""
        try:
            return super().upscale(source, options)
        except httpx.HTTPStatusError as error:
            if error.response.is_server_error:
                raise
            return b""


class Excited(Careful):
    """Raises though all is well."""

    def download(self, url: str) -> bytes:
        """Wait for ever: never return."""
        raise ValueError(f"I do not like {url}")


class Sleepy(Careful):
    """Waits for what will not come."""

    def wait(self, job: str) -> str:
        """Wait for ever: never return."""
        while self.look(job):
            time.sleep(3600)
        raise AssertionError


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (Hollow, " bytes, but the job's output has "),
        (Silent, ", but the client raised nothing"),
        (Excited, "no error occurred, but the client raised ValueError: I do not like"),
        (Sleepy, "the client never ends: it has waited 14400 s in total and continues"),
    ],
)
def test_other_mistakes_are_named(client: type[Careful], expected: str) -> None:
    """The machine reports a partial file, a silent refusal, a bare error and an endless wait."""
    text, _ = failure_of(client)
    assert expected in text


def test_except_exception_does_not_catch_the_runaway_error() -> None:
    """`RunawayError` is a BaseException, so `except Exception` does not catch it."""
    assert (False, True) == (
        issubclass(RunawayError, Exception),
        issubclass(RunawayError, BaseException),
    )


def test_a_machine_without_a_client_is_an_error() -> None:
    """The error for a machine without a client names the missing part."""

    class Empty(ClientMachine):
        """Lacks both a client and a model."""

        model = "vicsee"

    with pytest.raises(NotImplementedError, match="Empty has neither upscale nor submit"):
        run_client(Empty, settings=FEW)
