"""Admin calls on the clock of a sandbox: show it, change it, and advance it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.instants import SECOND, Instant, iso
from upsim.engine.clock import ClockError, parse_mode
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox
from upsim.web.admin import sandbox_shapes, sandbox_views
from upsim.web.admin.admin_call import Text
from upsim.web.admin.amounts import seconds_in
from upsim.web.admin.parameters import read_instant
from upsim.web.admin.problems import SHOWN, AdminError, answer, shown
from upsim.web.admin.recorded_calls import begin
from upsim.web.admin.request_sandbox import deliverer_of, sandbox_and, sandbox_of
from upsim.web.clock_driver import Target, until, until_idle

PACE_NOTE = "pace applies to a real clock alone; it is kept until the mode is real"


Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`clock` of a new sandbox, if it has more than a mode; the server shows the same format."""

    mode: Text | None = None
    now: Text | None = None
    pace: Whole | None = None


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
        seconds = seconds_in(asked.seconds, "seconds")
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
