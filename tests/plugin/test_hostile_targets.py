"""A server of `--upsim-target` that answers what no simulator answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from upsim import Simulator
from upsim.pytest_plugin import _add_sandbox
from upsim.testing.admin_responses import AdminCallError
from upsim.testing.run_costs import Costs
from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.simulator_targets import SimulatorTarget, SimulatorTransport

URL = "http://127.0.0.1"
Change = Callable[[bytes], bytes]


class Lying(SimulatorTransport):
    """A simulator in this process, until `change` has its way with its responses."""

    def __init__(self, sim: Simulator) -> None:
        """Change nothing yet."""
        self._inner = sim.transport()
        self.change: Change = bytes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        answer = self._inner.handle_request(request)
        return httpx.Response(answer.status_code, content=self.change(answer.read()))


def replacing(pattern: bytes, other: bytes) -> Change:
    """Return a change of every match."""
    return lambda content: re.sub(pattern, lambda _found: other, content)


@pytest.fixture
def lying() -> Iterator[Lying]:
    """Return a server that can lie."""
    with Simulator() as sim:
        yield Lying(sim)


CREATED: dict[str, Change] = {
    "an id with half a character": replacing(rb'"id":"[^"]*"', rb'"id":"\ud800"'),
    "an id that climbs": replacing(rb'"id":"[^"]*"', b'"id":"../../x"'),
    "an id that is no text": replacing(rb'"id":"[^"]*"', b'"id":null'),
    "a key of two lines": replacing(rb'"vicsee":"[^"/]*"', rb'"vicsee":"a\nb"'),
    "a key in Unicode": replacing(rb'"vicsee":"[^"/]*"', '"vicsee":"é"'.encode()),
    "no keys": replacing(rb'"keys":', b'"no":'),
    "lists": lambda _content: b"[" * 100_000,
    "a text": lambda _content: b"<p>",
    "a list": lambda _content: b"[]",
}


@pytest.mark.parametrize("name", CREATED)
def test_invalid_sandbox_description_names_the_target(name: str, lying: Lying) -> None:
    """If the target returns an invalid sandbox description, one error names the target."""
    lying.change = CREATED[name]
    with pytest.raises(AdminCallError, match=f"^POST {URL}/__sim/sandboxes: .*not a simulator's"):
        SandboxHandle(SimulatorTarget(URL, "", lying))


LATER: dict[str, Change] = {
    "nulls": replacing(rb':\s*(?:"[^"]*"|\d+)', b":null"),
    "numbers": replacing(rb':\s*(?:"[^"]*"|\d+)', b":7"),
    "huge numbers": replacing(rb':\s*(?:"[^"]*"|\d+)', b":1e999999"),
    "texts": replacing(rb':\s*(?:"[^"]*"|\d+)', b':"x"'),
    "half a character": replacing(rb'"[^"]*"', rb'"\ud800"'),
    "no times": replacing(rb'"now":\s*"[^"]*"', b'"now":"never"'),
    "lists": lambda _content: b"[" * 100_000,
}


@pytest.mark.parametrize("name", LATER)
def test_report_of_a_test_at_a_hostile_target(name: str, lying: Lying) -> None:
    """The report of a failed test says that the target is unreadable, and does not raise."""
    sandbox = SandboxHandle(SimulatorTarget(URL, "", lying))
    with sandbox.http("vicsee") as http:
        clip = f"{URL}/media/synthetic/640x360_30fps_4s.mp4"
        http.post("/api/v1/tools/upscale-video", json={"video_url": clip})
    lying.change = LATER[name]
    report = SimpleNamespace(sections=[])
    config = SimpleNamespace(stash=cast("Any", pytest.Stash()))
    item = SimpleNamespace(nodeid="t", config=config)

    _add_sandbox(cast("Any", report), cast("Any", item), sandbox)

    title, text = report.sections[0]
    assert title == "upsim journal"
    assert text.startswith(f"not readable at {URL}: ")
    assert "not a simulator's" in text


@pytest.mark.parametrize("amount", ["1e999999", "NaN", "much"])
def test_absurd_amounts_are_ignored(amount: str, lying: Lying) -> None:
    """An amount that no simulator writes is neither counted nor printed."""
    sandbox = SandboxHandle(SimulatorTarget(URL, "", lying))
    sandbox.set_balance("vicsee", "5")
    lying.change = replacing(rb'"(?:-?[0-9]+(?:\.[0-9]+)?)"', f'"{amount}"'.encode())
    with pytest.raises(AdminCallError, match="is not an amount"):
        sandbox.ledger.balance("vicsee")
    entry = {"kind": "charge", "account": 1, "unit": "USD", "amount": amount}
    with pytest.raises(AdminCallError, match="is not an amount"):
        Costs().take([], [entry])


def test_ledger_without_end(lying: Lying) -> None:
    """If a ledger announces more entries than it has, reading stops at its last page."""
    sandbox = SandboxHandle(SimulatorTarget(URL, "", lying))
    lying.change = replacing(rb'"total":\d+', b'"total":999999999999')
    assert sandbox.ledger.entries() == []
