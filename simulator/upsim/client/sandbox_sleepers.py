"""A sleeper that advances a simulator's clock: real polling intervals, in milliseconds."""

from __future__ import annotations

import httpx

from upsim.client import clocks
from upsim.client.adapter import ProviderResponse
from upsim.client.argument_checks import check_kind, check_secret, check_text
from upsim.client.exceptions import ArgumentError, ProtocolError
from upsim.client.hidden_texts import path_segment
from upsim.client.http.json_calls import SimulatorClient
from upsim.client.request_guard import check_scheme
from upsim.client.server_urls import base_url_flaw
from upsim.core.numbers import plain_count
from upsim.core.suggestions import shown

_BY_HAND = ("manual", "auto")
_UNSCALED = (*_BY_HAND, "real")
_SHOWN_MODE = 40


class SandboxSleeper:
    """Advances a sandbox's `manual` or `auto` clock instead of waiting.

    With a `real` clock it waits in real time. With a `scaled` clock it waits for a shorter
    time.
    """

    def __init__(self, caller: SimulatorClient, sandbox: str) -> None:
        """Keep the client of the admin API; call `sandbox_sleeper` to make a sleeper."""
        self._caller = caller
        self._clock = f"/__sim/sandboxes/{path_segment(sandbox)}/clock"
        self._mode = ""

    def check(self) -> None:
        """Read the clock once. Raises ClientError if the simulator or the sandbox is missing."""
        if not self._mode:
            self._mode = _mode(self._caller.call("GET", self._clock))

    async def check_async(self) -> None:
        """Read the clock once, like `check`, without blocking the event loop."""
        if not self._mode:
            self._mode = _mode(await self._caller.call_async("GET", self._clock))

    def sleep(self, seconds: float) -> None:
        """Advance the clock by some seconds, or wait."""
        self.check()
        if self._mode in _BY_HAND:
            body = {"seconds": round(seconds, 6)}
            _done(self._caller.call("POST", f"{self._clock}/advance", body))
        else:
            clocks.sleep(_real(seconds, self._mode))

    async def sleep_async(self, seconds: float) -> None:
        """Advance the clock by some seconds, or wait without blocking the event loop."""
        await self.check_async()
        if self._mode in _BY_HAND:
            body = {"seconds": round(seconds, 6)}
            _done(await self._caller.call_async("POST", f"{self._clock}/advance", body))
        else:
            await clocks.sleep_async(_real(seconds, self._mode))

    def close(self) -> None:
        """Close the connections that this sleeper has opened, not those of a given client."""
        self._caller.close()


def sandbox_sleeper(
    admin_base_url: str,
    sandbox: str = "default",
    *,
    token: str | None = None,
    http: httpx.Client | httpx.AsyncClient | None = None,
) -> SandboxSleeper:
    """Return a sleeper for `connect(…, sleeper=…)`, over the admin API of a simulator.

    In process, pass `http=httpx.Client(transport=sim.transport())` and `http://127.0.0.1`; for an
    async client, an `httpx.AsyncClient`. Raises UnsafeTargetError for a URL without a scheme, and
    ArgumentError for the URL of a provider.
    """
    check_text("admin_base_url", admin_base_url, "'http://127.0.0.1:4747'")
    check_scheme(admin_base_url)
    flaw = base_url_flaw(admin_base_url)
    if flaw:
        raise ArgumentError(f"admin_base_url {shown(admin_base_url)} is not the base URL: {flaw}")
    check_text("sandbox", sandbox, "'default'")
    check_secret("token", type(token))
    if http is not None:
        both = (httpx.Client, httpx.AsyncClient)
        check_kind("http", http, both, "an httpx.Client or an httpx.AsyncClient")
    return SandboxSleeper(SimulatorClient(admin_base_url, token, http), sandbox)


def _mode(answer: ProviderResponse) -> str:
    """Return the mode of a clock. Raises ProtocolError for an unknown mode."""
    mode = _done(answer).word_at("mode")
    name, colon, speed = mode.partition(":")
    known = (plain_count(speed) or 0) > 0 if name == "scaled" else name in _UNSCALED and not colon
    if not known:
        raise ProtocolError(
            f"the simulator's clock: unknown mode {mode[:_SHOWN_MODE]!r}; "
            "allowed: real, manual, auto, scaled:<n> (n is a whole number from 1)"
        )
    return mode


def _done(answer: ProviderResponse) -> ProviderResponse:
    if not answer.ok:
        message = answer.text_at("error", "message") or answer.raw
        raise ProtocolError(f"the simulator's clock: {answer.status} {message}")
    return answer


def _real(seconds: float, mode: str) -> float:
    _, _, speed = mode.partition(":")
    return seconds / int(speed) if speed else seconds
