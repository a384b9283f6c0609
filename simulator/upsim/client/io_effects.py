"""The effects that the client's logic yields: send, wait, call, report and fetch.

The logic consists of generators that yield effects and receive their results. It uses neither
sockets nor event loops, so the same code runs sync and async.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from upsim.client.adapter import ProviderResponse, Request
from upsim.client.request_guard import Reservation
from upsim.client.results import Progress

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class LostResponse:
    """A missing or incomplete response. If `sent` is False, the server has received nothing."""

    reason: str
    sent: bool = True
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the result is `SentResponse` or `LostResponse`."""

    request: Request
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class SentResponse:
    """The response to a request, and the seconds that it took."""

    answer: ProviderResponse
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CheckSleeper:
    """Check that the sleeper will work: a job is paid for before the first wait."""


@dataclass(frozen=True, slots=True)
class BlockingCall:
    """Call a blocking function (read a file, measure a video); the result is its return value."""

    function: Callable[[], Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """Report the progress to the user's own function."""

    progress: Progress


class Sink(Protocol):
    """A destination for the body of a download."""

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the body is wanted."""

    def write(self, chunk: bytes) -> None:
        """Write the next chunk."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """GET a URL without the key and write the body to a sink, within some seconds.

    The result is `SentResponse` or `LostResponse`. The response contains the body only if the
    sink rejects it.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str]
    sink: Sink
    seconds: float


Effect = Send | Sleep | CheckSleeper | BlockingCall | ReportProgress | Fetch
Flow = Generator[Effect, Any, _Result]
"""Logic that yields effects and returns a result."""
