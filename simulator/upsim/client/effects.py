"""What the client's logic asks of whoever carries it out: send, wait, call, tell, fetch.

The logic is generators that yield these and are sent what came of them. It knows neither sockets
nor event loops, so that it is written once and runs sync and async.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from upsim.client.adapter import ProviderResponse, Request
from upsim.client.request_guard import Reservation
from upsim.client.values import Progress

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class LostResponse:
    """There is no answer, or not all of one. Unless `sent`, the other side has seen nothing."""

    reason: str
    sent: bool = True
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; what comes is `Sent` or `Lost`."""

    request: Request
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class SentResponse:
    """A request's answer, and the seconds that it took."""

    answer: ProviderResponse
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class BlockingCall:
    """Call something that blocks (reads a file, measures a video); what comes is its result."""

    function: Callable[[], Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """Tell the caller's own function how far it is."""

    progress: Progress


class Sink(Protocol):
    """What takes the body of a download."""

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether the body is wanted."""

    def write(self, chunk: bytes) -> None:
        """The next part of it."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """GET a URL without the key into a sink, in so many seconds; what comes is `Sent` or `Lost`.

    The answer holds the body only when the sink does not want it.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str]
    sink: Sink
    seconds: float


Effect = Send | Sleep | BlockingCall | ReportProgress | Fetch
Flow = Generator[Effect, Any, _Result]
"""Logic that yields effects and returns a result."""
