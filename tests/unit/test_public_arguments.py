"""Every argument of `Simulator`, `intercept`, the handles of a sandbox and `upsim.kit`.

A wrong one is an exception of upsim that names the argument or the value. The client's own
functions are in `tests/unit/client/test_argument_checks.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from upsim import Simulator, intercept
from upsim.client import ClientError
from upsim.core.baseline import BaselineError
from upsim.engine.clock import ClockError
from upsim.engine.exceptions import StoreError
from upsim.kit import ClientMachine, clips, fault_plans, invalid_orders, run_client, valid_orders
from upsim.media.clip_names import ClipNameError
from upsim.scenario.loader import ScenarioError, UnknownScenarioError
from upsim.testing.admin_responses import AdminCallError
from upsim.testing.pytest_marker import MarkError
from upsim.testing.sandboxes import SandboxHandle
from upsim.web.replay.export_document import ExportError

OWN = (
    LookupError,  # of an unknown provider, dialect or finding
    ClipNameError,
    AdminCallError,
    BaselineError,
    ClientError,
    ClockError,
    ExportError,
    MarkError,
    ScenarioError,
    StoreError,
    UnknownScenarioError,
)
Cases = list[tuple[object, str]]
PROVIDER: Cases = [(5, "5"), ("venise", "'venise'.*; did you mean venice"), ([], "provider")]
DIALECT: Cases = [("liv", "'liv'; did you mean live"), (5, "5")]
MODEL: Cases = [(5, "model is a text.* not 5"), ("venise", "'venise'; did you mean venice")]
LONGEST: Cases = [("5s", "longest .* not '5s'; did you mean 5"), (-1, "longest .* not -1")]
WRONG: Mapping[str, Cases] = {
    "account": [(5, "account: found the number 5")],
    "balance": [("x", "balance.* 'x' is not a decimal"), ([], "balance.* is not a decimal")],
    "clock": [("aut", "'aut' is unknown; did you mean auto"), (5, "clock.* 5")],
    "count": [("x", "count is .* not 'x'"), (-1, "count is .* not -1")],
    "dialect": DIALECT,
    "error": [("x", "error: |no job 'task'")],
    "fault": [("x", "found a text, expected an object"), ({"at": "pol"}, "do|provider|pol")],
    "fps": [("x", "frame rate 'x'"), (None, "frame rate")],
    "job": [(5, "job is a text.* not 5"), ("x", "there is no job 'x'")],
    "jobs_max": [("x", "jobs_max is .* not 'x'"), (-1, "jobs_max is .* not -1")],
    "key": [(5, "key is a text, not 5")],
    "longest": [*LONGEST, (0.001, "longest is too short|no clip of at most")],
    "machine": [("x", "machine is your subclass.* not 'x'"), (int, "machine .* not type")],
    "method": [(5, "method is a text.* not 5")],
    "mode": [("aut", "'aut' is unknown; did you mean auto"), (5, "mode: found the number 5")],
    "model": MODEL,
    "most": [("2", "most is .* not '2'; did you mean 2"), (0, "most is .* not 0")],
    "name": [(5, "name is a text.* not 5|finding 5"), ("a/b", "(name|finding) .*'a/b'")],
    "path": [(5, "path is .* not 5")],
    "provider": PROVIDER,
    "render": [("resampl", "render is one of .*did you mean resample"), (5, "render .* not 5")],
    "sandbox": [(5, "sandbox is the id of a sandbox, not 5")],
    "sandboxes": [(5, "sandboxes is the fixture upsim_sandboxes, not 5")],
    "scenario": [(5, "scenario.*5"), ("vicsee/happi-path", "'vicsee/happi-path'")],
    "seconds": [("x", "seconds.* 'x'|'x'"), (float("nan"), "nan"), ([], r"\[\]|seconds")],
    "seed": [("x", "seed.*x"), (True, "seed.* true")],
    "session": [(5, "session is no export")],
    "settings": [(5, "settings is hypothesis.settings, not 5")],
    "size": [("640", "size '640' is not"), (5, "size must be a text")],
    "stages": [
        (["pol"], "each of stages is one of .* not 'pol'; did you mean poll"),
        ("poll", "stages is a list of stages such as .* not 'poll'"),
        (5, "stages is a list .* not 5"),
        ([], "stages is empty: no fault fits"),
    ],
    "start": [("x", "start is .* not 'x'"), (-1, "start is .* not -1")],
    "state": [("faild", "'faild' is unknown; did you mean failed|no job 'task'"), (5, "state")],
    "store": [("sqlit:x", "'sqlit:x' is unknown; did you mean sqlite:"), (5, "store is .* not 5")],
    "strict_keys": [("no", "strict_keys.*no"), (1, "strict_keys.* 1")],
    "to": [(5, "to: found the number 5"), ("nxt", "to 'nxt' is not next")],
    "webhook_seconds": [("5s", "webhook_seconds .*did you mean 5"), (-1, "not -1")],
    "webhook_timestamp": [("walll", "did you mean wall"), (5, "webhook_timestamp .* not 5")],
    "webhook_transport": [(5, "webhook_transport is an httpx.AsyncBaseTransport, not 5")],
}
"""By parameter: wrong kinds and wrong values, each with what the message says of them."""
SAFE: dict[str, Any] = {
    "account": "main",
    "balance": 1,
    "fault": {},
    "job": "task",
    "key": "k",
    "machine": ClientMachine,
    "method": "GET",
    "mode": "auto",
    "model": "vicsee",
    "name": "main",
    "path": "/media/x",
    "provider": "venice",
    "seconds": 1,
    "session": {},
    "server": "http://127.0.0.1",
    "state": "failed",
}
"""Right values for parameters without a default."""
UNCHECKED = {
    ("SandboxHandle.base_url_at", "server"),
    ("SandboxHandle.admin", "body"),
    ("SandboxHandle.http", "keyed"),
    ("SandboxHandle.ahttp", "keyed"),
    ("SandboxHandle.read_report_card", "all_pauses"),
}
"""Parameters that take any value: URLs that are only joined, bodies of the admin API, flags."""


def begin(**given: Any) -> None:  # noqa: ANN401 - wrong on purpose
    """Open and close a block of `intercept`."""
    with intercept(**given):
        pass


def start(**given: Any) -> None:  # noqa: ANN401 - wrong on purpose
    """Start a simulator, and look at its sandbox."""
    with Simulator(**given) as simulator:
        assert simulator.sandbox.id == "default"


def public_functions(
    sim: Simulator, sandbox: SandboxHandle
) -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """Yield a name, the function with the signature, and what to call."""
    yield "Simulator", Simulator.__init__, start
    yield "intercept", intercept, begin
    for function in (clips, valid_orders, invalid_orders, fault_plans, run_client):
        yield function.__name__, function, function
    for owner in (sim, sandbox, sandbox.clock, sandbox.ledger, sandbox.inbox, sandbox.report_card):
        for name, function in inspect.getmembers(type(owner)):
            if name[0] == "_" or not callable(function) or name in ("read", "close"):
                continue
            bound = getattr(owner, name)
            called = bound
            if inspect.iscoroutinefunction(bound):
                called = lambda _f=bound, **given: asyncio.run(_f(**given))  # noqa: E731
            yield f"{type(owner).__name__}.{name}", bound, called


def flaw_of(function: Callable[..., Any], given: Mapping[str, object], told: str) -> str:
    """Return what is wrong with the exception for a wrong argument; empty if nothing is."""
    try:
        function(**given)
    except OWN as error:
        return "" if re.search(told, str(error), re.DOTALL) else f"{error!r} lacks {told}"
    except Exception as error:  # noqa: BLE001 - the finding of this test
        return f"raised {error!r}"
    return "was accepted"


def test_each_wrong_argument_is_named() -> None:
    """A wrong type or value of any public parameter raises an exception of upsim."""
    flaws, tried = [], 0
    with Simulator() as sim, intercept() as sandbox:
        for name, signed, function in public_functions(sim, sandbox):
            own = [p for p in inspect.signature(signed).parameters.values() if p.name != "self"]
            needed = {p.name: SAFE[p.name] for p in own if p.default is inspect.Parameter.empty}
            if "to" in {p.name for p in own}:
                needed.pop("seconds", None)
            for one in own:
                if (name, one.name) in UNCHECKED:
                    continue
                for value, told in WRONG[one.name]:
                    tried += 1
                    flaw = flaw_of(function, needed | {one.name: value}, told)
                    flaws += [f"{name}({one.name}={value!r}) {flaw}"] if flaw else []
    assert not flaws, "\n".join(flaws)
    assert tried > 120
