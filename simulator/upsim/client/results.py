"""The values that the client returns: frozen, with exact money and the provider's raw response.

No text form shows a key, the query of a signed link, or uploaded content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from upsim.client.hidden_texts import Link
from upsim.core.numbers import counted

State = Literal["waiting", "processing", "completed", "failed", "unknown"]
"""The meaning of a provider's status word; `unknown` is a word that is not documented."""
Option = str | int | bool


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in the provider's unit."""

    amount: Decimal
    unit: str

    def __str__(self) -> str:
        """Return, for example, `0.25 USD`."""
        return counted(f"{self.amount:f}", self.unit)


@dataclass(frozen=True, slots=True)
class Billed:
    """The billed quantity, for example seconds or frames, rounded by the provider's rule."""

    quantity: Decimal
    of: str

    def __str__(self) -> str:
        """Return, for example, `12 seconds`."""
        return f"{self.quantity:f} {self.of}"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        """Return, for example, `1920x1080`."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """The URL to which the provider reports the end of a job, and the secret for it."""

    url: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AdapterRequest:
    """A request for an upscale: `source` is the result of `upload`, or the user's own URL.

    Options have the names and the spelling of the provider's documentation. `file` is the
    user's file that was uploaded.
    """

    model: str
    source: str = field(repr=False)
    options: Mapping[str, Option] = field(default_factory=dict)
    webhook: Webhook | None = None
    file: Path | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of an upscale.

    `by` is the origin of the price: the provider's own endpoint, or the client, which uses
    the measured file and the published price rule. If `exact` is False, the video could not
    be measured and the price is the highest that the model can charge.
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
    """An accepted job. Values that the provider does not report are None.

    `price` is the charge, `quoted` the highest expected price before the submit, `billed` the
    quantity, `output` the promised size. `source` is the uploaded file, which no download of this
    job replaces.
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
        """Return the charge minus the quote; None if the charge is not known to be higher."""
        price, quoted = self.price, self.quoted
        if price is None or quoted is None or price.unit != quoted.unit:
            return None
        excess = price.amount - quoted.amount
        return Money(excess, price.unit) if excess > 0 else None


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a job: the provider's own status word, and its meaning.

    `output` is the link of the finished file; `spool` is the file itself if the provider sends it
    instead of a link. A `tentative` failure counts only if another poll confirms it.
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
        """Whether the job has ended."""
        return self.state in ("completed", "failed")

    @property
    def has_output(self) -> bool:
        """Whether the finished file is available."""
        return self.output is not None or self.spool is not None


@dataclass(frozen=True, slots=True)
class Download:
    """A finished file on disk, complete and under its final name.

    `resumable`: the server supports ranges. `resumed`: how often the download was resumed.
    """

    path: Path
    bytes: int
    resumable: bool = False
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Upscaled:
    """A complete upscale: the job, its last state, and the file."""

    job: Job
    progress: Progress
    file: Download

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.file.path

    @property
    def price(self) -> Money | None:
        """The charge of the job."""
        return self.job.price


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """The end of a job as the provider reports it. `at` is in Unix seconds, or None."""

    provider: str
    job: str
    progress: Progress
    at: int | None = None
    raw: Any = field(default=None, repr=False, compare=False)
