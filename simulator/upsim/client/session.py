"""Sessions carry an adapter's requests over httpx, sync or async.

The key goes to the provider's own address only. Proxy variables are the caller's to ignore: give a
client made with `trust_env=False`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import httpx

from upsim.client.adapter import Adapter, Answer, File, Order, Progress, Request, Steps, Submitted
from upsim.client.exceptions import RefusedError

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the requests of an adapter go, and with which key."""

    adapter: Adapter
    base_url: str
    key: str

    def build(self, request: Request) -> httpx.Request:
        own = request.target.startswith("/")
        headers = dict(request.headers)
        if own:
            headers |= self.adapter.authorise(self.key)
        url = f"{self.base_url}{request.target}" if own else request.target
        return httpx.Request(
            request.method, url, json=request.body, content=request.content, headers=headers
        )


class _Walk(Generic[_Result]):
    """The requests of an adapter's task, one after the other; who sends them is another matter."""

    result: _Result

    def __init__(self, target: _Target, steps: Steps[_Result]) -> None:
        self._target = target
        self._steps = steps
        self._answer: Answer | None = None

    def next_request(self) -> httpx.Request | None:
        """What is to be sent next; None once `result` is there."""
        steps, answer = self._steps, self._answer
        try:
            request = next(steps) if answer is None else steps.send(answer)
        except StopIteration as stop:
            self.result = stop.value
            return None
        return self._target.build(request)

    def take(self, response: httpx.Response) -> None:
        """The answer to what was sent."""
        self._answer = Answer(response.status_code, response.content)


class Session:
    """One provider, one key, over a sync httpx client."""

    def __init__(self, adapter: Adapter, *, http: httpx.Client, base_url: str, key: str) -> None:
        """Speak to the provider at `base_url`, below which its own paths begin."""
        self._target = _Target(adapter, base_url.rstrip("/"), key)
        self._http = http

    def upload(self, file: File) -> str:
        """Hand in a video; the result is what `submit` takes as source."""
        return self._run(self._target.adapter.upload(file))

    def submit(self, order: Order) -> Submitted:
        """Start a job. Raises RefusedError."""
        return self._run(self._target.adapter.submit(order))

    def poll(self, job: Submitted) -> Progress:
        """Where a job stands. Raises RefusedError."""
        return self._run(self._target.adapter.poll(job))

    def _run(self, steps: Steps[_Result]) -> _Result:
        walk = _Walk(self._target, steps)
        while (request := walk.next_request()) is not None:
            walk.take(self._http.send(request))
        return walk.result


class AsyncSession:
    """One provider, one key, over an async httpx client."""

    def __init__(
        self, adapter: Adapter, *, http: httpx.AsyncClient, base_url: str, key: str
    ) -> None:
        """Speak to the provider at `base_url`, below which its own paths begin."""
        self._target = _Target(adapter, base_url.rstrip("/"), key)
        self._http = http

    async def upload(self, file: File) -> str:
        """Hand in a video; the result is what `submit` takes as source."""
        return await self._run(self._target.adapter.upload(file))

    async def submit(self, order: Order) -> Submitted:
        """Start a job. Raises RefusedError."""
        return await self._run(self._target.adapter.submit(order))

    async def poll(self, job: Submitted) -> Progress:
        """Where a job stands. Raises RefusedError."""
        return await self._run(self._target.adapter.poll(job))

    async def download(self, url: str, to: Path) -> int:
        """Fetch an output, without the key, and return how many bytes it has."""
        size = 0
        async with self._http.stream("GET", url) as response:
            if not response.is_success:
                text = (await response.aread()).decode("utf-8", "replace")
                raise RefusedError(response.status_code, text)
            with to.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    size += file.write(chunk)
        return size

    async def _run(self, steps: Steps[_Result]) -> _Result:
        walk = _Walk(self._target, steps)
        while (request := walk.next_request()) is not None:
            walk.take(await self._http.send(request))
        return walk.result
