"""A provider's facts as frozen values: what `scenarios/<provider>/baseline.yaml` is loaded into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from upsim.core.evidence import Evidence
from upsim.core.instants import DAY, SECOND, Instant
from upsim.core.lifecycle import Lifecycle
from upsim.core.media import Media
from upsim.core.outputs import OutputRule
from upsim.core.polling import Polling
from upsim.core.pricing import Billing
from upsim.core.webhooks import WebhookRule

Plain = None | bool | int | str | Decimal | tuple["Plain", ...] | Mapping[str, "Plain"]
"""A value as YAML holds it, frozen; a number with a point is a `Decimal`."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One value and why it is believed."""

    value: Plain
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One entry of the error catalogue; `message` may hold `{names}` of a violation's values.

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


@dataclass(frozen=True, slots=True)
class Knob:
    """A named choice where sources disagree: its values, and the one each dialect takes."""

    name: str
    values: tuple[str, ...]
    by_dialect: Mapping[str, str]
    summary: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter of a model: its default and the allowed values, in the provider's spelling."""

    name: str
    default: str
    allowed: tuple[str, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Model:
    """One emulated model: parameters, price, plan, output and what failing gives back."""

    id: str
    name: str
    options: Mapping[str, Option]
    billing: Billing
    lifecycle: Lifecycle
    output: OutputRule
    facts: Mapping[str, Fact]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` calls in each window `per`.

    `counts` names what counts: `all`, a kind of operation, one operation, or a word of the
    provider's own checks.
    """

    name: str
    limit: int
    per: Literal["half_minute", "minute", "day"]
    counts: str

    @property
    def length(self) -> Instant:
        """How long a window lasts."""
        return {"half_minute": 30 * SECOND, "minute": 60 * SECOND, "day": DAY}[self.per]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account may do: access at all, calls per window, concurrent jobs."""

    name: str
    access: bool
    rates: tuple[RateLimit, ...]
    concurrency: int | None
    evidence: Evidence
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Refund:
    """In which states the charge is given back, and how many seconds after entering them."""

    states: tuple[str, ...]
    after: Decimal
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class SecondHeader:
    """Where a key is also taken when the first header is missing and `knob` has this `value`."""

    header: str
    scheme: str
    knob: str
    value: str


@dataclass(frozen=True, slots=True)
class Auth:
    """The header that carries the key, its scheme, and the form of the keys that are issued."""

    header: str
    scheme: str
    key_prefix: str
    key_alphabet: str
    key_length: int
    evidence: Evidence
    second: SecondHeader | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """Everything known of one provider. `digest` is the hash of the resolved file."""

    provider: str
    title: str
    hosts: Mapping[str, Fact]
    auth: Auth
    opening: Decimal
    unit: str
    plan: str
    plans: Mapping[str, Plan]
    models: Mapping[str, Model]
    limits: Mapping[str, Fact]
    facts: Mapping[str, Fact]
    headers: Mapping[str, Fact]
    retention: Mapping[str, Fact]
    statuses: Mapping[str, Fact]
    errors: Mapping[str, ErrorRule]
    failures: Mapping[str, ErrorRule]
    checks: Mapping[str, tuple[str, ...]]
    check_evidence: Evidence
    refund: Refund
    default_media: Media
    knobs: Mapping[str, Knob]
    dialects: tuple[str, ...]
    digest: str
    webhooks: WebhookRule | None = None
    polling: Polling | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """A baseline with every knob set: what one request is judged by.

    `header_names` are the provider's response headers as they go over the wire.
    """

    baseline: Baseline
    dialect: str
    knobs: Mapping[str, str]
    errors: Mapping[str, ErrorRule]
    failures: Mapping[str, ErrorRule]
    header_names: Mapping[str, bytes]
    _limits: dict[str, tuple[Decimal, int]] = field(default_factory=dict, compare=False, repr=False)
    _words: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)

    def limit(self, name: str) -> Decimal:
        """A numeric limit."""
        found = self._limits.get(name)
        return self._read_limit(name)[0] if found is None else found[0]

    def whole(self, name: str) -> int:
        """A limit that is a whole number."""
        found = self._limits.get(name)
        return self._read_limit(name)[1] if found is None else found[1]

    def _read_limit(self, name: str) -> tuple[Decimal, int]:
        value = self.baseline.limits[name].value
        if not isinstance(value, str | int | Decimal):
            raise BaselineError(_not_a(name, "number"))
        found = self._limits[name] = (Decimal(value), int(Decimal(value)))
        return found

    def words(self, name: str) -> tuple[str, ...]:
        """A limit that is a list of words."""
        found = self._words.get(name)
        return self._read_words(name) if found is None else found

    def _read_words(self, name: str) -> tuple[str, ...]:
        value = self.baseline.limits[name].value
        if not isinstance(value, tuple):
            raise BaselineError(_not_a(name, "list"))
        found = self._words[name] = tuple(map(str, value))
        return found

    def table(self, name: str) -> Mapping[str, str]:
        """A limit that is a table of words."""
        value = self.baseline.limits[name].value
        if isinstance(value, Mapping):
            return {key: str(word) for key, word in value.items()}
        raise BaselineError(_not_a(name, "table"))

    def fact(self, name: str) -> Plain:
        """The value of a fact."""
        return self.baseline.facts[name].value

    def text(self, name: str) -> str:
        """A fact that is a text."""
        return str(self.baseline.facts[name].value)


class BaselineError(ValueError):
    """A baseline or a choice of knobs that cannot be used; the message names the place."""


def _not_a(name: str, kind: str) -> str:
    return f"limits.{name} is not a {kind}"


def rules(baseline: Baseline, dialect: str, chosen: Mapping[str, str]) -> Rules:
    """The baseline under this dialect, single knobs winning over the dialect's values."""
    if dialect not in baseline.dialects:
        msg = (
            f"{baseline.provider} has no dialect {dialect!r}; it has {', '.join(baseline.dialects)}"
        )
        raise BaselineError(msg)
    knobs = {name: knob.by_dialect[dialect] for name, knob in baseline.knobs.items()}
    for name, value in chosen.items():
        _check_choice(baseline, name, value)
        knobs[name] = value
    return Rules(
        baseline=baseline,
        dialect=dialect,
        knobs=knobs,
        errors={name: _variant(rule, knobs) for name, rule in baseline.errors.items()},
        failures={name: _variant(rule, knobs) for name, rule in baseline.failures.items()},
        header_names={k: str(fact.value).encode() for k, fact in baseline.headers.items()},
    )


def _check_choice(baseline: Baseline, name: str, value: str) -> None:
    knob = baseline.knobs.get(name)
    if knob is None:
        known = ", ".join(sorted(baseline.knobs)) or "none"
        msg = f"{baseline.provider} has no knob {name!r}; its knobs: {known}"
        raise BaselineError(msg)
    if value not in knob.values:
        allowed = ", ".join(knob.values)
        msg = f"knob {baseline.provider}.{name} cannot be {value!r}; allowed: {allowed}"
        raise BaselineError(msg)


def _variant(rule: ErrorRule, knobs: Mapping[str, str]) -> ErrorRule:
    for when, variant in rule.variants:
        if all(knobs.get(name) == value for name, value in when.items()):
            return variant
    return rule
