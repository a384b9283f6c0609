"""What the faults of a provider may speak of: its operations, its errors, its webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from upsim.core.baseline import Baseline
from upsim.core.states import JobState
from upsim.core.webhooks import ON_PROCESSING
from upsim.scenario.inputs import MODEL, body_fields_of, statuses_of, values_of

Node = Mapping[str, Any]
"""A mapping as it was written."""


@dataclass(frozen=True, slots=True)
class FaultVocabulary:
    """What a fault may speak of: a provider's operations with their kinds, and its catalogue.

    A kind is empty where only the names of operations are known. `errors` hold the names that
    the texts of each entry need, `fields` what the bodies of submits hold at the top, `told` the
    states that webhooks tell of, `signing` how those are signed, `bodiless` the operations that
    have no body, `options` the values that a submit may have (of `model`, too), and `statuses` the
    provider's words for states, and `answers` the fields that the responses of operations may have
    (None or empty: not known).
    """

    provider: str
    operations: Mapping[str, str]
    errors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    told: tuple[str, ...] | None = None
    signing: str = ""
    bodiless: frozenset[str] = frozenset()
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, frozenset[str]] = field(default_factory=dict)


def known_in(
    root: Node,
    kinds: Mapping[str, str],
    bodiless: Iterable[str] = (),
    answers: Mapping[str, frozenset[str]] | None = None,
) -> FaultVocabulary:
    """What the faults of a resolved file may speak of."""
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
    """The options of all models of a baseline, with the values that any takes; and the models."""
    found: dict[str, list[str]] = {MODEL: [*baseline.models]}
    for model in baseline.models.values():
        for name, option in model.options.items():
            found[name] = [*found.get(name, ()), *option.allowed]
    return found


def _needed_by(entry: Node) -> frozenset[str]:
    """The names that an entry of the catalogue needs, whichever of its variants is chosen."""
    forms = [entry, *entry.get("variants", ())]
    found = [needed(*map(form.get, ("message", "headers", "extra"))) for form in forms]
    return frozenset[str]().union(*found)


def needed(*values: object) -> frozenset[str]:
    """The names that texts of the catalogue, wherever they stand, hold in braces."""
    texts = [text for value in values for text in _texts(value)]
    try:
        return _names(texts)
    except ValueError:  # a text with a brace too many, which is a mistake of its own
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
