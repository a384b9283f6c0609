"""The jumps of an `auto` clock, which the engine makes when a client waits."""

from __future__ import annotations

from upsim.core.call import Call
from upsim.core.instants import LATEST
from upsim.engine.rate_limits import full_until
from upsim.engine.timeline import Timeline


def jump_to_next(timeline: Timeline) -> None:
    """Move an `auto` clock to the next deadline that is not an expiry, and run it.

    At the last possible time the clock stops, and later deadlines never run. If thousands are
    due at the same time, the remaining ones run before the response to the next request.
    """
    deadline = timeline.deadlines.next(expiries=False)
    if deadline is not None:
        timeline.move_clock(min(deadline.at, LATEST), by_itself=True)
        timeline.run_some_due()


def jump_past_full_windows(timeline: Timeline, call: Call) -> None:
    """Move an `auto` clock to the next window of the rate limits that refused a call."""
    if call.account is None:
        return
    rates = call.rules.baseline.plans[call.account.plan].rates
    ends = list(full_until(timeline, call.account, rates))
    if not ends:
        jump_to_next(timeline)  # a cap on jobs, which has no window: one must end first
        return
    for _ in timeline.advance(min(max(ends), LATEST), by_itself=True):
        pass
