"""The client's polling intervals, retries and timeouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from upsim.client.argument_checks import REAL_SECONDS, SECONDS, Numbers, check_number
from upsim.client.clocks import Dice

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
    """The polling policy of a client.

    If `first`, `factor` or `most` (seconds) is None, the provider's advice applies. Each pause
    varies by `jitter`, a fraction of it. A job has `timeout` seconds to end. `settling` is the
    number of extra polls for a completed job without output, or for a tentative failure.
    `outage` is the number of seconds of provider errors that the client tolerates while it waits.
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
    """The retry policy for free requests: the number of retries and the length of the pauses.

    The client repeats a paid request only if it was certainly not accepted. It respects a
    `Retry-After` of up to `longest` seconds; a longer one ends the retries.
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
    """Limits on network operations, in real seconds.

    `connect` and `read` (between two bytes) limit silence. `answer` limits a whole response, from
    the end of the request to the end of the body. `file` limits a download with all resumptions.
    """

    connect: float = 10.0
    read: float = 60.0
    answer: float = 120.0
    file: float = 3600.0

    def __post_init__(self) -> None:
        _check_numbers(self, _TIMEOUTS)


def with_jitter(seconds: float, jitter: float, dice: Dice) -> float:
    """Return a pause that is randomly longer or shorter, by at most the fraction `jitter`."""
    return seconds * (1 + jitter * (2 * dice.random() - 1))


def _check_numbers(policy: Polling | Retries | Timeouts, of: Mapping[str, Numbers]) -> None:
    for one in fields(policy):
        value = getattr(policy, one.name)
        if value is not None or one.default is not None:
            check_number(f"{type(policy).__name__}.{one.name}", value, of[one.name])
