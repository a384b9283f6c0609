"""The command log of a sandbox: what came in, in order, each at its virtual instant.

It keeps the beginning of a history and not its end: only from the start on can one be replayed.
What is kept are references, so that an entry costs next to nothing; hashing is for the export.
A command that waits (for a measurement, a job, a delay) goes on as a later entry, so that a replay
can let others in at the same places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from upsim.core.instants import Instant
from upsim.core.media import Measured
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.timeline import Timeline

MAX_BODY_KEPT = 1024 * 1024
"""Bytes of one body that are kept in any case; of a longer one see `CommandLog.keeps`."""
HASHED = 64 * 1024 * 1024
"""Bytes of a sent file that count into its digest; a file beyond is compared by its length."""
WEIGHT = 1024
"""About how many bytes an entry takes beside the bodies."""

KEPT_HEADERS = (
    b"host",
    b"content-type",
    b"content-length",
    b"range",
    b"if-range",
    b"if-none-match",
)
"""The headers that decide answers. No other is kept: any of them could hold a secret."""

BY_HAND = frozenset({"flush", "checkpoint", "resent"})
"""The turn at which an advance waits; a `manual` or `auto` clock is then at the reached time."""

Pairs = tuple[tuple[bytes, bytes], ...] | list[tuple[bytes, bytes]]
Send = Callable[..., Awaitable[None]]


class Whole(Protocol):
    """An answer that is known as a whole."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> bytes:
        """All bytes of the body."""

    @property
    def head(self) -> MutableMapping[str, Any]:
        """The ASGI message that begins it, with its `headers`."""


class LoggedRequest(NamedTuple):
    """One request that was answered at once. The hot path appends the bare tuple of it.

    `key` names the key that was sent; the key itself is nowhere.
    """

    at: Instant
    scheme: str
    method: str
    path: str
    query: bytes
    host: bytes | None
    content_type: bytes | None
    key: str
    body: bytes
    oversized: bool
    answer: Whole


class LoggedAccount(NamedTuple):
    """An account was opened by the first use of a key, which comes before its request."""

    at: Instant
    provider: str
    owner: str
    account: int


class LoggedDelivery(NamedTuple):
    """The result of an attempt to deliver a webhook."""

    at: Instant
    delivery: str
    number: int
    outcome: AttemptOutcome


class LoggedReload(NamedTuple):
    """Scenario files were read again: what holds then, by the names of the scenarios."""

    at: Instant
    scenarios: Mapping[str, Mapping[str, object]]


@dataclass(slots=True)
class Resumed:
    """A command went on after it had waited; `found` is what it then knew of a video."""

    at: Instant
    of: int
    name: str
    index: int
    found: Measured | None = None


@dataclass(slots=True)
class Command:
    """One request that could not be answered at once, or that is not a provider's."""

    log: CommandLog
    at: Instant
    scheme: str
    method: str
    path: str
    query: bytes
    headers: Pairs
    key: str = ""
    body: bytes = b""
    oversized: bool = False
    wall: Instant = 0
    # --- its answer
    status: int | None = None
    head: Pairs = ()
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    cut: bool = False
    substituted: bool = False
    # --- its course
    number: int = 0
    step: Command | Resumed | None = None
    seen: int = 0
    pauses: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    body_size: int = 0
    body_digest: str = ""
    played: bool = False
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def happened(self, at: Instant) -> None:
        """The present step ran at this instant."""
        if self.step is not None:
            self.step.at = at

    async def resumed(self, name: str, found: Measured | None = None) -> Measured | None:
        """The command goes on after a wait. A replay waits here for its turn."""
        index = self.pauses.get(name, 0)
        self.pauses[name] = index + 1
        log = self.log
        now, clock = log.timeline.now, log.timeline.clock
        unmoved = log.count == self.seen and self.step is not None
        if name not in BY_HAND or not clock.moves_by_hand:
            unmoved = unmoved and self.step is not None and self.step.at == now
        if log.open and self.number and (found is not None or not unmoved):
            self.step = Resumed(now, self.number, name, index, found)
            self.seen = log.append(self.step, 0)
        return found

    def keep_body(self, body: bytes, size: int = 0, digest: str = "") -> None:
        """The body of the request is there, or of a longer one its beginning.

        `digest` is that of the longer body, or of a long one which may be kept whole.
        """
        self.body, self.body_size, self.body_digest = body, size or len(body), digest
        if self.body_size == len(body):
            kept = self.log.keeps(len(body))
            self.body_digest = "" if kept else digest or hashlib.sha256(body).hexdigest()
            self.body = body if kept else body[:MAX_BODY_KEPT]
        self.log.weigh(len(self.body))

    def answered(self, status: int, head: Pairs, body: bytes) -> None:
        """The whole answer is known."""
        self.status, self.head = status, head
        self._sent(body)

    def tape(self, send: Send) -> Send:
        """A `send` that also notes what is sent."""

        async def taped(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]  # type: ignore[assignment]  # ASGI says so
                self.head = message["headers"]  # type: ignore[assignment]  # as above
            else:
                self._sent(message.get("body", b""))  # type: ignore[arg-type]  # as above
            await send(message)

        return taped

    def _sent(self, body: bytes) -> None:
        self.size += len(body)
        if self.size <= HASHED:
            self._hash.update(body)
            self.digest = self._hash.hexdigest()
        if self.size <= MAX_BODY_KEPT and is_json(self.head):
            self.parts.append(body)
            self.log.weigh(len(body))


def is_json(head: Pairs) -> bool:
    """Whether an answer says that it is JSON."""
    return any(
        name == b"content-type" and value[:16] == b"application/json" for name, value in head
    )


Entry = tuple[object, ...] | Command | Resumed
CURRENT: ContextVar[Command | None] = ContextVar("upsim_command", default=None)
"""The command that the present task carries out, unless it is one that is answered at once."""


async def resumed(name: str, found: Measured | None = None) -> Measured | None:
    """The present command goes on after a wait; a replay finds what was found."""
    command = CURRENT.get()
    return found if command is None else await command.resumed(name, found)


def happened(at: Instant) -> None:
    """The present step of the present command ran at this instant."""
    command = CURRENT.get()
    if command is not None:
        command.happened(at)


def taken(body: bytes, size: int, digest: str, *, oversized: bool) -> None:
    """The body of the present command is there, or of a longer one its beginning."""
    command = CURRENT.get()
    if command is not None:
        command.oversized = oversized
        command.keep_body(body, size, digest)


def cut(is_cut: bool) -> None:  # noqa: FBT001 - it is what the name says
    """The present command's connection was cut, or was not."""
    command = CURRENT.get()
    if command is not None:
        command.cut = is_cut


def substituted() -> None:
    """The answer of the present command holds what was drawn instead of a video not at hand."""
    command = CURRENT.get()
    if command is not None:
        command.substituted = True


def is_played() -> bool:
    """Whether the present command is one of a replay: it waits for its turn and for no clock."""
    command = CURRENT.get()
    return command is not None and command.played


@dataclass(frozen=True, slots=True)
class LoggedKey:
    """A key that was sent, by a name. `owner` of one that was refused is empty.

    `prefix` is how it begins, as far as the provider's documents say how keys begin.
    """

    name: str
    provider: str
    owner: str
    credential: str
    prefix: str


class CommandLog:
    """The log of one sandbox: its first entries, as many as it may keep.

    `open` until it is full; `count` are the entries that are kept.
    """

    __slots__ = (
        "_half",
        "_left",
        "_most",
        "_named",
        "count",
        "entries",
        "filled",
        "keys",
        "open",
        "stamps",
        "start",
        "timeline",
    )

    def __init__(self, timeline: Timeline, *, most: int, most_bytes: int) -> None:
        """Start with an empty log and the sandbox's present clock."""
        self.timeline = timeline
        self.start = (timeline.clock.label, timeline.now, timeline.clock.pace)
        self.entries: list[Entry] = []
        self.count = 0
        self.open = most > 0
        self.filled = "" if most > 0 else "no command is kept"
        self.keys: dict[tuple[bytes, str], LoggedKey] = {}
        self.stamps: list[int] = []
        self._named: dict[str, int] = {}
        self._most = most
        self._left = most_bytes
        self._half = most_bytes // 2

    # -- requests

    def add(self, request: tuple[object, ...], size: int) -> None:
        """Take in an answered request, the fields of `LoggedRequest`, and its bytes of bodies."""
        if self.open:
            if size > MAX_BODY_KEPT:
                self.append(self._cut(request), 0)  # what is kept of it was weighed
            else:
                self.append(request, size)

    def begin(self, command: Command) -> Command:
        """Log a request that may have to wait, as the present command of this task."""
        CURRENT.set(command)
        return self.enter(command)

    def enter(self, command: Command) -> Command:
        """Keep a command that may have to wait, unless that was done when it was decided."""
        if self.open and not command.number:
            command.seen = command.number = self.append(command, 0)
            command.step = command
        return command

    @contextmanager
    def during(self, command: Command) -> Iterator[Command]:
        """The same for as long as the block runs."""
        begun = self.begin(command)
        try:
            yield begun
        finally:
            CURRENT.set(None)

    # -- the rest of what comes from outside

    def opened(self, provider: str, owner: str, account: int) -> None:
        """An account was opened."""
        if self.open:
            self.append(LoggedAccount(self.timeline.now, provider, owner, account), 0)

    def told(self, delivery: str, number: int, outcome: AttemptOutcome) -> None:
        """An attempt to deliver a webhook came to this."""
        if self.open:
            self.append(
                LoggedDelivery(self.timeline.now, delivery, number, outcome), len(outcome.answer)
            )

    def reread(self, scenarios: Mapping[str, Mapping[str, object]]) -> None:
        """Scenario files were read again, and these hold from now on."""
        if self.open:
            self.append(LoggedReload(self.timeline.now, scenarios), 0)

    def stamp(self, seconds: int) -> int:
        """The second that a webhook carries as its timestamp."""
        if self.open:
            self.stamps.append(seconds)
        return seconds

    def key(self, mark: bytes, key: LoggedKey) -> str:
        """The name of a key with this fingerprint; two keys have two names, also of one owner."""
        if not self.open:
            return ""
        found = self.keys.get((mark, key.owner))
        if found is None:
            number = self._named[key.name] = self._named.get(key.name, 0) + 1
            found = key if number == 1 else replace(key, name=f"{key.name}#{number}")
            self.keys[mark, key.owner] = found
        return found.name

    # -- inside

    def _cut(self, request: tuple[object, ...]) -> Entry:
        """A request with a long body or answer, which are not kept whole."""
        known = LoggedRequest._make(request)
        named = ((b"host", known.host), (b"content-type", known.content_type))
        command = Command(
            log=self,
            at=known.at,
            scheme=known.scheme,
            method=known.method,
            path=known.path,
            query=known.query,
            headers=[(name, value) for name, value in named if value is not None],
            key=known.key,
            oversized=known.oversized,
        )
        command.keep_body(known.body)
        answer = known.answer
        command.answered(answer.status, answer.head["headers"], answer.body)
        return command

    def append(self, entry: Entry, size: int) -> int:
        """Keep an entry and return its number; the log is full after the last that fits."""
        self.entries.append(entry)
        self.count = count = self.count + 1
        self._left -= size + WEIGHT
        if count >= self._most:
            self._fill(f"{self._most} entries are kept")
        elif self._left < 0:
            self._fill("the bytes that are kept were used up")
        return count

    def keeps(self, size: int) -> bool:
        """Whether a body of this size is kept whole; else it is cut, hashed and marked as cut.

        Long bodies may use up one half of the bytes that are kept, so that some never end the log.
        """
        return size <= MAX_BODY_KEPT or self._left - size >= self._half

    def weigh(self, size: int) -> None:
        """Count additional bytes of the log."""
        self._left -= size

    def _fill(self, why: str) -> None:
        self.open, self.filled = False, why
