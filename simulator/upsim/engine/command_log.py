"""The command log of a sandbox: all input in order, each with its virtual time.

A replay must begin at the start, so a full log keeps the beginning of a history. The log
keeps references, so an entry costs next to nothing; hashing is done by the export. When a
command continues after a wait (for a measurement, a job, a delay), this is a later entry
of its own. A replay can then run other commands in the same places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from upsim.core.instants import Instant
from upsim.core.media import Measured
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.request_records import LoggedRequest
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


class LoggedAccount(NamedTuple):
    """The first use of a key opened an account; this entry comes before that of the request."""

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
    """Scenario files were reloaded: the resolved values by the name of each scenario."""

    at: Instant
    scenarios: Mapping[str, Mapping[str, object]]


class Resumed(msgspec.Struct):
    """A command continued after a wait; `found` is the measurement of a video, if known."""

    at: Instant
    of: int
    name: str
    index: int
    found: Measured | None = None


@dataclass(slots=True)
class Command:
    """A request that had to wait, or that is not for a provider."""

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
        """Record that the current step ran at this time."""
        if self.step is not None:
            self.step.at = at

    async def resumed(self, name: str, found: Measured | None = None) -> Measured | None:
        """Record that the command continues after a wait. A replay waits here in the same place."""
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
        """Record the body of the request, or the beginning of a long body.

        `size` and `digest` are those of the whole body.
        """
        self.body, self.body_size, self.body_digest = body, size or len(body), digest
        if self.body_size == len(body):
            kept = self.log.keeps(len(body))
            self.body_digest = "" if kept else digest or hashlib.sha256(body).hexdigest()
            self.body = body if kept else body[:MAX_BODY_KEPT]
        self.log.weigh(len(self.body))

    def answered(self, status: int, head: Pairs, body: bytes) -> None:
        """Record the complete response."""
        self.status, self.head = status, head
        self._sent(body)

    def tape(self, send: Send) -> Send:
        """Return a `send` function that also records the response."""

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
    """Return whether the content type of a response is JSON."""
    return any(
        name == b"content-type" and value[:16] == b"application/json" for name, value in head
    )


Entry = LoggedRequest | LoggedAccount | LoggedDelivery | LoggedReload | Command | Resumed
CURRENT: ContextVar[Command | None] = ContextVar("upsim_command", default=None)
"""The command that the present task carries out, unless it is one that is answered at once."""


async def resumed(name: str, found: Measured | None = None) -> Measured | None:
    """Record that the current command continues after a wait; return the video's measurement.

    A replay returns the recorded measurement.
    """
    command = CURRENT.get()
    return found if command is None else await command.resumed(name, found)


def happened(at: Instant) -> None:
    """Record that the current step of the current command ran at this time."""
    command = CURRENT.get()
    if command is not None:
        command.happened(at)


def taken(body: bytes, size: int, digest: str, *, oversized: bool) -> None:
    """Record the body of the current command, or the beginning of a long body."""
    command = CURRENT.get()
    if command is not None:
        command.oversized = oversized
        command.keep_body(body, size, digest)


def cut(is_cut: bool) -> None:  # noqa: FBT001 - it is what the name says
    """Record whether the current command's connection was cut."""
    command = CURRENT.get()
    if command is not None:
        command.cut = is_cut


def substituted() -> None:
    """Record that a response contains generated frames instead of an unavailable video."""
    command = CURRENT.get()
    if command is not None:
        command.substituted = True


def is_played() -> bool:
    """Return whether the current command belongs to a replay, which sets the order and time."""
    command = CURRENT.get()
    return command is not None and command.played


class LoggedKey(msgspec.Struct, frozen=True):
    """A sent key, by a name. `owner` is empty if the key was refused.

    `prefix` is the documented beginning of the provider's keys, if the key begins like this.
    """

    name: str
    provider: str
    owner: str
    credential: str
    prefix: str


class CommandLog:
    """The log of one sandbox: the first entries, up to a maximum number and size.

    `open` is True until the log is full; `count` is the number of kept entries.
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

    def add(self, request: LoggedRequest, size: int) -> None:
        """Add a request that was answered without a wait; `size` is the size of its bodies."""
        if self.open:
            if size > MAX_BODY_KEPT:
                self.append(self._cut(request), 0)  # the kept parts of its bodies are counted
            else:
                self.append(request, size)

    def begin(self, command: Command) -> Command:
        """Log a request that may have to wait, and make it the current command of this task."""
        CURRENT.set(command)
        return self.enter(command)

    def enter(self, command: Command) -> Command:
        """Log a command that may have to wait, unless it has been logged already."""
        if self.open and not command.number:
            command.seen = command.number = self.append(command, 0)
            command.step = command
        return command

    @contextmanager
    def during(self, command: Command) -> Iterator[Command]:
        """Log a command like `begin`; it is the current command until the block ends."""
        begun = self.begin(command)
        try:
            yield begun
        finally:
            CURRENT.set(None)

    # -- the rest of what comes from outside

    def opened(self, provider: str, owner: str, account: int) -> None:
        """Record that an account was opened."""
        if self.open:
            self.append(LoggedAccount(self.timeline.now, provider, owner, account), 0)

    def told(self, delivery: str, number: int, outcome: AttemptOutcome) -> None:
        """Record the result of an attempt to deliver a webhook."""
        if self.open:
            self.append(
                LoggedDelivery(self.timeline.now, delivery, number, outcome), len(outcome.answer)
            )

    def reread(self, scenarios: Mapping[str, Mapping[str, object]]) -> None:
        """Record that scenario files were reloaded, with their new values."""
        if self.open:
            self.append(LoggedReload(self.timeline.now, scenarios), 0)

    def stamp(self, seconds: int) -> int:
        """Record and return the Unix second that a webhook carries as its timestamp."""
        if self.open:
            self.stamps.append(seconds)
        return seconds

    def key(self, mark: bytes, key: LoggedKey) -> str:
        """Return the name of the key with this fingerprint; different keys have different names."""
        if not self.open:
            return ""
        found = self.keys.get((mark, key.owner))
        if found is None:
            number = self._named[key.name] = self._named.get(key.name, 0) + 1
            found = key if number == 1 else replace(key, name=f"{key.name}#{number}")
            self.keys[mark, key.owner] = found
        return found.name

    # -- inside

    def _cut(self, request: LoggedRequest) -> Command:
        """Return the entry of a request whose long body or response is not kept whole."""
        named = ((b"host", request.host), (b"content-type", request.content_type))
        command = Command(
            log=self,
            at=request.at,
            scheme=request.scheme,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=[(name, value) for name, value in named if value is not None],
            key=request.key,
            oversized=request.oversized,
        )
        command.keep_body(request.body)
        response = request.response
        command.answered(response.status, response.head["headers"], response.body)
        return command

    def append(self, entry: Entry, size: int) -> int:
        """Keep an entry and return its number; close the log when it is full."""
        self.entries.append(entry)
        self.count = count = self.count + 1
        self._left -= size + WEIGHT
        if count >= self._most:
            self.fill(f"{self._most} entries are kept")
        elif self._left < 0:
            self.fill("the bytes that are kept were used up")
        return count

    def keeps(self, size: int) -> bool:
        """Return whether a body of this size is kept whole.

        Other bodies are cut, hashed and marked as cut. Long bodies may use only half of the log's
        bytes, so that a few of them do not fill the log.
        """
        return size <= MAX_BODY_KEPT or self._left - size >= self._half

    def weigh(self, size: int) -> None:
        """Count additional bytes of the log."""
        self._left -= size

    def fill(self, why: str) -> None:
        """Keep no further entry; `why` is the reason."""
        self.open, self.filled = False, why
