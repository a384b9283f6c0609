"""The machine finds what careless clients do wrong, in short examples, and lets careful ones be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import settings

from tests.kit.careless import Careful, IgnoresFailure, NeverPauses, PaysTwice, call
from upsim.client import connect, connect_async, model_names
from upsim.kit import CallerMachine, RunawayError, run_caller
from upsim.kit.machine import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from upsim.testing.sandboxes import SandboxHandle

FRESH = settings(SETTINGS, database=None, derandomize=True)
FEW = settings(FRESH, max_examples=10, stateful_step_count=6)


def machine_of(client: type[Careful]) -> type[CallerMachine]:
    """Return a machine around a sample client."""

    class Sample(CallerMachine):
        """Uses the sample client."""

        model = "vicsee"

        def upscale(self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]) -> bytes:
            """Upscale with it."""
            return call(client, sandbox, source, options)

    return Sample


def failure_of(client: type[Careful]) -> tuple[str, list[str]]:
    """Return what is found of a sample client, and the steps that show it."""
    with pytest.raises(AssertionError) as found:
        run_caller(machine_of(client), settings=FRESH)
    notes = [line for note in found.value.__notes__ for line in note.splitlines()]
    steps = [line for line in notes if line.startswith("state.upscale")]
    return str(found.value), steps


def test_paying_twice_is_found() -> None:
    """One lost answer is enough to show it."""
    text, steps = failure_of(PaysTwice)
    assert text.startswith("one order was charged ")
    assert 1 == len(steps)
    assert "plan=<FaultPlan first 1 at " in steps[0]


def test_an_unread_failure_is_found() -> None:
    """One job that fails, for which the client waits without end."""
    text, steps = failure_of(IgnoresFailure)
    assert text.startswith("the client never ends: it has sent 200 requests and goes on")
    assert 1 == len(steps)
    assert steps[0].startswith("state.upscale_what_fails(")


def test_busy_polling_is_found() -> None:
    """One order on a good day; the report card says what is wrong."""
    text, steps = failure_of(NeverPauses)
    assert text.startswith("warning: polled_too_often: vicsee job ")
    assert 1 == len(steps)
    assert steps[0].startswith("state.upscale_valid(")


def test_a_careful_client_passes() -> None:
    """Also under faults, with failing jobs, without money."""
    run_caller(machine_of(Careful), settings=settings(FRESH, max_examples=20))


@pytest.mark.parametrize("name", model_names())
def test_the_reference_client_passes(name: str) -> None:
    """Of each model."""

    class Reference(CallerMachine):
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

    run_caller(Reference, settings=FEW)


def test_async_clients_pass_too() -> None:
    """A coroutine is run to its end, and its sleeping moves the sandbox's clock."""

    class Async(CallerMachine):
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

    run_caller(Async, settings=settings(FEW, max_examples=4))


class InTwoSteps(CallerMachine):
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
        return httpx.Client(base_url="https://vicsee.com", headers=headers)


def test_submit_and_poll_may_be_given_apart() -> None:
    """The machine then waits as advised; calls to the provider's own host are intercepted."""
    run_caller(InTwoSteps, settings=FEW)


def test_the_fixture_s_sandboxes_can_be_used(
    upsim_sandboxes: Callable[..., SandboxHandle],
) -> None:
    """Within a test, sandboxes are those of the test."""
    run_caller(
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
        except httpx.HTTPStatusError:
            return b""


class Excited(Careful):
    """Raises though all is well."""

    def download(self, url: str) -> bytes:
        """Never return."""
        raise ValueError(f"I do not like {url}")


class Sleepy(Careful):
    """Waits for what will not come."""

    def wait(self, job: str) -> str:
        """Never return."""
        while self.look(job):
            time.sleep(3600)
        raise AssertionError


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (Hollow, " bytes, the job's output "),
        (Silent, ", and the client raised nothing"),
        (Excited, "nothing went wrong, and the client raised ValueError: I do not like"),
        (Sleepy, "the client never ends: it has waited 14400 s in all and goes on"),
    ],
)
def test_other_mistakes_are_named(client: type[Careful], expected: str) -> None:
    """Half a file, a refusal that nobody hears of, an error without reason, endless waiting."""
    text, _ = failure_of(client)
    assert expected in text


def test_no_handler_stops_the_end_of_a_runaway() -> None:
    """It is no Exception, so that `except Exception: try again` cannot swallow it."""
    assert (False, True) == (
        issubclass(RunawayError, Exception),
        issubclass(RunawayError, BaseException),
    )


def test_a_machine_without_a_client_says_so() -> None:
    """The message names what is missing."""

    class Empty(CallerMachine):
        """Lacks everything."""

        model = "vicsee"

    with pytest.raises(NotImplementedError, match="Empty has neither upscale nor submit"):
        run_caller(Empty, settings=FEW)
