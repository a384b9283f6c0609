"""What the client returns: frozen values with exact money, and the provider's raw answer in each.

No text form of any of them shows a key, the query of a signed link, or what was uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from upsim.core.numbers import counted

State = Literal["waiting", "processing", "completed", "failed", "unknown"]
"""What a provider's status word means; `unknown` is a word that no page documents."""
Option = str | int | bool


_MAX_SHOWN_LENGTH = 500


class Link(str):
    """A URL whose query, which may sign it, does not show in text forms of what holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The link up to its query."""
        return repr(shown_url(self))


class Secret(str):
    """A text that does not show in text forms of what holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Nothing of it."""
        return "'…'"


def shown_url(url: str) -> str:
    """A URL or path as messages show it: no user, no query; of a data URL only that it is one."""
    if url[:5].lower() == "data:":
        return "data:…"
    plain, sign, _ = url.partition("?")
    start, slashes, rest = plain.partition("://")
    host, slash, path = rest.partition("/")
    shown = f"{start}{slashes}{host.rpartition('@')[2]}{slash}{path}"
    if len(shown) > _MAX_SHOWN_LENGTH:
        return f"{shown[:_MAX_SHOWN_LENGTH]}…"
    return f"{shown}?…" if sign else shown


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in the unit in which the provider counts."""

    amount: Decimal
    unit: str

    def __str__(self) -> str:
        """`0.25 USD`."""
        return counted(f"{self.amount:f}", self.unit)


@dataclass(frozen=True, slots=True)
class Billed:
    """What is counted for the price: so many seconds or frames, rounded as the provider does."""

    quantity: Decimal
    of: str

    def __str__(self) -> str:
        """`12 seconds`."""
        return f"{self.quantity:f} {self.of}"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        """`1920x1080`."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the provider is to tell the end of a job, and the secret it is to send along."""

    url: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AdapterRequest:
    """What is to be upscaled: `source` is what `upload` returned, or an address of one's own.

    Options have the names and the spelling of the provider's documentation. `file` is the file of
    the caller's that was handed in.
    """

    model: str
    source: str = field(repr=False)
    options: Mapping[str, Option] = field(default_factory=dict)
    webhook: Webhook | None = None
    file: Path | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Quote:
    """What an upscale would cost.

    `by` says who computed it: the provider's own endpoint, or the client from the measured file
    and the published price rule. An inexact one is the most that the model can cost, for a video
    that could not be measured.
    """

    model: str
    price: Money
    billed: Billed | None = None
    output: Size | None = None
    exact: bool = True
    by: Literal["provider", "client"] = "client"
    formula: str = ""
    raw: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Job:
    """An accepted job. What the provider does not tell is None.

    `price` is what it was charged, `quoted` the most that it should cost as known before the
    submit, `billed` the quantity, `output` the size that is promised. `source` is the file that
    was handed in, which no download of this job replaces.
    """

    id: str
    model: str
    provider: str = ""
    status: str | None = None
    price: Money | None = None
    billed: Billed | None = None
    output: Size | None = None
    quoted: Money | None = None
    raw: Any = field(default=None, repr=False, compare=False)
    source: Path | None = field(default=None, repr=False, compare=False)

    @property
    def overcharge(self) -> Money | None:
        """How much more than the quote the job was charged; None without a known excess."""
        price, quoted = self.price, self.quoted
        if price is None or quoted is None or price.unit != quoted.unit:
            return None
        excess = price.amount - quoted.amount
        return Money(excess, price.unit) if excess > 0 else None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands: the provider's own word, and what it means.

    `output` is the link of the finished file, `spool` the file itself where the provider sends it
    instead of a link. A `tentative` failure is one that must be seen again to be believed.
    """

    status: str
    state: State
    output: Link | None = None
    error: str | None = None
    code: str | None = None
    refunded: bool | None = None
    tentative: bool = False
    spool: Path | None = field(default=None, repr=False)
    job: Job | None = field(default=None, repr=False, compare=False)
    raw: Any = field(default=None, repr=False, compare=False)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in ("completed", "failed")

    @property
    def has_output(self) -> bool:
        """Whether the finished file can be had."""
        return self.output is not None or self.spool is not None


@dataclass(frozen=True, slots=True)
class Download:
    """A finished file on disk: all of it, under its final name.

    `resumable` says whether the server gives ranges, `resumed` how often that was needed.
    """

    path: Path
    bytes: int
    resumable: bool = False
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Upscaled:
    """A whole upscale: the job, its last answer, and the file."""

    job: Job
    progress: Progress
    file: Download

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.file.path

    @property
    def price(self) -> Money | None:
        """What it was charged."""
        return self.job.price


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """The end of a job, as the provider tells it. `at` are Unix seconds, where they are told."""

    provider: str
    job: str
    progress: Progress
    at: int | None = None
    raw: Any = field(default=None, repr=False, compare=False)
