"""The parts of one request and its response that sync and async code share.

An exchange holds the arguments of its request, the destination of the response body, the
total time limit, and the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from upsim.client import clocks
from upsim.client.adapter import ProviderResponse
from upsim.client.exceptions import ProtocolError
from upsim.client.http.bounded_decompression import PLAIN, Decoding
from upsim.client.http.outgoing_requests import Key, Wire
from upsim.client.http.total_timeout import TotalTimeout
from upsim.client.io_effects import Fetch, LostResponse, Send, SentResponse
from upsim.core.numbers import plain_count

MAX_BYTES = 64 * 1024**2
"""Maximum size of a response in memory; a video is written to a file instead."""
MAX_FILE_BYTES = 8 * 1024**3
"""Maximum size of a downloaded file; ten minutes in 4K are smaller."""
_UNSENDABLE = (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError)
"""Errors of a URL or a header, often chosen by a server, that no request can contain."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, *_UNSENDABLE)
_FAILED_ON_THE_WIRE = (httpx.HTTPError, httpx.StreamError, *_UNSENDABLE)


@dataclass(slots=True)
class BodyMode:
    """The way in which a response body is read: `raw` as received, or decoded."""

    raw: bool
    write: Callable[[bytes], object]
    patience: TotalTimeout
    size: int = 0

    def take(self, chunk: bytes) -> None:
        """Process the next chunk. Raises ReadTimeout after the limit, ProtocolError if too large.

        A response in memory has its own, smaller limit.
        """
        self.size += len(chunk)
        if self.size > MAX_FILE_BYTES:
            raise ProtocolError(f"not saved: the file has more than {MAX_FILE_BYTES} bytes")
        self.write(chunk)
        self.patience.check()


class HttpExchange(ABC):
    """One request and its response. `arguments` are those of `build_request`, without a body."""

    failures: tuple[type[Exception], ...] = _FAILED_ON_THE_WIRE
    """Errors that make a request `Lost`; other errors are raised to the user."""
    content: bytes | Path | None = None
    """A body that is not JSON."""
    auth: Key | None = None

    def __init__(self, arguments: dict[str, Any], *, answer: float) -> None:
        """Limit a response's headers and small body to `answer` seconds together."""
        self.arguments = arguments
        self.patience = TotalTimeout(answer)
        self._started = clocks.stopwatch()
        self._memory = bytearray()

    @abstractmethod
    def body(self, response: httpx.Response) -> AbstractContextManager[BodyMode]:
        """Return a context that decides how the body of this response is read."""

    @abstractmethod
    def result(self, response: httpx.Response) -> SentResponse | LostResponse:
        """Return the result after the body was read to its end."""

    def lost(self, error: Exception) -> LostResponse:
        """Return the failure without the request, which an httpx error would contain."""
        reason = f"no response ({type(error).__name__}: {str(error)[:200]})"
        return LostResponse(reason, sent=not isinstance(error, _NOT_SENT), took=self._took())

    def _in_memory(self, response: httpx.Response) -> BodyMode:
        """Keep the body, decompressed, in memory."""
        self.patience.with_answer()
        raw = _is_raw(response)
        encoding = response.headers.get("content-encoding", "") if raw else ""
        decoding = Decoding(encoding, MAX_BYTES)

        def grow(chunk: bytes) -> None:
            self._memory.extend(decoding.feed(chunk))

        return BodyMode(raw=raw, write=grow, patience=self.patience)

    def _sent(self, response: httpx.Response, spool: Path | None = None) -> SentResponse:
        status, headers = response.status_code, headers_of(response)
        return SentResponse(
            ProviderResponse(status, bytes(self._memory), headers, spool), self._took()
        )

    def _endless(self) -> LostResponse:
        reason = "the response has neither Content-Length nor chunks: the file may be incomplete"
        return LostResponse(reason, took=self._took())

    def _took(self) -> float:
        return clocks.stopwatch() - self._started


class Sending(HttpExchange):
    """A request of the adapter. Its response is kept in memory, or in a file if it is a video.

    A compressed body does not count as a video.
    """

    failures = (*_FAILED_ON_THE_WIRE, OSError)

    def __init__(self, wire: Wire, effect: Send) -> None:
        """Prepare the request. Raises UnsafeTargetError or UnpricedError."""
        super().__init__(wire.sending(effect), answer=wire.timeouts.answer)
        self.content = effect.request.content
        self.auth = wire.auth(effect.request)
        self._wire = wire
        self._spool: Path | None = None

    @contextmanager
    def body(self, response: httpx.Response) -> Iterator[BodyMode]:
        """Write a video to a file; keep any other body in memory."""
        if not _is_video(response):
            yield self._in_memory(response)
            return
        self.patience.with_file(self._wire.timeouts.file)
        self._spool = self._wire.spool()
        with self._spool.open("wb") as file:
            yield BodyMode(raw=_is_raw(response), write=file.write, patience=self.patience)

    def result(self, response: httpx.Response) -> SentResponse | LostResponse:
        """Return the response, or `LostResponse` if its video may be shorter than announced."""
        if self._spool is not None:
            length = response.headers.get("content-length", "")
            have = self._spool.stat().st_size
            if plain_count(length) not in (None, have):
                return LostResponse(
                    f"the body ended after {have} of {length} bytes", took=self._took()
                )
            if _ends_by_closing(response):
                return self._endless()
        return self._sent(response, self._spool)


class Fetching(HttpExchange):
    """A download without the key. Its body goes to the sink if the sink wants it."""

    def __init__(self, wire: Wire, effect: Fetch) -> None:
        """Apply the time limit of the file to the headers too."""
        super().__init__(wire.fetching(effect), answer=min(wire.timeouts.answer, effect.seconds))
        self._sink = effect.sink
        self._seconds = effect.seconds
        self._wanted = False

    @contextmanager
    def body(self, response: httpx.Response) -> Iterator[BodyMode]:
        """Ask the sink whether it accepts the body; otherwise keep the body as an error text."""
        self._wanted = self._sink.begin(response.status_code, headers_of(response))
        if not self._wanted:
            yield self._in_memory(response)
            return
        self.patience.with_file(self._seconds)
        yield BodyMode(raw=_is_raw(response), write=self._sink.write, patience=self.patience)

    def result(self, response: httpx.Response) -> SentResponse | LostResponse:
        """Return the response; `LostResponse` if the end of the file is unknown."""
        if self._wanted and _ends_by_closing(response):
            return self._endless()
        return self._sent(response)


def headers_of(response: httpx.Response) -> Mapping[str, str]:
    """Return the headers with names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


def _is_raw(response: httpx.Response) -> bool:
    """Return whether a body must still be read; a transport may have delivered it already."""
    return not response.is_stream_consumed


def _is_video(response: httpx.Response) -> bool:
    kind = str(response.headers.get("content-type", "")).lower()
    plain = str(response.headers.get("content-encoding", "")).lower() in PLAIN
    return response.is_success and kind.startswith("video/") and plain


def _ends_by_closing(response: httpx.Response) -> bool:
    """Return whether an HTTP/1 body ended by closing the connection.

    A cut connection looks the same.
    """
    version = response.extensions.get("http_version", b"")
    framed = {"content-length", "transfer-encoding"} & set(response.headers)
    return version.startswith(b"HTTP/1") and not framed
