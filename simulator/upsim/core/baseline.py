"""A provider's facts as frozen values, loaded from `scenarios/<provider>/baseline.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from upsim.core.evidence import Evidence
from upsim.core.instants import DAY, SECOND, Instant
from upsim.core.lifecycle import Lifecycle
from upsim.core.media import Media
from upsim.core.outputs import OutputRule
from upsim.core.polling_advice import PollingAdvice
from upsim.core.pricing import Billing
from upsim.core.webhooks import WebhookRule

Plain = None | bool | int | str | Decimal | tuple["Plain", ...] | Mapping[str, "Plain"]
"""A value as YAML holds it, frozen; a number with a point is a `Decimal`."""
T = TypeVar("T")


class BaselineFact(msgspec.Struct, frozen=True):
    """One value, and the evidence for it."""

    value: Plain
    evidence: Evidence


class ErrorRule(msgspec.Struct, frozen=True):
    """One entry of the error catalogue; `message` may contain `{names}` of compared values.

    `extra` holds further fields of the body, `headers` further response headers.
    """

    name: str
    status: int
    code: str | int | None
    message: str
    evidence: Evidence
    extra: Mapping[str, Plain]
    headers: Mapping[str, str]
    variants: tuple[tuple[Mapping[str, str], ErrorRule], ...] = ()


class Knob(msgspec.Struct, frozen=True):
    """A named choice for which sources disagree: its values, and the value of each dialect."""

    name: str
    values: tuple[str, ...]
    by_dialect: Mapping[str, str]
    summary: str
    evidence: Evidence


class Option(msgspec.Struct, frozen=True):
    """One parameter of a model: its default and the allowed values, in the provider's spelling."""

    name: str
    default: str
    allowed: tuple[str, ...]
    evidence: Evidence


class Model(msgspec.Struct, frozen=True):
    """One emulated model: parameters, price, plan, output, and the refund after a failure."""

    id: str
    name: str
    options: Mapping[str, Option]
    billing: Billing
    lifecycle: Lifecycle
    output: OutputRule
    facts: Mapping[str, BaselineFact]
    evidence: Evidence


class RateLimit(msgspec.Struct, frozen=True):
    """A limit of `limit` requests in each window `per`.

    `counts` names the counted requests: `all`, a kind of operation, one operation, or a name
    that the provider's own checks use.
    """

    name: str
    limit: int
    per: Literal["half_minute", "minute", "day"]
    counts: str

    @property
    def length(self) -> Instant:
        """The length of a window."""
        return {"half_minute": 30 * SECOND, "minute": 60 * SECOND, "day": DAY}[self.per]


class AccountPlan(msgspec.Struct, frozen=True):
    """The limits of an account: access, requests per window, concurrent jobs."""

    name: str
    access: bool
    rates: tuple[RateLimit, ...]
    concurrency: int | None
    evidence: Evidence
    facts: Mapping[str, BaselineFact]


class Refund(msgspec.Struct, frozen=True):
    """The states in which the charge is refunded, and the delay of the refund in seconds."""

    states: tuple[str, ...]
    after: Decimal
    evidence: Evidence


class SecondHeader(msgspec.Struct, frozen=True):
    """A second header for the key, read if the first is missing and `knob` has this `value`."""

    header: str
    scheme: str
    knob: str
    value: str


class Auth(msgspec.Struct, frozen=True):
    """The header that carries the key, its scheme, and the format of issued keys."""

    header: str
    scheme: str
    key_prefix: str
    key_alphabet: str
    key_length: int
    evidence: Evidence
    second: SecondHeader | None = None


class Baseline(msgspec.Struct, frozen=True):
    """All known facts of one provider. `digest` is the hash of the resolved file.

    `divisible` is True if amounts may have fractions, as US dollars do; credits are whole.
    """

    provider: str
    title: str
    hosts: Mapping[str, BaselineFact]
    auth: Auth
    opening: Decimal
    unit: str
    divisible: bool
    plan: str
    plans: Mapping[str, AccountPlan]
    models: Mapping[str, Model]
    limits: Mapping[str, BaselineFact]
    facts: Mapping[str, BaselineFact]
    headers: Mapping[str, BaselineFact]
    retention: Mapping[str, BaselineFact]
    statuses: Mapping[str, BaselineFact]
    errors: Mapping[str, ErrorRule]
    failures: Mapping[str, ErrorRule]
    checks: Mapping[str, tuple[str, ...]]
    refund: Refund
    default_media: Media
    knobs: Mapping[str, Knob]
    dialects: tuple[str, ...]
    digest: str
    webhooks: WebhookRule | None = None
    polling: PollingAdvice | None = None

    def lifetime(self, what: str) -> int | None:
        """Return how long `jobs`, `outputs`, `uploads` or tickets are kept, in microseconds."""
        seconds = self.retention[what].value
        return None if seconds is None else int(Decimal(str(seconds)) * SECOND)


class BaselineError(ValueError):
    """A baseline or a choice of knobs that cannot be used; the message names the place."""
