"""The names that a provider's faults may use: operations, errors, fields and webhook states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Formatter
from typing import Any

import msgspec

from upsim.core.baseline import Baseline
from upsim.core.states import JobState
from upsim.core.webhooks import ON_PROCESSING
from upsim.scenario.rule_vocabulary import MODEL, body_fields_of, statuses_of, values_of

Node = Mapping[str, Any]
"""A mapping as written in the file."""


class FaultVocabulary(msgspec.Struct, frozen=True):
    """The names that a fault may use: a provider's operations, and its catalogue.

    A kind is empty if only the names of operations are known. None or an empty value means unknown.

    * `errors`: the placeholders in the message of each catalogue entry, for its active variant.
    * `variants`: the placeholders of each catalogue entry, over all of its variants.
    * `fields`: the top-level fields of submit bodies.
    * `options`: the allowed values of fields, including `model`.
    * `told`: the states that webhooks report; `signing`: how webhooks are signed.
    * `bodiless`: operations without a request body; `answers`: the response fields of operations.
    * `statuses`: the provider's words for states.
    """

    provider: str
    operations: Mapping[str, str]
    errors: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    fields: tuple[str, ...] = ()
    told: tuple[str, ...] | None = None
    signing: str = ""
    bodiless: frozenset[str] = frozenset()
    options: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    statuses: Mapping[str, str] = msgspec.field(default_factory=dict)
    answers: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    variants: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)


def known_in(
    root: Node,
    kinds: Mapping[str, str],
    bodiless: Iterable[str] = (),
    answers: Mapping[str, frozenset[str]] | None = None,
) -> FaultVocabulary:
    """Return the names that the faults of a resolved file may use."""
    hooks = root.get("webhooks")
    also = [JobState.PROCESSING] if ON_PROCESSING in root["knobs"] else []
    names = (name for name in root["checks"] if name != "evidence")
    return FaultVocabulary(
        provider=str(root["provider"]),
        operations=kinds or dict.fromkeys(names, ""),
        errors={name: _needed_by(entry) for name, entry in root["errors"].items()},
        fields=body_fields_of(root),
        told=() if hooks is None else (*hooks["states"]["value"], *also),
        signing="" if hooks is None else hooks["signing"]["value"],
        bodiless=frozenset(bodiless),
        options=values_of(root),
        statuses=statuses_of(root),
        answers=answers or {},
    )


def options_in(baseline: Baseline) -> dict[str, list[str]]:
    """Return the options of all models of a baseline with allowed values, and the model names."""
    found: dict[str, list[str]] = {MODEL: [*baseline.models]}
    for model in baseline.models.values():
        for name, option in model.options.items():
            found[name] = [*found.get(name, ()), *option.allowed]
    return found


def _needed_by(entry: Node) -> frozenset[str]:
    """Return the placeholders of a catalogue entry, over all of its variants."""
    forms = [entry, *entry.get("variants", ())]
    found = [needed(*map(form.get, ("message", "headers", "extra"))) for form in forms]
    return frozenset[str]().union(*found)


def needed(*values: object) -> frozenset[str]:
    """Return the names in braces in the texts of the catalogue."""
    texts = [text for value in values for text in _texts(value)]
    try:
        return _names(texts)
    except ValueError:  # an unbalanced brace is reported elsewhere
        return frozenset()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _names(texts: Iterable[str]) -> frozenset[str]:
    found = {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}
    return frozenset(re.split(r"[.\[]", name)[0] for name in found)
