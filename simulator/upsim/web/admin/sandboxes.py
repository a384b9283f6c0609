"""Admin calls on sandboxes and their clocks."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.baseline import Baseline, BaselineError
from upsim.core.instants import SECOND, Instant, iso
from upsim.core.numbers import DECIMAL_FORM, plain_decimal
from upsim.engine.clock import ClockError, parse_mode
from upsim.engine.deadlines import Deadline
from upsim.engine.exceptions import KeyTakenError, SandboxRefusedError, SandboxTakenError
from upsim.engine.registry import DEFAULT, Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest
from upsim.scenario.durations import parse_seconds
from upsim.scenario.loader import NoScenarioFileError, ScenarioError, UnknownScenarioError
from upsim.scenario.model import Scenario
from upsim.web.admin import sandbox_shapes, sandbox_views
from upsim.web.admin.admin_call import ENTRIES, Text
from upsim.web.admin.forks import ForkOrder, forked
from upsim.web.admin.parameters import (
    LIMIT,
    OFFSET,
    WHAT,
    read_instant,
)
from upsim.web.admin.problems import SHOWN, AdminError, S, answer, nearest, read, shown
from upsim.web.admin.recorded_calls import begin
from upsim.web.clock_driver import Target, until, until_idle
from upsim.web.deliverer import Deliverer

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
OF_A_FORK = frozenset({"fork", "id", "keys", "ttl"})
NAMED = 20
"""Number of sandboxes that a message names."""
PLACES = 12
MOST = Decimal(10**15)
MAX_AMOUNT_LENGTH = 40
PACE_NOTE = "pace applies to a real clock alone; it is kept until the mode is real"
_EXACT = msgspec.json.Decoder(float_hook=Decimal)


Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`clock` of a new sandbox, if it has more than a mode; the server shows the same format."""

    mode: Text | None = None
    now: Text | None = None
    pace: Whole | None = None


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


class ClockChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PATCH sandboxes/<id>/clock`: the clock as the server shows it, or a part of it.

    A `manual` or `auto` clock advances to `now`. A `real` or `scaled` clock ignores a `now` that
    is in the past.
    """

    mode: Text | None = None
    now: Text | None = None
    pace: Whole | None = None


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST sandboxes/<id>/clock/advance`: either `seconds` or `to`.

    `seconds` is a number, or a duration with a unit such as `3h`.
    """

    seconds: int | float | Text | None = None
    to: Text | None = None


def registry_of(request: Request) -> Registry:
    """Return the registry of the server."""
    found: Registry = request.app.state.registry
    return found


def deliverer_of(request: Request) -> Deliverer:
    """Return the webhook deliverer of the server."""
    found: Deliverer = request.app.state.deliverer
    return found


def sandbox_of(request: Request) -> Sandbox:
    """Return the sandbox in the path, after running all due deadlines. Raises AdminError 404."""
    registry = registry_of(request)
    name = request.path_params["id"]
    if name not in registry.sandboxes:
        hint = nearest(name, islice(registry.sandboxes, NAMED))
        message = f"there is no sandbox {shown(name)}; {hint}"
        raise AdminError(404, "unknown_sandbox", message)
    found = registry.get(name)
    found.run_due()
    return found


async def sandbox_and(request: Request, shape: type[S]) -> tuple[Sandbox, S]:
    """Return the sandbox in the path, and the body.

    The sandbox is looked up again after reading the body, because it may have been reset.
    """
    sandbox_of(request)
    asked = await read(request, shape)
    return sandbox_of(request), asked


def money(text: str | int, what: str) -> Decimal:
    """Return an amount from a body. Raises AdminError 400."""
    found = plain_decimal(str(text)[:MAX_AMOUNT_LENGTH])
    if found is None:
        raise AdminError(400, "invalid", f"{what} {shown(text)} is not {DECIMAL_FORM}")
    bounded = len(str(text)) <= MAX_AMOUNT_LENGTH and -MOST <= found <= MOST
    if not bounded or found != round(found, PLACES):
        message = f"{what} {shown(text)}: up to {MOST:f}, with up to {PLACES} decimal places"
        raise AdminError(400, "invalid", message)
    return found


def balance(text: str | int, what: str, baseline: Baseline | None) -> Decimal:
    """Return a balance from a body: not negative, and whole if the unit is indivisible."""
    found = money(text, what)
    if found < 0:
        raise AdminError(400, "invalid", f"{what} {shown(text)} is negative")
    if baseline and not baseline.divisible and found != found.to_integral_value():
        why = f"a {baseline.unit} cannot be divided"
        message = f"{what} {shown(text)} is not a whole number: {why}"
        raise AdminError(400, "invalid", message)
    return found


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


async def clock(request: Request) -> Response:
    """`GET sandboxes/<id>/clock`: return mode, present time and pace."""
    return answer(sandbox_views.clock(sandbox_of(request)))


async def change_clock(request: Request) -> Response:
    """`PATCH sandboxes/<id>/clock`: change mode, pace or time."""
    sandbox, asked = await sandbox_and(request, ClockChange)
    _check_pace(asked.pace)
    to = None if asked.now is None else read_instant(asked.now, "now", "an ISO 8601 instant")
    try:
        parse_mode(asked.mode or sandbox.clock.label)
    except ClockError as error:
        raise AdminError(409, "clock", f"mode: {error}"[:SHOWN]) from error
    try:
        later = _later(sandbox, asked.mode or sandbox.clock.label, to)
        if asked.mode is not None or asked.pace is not None:
            sandbox.change_clock(mode=asked.mode, pace=asked.pace)
        if later is not None:
            await _advance(request, sandbox, later)
    except ClockError as error:
        raise AdminError(409, "clock", str(error)[:SHOWN]) from error
    sandbox.run_due()
    sandbox.wake()
    deliverer_of(request).rouse(sandbox)
    changed = answer(sandbox_views.clock(sandbox))
    if asked.pace is not None and sandbox.clock.mode != "real":
        changed.headers["x-upsim-note"] = PACE_NOTE
    return changed


def _check_pace(pace: int | None) -> None:
    if pace is not None and pace < 1:
        raise AdminError(400, "invalid", f"pace {pace} is not 1 or more")


def _later(sandbox: Sandbox, mode: str, to: Instant | None) -> Instant | None:
    """Return the time to advance to, or None if it is not later.

    Raises ClockError if the clock cannot advance to this time.
    """
    kind, _ = parse_mode(mode)
    if to is None or to == sandbox.now:
        return None
    if kind in ("manual", "auto"):
        if to < sandbox.now:
            raise ClockError(f"now: {_stands(sandbox)} {iso(to, 6)}")
        return to
    if kind == "real" and to > sandbox.now:
        raise ClockError(
            "now: a real clock cannot be advanced; set mode to manual, auto or scaled:<n>"
        )
    return to if to > sandbox.now else None


def _stands(sandbox: Sandbox) -> str:
    return f"the clock is at {iso(sandbox.now, 6)} and cannot go back to"


async def _advance(request: Request, sandbox: Sandbox, to: Instant) -> None:
    def aim(box: Sandbox) -> Target:
        begin(request, box)
        return until(box, to)

    await deliverer_of(request).clock_driver.advance(sandbox, aim)


async def advance(request: Request) -> Response:
    """`POST sandboxes/<id>/clock/advance`: run everything that becomes due, in order."""
    sandbox, asked = await sandbox_and(request, Advance)
    if (asked.seconds is None) == (asked.to is None):
        raise AdminError(400, "invalid", 'send one of {"seconds": n} and {"to": ...}')
    fired: list[sandbox_shapes.Fired] = []

    def aim(box: Sandbox) -> Target:
        begin(request, box)
        return until_idle(box) if asked.to == "idle" else until(box, _target(box, asked))

    def ran(deadline: Deadline) -> None:
        fired.append(sandbox_views.fired(sandbox, deadline))

    try:
        await deliverer_of(request).clock_driver.advance(sandbox, aim, ran)
    except ClockError as error:
        raise AdminError(409, "clock", str(error)) from error
    if sandbox.abandoned:
        message = f"sandbox {shown(sandbox.id)} was reset or deleted while its clock was advanced"
        raise AdminError(409, "gone", message)
    return answer({"now": iso(sandbox.now, 6), "fired": fired})


def _target(sandbox: Sandbox, asked: Advance) -> Instant:
    if asked.seconds is not None:
        seconds = _seconds(asked.seconds, "seconds")
        if not 0 <= seconds <= 10**10:
            message = f"seconds {asked.seconds}: from 0 to 10^10; a clock never goes back"
            raise AdminError(400, "invalid", message)
        return sandbox.now + int(seconds * SECOND)
    if asked.to == "next":
        due = sandbox.deadlines.next()
        return due.at if due else sandbox.now
    instant = read_instant(str(asked.to), "to", "next, idle or an ISO 8601 instant")
    if instant < sandbox.now:
        message = f"{_stands(sandbox)} {asked.to}"
        raise AdminError(409, "clock", message)
    return instant


def _seconds(value: float | str, what: str) -> Decimal:
    try:
        found = parse_seconds(value)
    except ValueError as error:
        raise AdminError(400, "invalid", f"{what} {error}") from None
    if not -MOST <= found <= MOST or found != round(found, PLACES):
        message = f"{what} {shown(str(value))}: up to {MOST:f}, with up to {PLACES} decimal places"
        raise AdminError(400, "invalid", message)
    return found


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
    ttl = None if asked.ttl is None else float(_seconds(asked.ttl, "ttl"))
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


def one_provider(request: Request) -> str | None:
    """Return the provider in `?provider=`, if given."""
    name = request.query_params.get("provider")
    providers = registry_of(request).providers
    if name is not None and name not in providers:
        message = f"provider={shown(name)} is unknown; {nearest(name, providers)}"
        raise AdminError(400, "invalid", message)
    return name
