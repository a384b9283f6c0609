"""Replay the entries of an export one after the other, each at its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import copy_context
from dataclasses import dataclass, field

from upsim.core.instants import LATEST
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.clock import PlayedClock
from upsim.engine.command_log import CURRENT
from upsim.engine.replay_command_log import ReplayedCommand, Turn
from upsim.engine.sandbox import Sandbox
from upsim.web.replay.export_document import (
    Document,
    ExportedRequest,
    ExportEntry,
    OpenedPart,
    Point,
    ToldPart,
    instant_of,
)
from upsim.web.replay.recorded_parts import (
    TOKEN,
    Application,
    PlayedDeliverer,
    issue,
    prepare,
    reread,
)
from upsim.web.replay.replayed_exchange import BEYOND, ReplayedExchange

PATIENCE = 60.0
"""Maximum real seconds of one entry."""
REFUSED = 400
"""Lowest status of a refusal, which has no effect."""
ADVANCE = frozenset({"flush", "checkpoint"})
ADMIN = "/__sim/"


class DivergedError(RuntimeError):
    """The replay differs from the recording, so that the next entry cannot be replayed."""


class UnplayableError(RuntimeError):
    """The entry cannot be replayed, because a part of it was not kept."""


@dataclass(slots=True)
class Running:
    """A running command, and its error if it failed."""

    exchange: ReplayedExchange
    played: ReplayedCommand
    task: asyncio.Task[None]


@dataclass(slots=True)
class Player:
    """One replay; `play` returns the response of a command when it is complete.

    `skipped` has a sentence for each request that cannot be repeated. Such a request was refused
    and had no effect, so the replay continues without it.
    """

    app: Application
    document: Document
    sandbox: Sandbox = field(init=False)
    skipped: dict[int, str] = field(default_factory=dict)
    _keys: dict[str, list[tuple[bytes, bytes]]] = field(init=False)
    _running: dict[int, Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Create the sandbox."""
        self.sandbox = prepare(self.app, self.document)
        self._keys = issue(self.app.registry, self.sandbox, self.document)

    async def play(
        self, entry: ExportEntry, waits: Iterable[ExportEntry] = ()
    ) -> tuple[int, ReplayedExchange] | None:
        """Replay one entry; `waits` are the later entries in which its command continues.

        Returns the number and the exchange of the command that got its response, or None.
        Raises DivergedError or UnplayableError.
        """
        clock = self.sandbox.clock
        if isinstance(clock, PlayedClock):
            clock.wall = instant_of(entry.wall) if entry.wall else LATEST
            clock.put(entry.instant)
        later = entry.resumed is not None and entry.instant > self.sandbox.now
        if later or (entry.webhook is not None and not self._advancing):
            self.sandbox.run_due()  # other entries do this themselves
        if entry.opened is not None:
            self._open(entry.opened)
        elif entry.webhook is not None:
            await self._tell(entry.webhook, resent=self._is_resent(entry))
        elif entry.reread is not None:
            reread(self.app.registry, self.sandbox, entry.reread)
        elif entry.resumed is not None:
            if entry.resumed.of not in self.skipped:
                return await self._resume(entry.resumed)
        elif entry.request is not None:
            return await self._send(entry, entry.request, waits)
        return None

    async def close(self) -> None:
        """Cancel all running commands."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def _advancing(self) -> bool:
        """Return whether an advance is running, which then runs all due deadlines."""
        places = (running.played.at_turn for running in self._running.values())
        return any(place is not None and place[0] in ADVANCE for place in places)

    # -- kinds of entries

    def _open(self, opened: OpenedPart) -> None:
        if opened.provider not in self.app.registry.providers:
            raise DivergedError(f"there is no provider {opened.provider[:80]!r} here")
        account = self.sandbox.accounts.of(opened.provider, opened.owner)
        if account.number != opened.account:
            found = f"account {account.number}, recorded was {opened.account}"
            raise DivergedError(f"{opened.provider}/{opened.owner} has {found}")

    def _is_resent(self, entry: ExportEntry) -> bool:
        """Return whether the next entry continues the request that resent this webhook."""
        following = self.document.commands[entry.n : entry.n + 1]
        return any(after.resumed and after.resumed.point == "resent" for after in following)

    async def _tell(self, told: ToldPart, *, resent: bool) -> None:
        outbox = self.sandbox.webhooks.outbox
        attempt = (told.delivery, told.attempt)
        matching = [posting for posting in outbox if (posting.delivery, posting.number) == attempt]
        if not matching:
            text = f"attempt {told.attempt} of delivery {told.delivery}"
            raise DivergedError(f"no webhook was due: {text}")
        found = matching[-1 if resent else 0]  # a duplicate may be under way too
        outbox.remove(found)
        answer = told.answer.data if told.answer else b""
        outcome = AttemptOutcome(told.status, told.error, answer, told.refused)
        deliverer = self.app.deliverer
        if isinstance(deliverer, PlayedDeliverer):
            await deliverer.tell(self.sandbox, found, outcome)

    async def _send(
        self, entry: ExportEntry, asked: ExportedRequest, waits: Iterable[ExportEntry]
    ) -> tuple[int, ReplayedExchange] | None:
        status = entry.answer.status if entry.answer else None
        accepted = status is not None and status < REFUSED
        try:
            return await self._ask(entry.n, asked, waits, accepted=accepted)
        except UnplayableError as error:
            if status is None or status < REFUSED:
                raise
            self.skipped[entry.n] = f"{error}; skipped, for its answer was a refusal ({status})"
            return None

    async def _ask(
        self,
        number: int,
        asked: ExportedRequest,
        waits: Iterable[ExportEntry],
        *,
        accepted: bool,
    ) -> tuple[int, ReplayedExchange] | None:
        exchange = ReplayedExchange(asked, self._headers(asked), _body(number, asked))
        points = [(wait.resumed, wait.media) for wait in waits if wait.resumed is not None]
        turns: list[Turn] = [(point.point, point.index) for point, _ in points]
        known = {
            (point.point, point.index): media.measured
            for point, media in points
            if media is not None
        }
        played = ReplayedCommand(
            self.sandbox.commands,
            self.sandbox.now,
            scheme=asked.scheme,
            method=asked.method,
            path=asked.path,
            query=b"",
            headers=(),
            number=number,
            played=True,
            turns=turns,
            known=known,
            accepted=accepted,
        )
        context = copy_context()
        context.run(CURRENT.set, played)
        task = asyncio.get_running_loop().create_task(exchange.run(self.app), context=context)
        return await self._go_on(number, Running(exchange, played, task))

    async def _resume(self, point: Point) -> tuple[int, ReplayedExchange] | None:
        running = self._running.pop(point.of, None)
        if running is None and point.point == "sent":
            return None  # versions before the fast path recorded this wait for more requests
        turn = (point.point, point.index)
        if running is None or running.played.at_turn != turn:
            where = "was over" if running is None else f"waited at {running.played.at_turn}"
            raise DivergedError(f"entry {point.of} {where}; recorded was {turn}")
        running.played.waiting.clear()
        running.played.go.set()
        return await self._go_on(point.of, running)

    async def _go_on(self, number: int, running: Running) -> tuple[int, ReplayedExchange] | None:
        """Continue a command until it waits again or its response is complete."""
        waiting = asyncio.ensure_future(running.played.waiting.wait())
        await asyncio.wait(
            {running.task, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if running.task.done():
            waiting.cancel()
            error = running.task.exception()
            if error is not None:
                raise DivergedError(f"{type(error).__name__}: {error}") from error
            running.exchange.substituted = running.played.substituted
            return number, running.exchange
        self._running[number] = running
        if not waiting.done():
            waiting.cancel()
            raise DivergedError(f"no answer within {PATIENCE:g} s")
        return None

    def _headers(self, asked: ExportedRequest) -> list[tuple[bytes, bytes]]:
        headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in asked.headers]
        if asked.oversized:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
            headers.append((b"content-length", BEYOND))
        if asked.path.startswith(ADMIN):
            headers.append((b"authorization", f"Bearer {TOKEN}".encode()))
        if asked.key:
            headers += self._keys.get(asked.key, [])
        return headers


def _body(number: int, asked: ExportedRequest) -> bytes:
    """Return the body of a request; missing bytes of an upload are filled in.

    A JSON body must be complete.
    """
    body = asked.body
    if body is None or asked.oversized:
        return b""
    if not body.cut:
        return body.data
    if asked.method == "PUT" and "/media/" in asked.path:
        return body.data.ljust(body.size, b"\0")
    kept = f"only the first {len(body.data)} of {body.size} bytes of its body were kept"
    raise UnplayableError(f"entry {number} ({asked.method} {asked.path}) cannot be sent: {kept}")
