"""The journal: the latest requests and responses, for people, and a counter of all requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from upsim.core.baseline import ErrorRule, Model
from upsim.core.call import Call
from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.ledger import Entry
from upsim.core.media import Media

MAX_BODY_KEPT = 16_384
"""Bytes of a body that are kept; longer ones are cut and marked as cut."""


class JournalEntry(msgspec.Struct, frozen=True, gc=False):
    """One request and its response. The key itself is never stored; `account` is its account.

    * `rule`: the catalogue entry that refused the request; `check`: the check that chose it;
      `compared`: the compared values; `cause`: a sentence about them; `hint`: a fitting dialect.
    * `job`: the job that was created or read; `media`: its measurement; `assumed`: the default
      media of a URL that was not fetched; `model`: the requested model; `entries`: ledger entries.
    * `fault`: the fired faults; `unfired`: faults that had nothing to change.
    * `status`: 0 if no response was sent.
    """

    number: int
    at: Instant
    provider: str
    operation: str
    method: str
    target: str
    body: bytes
    body_size: int
    account: int | None
    dialect: str
    rules: str
    status: int
    reply: bytes
    reply_size: int
    rule: ErrorRule | None
    job: str | None
    assumed: Media | None
    fault: str | None = None
    check: str = ""
    compared: Mapping[str, object] | None = None
    media: Media | None = None
    model: Model | None = None
    entries: tuple[Entry, ...] = ()
    faults: tuple[FaultRule, ...] = ()
    unfired: tuple[str, ...] = ()
    cause: str = ""
    hint: str = ""


Listener = Callable[[JournalEntry], None]


class Journal:
    """The last exchanges of a sandbox."""

    def __init__(
        self, kept: int, *, on_request: Callable[[Call, JournalEntry], None] | None = None
    ) -> None:
        """Keep at most `kept` exchanges; `on_request` is called with each provider request."""
        self._ring: deque[JournalEntry] = deque(maxlen=kept)
        self.count = 0
        self._on_request = on_request
        self._listeners: tuple[Listener, ...] = ()

    def add(
        self,
        call: Call,
        reply: bytes,
        status: int,
        rule: ErrorRule | None,
        job: str | None,
        fault: str | None = None,
    ) -> JournalEntry:
        """Add a call and its response; a full journal drops its oldest exchange."""
        self.count += 1
        query, body, rules = call.query_string, call.body, call.rules
        exchange = JournalEntry(  # by position: keywords cost 1.3 µs more a request
            self.count,
            call.now,
            rules.baseline.provider,
            call.operation,
            call.method,
            f"{call.path}?{query.decode('latin-1')}" if query else call.path,
            body[:MAX_BODY_KEPT],
            call.size or len(body),
            call.account.number if call.account else None,
            rules.dialect,
            rules.baseline.digest,
            status,
            reply[:MAX_BODY_KEPT],
            len(reply),
            rule,
            job,
            call.media if call.assumed else None,
            fault,
            call.refused_by,
            call.compared,
            call.media,
            call.model,
            call.posted,
            tuple(call.faults) if call.faults else (),
            tuple(call.unfired) if call.unfired else (),
            call.cause,
            call.hint,
        )
        self._ring.append(exchange)
        if self._on_request is not None:
            self._on_request(call, exchange)
        for listener in self._listeners:
            listener(exchange)
        return exchange

    def note(self, exchange: JournalEntry) -> JournalEntry:
        """Add an exchange that was not a call to a provider, with the next number."""
        self.count += 1
        numbered = msgspec.structs.replace(exchange, number=self.count)
        self._ring.append(numbered)
        for listener in self._listeners:
            listener(numbered)
        return numbered

    def continue_with(self, entries: Iterable[JournalEntry], count: int) -> None:
        """Start with the entries of another journal, which counted `count` requests."""
        self._ring.extend(entries)
        self.count = count

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with each new exchange."""
        self._listeners = (*self._listeners, listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Remove a listener."""
        self._listeners = tuple(one for one in self._listeners if one != listener)

    def clear(self) -> None:
        """Remove the exchanges; the counter is not reset."""
        self._ring.clear()

    def since(self, number: int) -> list[JournalEntry]:
        """Return the kept exchanges after this number, oldest first."""
        fresh = []
        for exchange in reversed(self._ring):
            if exchange.number <= number:
                break
            fresh.append(exchange)
        return fresh[::-1]

    def __iter__(self) -> Iterator[JournalEntry]:
        """Yield the kept exchanges, oldest first."""
        return iter(self._ring)

    def __len__(self) -> int:
        """Return the number of kept exchanges."""
        return len(self._ring)
