"""Clients of one model, sync and async, with the same methods."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Self, TypedDict, Unpack

import httpx

from upsim.client.argument_checks import (
    Numbers,
    check_kind,
    check_names,
    check_number,
    check_secret,
    check_text,
    check_true,
)
from upsim.client.callbacks import SandboxSleep, Sleeper, Watch
from upsim.client.clocks import dice
from upsim.client.exceptions import (
    ArgumentError,
    AuthenticationError,
    OutcomeUnknownError,
    UnsupportedError,
)
from upsim.client.hidden_texts import Secret, shown_url
from upsim.client.http.outgoing_requests import Wire
from upsim.client.http.runners import AsyncRunner, SyncRunner
from upsim.client.models import ModelInfo, find_model, public_hosts
from upsim.client.options_and_prices import cap_of
from upsim.client.polling_and_retries import Polling, Retries, Timeouts
from upsim.client.request_guard import Budget, RequestGuard, has_host
from upsim.client.results import Download, Job, Money, Progress, Quote, Upscaled, Webhook
from upsim.client.upscaling import RequestedOutput, Upscaling
from upsim.client.video_input import Source
from upsim.core.media import Media
from upsim.core.suggestions import shown
from upsim.core.url_flaws import scheme_flaw

MAX_LISTED = 100
_SEEDS = Numbers("7", minimum=-(2**63), maximum=2**64, whole=True)
_SLEEPERS = "a function of seconds, or what sandbox_sleeper() returns"


class UpscaleOptions(TypedDict, total=False):
    """The size and the options of an upscale.

    `target_height` is the output's shorter side in pixels (720, 1080, 1440, 2160); `factor`
    multiplies both sides. `options` are provider-specific parameters in the provider's spelling.
    """

    target_height: int | None
    factor: int | None
    options: dict[str, str | int | bool] | None


class ClientSettings(TypedDict, total=False):
    """The settings that `connect` and `connect_async` accept."""

    api_key: str | None
    base_url: str | None
    cap: Money | Decimal | int | str | None
    live: bool
    polling: Polling
    retries: Retries
    timeouts: Timeouts
    sleeper: Sleeper | SandboxSleep | None
    webhook_url: str | None
    webhook_secret: str | None
    progress: Watch | None
    seed: int | None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The settings of a client; a setting that was not given has its default."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    cap: Money | Decimal | int | str | None = None
    live: bool = False
    polling: Polling = field(default_factory=Polling)
    retries: Retries = field(default_factory=Retries)
    timeouts: Timeouts = field(default_factory=Timeouts)
    sleeper: Sleeper | SandboxSleep | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    progress: Watch | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        check_secret("api_key", type(self.api_key))
        check_secret("webhook_secret", type(self.webhook_secret))
        if self.base_url is not None:
            check_text("base_url", self.base_url, "'http://127.0.0.1:4747/venice'")
        check_kind("live", self.live, bool, "True or False")
        check_kind("polling", self.polling, Polling, "a Polling such as Polling(timeout=600)")
        check_kind("retries", self.retries, Retries, "a Retries such as Retries(attempts=3)")
        check_kind("timeouts", self.timeouts, Timeouts, "a Timeouts such as Timeouts(read=30)")
        check_true("sleeper", self.sleeper, _SLEEPERS, valid=_can_sleep(self.sleeper))
        can_watch = self.progress is None or callable(self.progress)
        check_true("progress", self.progress, "a function of a Progress", valid=can_watch)
        if self.seed is not None:
            check_number("seed", self.seed, _SEEDS)
        if self.webhook_url is not None:
            _check_webhook_url(self.webhook_url)


class _Face:
    """The properties that both clients share."""

    _logic: Upscaling
    _base_url: str

    @property
    def model(self) -> str:
        """The full name of the model, `<provider>/<model>`."""
        return self._logic.known.name

    @property
    def spent(self) -> Money:
        """The sum charged to this client's jobs, minus the refunds that it saw."""
        return Money(self._logic.guard.budget.spent, self._unit)

    @property
    def reserved(self) -> Money:
        """The sum reserved for jobs whose price or existence is unknown."""
        return Money(self._logic.guard.budget.reserved, self._unit)

    @property
    def _unit(self) -> str:
        return self._logic.known.model.billing.unit

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.model} at {shown_url(self._base_url)}>"


class Client(_Face):
    """A client of one model of one provider. Use it in a `with` block, or close it."""

    def __init__(self, logic: Upscaling, runner: SyncRunner, base_url: str) -> None:
        """Keep the logic and the runner; call `connect` to make a client."""
        self._logic = logic
        self._runner = runner
        self._base_url = base_url

    def quote(self, source: Source | Media, **wishes: Unpack[UpscaleOptions]) -> Quote:
        """Return the price of an upscale, for a video or for measured properties of a video."""
        return self._runner.run(self._logic.quote(source, _wanted(wishes)))

    def submit(self, source: Source, **wishes: Unpack[UpscaleOptions]) -> Job:
        """Send a video and start a job, which is charged from here on.

        Raises OutcomeUnknownError if the response is lost and the job may have been accepted.
        """
        return self._runner.run(self._logic.submit(source, _wanted(wishes)))

    def poll(self, job: Job) -> Progress:
        """Return the present state of a job. A failed job raises no error here."""
        return self._runner.run(self._logic.poll(job))

    def wait(self, job: Job, *, timeout: float | None = None) -> Progress:
        """Wait for the end of a job. Raises JobFailedError or WaitTimeoutError."""
        return self._runner.run(self._logic.wait(job, timeout))

    def download(self, what: Job | Progress, to: str | os.PathLike[str]) -> Download:
        """Download the finished file; wait for the job's end first if it is not finished."""
        return self._runner.run(self._logic.download(what, _path(to)))

    def upscale(
        self, source: Source, to: str | os.PathLike[str], **wishes: Unpack[UpscaleOptions]
    ) -> Upscaled:
        """Upscale a video completely: send it, submit, wait, and download the output."""
        return self._runner.run(self._logic.upscale(source, _path(to), _wanted(wishes)))

    def balance(self) -> Money:
        """Return the balance of the account."""
        return self._runner.run(self._logic.balance())

    def cancel(self, job: Job) -> None:
        """Cancel a job. Raises UnsupportedError if the provider cannot cancel jobs."""
        self._runner.run(self._logic.cancel(job))

    def jobs(self, *, limit: int = MAX_LISTED) -> tuple[Job, ...]:
        """Return the latest jobs, newest first.

        Raises UnsupportedError if the provider cannot list jobs.
        """
        return self._runner.run(self._logic.jobs(limit))

    def find(self, lost: OutcomeUnknownError, *, limit: int = MAX_LISTED) -> tuple[Job, ...]:
        """Return the jobs that a lost submit may have created; empty if no job was accepted."""
        return self._runner.run(self._logic.find(lost, limit))

    def close(self) -> None:
        """Close the connections."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class AsyncClient(_Face):
    """The client for programs with an event loop; the methods are those of `Client`."""

    def __init__(self, logic: Upscaling, runner: AsyncRunner, base_url: str) -> None:
        """Keep the logic and the runner; call `connect_async` to make a client."""
        self._logic = logic
        self._runner = runner
        self._base_url = base_url

    async def quote(self, source: Source | Media, **wishes: Unpack[UpscaleOptions]) -> Quote:
        """Return the price of an upscale, for a video or for measured properties of a video."""
        return await self._runner.run(self._logic.quote(source, _wanted(wishes)))

    async def submit(self, source: Source, **wishes: Unpack[UpscaleOptions]) -> Job:
        """Send a video and start a job, which is charged from here on.

        Raises OutcomeUnknownError if the response is lost and the job may have been accepted.
        """
        return await self._runner.run(self._logic.submit(source, _wanted(wishes)))

    async def poll(self, job: Job) -> Progress:
        """Return the present state of a job. A failed job raises no error here."""
        return await self._runner.run(self._logic.poll(job))

    async def wait(self, job: Job, *, timeout: float | None = None) -> Progress:  # noqa: ASYNC109 - counts the sleeper's time
        """Wait for the end of a job. Raises JobFailedError or WaitTimeoutError."""
        return await self._runner.run(self._logic.wait(job, timeout))

    async def download(self, what: Job | Progress, to: str | os.PathLike[str]) -> Download:
        """Download the finished file; wait for the job's end first if it is not finished."""
        return await self._runner.run(self._logic.download(what, _path(to)))

    async def upscale(
        self, source: Source, to: str | os.PathLike[str], **wishes: Unpack[UpscaleOptions]
    ) -> Upscaled:
        """Upscale a video completely: send it, submit, wait, and download the output."""
        return await self._runner.run(self._logic.upscale(source, _path(to), _wanted(wishes)))

    async def balance(self) -> Money:
        """Return the balance of the account."""
        return await self._runner.run(self._logic.balance())

    async def cancel(self, job: Job) -> None:
        """Cancel a job. Raises UnsupportedError if the provider cannot cancel jobs."""
        await self._runner.run(self._logic.cancel(job))

    async def jobs(self, *, limit: int = MAX_LISTED) -> tuple[Job, ...]:
        """Return the latest jobs, newest first. Raises UnsupportedError if it cannot list jobs."""
        return await self._runner.run(self._logic.jobs(limit))

    async def find(self, lost: OutcomeUnknownError, *, limit: int = MAX_LISTED) -> tuple[Job, ...]:
        """Return the jobs that a lost submit may have created; empty if no job was accepted."""
        return await self._runner.run(self._logic.find(lost, limit))

    async def close(self) -> None:
        """Close the connections."""
        await self._runner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


def connect(
    model: str, *, http: httpx.Client | None = None, **settings: Unpack[ClientSettings]
) -> Client:
    """Return a client of a model: `connect("wavespeed/upscale-v1", api_key=…, base_url=…)`.

    * `api_key`: default is the variable `<PROVIDER>_API_KEY`; `base_url`: default is
      `<PROVIDER>_BASE_URL`, then the provider itself.
    * `live` and `cap`: by default the client contacts only this machine and
      `UPSIM_TRUSTED_HOSTS`. With `live=True` and a cap it also contacts the provider. The cap
      is the maximum that this client may spend; a plain number is in the unit of the
      published price (US dollars, or credits).
    * `polling`, `retries`, `timeouts`: intervals and limits. `sleeper`: the wait function, by
      default in real time; `sandbox_sleeper` advances a simulator's clock. `seed` makes the
      random part of the pauses repeatable.
    * `webhook_url`, `webhook_secret`: where the provider reports the end of each job.
    * `progress`: called with each poll's Progress.
    * `http`: an httpx client to use (it is not closed); the default client ignores proxy
      variables. With your own sync client, `timeouts` cannot limit the total time of a
      response's headers.

    Raises ArgumentError, UnknownModelError, UnsafeTargetError, UnsupportedError,
    AuthenticationError.
    """
    chosen = _chosen(settings)
    if http is not None:
        check_kind("http", http, httpx.Client, "an httpx.Client")
    logic, wire, base_url = _parts(model, chosen)
    return Client(logic, SyncRunner(wire, http, chosen.sleeper), base_url)


def connect_async(
    model: str, *, http: httpx.AsyncClient | None = None, **settings: Unpack[ClientSettings]
) -> AsyncClient:
    """Return an async client like `connect`; use it in an `async with` block."""
    chosen = _chosen(settings)
    if http is not None:
        check_kind("http", http, httpx.AsyncClient, "an httpx.AsyncClient")
    logic, wire, base_url = _parts(model, chosen)
    return AsyncClient(logic, AsyncRunner(wire, http, chosen.sleeper), base_url)


def _chosen(settings: ClientSettings) -> _Chosen:
    """Copy the settings out of the dictionary, so that no traceback shows a key in it."""
    try:
        check_names("setting of a client", settings, ClientSettings.__annotations__)
        return _Chosen(**settings)
    finally:
        settings.pop("api_key", None)
        settings.pop("webhook_secret", None)


def _wanted(wishes: UpscaleOptions) -> RequestedOutput:
    """Return the checked options of an upscale. Raises ArgumentError."""
    check_names("argument of an upscale", wishes, UpscaleOptions.__annotations__)
    return RequestedOutput(**wishes)


def _path(to: str | os.PathLike[str]) -> Path:
    """Return the path of the output file. Raises ArgumentError if it is not a path."""
    form = "the path of the file to write, such as 'large.mp4'"
    check_kind("to", to, (str, os.PathLike), form)
    check_true("to", to, form, valid=str(to) not in ("", "."))
    return Path(to)


def _can_sleep(given: object) -> bool:
    return given is None or callable(given) or hasattr(given, "check_async")


def _check_webhook_url(url: object) -> None:
    """Raise ArgumentError unless a provider can post to this URL."""
    text = check_text("webhook_url", url, "'https://hooks.example/upscaled'")
    if not has_host(text):
        flaw = scheme_flaw(text) or "is not http(s)://host[:port][/path]"
        raise ArgumentError(f"webhook_url {shown(text)} {flaw}")


def _parts(model: str, chosen: _Chosen) -> tuple[Upscaling, Wire, str]:
    known = find_model(model)
    name = known.adapter.provider.upper().replace("-", "_")
    base_url = chosen.base_url or os.environ.get(f"{name}_BASE_URL") or f"https://{known.host}"
    guard = RequestGuard(
        base_url,
        budget=Budget(cap_of(known, chosen.cap)),
        live=chosen.live,
        public_hosts=public_hosts,
    )
    logic = Upscaling(
        known,
        guard=guard,
        polling=chosen.polling,
        retries=chosen.retries,
        dice=dice(chosen.seed),
        file_seconds=chosen.timeouts.file,
        webhook=_webhook(known, chosen),
    )
    wire = Wire(
        known.adapter,
        base_url=base_url,
        key=_key(chosen, f"{name}_API_KEY"),
        guard=guard,
        timeouts=chosen.timeouts,
        watch=chosen.progress,
    )
    return logic, wire, base_url


def _key(chosen: _Chosen, variable: str) -> str:
    """Return the API key. Raises AuthenticationError if there is no usable key.

    No local variable contains the key while the error is raised.
    """
    if not (chosen.api_key or os.environ.get(variable)):
        raise AuthenticationError(None, f"no key: pass api_key, or set {variable}")
    if not _is_key(chosen.api_key or os.environ[variable]):
        raise AuthenticationError(None, "the key contains a space or another invalid character")
    return chosen.api_key or os.environ[variable]


def _is_key(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _webhook(known: ModelInfo, chosen: _Chosen) -> Webhook | None:
    url, secret = chosen.webhook_url, chosen.webhook_secret
    provider, way = known.adapter.provider, known.adapter.webhooks
    if url is None and secret is None:
        return None
    if way == "none":
        raise UnsupportedError(f"{provider} sends no webhooks")
    if url is None:
        raise UnsupportedError("webhook_secret needs a webhook_url")
    if secret is not None and way != "secret":
        raise UnsupportedError(f"{provider} makes the secret of its webhooks itself")
    return Webhook(url, None if secret is None else Secret(secret))
