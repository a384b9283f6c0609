"""The handles of a test's sandbox: clock, ledger and inbox, through any target's admin API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from upsim.client.argument_checks import SECONDS, Numbers, check_number, check_text, check_true
from upsim.client.exceptions import ArgumentError
from upsim.engine.clock import monotonic
from upsim.testing.admin_responses import exact_amount, moment

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Json = dict[str, Any]
Admin = Callable[..., Json]
PAGE = 1000
WAIT_SECONDS = 10.0
_COUNTS = Numbers("1", maximum=PAGE, whole=True)
MOVED_BY_HAND = ("auto", "manual")


class ClockHandle:
    """The clock of a sandbox."""

    def __init__(self, admin: Admin) -> None:
        """Keep the function that sends admin requests for the sandbox."""
        self._admin = admin

    @property
    def now(self) -> datetime:
        """The present virtual time, in UTC."""
        return moment(self._admin("GET", "clock")["now"], "GET clock")

    @property
    def mode(self) -> str:
        """The mode of the clock: `auto`, `manual`, `real` or `scaled:<n>`."""
        return str(self._admin("GET", "clock")["mode"])

    def set(self, mode: str) -> None:
        """Change the clock to another mode."""
        self._admin("PATCH", "clock", {"mode": mode})

    def advance(
        self, seconds: float | Decimal | str | None = None, *, to: str | datetime | None = None
    ) -> list[Json]:
        """Advance the clock; return the deadlines that became due.

        The arguments are seconds, a duration with a unit such as `3h`, or `to=` with `next`, `idle`
        or a time.
        """
        if (seconds is None) == (to is None):
            raise ArgumentError("advance takes either seconds or to=")
        until = to.isoformat() if isinstance(to, datetime) else to
        body = {"to": until} if seconds is None else {"seconds": str(seconds)}
        fired: list[Json] = self._admin("POST", "clock/advance", body)["fired"]
        return fired

    def run_due(self) -> None:
        """Run everything that is due now, including webhook deliveries."""
        if self.mode in MOVED_BY_HAND:
            self.advance(0)


class LedgerHandle:
    """The money of a sandbox: exact amounts, each in the unit of its provider."""

    def __init__(self, admin: Admin) -> None:
        """Keep the function that sends admin requests for the sandbox."""
        self._admin = admin

    def entries(self, provider: str | None = None) -> list[Json]:
        """Return the ledger entries, oldest first."""
        return list(self._pages(provider))

    def charges(self, provider: str) -> list[Decimal]:
        """Return the charged amounts as positive numbers, oldest first."""
        return [abs(exact_amount(e["amount"], "GET ledger")) for e in self._of("charge", provider)]

    def refunds(self, provider: str) -> list[Decimal]:
        """Return the refunded amounts as positive numbers, oldest first."""
        return [abs(exact_amount(e["amount"], "GET ledger")) for e in self._of("refund", provider)]

    def spent(self, provider: str) -> Decimal:
        """Return charges minus refunds."""
        zero = Decimal(0)
        return sum(self.charges(provider), zero) - sum(self.refunds(provider), zero)

    def balance(self, provider: str) -> Decimal:
        """Return the balance of the account of the sandbox's own key."""
        where = f"accounts/{provider}"
        return exact_amount(self._admin("PUT", where, {})["balance"], f"PUT {where}")

    def accounts(self) -> list[Json]:
        """Return all accounts that were used."""
        found: list[Json] = self._admin("GET", "accounts")["accounts"]
        return found

    def _of(self, kind: str, provider: str) -> Iterator[Json]:
        check_text("provider", provider, "'venice'")
        return (entry for entry in self._pages(provider) if entry["kind"] == kind)

    def _pages(self, provider: str | None) -> Iterator[Json]:
        chosen = "" if provider is None else f"&provider={provider}"
        offset, total = 0, 1
        while offset < total:
            page = self._admin("GET", f"ledger?offset={offset}&limit={PAGE}{chosen}")
            yield from page["entries"]
            offset, total = offset + PAGE, page["total"] if page["entries"] else 0


class InboxHandle:
    """A receiver of webhooks inside the simulator: pass its `url` to a provider."""

    def __init__(self, admin: Admin, clock: ClockHandle, base: str, name: str = "main") -> None:
        """Open the inbox with this name, below the sandbox's admin URL."""
        self._admin, self._clock, self._base, self._name = admin, clock, base, name

    @property
    def url(self) -> str:
        """The URL to which webhooks must be sent."""
        return f"{self._base}/inbox/{self._name}"

    def named(self, name: str) -> InboxHandle:
        """Return another inbox of the same sandbox."""
        is_name = type(name) is str and name != "" and "/" not in name
        check_true("name", name, "a text without a slash, such as 'main'", valid=is_name)
        return InboxHandle(self._admin, self._clock, self._base, name)

    def messages(self) -> list[Json]:
        """Return the received messages, oldest first: method, target, headers and body."""
        self._clock.run_due()
        return self._read()

    def wait(self, count: int = 1, *, seconds: float = WAIT_SECONDS) -> list[Json]:
        """Advance the clock until `count` messages have arrived; return the messages.

        A `manual` or `auto` clock jumps from deadline to deadline; other clocks take real time.
        Raises TimeoutError with the number of messages that are missing.
        """
        check_number("count", count, _COUNTS)
        check_number("seconds", seconds, SECONDS)
        found = self.messages()
        by_hand = self._clock.mode in MOVED_BY_HAND
        until = monotonic() + seconds
        while len(found) < count:
            idle = by_hand and not self._clock.advance(to="next")
            found = self._read()
            if len(found) < count and (idle or monotonic() > until):
                why = "nothing else is due" if idle else f"{seconds:g} s passed"
                text = f"inbox {self._name!r} has {len(found)} of {count} messages and {why}"
                raise TimeoutError(text)
        return found

    def _read(self) -> list[Json]:
        found: list[Json] = self._admin("GET", f"inbox/{self._name}/messages?limit={PAGE}")[
            "messages"
        ]
        return found
