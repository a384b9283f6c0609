"""A provider's facts as frozen values: what `scenarios/<provider>/baseline.yaml` is loaded into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeVar

from upsim.core.evidence import Evidence
from upsim.core.instants import DAY, SECOND, Instant
from upsim.core.lifecycle import Lifecycle
from upsim.core.media import Media
from upsim.core.nearest import nearest_of
from upsim.core.outputs import OutputRule
from upsim.core.polling import PollingAdvice
from upsim.core.pricing import Billing
from upsim.core.webhooks import WebhookRule

Plain = None | bool | int | str | Decimal | tuple["Plain", ...] | Mapping[str, "Plain"]
"""A value as YAML holds it, frozen; a number with a point is a `Decimal`."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BaselineFact:
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
    facts: Mapping[str, BaselineFact]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit of `limit` requests in each window `per`.

    `counts` names the counted requests: `all`, a kind of operation, one operation, or a word of the
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
class AccountPlan:
    """The limits of an account: access, requests per window, concurrent jobs."""

    name: str
    access: bool
    rates: tuple[RateLimit, ...]
    concurrency: int | None
    evidence: Evidence
    facts: Mapping[str, BaselineFact]


@dataclass(frozen=True, slots=True)
class Refund:
    """In which states the charge is given back, and how many seconds after entering them."""

    states: tuple[str, ...]
    after: Decimal
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class SecondHeader:
    """A second header for the key, read if the first is missing and `knob` has this `value`."""

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
    """Everything known of one provider. `digest` is the hash of the resolved file.

    `divisible` says whether there are parts of the unit, as of a dollar; a credit is whole.
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


class BaselineError(ValueError):
    """A baseline or a choice of knobs that cannot be used; the message names the place."""


class Named(dict[str, T]):
    """Values by name. Raises BaselineError for a name that is not there, or is of another kind."""

    def __init__(self, kind: str, values: Iterable[tuple[str, T]]) -> None:
        """Hold these values; `kind` says what each of them is."""
        super().__init__(values)
        self._kind = kind

    def __missing__(self, name: str) -> T:
        msg = f"{name!r} is not a {self._kind} of this baseline"
        raise BaselineError(msg)


@dataclass(frozen=True, slots=True)
class Rules:
    """A baseline with every knob set: the rules that apply to one request.

    `limits` are numbers, `wholes` the same rounded down, `words` limits that are lists, `texts` all
    facts as texts. `header_names` are the provider's response headers as sent.
    """

    baseline: Baseline
    dialect: str
    knobs: Mapping[str, str]
    errors: Mapping[str, ErrorRule]
    failures: Mapping[str, ErrorRule]
    header_names: Mapping[str, bytes]
    limits: Mapping[str, Decimal]
    wholes: Mapping[str, int]
    words: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]

    def table(self, name: str) -> Mapping[str, str]:
        """A limit that is a table of words."""
        value = self.baseline.limits[name].value
        if isinstance(value, Mapping):
            return {key: str(word) for key, word in value.items()}
        msg = f"{name!r} is not a table of this baseline"
        raise BaselineError(msg)

    def turned(self, knob: str) -> str | None:
        """The value of a knob that was turned; None at its first, which leaves it to the facts."""
        value = self.knobs[knob]
        return None if value == self.baseline.knobs[knob].values[0] else value

    def fact(self, name: str) -> Plain:
        """The value of a fact."""
        return self.baseline.facts[name].value


def check_dialect(baseline: Baseline, dialect: str) -> None:
    """Raise BaselineError, with the nearest name, for a dialect that the provider lacks."""
    if dialect not in baseline.dialects:
        near, known = nearest_of(dialect, baseline.dialects), ", ".join(baseline.dialects)
        hint = f"did you mean {near}? " if near else ""
        msg = f"{baseline.provider} has no dialect {dialect!r}; {hint}it has {known}"
        raise BaselineError(msg)


def rules(baseline: Baseline, dialect: str, chosen: Mapping[str, str]) -> Rules:
    """The baseline under this dialect, single knobs winning over the dialect's values."""
    check_dialect(baseline, dialect)
    knobs = {name: knob.by_dialect[dialect] for name, knob in baseline.knobs.items()}
    for name, value in chosen.items():
        _check_choice(baseline, name, value)
        knobs[name] = value
    numbers = dict(_numbers(baseline))
    return Rules(
        baseline=baseline,
        dialect=dialect,
        knobs=knobs,
        errors={name: _variant(rule, knobs) for name, rule in baseline.errors.items()},
        failures={name: _variant(rule, knobs) for name, rule in baseline.failures.items()},
        header_names={k: str(fact.value).encode() for k, fact in baseline.headers.items()},
        limits=Named("numeric limit", numbers.items()),
        wholes=Named("numeric limit", ((name, int(value)) for name, value in numbers.items())),
        words=Named("list of words", _words(baseline)),
        texts=Named("fact", ((name, str(fact.value)) for name, fact in baseline.facts.items())),
    )


def _numbers(baseline: Baseline) -> Iterator[tuple[str, Decimal]]:
    for name, fact in baseline.limits.items():
        if isinstance(fact.value, int | str | Decimal):
            with suppress(InvalidOperation):
                number = Decimal(fact.value)
                if number.is_finite():
                    yield name, number


def _words(baseline: Baseline) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, fact in baseline.limits.items():
        if isinstance(fact.value, tuple):
            yield name, tuple(map(str, fact.value))


def _check_choice(baseline: Baseline, name: str, value: str) -> None:
    knob = baseline.knobs.get(name)
    if knob is None:
        known = ", ".join(sorted(baseline.knobs)) or "none"
        near = nearest_of(name, baseline.knobs)
        hint = f"did you mean {near}? " if near else ""
        msg = f"{baseline.provider} has no knob {name[:80]!r}; {hint}its knobs: {known}"
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
