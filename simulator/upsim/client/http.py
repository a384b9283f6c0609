"""Carrying out the client's effects over httpx, sync or async: the one module that knows httpx.

Proxy variables are ignored and redirects never followed here. The key goes to the provider's base
URL only, put there by an httpx auth object, so that no header with it is anybody's local variable.
An httpx error never leaves this module: it becomes a `Lost`, without its request.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from functools import cache
from inspect import isawaitable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

from upsim.client import clocks
from upsim.client.adapter import Adapter, Answer, Request
from upsim.client.effects import Call, Effect, Fetch, Flow, Lost, Send, Sent, Sleep
from upsim.client.exceptions import TransientError
from upsim.client.guard import Guard
from upsim.client.policies import Timeouts
from upsim.client.values import Progress

_Result = TypeVar("_Result")
MOST_BYTES = 64 * 1024**2
"""The longest answer that is read; a video is not read but written to a file."""
_CHUNK = 1 << 20
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_FAILED_ON_THE_WIRE = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
_FAILED = (*_FAILED_ON_THE_WIRE, OSError)
Sleeper = Callable[[float], object]
"""Waits so many seconds, in whatever time; what it returns is awaited if it can be."""
Watch = Callable[[Progress], object]
"""Is told how far a job is; what it returns is awaited if it can be."""


class SandboxSleep(Protocol):
    """A sleeper that moves a sandbox's clock instead, sync and async."""

    def sleep(self, seconds: float) -> None:
        """Move it on."""

    async def sleep_async(self, seconds: float) -> None:
        """Move it on, letting others work."""

    def close(self) -> None:
        """Close the connections."""


class _Key(httpx.Auth):
    """Puts the key on requests; no text form of it shows the key."""

    def __init__(self, adapter: Adapter, key: str) -> None:
        self._adapter = adapter
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers.update(self._adapter.authorise(self._key))
        yield request


class _Patience:
    """How long a body has been coming, drop by drop."""

    def __init__(self) -> None:
        self._began = clocks.stopwatch()

    def check(self, most: float) -> None:
        """Raise ReadTimeout when it takes longer than so many seconds."""
        if clocks.stopwatch() - self._began > most:
            raise httpx.ReadTimeout(f"the body has not ended within {most:g} s")


class Wire:
    """What sync and async have in common: how requests are made and answers read."""

    def __init__(
        self,
        adapter: Adapter,
        *,
        base_url: str,
        key: str,
        guard: Guard,
        timeouts: Timeouts,
        watch: Watch | None,
    ) -> None:
        """Speak to the provider at `base_url`, below which its own paths begin."""
        self._base_url = base_url.rstrip("/")
        self._auth = _Key(adapter, key)
        self.guard = guard
        self.watch = watch
        self.timeout = httpx.Timeout(timeouts.read, connect=timeouts.connect)
        self.timeouts = timeouts
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._spooled = 0
        self._lock = threading.Lock()

    def arguments(self, effect: Send) -> dict[str, Any]:
        """The arguments of `build_request`. Raises UnsafeTargetError or UnpricedError."""
        request = effect.request
        self.guard.admit(request, effect.reservation)
        own = request.target.startswith("/")
        if not own:
            self.guard.admit_link(request.target)
        return {
            "method": request.method,
            "url": f"{self._base_url}{request.target}" if own else request.target,
            "headers": dict(request.headers) | _length(request),
            "json": request.body,
            "timeout": self.timeout,
        }

    def auth(self, request: Request) -> _Key | None:
        """The key, for the provider's own paths alone."""
        return self._auth if request.target.startswith("/") else None

    def spool(self) -> Path:
        """A new file for a video that comes as an answer; `close` removes it."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="upsim-client-")
            self._spooled += 1
            return Path(self._folder.name) / f"{self._spooled}.mp4"

    def close(self) -> None:
        """Remove what was spooled."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class SyncRunner:
    """Runs flows over a sync httpx client."""

    def __init__(
        self, wire: Wire, http: httpx.Client | None, sleeper: Sleeper | SandboxSleep | None
    ) -> None:
        """Without `http` it has a client of its own."""
        self._wire = wire
        self._http = http or _client()
        self._own = http is None
        self._sleeper = sleeper
        self._sleep = _sleeper(sleeper)

    def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out what a flow asks for, and return its result."""
        try:
            effect = next(flow)
            while True:
                try:
                    reply = self._carry_out(effect)
                except BaseException as error:  # noqa: BLE001 - the logic adds what it knows
                    effect = flow.throw(error)
                else:
                    effect = flow.send(reply)
        except StopIteration as stop:
            result: _Result = stop.value
            return result
        finally:
            flow.close()

    def close(self) -> None:
        """Close the connections that are its own."""
        self._wire.close()
        _close(self._sleeper)
        if self._own:
            self._http.close()

    def _carry_out(self, effect: Effect) -> object:
        match effect:
            case Send():
                return self._send(effect)
            case Sleep():
                return self._sleep(effect.seconds)
            case Call():
                return effect.function()
            case Fetch():
                return self._fetch(effect)
        if self._wire.watch is not None:
            self._wire.watch(effect.progress)
        return None

    def _send(self, effect: Send) -> Sent | Lost:
        started = clocks.stopwatch()
        arguments = self._wire.arguments(effect)
        content = effect.request.content
        try:
            if isinstance(content, Path):
                with content.open("rb") as file:
                    return self._answered(effect, started, {**arguments, "content": _read(file)})
            return self._answered(effect, started, {**arguments, "content": content})
        except _FAILED as error:
            return _lost(error, started)

    def _answered(self, effect: Send, started: float, arguments: dict[str, Any]) -> Sent | Lost:
        request = self._http.build_request(**arguments)
        auth = self._wire.auth(effect.request)
        response = self._http.send(request, auth=auth, stream=True, follow_redirects=False)
        try:
            content, spool = bytearray(), None
            patience = _Patience()
            if _is_video(response):
                spool = self._wire.spool()
                with spool.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                        patience.check(self._wire.timeouts.file)
            else:
                for chunk in response.iter_bytes():
                    _grow(content, chunk)
                    patience.check(self._wire.timeouts.answer)
        finally:
            response.close()
        return _sent(response, content, spool, started)

    def _fetch(self, effect: Fetch) -> Sent | Lost:
        started = clocks.stopwatch()
        content = bytearray()
        try:
            request = self._http.build_request(
                "GET", effect.url, headers=dict(effect.headers), timeout=self._wire.timeout
            )
            response = self._http.send(request, auth=None, stream=True, follow_redirects=False)
            try:
                patience = _Patience()
                wanted = effect.sink.begin(response.status_code, _headers(response))
                if wanted:
                    chunks = _read_already(response) or response.iter_raw()
                    for chunk in chunks:
                        effect.sink.write(chunk)
                        patience.check(self._wire.timeouts.file)
                else:
                    for chunk in response.iter_bytes():
                        _grow(content, chunk)
                        patience.check(self._wire.timeouts.answer)
            finally:
                response.close()
        except _FAILED_ON_THE_WIRE as error:
            return _lost(error, started)
        return _sent(response, content, None, started, wanted=wanted)


class AsyncRunner:
    """Runs flows over an async httpx client."""

    def __init__(
        self, wire: Wire, http: httpx.AsyncClient | None, sleeper: Sleeper | SandboxSleep | None
    ) -> None:
        """Without `http` it has a client of its own."""
        self._wire = wire
        self._http = http or httpx.AsyncClient(trust_env=False, verify=_tls())
        self._own = http is None
        self._sleeper = sleeper
        self._sleep = _async_sleeper(sleeper)

    async def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out what a flow asks for, and return its result."""
        try:
            effect = next(flow)
            while True:
                try:
                    reply = await self._carry_out(effect)
                except BaseException as error:  # noqa: BLE001 - the logic adds what it knows
                    effect = flow.throw(error)
                else:
                    effect = flow.send(reply)
        except StopIteration as stop:
            result: _Result = stop.value
            return result
        finally:
            flow.close()

    async def close(self) -> None:
        """Close the connections that are its own."""
        self._wire.close()
        _close(self._sleeper)
        if self._own:
            await self._http.aclose()

    async def _carry_out(self, effect: Effect) -> object:
        match effect:
            case Send():
                return await self._send(effect)
            case Sleep():
                return await self._sleep(effect.seconds)
            case Call():
                return await asyncio.to_thread(effect.function)
            case Fetch():
                return await self._fetch(effect)
        if self._wire.watch is not None:
            told = self._wire.watch(effect.progress)
            if isawaitable(told):
                await told
        return None

    async def _send(self, effect: Send) -> Sent | Lost:
        started = clocks.stopwatch()
        arguments = self._wire.arguments(effect)
        content = effect.request.content
        try:
            if isinstance(content, Path):
                with await asyncio.to_thread(content.open, "rb") as file:
                    body = _read_async(file)
                    return await self._answered(effect, started, {**arguments, "content": body})
            return await self._answered(effect, started, {**arguments, "content": content})
        except _FAILED as error:
            return _lost(error, started)

    async def _answered(
        self, effect: Send, started: float, arguments: dict[str, Any]
    ) -> Sent | Lost:
        request = self._http.build_request(**arguments)
        auth = self._wire.auth(effect.request)
        response = await self._http.send(request, auth=auth, stream=True, follow_redirects=False)
        try:
            content, spool = bytearray(), None
            patience = _Patience()
            if _is_video(response):
                spool = self._wire.spool()
                with spool.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
                        patience.check(self._wire.timeouts.file)
            else:
                async for chunk in response.aiter_bytes():
                    _grow(content, chunk)
                    patience.check(self._wire.timeouts.answer)
        finally:
            await response.aclose()
        return _sent(response, content, spool, started)

    async def _fetch(self, effect: Fetch) -> Sent | Lost:
        started = clocks.stopwatch()
        content = bytearray()
        try:
            request = self._http.build_request(
                "GET", effect.url, headers=dict(effect.headers), timeout=self._wire.timeout
            )
            response = await self._http.send(
                request, auth=None, stream=True, follow_redirects=False
            )
            try:
                patience = _Patience()
                wanted = effect.sink.begin(response.status_code, _headers(response))
                if wanted:
                    for chunk in _read_already(response):
                        effect.sink.write(chunk)
                    if not response.is_stream_consumed:
                        async for chunk in response.aiter_raw():
                            effect.sink.write(chunk)
                            patience.check(self._wire.timeouts.file)
                else:
                    async for chunk in response.aiter_bytes():
                        _grow(content, chunk)
                        patience.check(self._wire.timeouts.answer)
            finally:
                await response.aclose()
        except _FAILED_ON_THE_WIRE as error:
            return _lost(error, started)
        return _sent(response, content, None, started, wanted=wanted)


class Caller:
    """JSON calls that are no provider's: the admin API of a simulator."""

    def __init__(
        self, base_url: str, token: str | None, http: httpx.Client | httpx.AsyncClient | None
    ) -> None:
        """With a token it is sent as bearer."""
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._async_http = http if isinstance(http, httpx.AsyncClient) else None
        self._http = http if isinstance(http, httpx.Client) else None
        self._own: httpx.Client | None = None

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Call and wait. Raises TransientError when there is no answer."""
        if self._http is None:
            self._http = self._own = _client()
        request = self._http.build_request(
            method, f"{self._base_url}{path}", json=body, headers=self._headers
        )
        try:
            return _plain(self._http.send(request, follow_redirects=False))
        except httpx.HTTPError as error:
            problem = _trouble(method, path, error)
        raise problem

    async def call_async(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> Answer:
        """As `call`, letting others work."""
        if self._async_http is None:
            return await asyncio.to_thread(self.call, method, path, body)
        request = self._async_http.build_request(
            method, f"{self._base_url}{path}", json=body, headers=self._headers
        )
        try:
            return _plain(await self._async_http.send(request, follow_redirects=False))
        except httpx.HTTPError as error:
            problem = _trouble(method, path, error)
        raise problem

    def close(self) -> None:
        """Close the connections that are its own."""
        if self._own is not None:
            self._own.close()
            self._http = self._own = None


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def _client() -> httpx.Client:
    return httpx.Client(trust_env=False, verify=_tls())


def _close(sleeper: Sleeper | SandboxSleep | None) -> None:
    if sleeper is not None and not callable(sleeper):
        sleeper.close()


def _sleeper(given: Sleeper | SandboxSleep | None) -> Callable[[float], object]:
    if given is None:
        return clocks.sleep
    return given if callable(given) else given.sleep


def _async_sleeper(
    given: Sleeper | SandboxSleep | None,
) -> Callable[[float], Awaitable[object]]:
    if given is None:
        return clocks.sleep_async
    if not callable(given):
        return given.sleep_async
    plain = given

    async def sleep(seconds: float) -> None:
        told = plain(seconds)
        if isawaitable(told):
            await told

    return sleep


def _sent(
    response: httpx.Response,
    content: bytearray,
    spool: Path | None,
    started: float,
    *,
    wanted: bool = False,
) -> Sent | Lost:
    """The answer, unless its body is shorter than announced, or a file's end cannot be told."""
    took = clocks.stopwatch() - started
    length = response.headers.get("content-length", "")
    have = spool.stat().st_size if spool is not None else None
    if have is not None and length.isdigit() and have != int(length):
        return Lost(f"the body ended after {have} of {length} bytes", took=took)
    if (wanted or spool is not None) and _ends_by_closing(response):
        return Lost("neither a length nor chunks tell whether the file is whole", took=took)
    return Sent(Answer(response.status_code, bytes(content), _headers(response), spool), took)


def _ends_by_closing(response: httpx.Response) -> bool:
    """Whether a body of HTTP/1 ended with its connection, as it also does when that is cut."""
    version = response.extensions.get("http_version", b"")
    framed = {"content-length", "transfer-encoding"} & set(response.headers)
    return version.startswith(b"HTTP/1") and not framed


def _plain(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.content, _headers(response))


def _trouble(method: str, path: str, error: httpx.HTTPError) -> TransientError:
    return TransientError(f"{method} {path}: {type(error).__name__}: {str(error)[:200]}")


def _lost(error: Exception, started: float) -> Lost:
    """What went wrong, without the request that an httpx error carries."""
    took = clocks.stopwatch() - started
    reason = f"no answer ({type(error).__name__}: {str(error)[:200]})"
    return Lost(reason, sent=not isinstance(error, _NOT_SENT), took=took)


def _headers(response: httpx.Response) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _is_video(response: httpx.Response) -> bool:
    kind = str(response.headers.get("content-type", "")).lower()
    return response.is_success and kind.startswith("video/")


def _read_already(response: httpx.Response) -> list[bytes]:
    """The body of an answer that a transport gave as a whole, as those of tests do."""
    return [response.content] if response.is_stream_consumed else []


def _grow(content: bytearray, chunk: bytes) -> None:
    if len(content) + len(chunk) > MOST_BYTES:
        raise httpx.DecodingError(f"the answer has more than {MOST_BYTES} bytes")
    content.extend(chunk)


def _length(request: Request) -> dict[str, str]:
    """The length of a body that is read from a file while it is sent."""
    content = request.content
    return {"Content-Length": str(content.stat().st_size)} if isinstance(content, Path) else {}


def _read(file: Any) -> Iterator[bytes]:  # noqa: ANN401 - a binary file
    while chunk := file.read(_CHUNK):
        yield chunk


async def _read_async(file: Any) -> AsyncIterator[bytes]:  # noqa: ANN401 - a binary file
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk
