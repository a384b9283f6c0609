"""A baseline under a dialect and chosen knobs: the rules that apply to one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from upsim.core.baseline import Baseline, BaselineError, ErrorRule, Plain
from upsim.core.nearest_names import nearest_of

T = TypeVar("T")


class Named(dict[str, T]):
    """Values by name. Raises BaselineError for a name that is missing or of another kind."""

    def __init__(self, kind: str, values: Iterable[tuple[str, T]]) -> None:
        """Keep these values; `kind` describes them in messages."""
        super().__init__(values)
        self._kind = kind

    def __missing__(self, name: str) -> T:
        msg = f"{name!r} is not a {self._kind} of this baseline"
        raise BaselineError(msg)


class Rules(msgspec.Struct, frozen=True):
    """A baseline with every knob set: the rules that apply to one request.

    `limits` are numbers, `wholes` the same numbers rounded down, `words` the limits that are
    lists, `texts` all facts as texts. `header_names` are the provider's response headers as
    sent.
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
        """Return a limit that is a table of words."""
        value = self.baseline.limits[name].value
        if isinstance(value, Mapping):
            return {key: str(word) for key, word in value.items()}
        msg = f"{name!r} is not a table of this baseline"
        raise BaselineError(msg)

    def turned(self, knob: str) -> str | None:
        """Return the value of a knob, or None if it has its first value, which changes nothing."""
        value = self.knobs[knob]
        return None if value == self.baseline.knobs[knob].values[0] else value

    def fact(self, name: str) -> Plain:
        """Return the value of a fact."""
        return self.baseline.facts[name].value


def check_dialect(baseline: Baseline, dialect: str) -> None:
    """Raise BaselineError, with the nearest name, for a dialect that the provider lacks."""
    if dialect not in baseline.dialects:
        near, known = nearest_of(dialect, baseline.dialects), ", ".join(baseline.dialects)
        hint = f"did you mean {near}? " if near else ""
        msg = f"{baseline.provider} has no dialect {dialect!r}; {hint}it has {known}"
        raise BaselineError(msg)


def rules(baseline: Baseline, dialect: str, chosen: Mapping[str, str]) -> Rules:
    """Return the baseline under this dialect; single knobs override the dialect's values."""
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
