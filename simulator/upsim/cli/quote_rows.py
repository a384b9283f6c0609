"""The price of a video for each model by its published rule, or the model's own refusal.

Each model is tried once in a simulator of this process, which returns the refusals with their
texts. If the model accepts the video, the reference client computes the price.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

import httpx

from upsim.app import Simulator
from upsim.cli.upscale_targets import cause_of_refusal
from upsim.client.clients import Client, UpscaleOptions, connect
from upsim.client.exceptions import ClientError, JobFailedError, RefusedError, UnsupportedError
from upsim.client.models import ModelInfo, find_model
from upsim.client.results import Billed, Money, Quote, Size
from upsim.client.sandbox_sleepers import sandbox_sleeper
from upsim.core.hosts import host_of, is_loopback
from upsim.core.media import Measured, Media
from upsim.core.states import JobState
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest
from upsim.media.probe import measure_file
from upsim.scenario.model import MediaRule
from upsim.untrusted_connections import NoCookies

LOCAL = "http://127.0.0.1"
AMPLE = Decimal(1_000_000_000)
"""A balance that no single job uses up, because quotes must not depend on the balance."""
ANYWHERE = "https://clip.example/described.mp4"
"""URL of a clip that is only described."""
FETCH_BYTES = 2 * 1024**3
FETCH_SECONDS = 300.0

Verdict = Literal["priced", "refused", "impossible"]


class UnfetchedError(Exception):
    """A public URL that is not downloaded unless `--fetch` allows it."""


@dataclass(frozen=True, slots=True)
class QuotedVideo:
    """The video to quote: a file, a URL or a description, with its known properties."""

    source: str | Path
    found: Measured
    local: Path | None = None

    @property
    def name(self) -> str | None:
        """The path or URL; None for a clip that is only described."""
        return None if self.source == ANYWHERE else str(self.source)

    @property
    def media(self) -> Media | None:
        """The properties of the file if it is a video."""
        return self.found if isinstance(self.found, Media) else None


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """The quote of one model.

    `impossible`: the reason if the model does not offer this at all. `refused`: the provider's own
    refusal. `status` is its HTTP status, None if the client knows the refusal without a request.
    `cause` is the simulator's reason. `failing`: the reason with which an accepted job fails.
    `refunded`: whether its charge is refunded.
    """

    model: str
    verdict: Verdict
    price: Money | None = None
    per_dollar: Decimal = Decimal(1)
    billed: Billed | None = None
    output: Size | None = None
    formula: str = ""
    reason: str = ""
    cause: str | None = None
    status: int | None = None
    code: str | None = None
    failing: bool = False
    refunded: bool | None = None


def video_of_file(path: Path) -> QuotedVideo:
    """Return a video from a local file."""
    return QuotedVideo(path, measure_file(path))


def described_video(media: Media) -> QuotedVideo:
    """Return a video that exists only as a description."""
    return QuotedVideo(ANYWHERE, media)


@contextmanager
def video_at(url: str, *, fetch: bool) -> Iterator[QuotedVideo]:
    """Yield the video at a URL, downloaded once.

    URLs on this machine are always downloaded, URLs of private networks never. Raises
    UnfetchedError for a public URL without `fetch`.
    """
    from upsim.media.blob_store import BlobStore
    from upsim.media.fetch import Fetcher
    from upsim.media.fetch_addresses import LOOPBACK, PUBLIC

    loopback = is_loopback(host_of(url))
    if not (loopback or fetch):
        raise UnfetchedError(f"{url[:200]} is not on this machine; --fetch allows its download")
    store = BlobStore(FETCH_BYTES)
    try:
        fetcher = Fetcher(store, LOOPBACK if loopback else PUBLIC)
        found = asyncio.run(fetcher.fetch(url, limit=FETCH_BYTES, timeout=FETCH_SECONDS))
        if isinstance(found, Path):
            yield QuotedVideo(url, measure_file(found), found)
        else:
            yield QuotedVideo(url, found)
    finally:
        store.close()


def quotes(
    video: QuotedVideo, models: Iterable[str], wishes: UpscaleOptions, settings: Mapping[str, str]
) -> Iterator[QuoteRow]:
    """Yield a row for each model, in order. `settings` are passed to the models that have them."""
    with ExitStack() as stack:
        sim = stack.enter_context(Simulator(clock="manual"))
        http = stack.enter_context(httpx.Client(transport=sim.transport(), cookies=NoCookies()))
        if not isinstance(video.source, Path):
            _let_find(sim, video)
        order = SandboxRequest(balances=dict.fromkeys(sim.registry.providers, AMPLE))
        box, keys = sim.registry.create(order)
        for name in models:
            known = find_model(name)
            provider = known.adapter.provider
            own = {key: value for key, value in settings.items() if key in known.model.options}
            wanted: UpscaleOptions = {**wishes, "options": dict(own)}
            with connect(
                known.name,
                api_key=keys[provider],
                base_url=f"{LOCAL}/{provider}",
                http=http,
                sleeper=sandbox_sleeper(LOCAL, box.id, http=http),
            ) as client:
                yield _row(known, client, box, http, video=video, wishes=wanted)


def _let_find(sim: Simulator, video: QuotedVideo) -> None:
    """Make every URL lead to this video, for all providers."""
    library = sim.registry.library
    rule = MediaRule("*", video.local or video.found)
    for provider in sim.registry.providers:
        library.remember(replace(library.baseline(provider), media=(rule,)))


def _row(
    known: ModelInfo,
    client: Client,
    box: Sandbox,
    http: httpx.Client,
    *,
    video: QuotedVideo,
    wishes: UpscaleOptions,
) -> QuoteRow:
    blank = QuoteRow(known.name, "refused", per_dollar=known.model.billing.unit_per)
    source = video.source
    try:
        found = client.quote(video.media, **wishes) if video.media else None
    except UnsupportedError as error:
        return replace(blank, verdict="impossible", reason=str(error))
    except ClientError:
        found = None  # the provider's own response will give the reason
    try:
        job = client.submit(source, **wishes)
        _settle(http, box)
        if _ended_badly(box, job.id):
            client.wait(job)
    except UnsupportedError as error:
        return replace(blank, verdict="impossible", reason=str(error))
    except JobFailedError as error:
        reason = error.progress.error or "the job fails without a reason"
        refunded = box.state.refund_of(error.job.id) is not None
        return replace(
            blank, reason=reason, code=error.progress.code, failing=True, refunded=refunded
        )
    except RefusedError as error:
        cause = None if error.status is None else cause_of_refusal(box)
        return replace(
            blank, reason=error.message, status=error.status, code=error.code, cause=cause
        )
    except ClientError as error:
        return replace(blank, reason=str(error))
    told = found or Quote(job.model, job.price or Money(Decimal(0), ""), job.billed, job.output)
    return replace(
        blank,
        verdict="priced",
        price=told.price,
        billed=told.billed,
        output=told.output,
        formula=told.formula,
    )


def _settle(http: httpx.Client, box: Sandbox) -> None:
    """Advance the clock until the job ends."""
    http.post(f"{LOCAL}/__sim/sandboxes/{box.id}/clock/advance", json={"to": "idle"})


def _ended_badly(box: Sandbox, name: str) -> bool:
    job = box.state.jobs.get(name)
    return job is not None and job.state is not JobState.COMPLETED
