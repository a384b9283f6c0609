"""Faults: wrong behaviour injected on purpose; the requests that match, and when it fires."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple, get_args

import msgspec

from upsim.core.globs import fits
from upsim.core.json_patches import ABSENT, value_at
from upsim.core.states import JobState

Stage = Literal[
    "before_accept", "after_accept", "poll", "mid_body", "download", "upload", "webhook"
]
STAGES: tuple[Stage, ...] = get_args(Stage)
DRAW_BITS = 53
"""Number of random bits of a draw."""

KINDS_AT: Mapping[Stage, frozenset[str]] = {
    "before_accept": frozenset({"submit", "write", "upload"}),
    "after_accept": frozenset({"submit", "write", "upload"}),
    "poll": frozenset({"poll", "read"}),
    "mid_body": frozenset({"submit", "write", "upload", "poll", "read"}),
    "download": frozenset({"file"}),
    "upload": frozenset({"upload"}),
    "webhook": frozenset({"submit"}),
}
"""Kinds of operation that come to a stage. `file` is a file of ours, which has no operation."""
UNNAMED_AT: Mapping[Stage, frozenset[str]] = {
    **KINDS_AT,
    "before_accept": frozenset({"submit"}),
    "after_accept": frozenset({"submit"}),
    "poll": frozenset({"poll"}),
}
"""Kinds that a rule without `on` speaks of."""
FILES_AT: Mapping[Stage, tuple[str, ...]] = {
    "download": ("outputs", "uploads"),
    "upload": ("uploads",),
}
"""What `on` may name beside operations: the folders below `/media/`."""


class Word(StrEnum):
    """Actions that have no parameters."""

    DROP = "drop_connection"
    RESET = "reset_connection"
    LOSE = "lose"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    EARLY = "early"
    BAD_SIGNATURE = "bad_signature"
    STALE_SIGNATURE = "stale_signature"


class Wait(msgspec.Struct, frozen=True):
    """A time to wait in microseconds: on the sandbox clock, or of real time."""

    micros: int
    real: bool = False


class Respond(msgspec.Struct, frozen=True):
    """Another response: an entry of the error catalogue, or status, body and headers as given.

    At the stage `webhook` it replaces the response of the receiver.
    """

    error: str = ""
    values: Mapping[str, object] = msgspec.field(default_factory=dict)
    status: int = 200
    body: object = ""
    headers: tuple[tuple[str, str], ...] = ()


class Patch(msgspec.Struct, frozen=True):
    """Replaces fields of the real JSON response; a missing path is ignored."""

    fields: tuple[tuple[str, object], ...]


class Headers(msgspec.Struct, frozen=True):
    """Replaces headers of the real response."""

    headers: tuple[tuple[str, str], ...]


class Delay(msgspec.Struct, frozen=True):
    """Delays the first byte of the response."""

    wait: Wait


class Truncate(msgspec.Struct, frozen=True):
    """Closes the connection after some bytes, or a percentage, of the body."""

    amount: int
    percent: bool = False


class Corrupt(msgspec.Struct, frozen=True):
    """Flips the highest bit of some bytes, which are spread over the body."""

    count: int = 1


class Trickle(msgspec.Struct, frozen=True):
    """Sends the body in small chunks, with a pause before each chunk except the first."""

    chunk: int
    pause: Wait


class Late(msgspec.Struct, frozen=True):
    """Sends a webhook later, by this time."""

    wait: Wait


Action = Word | Respond | Patch | Headers | Delay | Truncate | Corrupt | Trickle | Late

CUTS = (Word.DROP.value, Word.RESET.value)
"""The actions that end a connection without an answer."""
_BODY = ("truncate", "corrupt", "trickle")
_ANSWER = ("respond", "patch", "headers", "delay", *CUTS, *_BODY)
ACTIONS_AT: Mapping[Stage, tuple[str, ...]] = {
    "before_accept": ("respond", "delay", *CUTS),
    "after_accept": _ANSWER,
    "poll": _ANSWER,
    "mid_body": (*CUTS, *_BODY),
    "download": ("respond", "headers", "delay", *CUTS, *_BODY),
    "upload": ("respond", "delay", *CUTS),
    "webhook": (
        "respond",
        "late",
        *(word.value for word in Word if word.value not in CUTS),
    ),
}
"""The names of the actions that fit a stage."""


def name_of(action: Action) -> str:
    """Return the name of an action as it is written in scenarios."""
    return action.value if isinstance(action, Word) else type(action).__name__.lower()


class FaultRule(msgspec.Struct, frozen=True):
    """A fault: the requests that it matches, how often it fires, and its action.

    A rule matches requests to one provider at one stage. These fields limit it further: `on` (an
    operation or a glob), `account`, `when` (values of the body) and `state` (of the job). The
    rule skips the first `after` matches, then fires on each `every`-th match with a
    `probability`, and at most `first` times. `written` is the action as written.
    """

    id: str
    provider: str
    at: Stage
    do: Action
    on: str | None = None
    account: str | None = None
    when: tuple[tuple[str, str], ...] = ()
    state: JobState | None = None
    first: int | None = None
    every: int = 1
    after: int = 0
    probability: Decimal | None = None
    written: object = None


class Armed(NamedTuple):
    """A rule in a sandbox, with its counters: how many calls matched, and how often it fired."""

    rule: FaultRule
    matched: int = 0
    fired: int = 0

    @property
    def remaining(self) -> int | None:
        """How often the fault can still fire; None if there is no limit."""
        return None if self.rule.first is None else self.rule.first - self.fired


class Occasion(NamedTuple):
    """A call at a stage, as fault rules read it.

    `document` is the decoded body of the request.
    """

    provider: str
    operation: str
    kind: str
    account: tuple[str, ...] = ()
    state: JobState | None = None
    document: object = None


def is_about(rule: FaultRule, operation: str, kind: str) -> bool:
    """Return whether a rule matches requests of an operation, by its `on` or by its stage."""
    return kind in UNNAMED_AT[rule.at] if rule.on is None else fits(operation, rule.on)


def has_values(rule: FaultRule, document: object) -> bool:
    """Return whether the body of a request has the values of a rule's `when`."""
    for path, wanted in rule.when:
        value = value_at(document, path)
        if value is ABSENT or not is_like(value, wanted):
            return False
    return True


def concerns(rule: FaultRule, stage: Stage, occasion: Occasion) -> bool:
    """Return whether a rule matches a request, without its counters."""
    return (
        rule.at == stage
        and rule.provider == occasion.provider
        and is_about(rule, occasion.operation, occasion.kind)
        and (rule.account is None or rule.account in occasion.account)
        and (rule.state is None or rule.state is occasion.state)
        and has_values(rule, occasion.document)
    )


def spoken_of(rule: FaultRule, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the operations and the file folders that a rule may apply to.

    `kinds` are the kinds of the provider's operations, by name.
    """
    allowed = UNNAMED_AT[rule.at] if rule.on is None else KINDS_AT[rule.at]
    names = (*(n for n, kind in kinds.items() if kind in allowed), *FILES_AT.get(rule.at, ()))
    return tuple(name for name in names if rule.on is None or fits(name, rule.on))


def fires(armed: Armed, draw: int) -> bool:
    """Return whether the next match fires, given the counters and a draw of `DRAW_BITS` bits."""
    rule = armed.rule
    number = armed.matched + 1 - rule.after
    if number < 1 or number % rule.every or armed.remaining == 0:
        return False
    return rule.probability is None or draw < rule.probability * 2**DRAW_BITS


def spelt(value: object) -> str:
    """Return a value of a request as rules write it: true, false and null in lower case."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def is_like(value: object, wanted: str) -> bool:
    """Return whether a value of a request equals the value in a rule, or matches its glob.

    A missing or null value matches no glob.
    """
    found = spelt(value)
    return found == wanted or (value is not None and fits(found, wanted))


def corrupted(data: bytes, *, offset: int, total: int, count: int) -> bytes:
    """Return a part of a body of `total` bytes with the bits of the chosen bytes flipped."""
    changed = bytearray(data)
    for i in range(min(count, total)):
        place = (2 * i + 1) * total // (2 * min(count, total)) - offset
        if 0 <= place < len(changed):
            changed[place] ^= 0x80
    return bytes(changed)
