"""The rate limits of a sandbox's accounts: requests used in a window, and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from upsim.core.baseline import RateLimit
from upsim.core.call import Window
from upsim.core.events import QuotaUsed
from upsim.core.instants import Instant
from upsim.core.ledger import Account
from upsim.engine.timeline import Timeline


def window(
    timeline: Timeline, account: Account, rates: Iterable[RateLimit], name: str
) -> Window | None:
    """Return the current window of a rate limit; None if the plan has no limit of this name."""
    rate = next((rate for rate in rates if rate.name == name), None)
    return None if rate is None else _window_of(timeline, account, rate)


def use(timeline: Timeline, account: Account, rates: Iterable[RateLimit]) -> None:
    """Count a request against these rate limits."""
    for rate in rates:
        start = _start(timeline, rate)
        timeline.commit(QuotaUsed(timeline.now, account.number, rate.name, start))


def full_until(
    timeline: Timeline, account: Account, rates: Iterable[RateLimit]
) -> Iterator[Instant]:
    """Yield when each full window of these rate limits ends."""
    for rate in rates:
        found = _window_of(timeline, account, rate)
        if found.used >= found.limit:
            yield found.resets_at


def _window_of(timeline: Timeline, account: Account, rate: RateLimit) -> Window:
    start = _start(timeline, rate)
    used = timeline.state.quota(account.number, rate.name, start)
    return Window(limit=rate.limit, used=used, resets_at=start + rate.length)


def _start(timeline: Timeline, rate: RateLimit) -> Instant:
    return timeline.now - timeline.now % rate.length
