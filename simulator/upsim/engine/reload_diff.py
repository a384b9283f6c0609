"""Compare a reloaded scenario with the previous one: which values changed and when they apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from upsim.engine.scenario_lookup import ScenarioLookup
from upsim.scenario.loader import Library
from upsim.scenario.model import Scenario
from upsim.scenario.yaml_tree import Place, dotted

RESET = ("clock", "seed", "webhook_timestamp")
"""Sections that a sandbox reads once, when it is made or reset."""
RESTART = ("hosts", "dialects")
"""Sections that a server reads once."""
OPENING = ("accounts", "account")
"""Sections that apply only to accounts opened from now on."""
_SILENT = ("evidence", "sources", "extends", "provider")
"""What is named only where nothing beside it differs."""
_NO_FILE = ["extends"]
"""Keys that distinguish a file without changes from the baseline that it extends."""


class ScenarioDiff(msgspec.Struct, frozen=True):
    """A scenario whose files were reloaded.

    `changed` lists the places of changed values for each provider; `rules` is the hash of its new
    rules.
    """

    name: str
    changed: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    rules: Mapping[str, str] = msgspec.field(default_factory=dict)

    def waiting(self, sections: tuple[str, ...]) -> tuple[str, ...]:
        """The changed sections among these, in their order."""
        places = {place for places in self.changed.values() for place in places}
        heads = {place.partition(".")[0].partition("[")[0] for place in places}
        return tuple(section for section in sections if section in heads)


def diff_scenario(name: str, old: Library, new: Library) -> ScenarioDiff:
    """Return the differences of a scenario between two libraries.

    If the provider of a scenario changes, the old provider falls back to its baseline, and the
    scenario replaces the baseline of the new provider.
    """
    before, after = old.load(name), new.load(name)
    providers = dict.fromkeys(found.baseline.provider for found in (before, after))
    changed: dict[str, tuple[str, ...]] = {}
    rules: dict[str, str] = {}
    for provider in providers:
        was, now = _held(old, before, provider), _held(new, after, provider)
        places = [dotted(place) for place in differences(was.values, now.values)]
        if places and (places != _NO_FILE or len(providers) == 1):
            changed[provider], rules[provider] = tuple(places), now.baseline.digest
    return ScenarioDiff(name, changed, rules)


def _held(library: Library, main: Scenario, provider: str) -> Scenario:
    return ScenarioLookup(library, main)(provider)


def differences(before: object, after: object, place: Place = ()) -> Iterator[Place]:
    """Yield the paths at which two values differ; evidence only if nothing beside it differs."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _in_mappings(before, after, place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, (*place, number))
    elif before != after:
        yield place


def _in_mappings(
    before: Mapping[str, object], after: Mapping[str, object], place: Place
) -> Iterator[Place]:
    found: list[Place] = []
    for key in dict.fromkeys((*before, *after)):
        if key not in before or key not in after:
            found.append((*place, key))
        else:
            found += differences(before[key], after[key], (*place, key))
    yield from [here for here in found if here[len(place)] not in _SILENT] or found
