"""One request and its answer, as far as sync and async are the same.

An exchange knows the arguments of its request, what becomes of the answer's body, how long all
that may take, and what came of it.
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
from upsim.client.effects import Fetch, LostResponse, Send, SentResponse
from upsim.client.exceptions import ProtocolError
from upsim.client.http.decoding import PLAIN, Decoding
from upsim.client.http.total_timeout import TotalTimeout
from upsim.client.http.wire import Key, Wire
from upsim.core.numbers import plain_count

MAX_BYTES = 64 * 1024**2
"""The longest answer that is read; a video is not read but written to a file."""
MAX_FILE_BYTES = 8 * 1024**3
"""The longest file that is saved: ten minutes in 4K have less."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_FAILED_ON_THE_WIRE = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


@dataclass(slots=True)
class BodyMode:
    """How the body of an answer is taken: `raw` as it came, else decoded."""

    raw: bool
    write: Callable[[bytes], object]
    patience: TotalTimeout
    size: int = 0

    def take(self, chunk: bytes) -> None:
        """Take the next part. Raises ReadTimeout when it takes too long, ProtocolError if too big.

        What is held in memory has a smaller bound of its own.
        """
        self.size += len(chunk)
        if self.size > MAX_FILE_BYTES:
            raise ProtocolError(f"not saved: the file has more than {MAX_FILE_BYTES} bytes")
        self.write(chunk)
        self.patience.check()


class HttpExchange(ABC):
    """One request and its answer. `arguments` are those of `build_request`, without a body."""

    failures: tuple[type[Exception], ...] = _FAILED_ON_THE_WIRE
    """What makes it `Lost`; the rest is for the caller to know."""
    content: bytes | Path | None = None
    """A body that is no JSON."""
    auth: Key | None = None

    def __init__(self, arguments: dict[str, Any], *, answer: float) -> None:
        """An answer's head and small body have so many seconds together."""
        self.arguments = arguments
        self.patience = TotalTimeout(answer)
        self._started = clocks.stopwatch()
        self._memory = bytearray()

    @abstractmethod
    def body(self, response: httpx.Response) -> AbstractContextManager[BodyMode]:
        """How the body of this answer is taken."""

    @abstractmethod
    def result(self, response: httpx.Response) -> SentResponse | LostResponse:
        """What came, after the body was taken to its end."""

    def lost(self, error: Exception) -> LostResponse:
        """What went wrong, without the request that an httpx error carries."""
        reason = f"no answer ({type(error).__name__}: {str(error)[:200]})"
        return LostResponse(reason, sent=not isinstance(error, _NOT_SENT), took=self._took())

    def _in_memory(self, response: httpx.Response) -> BodyMode:
        """The body as it was before it was compressed."""
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
        reason = "neither a length nor chunks tell whether the file is whole"
        return LostResponse(reason, took=self._took())

    def _took(self) -> float:
        return clocks.stopwatch() - self._started


class Sending(HttpExchange):
    """A request of the adapter. Its answer is kept in memory, unless it is a video itself.

    A compressed video is none.
    """

    failures = (*_FAILED_ON_THE_WIRE, OSError)

    def __init__(self, wire: Wire, effect: Send) -> None:
        """Raises UnsafeTargetError or UnpricedError."""
        super().__init__(wire.sending(effect), answer=wire.timeouts.answer)
        self.content = effect.request.content
        self.auth = wire.auth(effect.request)
        self._wire = wire
        self._spool: Path | None = None

    @contextmanager
    def body(self, response: httpx.Response) -> Iterator[BodyMode]:
        """A video is written to a file."""
        if not _is_video(response):
            yield self._in_memory(response)
            return
        self.patience.with_file(self._wire.timeouts.file)
        self._spool = self._wire.spool()
        with self._spool.open("wb") as file:
            yield BodyMode(raw=_is_raw(response), write=file.write, patience=self.patience)

    def result(self, response: httpx.Response) -> SentResponse | LostResponse:
        """The answer, unless its video is shorter than announced, or could be."""
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
    """A file, without the key. Its body goes to the sink as it comes, if the sink wants it."""

    def __init__(self, wire: Wire, effect: Fetch) -> None:
        """Its head has no more time than the file."""
        super().__init__(wire.fetching(effect), answer=min(wire.timeouts.answer, effect.seconds))
        self._sink = effect.sink
        self._seconds = effect.seconds
        self._wanted = False

    @contextmanager
    def body(self, response: httpx.Response) -> Iterator[BodyMode]:
        """The sink says whether it is wanted; else it is the text of a refusal."""
        self._wanted = self._sink.begin(response.status_code, headers_of(response))
        if not self._wanted:
            yield self._in_memory(response)
            return
        self.patience.with_file(self._seconds)
        yield BodyMode(raw=_is_raw(response), write=self._sink.write, patience=self.patience)

    def result(self, response: httpx.Response) -> SentResponse | LostResponse:
        """The answer, unless the end of a file cannot be told; its length is for the sink."""
        if self._wanted and _ends_by_closing(response):
            return self._endless()
        return self._sent(response)


def headers_of(response: httpx.Response) -> Mapping[str, str]:
    """Its headers, their names in small letters."""
    return {name.lower(): value for name, value in response.headers.items()}


def _is_raw(response: httpx.Response) -> bool:
    """Whether a body is still to be read; a transport may have given it as a whole."""
    return not response.is_stream_consumed


def _is_video(response: httpx.Response) -> bool:
    kind = str(response.headers.get("content-type", "")).lower()
    plain = str(response.headers.get("content-encoding", "")).lower() in PLAIN
    return response.is_success and kind.startswith("video/") and plain


def _ends_by_closing(response: httpx.Response) -> bool:
    """Whether a body of HTTP/1 ended with its connection, as it also does when that is cut."""
    version = response.extensions.get("http_version", b"")
    framed = {"content-length", "transfer-encoding"} & set(response.headers)
    return version.startswith(b"HTTP/1") and not framed
