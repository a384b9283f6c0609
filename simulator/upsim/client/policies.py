"""How patient the client is: how it polls, and how often it tries again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from upsim.client.arguments import REAL_SECONDS, SECONDS, Numbers, check_number

_GROWTH = Numbers("1.5", minimum=1, maximum=1000)
_JITTER = Numbers("0.1", maximum=1)
_POLLING = dict.fromkeys(("first", "most", "timeout", "outage"), SECONDS) | {
    "factor": _GROWTH,
    "jitter": _JITTER,
    "settling": Numbers("3", maximum=10**6, whole=True),
}
_RETRIES = dict.fromkeys(("first", "most", "longest"), SECONDS) | {
    "attempts": Numbers("5", minimum=1, maximum=10**6, whole=True),
    "factor": _GROWTH,
    "jitter": _JITTER,
}
_TIMEOUTS = dict.fromkeys(("connect", "read", "answer", "file"), REAL_SECONDS)


@dataclass(frozen=True, slots=True)
class Polling:
    """How a job is waited for.

    Where `first`, `factor` and `most` (seconds) are None the provider's advice counts. Each pause
    is spread by `jitter`, a fraction of it. A job has `timeout` seconds to end; `settling` is how
    often a completed job without output, or a failure that may be none, is looked at again, and
    `outage` how many seconds the provider may be in trouble while a job is waited for.
    """

    first: float | None = None
    factor: float | None = None
    most: float | None = None
    jitter: float = 0.1
    timeout: float = 3600.0
    settling: int = 3
    outage: float = 300.0

    def __post_init__(self) -> None:
        _check_numbers(self, _POLLING)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often what costs nothing is tried again after trouble, and how long the pauses are.

    A paid request is only ever repeated when it is known that it was not accepted. A `Retry-After`
    up to `longest` seconds is obeyed; one that asks for more ends the trying.
    """

    attempts: int = 5
    first: float = 0.5
    factor: float = 2.0
    most: float = 30.0
    jitter: float = 0.1
    longest: float = 120.0

    def __post_init__(self) -> None:
        _check_numbers(self, _RETRIES)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds of real time that the network may take.

    `connect` and `read` (between two bytes) bound silence; `answer` and `file` bound what comes
    drop by drop: a whole answer, from the request's end to that of head and body, and a whole file
    with all its resumptions.
    """

    connect: float = 10.0
    read: float = 60.0
    answer: float = 120.0
    file: float = 3600.0

    def __post_init__(self) -> None:
        _check_numbers(self, _TIMEOUTS)


def _check_numbers(policy: Polling | Retries | Timeouts, of: Mapping[str, Numbers]) -> None:
    for one in fields(policy):
        value = getattr(policy, one.name)
        if value is not None or one.default is not None:
            check_number(f"{type(policy).__name__}.{one.name}", value, of[one.name])
