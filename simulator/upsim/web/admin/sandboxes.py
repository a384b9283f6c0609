"""Admin calls on sandboxes: create, list, show, reset and delete them."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.baseline import Baseline, BaselineError
from upsim.engine.clock import ClockError
from upsim.engine.exceptions import KeyTakenError, SandboxRefusedError, SandboxTakenError
from upsim.engine.registry import DEFAULT, Registry
from upsim.engine.sandbox_request import SandboxRequest
from upsim.scenario.loader import NoScenarioFileError, ScenarioError, UnknownScenarioError
from upsim.scenario.model import Scenario
from upsim.web.admin import sandbox_views
from upsim.web.admin.admin_call import ENTRIES, Text
from upsim.web.admin.amounts import balance, seconds_in
from upsim.web.admin.clocks import ClockOrder, Whole
from upsim.web.admin.forks import ForkOrder, forked
from upsim.web.admin.parameters import LIMIT, OFFSET, WHAT, read_instant
from upsim.web.admin.problems import SHOWN, AdminError, answer, read, shown
from upsim.web.admin.request_sandbox import registry_of, sandbox_of

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
OF_A_FORK = frozenset({"fork", "id", "keys", "ttl"})
_EXACT = msgspec.json.Decoder(float_hook=Decimal)


class SandboxOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST sandboxes`. Beside `fork`, only `id`, `keys` and `ttl` may be sent."""

    id: Text | None = None
    scenario: Annotated[
        Text | dict[str, Any] | None,
        msgspec.Meta(
            description="A scenario by name, a path on the server's disk, or a document: "
            "what a scenario file holds, as `GET /__sim/schema` describes it. "
            "A document extends scenarios by name, and names no file."
        ),
    ] = None
    seed: Whole | None = None
    clock: Text | ClockOrder | None = None
    pace: Whole | None = None
    dialects: Annotated[dict[Text, Text], ENTRIES] = {}
    knobs: Annotated[dict[Text, Annotated[dict[Text, Text], ENTRIES]], ENTRIES] = {}
    balances: Annotated[dict[Text, Text | int], ENTRIES] = {}
    keys: Annotated[dict[Text, Text], ENTRIES] = {}
    strict_keys: bool | None = None
    render: Literal["synthetic", "resample"] | None = None
    ttl: float | Text | None = None
    webhook_timestamp: Literal["wall", "virtual"] | None = None
    fork: ForkOrder | None = None


async def create(request: Request) -> Response:
    """`POST sandboxes`: create a sandbox with a key for each provider."""
    asked = await read(request, SandboxOrder)
    if asked.id is not None and not _ID.match(asked.id):
        form = "id: at most 64 letters, digits, - and _"
        raise AdminError(400, "invalid", f"{form}, such as ci-1, not {shown(asked.id)}")
    registry = registry_of(request)
    try:
        scenario = await _scenario(request, asked)
        sent = len(request.state.body) if isinstance(asked.scenario, dict) else 0
        order = replace(_order(asked, registry, scenario), sent=sent)
        if asked.fork is None:
            sandbox, keys = registry.create(order)
        else:
            _check_fork(asked)
            sandbox, keys = await forked(registry, asked.fork, order)
    except (SandboxRefusedError, ClockError, BaselineError) as error:
        status = 409 if isinstance(error, SandboxTakenError | KeyTakenError) else 400
        raise AdminError(status, "refused", str(error)[:SHOWN]) from error
    except NoScenarioFileError as error:
        message = f"{error.as_given}; a path must exist on the server's machine"
        raise AdminError(400, "unknown_scenario", message) from error
    except UnknownScenarioError as error:
        raise AdminError(400, "unknown_scenario", str(error)) from error
    except ScenarioError as error:
        message = str(registry.library.named(error))
        raise AdminError(400, "invalid_scenario", message) from error
    base = registry.settings.public_url or str(request.base_url).rstrip("/")
    urls = {provider: f"{base}/{provider}" for provider in registry.providers}
    paths = {provider: f"{base}/sandbox/{sandbox.id}/{provider}" for provider in urls}
    made = {**sandbox_views.sandbox(sandbox), "keys": keys, "base_urls": urls, "path_urls": paths}
    return answer(made, 201)


def _check_fork(asked: SandboxOrder) -> None:
    """Raise AdminError for options that a fork takes from its source."""
    default = SandboxOrder()
    for name in asked.__struct_fields__:
        if name not in OF_A_FORK and getattr(asked, name) != getattr(default, name):
            message = f"{name}: a fork takes this from its source; beside fork, send only"
            raise AdminError(400, "invalid", f"{message} {', '.join(sorted(OF_A_FORK - {'fork'}))}")


async def listing(request: Request) -> Response:
    """`GET sandboxes`: list all sandboxes."""
    registry = registry_of(request)
    registry.remove_idle()
    offset, limit = OFFSET.whole(request), LIMIT.whole(request)
    found = list(registry.sandboxes.values())
    shown = [sandbox_views.sandbox(box) for box in found[offset : offset + limit]]
    return answer({"sandboxes": shown, "total": len(found)})


async def show(request: Request) -> Response:
    """`GET sandboxes/<id>`: return the summary of one sandbox."""
    return answer(sandbox_views.sandbox(sandbox_of(request)))


async def delete(request: Request) -> Response:
    """`DELETE sandboxes/<id>`: delete a sandbox; `default` is reset instead."""
    sandbox = sandbox_of(request)
    registry_of(request).delete(sandbox.id)
    return answer({"deleted": sandbox.id, "emptied": sandbox.id == DEFAULT})


async def reset(request: Request) -> Response:
    """`POST sandboxes/<id>/reset`: reset a whole sandbox, or only the part named by `what`."""
    sandbox = sandbox_of(request)
    what = WHAT.text(request) or "all"
    if what == "all":
        sandbox = registry_of(request).reset(sandbox.id)
    elif what == "jobs":
        sandbox.retention.forget_all_jobs()
    elif what == "ledger":
        sandbox.money.restore_balances()
    elif what == "faults":
        sandbox.planned_faults.reset()
    else:
        sandbox.records.clear()
        sandbox.report_card.clear()
    return answer(sandbox_views.sandbox(sandbox))


def _baseline(registry: Registry, provider: str) -> Baseline | None:
    """Return the baseline of a provider; None for an unknown provider."""
    known = provider in registry.providers
    return registry.library.baseline(provider).baseline if known else None


async def _scenario(request: Request, asked: SandboxOrder) -> str | Scenario | None:
    """Return the requested scenario; it is loaded outside the event loop, which may take long."""
    registry = registry_of(request)
    if isinstance(asked.scenario, dict):
        return await asyncio.to_thread(_sent, registry, request.state.body)
    if asked.scenario:
        await registry.prepare(asked.scenario)
    return asked.scenario


def _sent(registry: Registry, body: bytes) -> Scenario:
    """Return the scenario in a body, decoded again with exact decimal numbers."""
    return registry.load_inline(_EXACT.decode(body)["scenario"])


def _order(
    asked: SandboxOrder, registry: Registry, scenario: str | Scenario | None
) -> SandboxRequest:
    clock = asked.clock if isinstance(asked.clock, ClockOrder) else ClockOrder(mode=asked.clock)
    start = None
    if clock.now is not None:
        start = read_instant(clock.now, "clock.now", "an ISO 8601 instant")
    if None not in (clock.pace, asked.pace) and clock.pace != asked.pace:
        message = f"pace {asked.pace} and clock.pace {clock.pace} differ; send one of them"
        raise AdminError(400, "invalid", message)
    ttl = None if asked.ttl is None else float(seconds_in(asked.ttl, "ttl"))
    if ttl is not None and ttl < 0:
        raise AdminError(400, "invalid", f"ttl {asked.ttl} is not 0 or more seconds")
    return SandboxRequest(
        id=asked.id,
        scenario=scenario,
        seed=asked.seed,
        clock=clock.mode,
        start=start,
        pace=asked.pace if clock.pace is None else clock.pace,
        dialects=asked.dialects,
        knobs=asked.knobs,
        balances={
            name: balance(text, f"balances.{name}", _baseline(registry, name))
            for name, text in asked.balances.items()
        },
        keys=asked.keys,
        strict_keys=asked.strict_keys,
        render=asked.render,
        ttl=ttl,
        webhook_timestamp=asked.webhook_timestamp,
    )
