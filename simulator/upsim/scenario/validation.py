"""Validate a resolved file: report all mistakes together, and each mistake only once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain

import msgspec

from upsim.core.provider import Provider
from upsim.scenario.baseline_overrides import Trees, baseline_mistakes, strange_entries
from upsim.scenario.changes import change_mistakes, stages
from upsim.scenario.code_references import answers_of, bodiless_of, code_mistakes
from upsim.scenario.error_recovery import Recovered, recover
from upsim.scenario.faults.fault_rules import all_mistakes
from upsim.scenario.faults.vocabulary import known_in
from upsim.scenario.glob_limits import glob_mistakes
from upsim.scenario.job_rules import job_mistakes
from upsim.scenario.media_rules import media_mistakes
from upsim.scenario.name_references import choice_mistakes, reference_mistakes
from upsim.scenario.schema_validation import Sections
from upsim.scenario.whole_units import unit_mistakes
from upsim.scenario.yaml_tree import Found, Mistake, Place, Tree, Value, mapping

_ONE_BY_ONE = (("jobs",), ("faults",))
"""Sections whose items are checked without the schema."""


class ScenarioValidator(msgspec.Struct, frozen=True):
    """A validator of files; it uses the baselines in `trees`, and all scenario `names`.

    `kinds` returns the operations of a provider with their kinds.
    """

    trees: Trees
    kinds: Callable[[str], Mapping[str, str]]
    names: Callable[[], Collection[str]]

    def mistakes_in(
        self,
        tree: Tree,
        providers: Mapping[str, Provider] | None = None,
        sections: Sections | None = None,
    ) -> list[Mistake]:
        """Return all mistakes in a resolved tree.

        With `providers`, a name that the code of its provider does not have is a mistake too.
        `sections` caches the sections that were already validated.
        """
        if not tree.whole:
            return sorted(tree.mistakes)
        sections = sections or Sections()
        found = list(self._found_in(tree, providers, sections))
        told = {mistake.place for mistake in tree.mistakes}
        new = (tree.mistake(place, message) for place, message in found)
        every = {*tree.mistakes, *(mistake for mistake in new if mistake.place not in told)}
        return sorted({*every, *self._later_mistakes(tree, every, providers, sections)})

    def _found_in(
        self, tree: Tree, providers: Mapping[str, Provider] | None, sections: Sections
    ) -> Found:
        """Yield the mistakes in the file without its changes.

        If a closer check finds the same mistake as the schema, only the closer check reports it.
        """
        base = self._baseline_tree(tree)
        broken = sections.mistakes(tree.value)
        strange = dict(strange_entries(tree.value, base))
        sound = recover(tree.value, broken, base, sections.mistakes)
        close = list(change_mistakes(tree))
        if sound is not None:
            close += self._judged_closely(tree, sound, [b.place for b in broken], providers)
        told = {place for place, _ in close}
        yield from strange.items()
        for place, message in close:
            filled = _is_below(place, strange) and place not in tree.marks
            if not (filled or _is_said(place, "", strange)):
                yield place, message
        for place, message, rule in broken:
            again = rule != "required" and place in told
            apart = sound is not None and place[:1] in _ONE_BY_ONE and len(place) > 1
            if not (again or apart or _is_said(place, rule, strange)):
                yield place, message

    def _judged_closely(
        self,
        tree: Tree,
        sound: Recovered,
        broken: Collection[Place],
        providers: Mapping[str, Provider] | None,
    ) -> Found:
        """Yield mistakes that no schema can find, in all valid parts and every item of a list."""
        written, base = mapping(tree.value), self._baseline_tree(tree)
        knobs = mapping((base or sound.value)["knobs"])
        kinds = self._kinds_of(written, providers)
        known = known_in(
            sound.value,
            kinds,
            bodiless_of(sound.value, providers),
            answers_of(sound.value, providers),
        )
        yield from choice_mistakes(written.get("knobs"), knobs)
        yield from glob_mistakes(written)
        yield from job_mistakes(written.get("jobs"), sound.value, written)
        yield from media_mistakes(written.get("media"), broken)
        yield from all_mistakes(written.get("faults"), known)
        names = chain(
            reference_mistakes(sound.value),
            unit_mistakes(sound.value, self.trees),
            baseline_mistakes(sound.value, base, self.trees, self.names),
            code_mistakes(sound.value, written, base, providers) if providers else (),
        )
        yield from (each for each in names if not _is_below(each[0], sound.doubtful))

    def _later_mistakes(
        self,
        tree: Tree,
        known: Collection[Mistake],
        providers: Mapping[str, Provider] | None,
        sections: Sections,
    ) -> Iterator[Mistake]:
        """Yield mistakes that appear only after one of the scenario's `changes` is applied."""
        before = {(mistake.place, mistake.message) for mistake in known}
        places = {mistake.place for mistake in known}
        for stage in stages(tree):
            changed = set(stage.change.marks.values())
            own = set(stage.values())
            for mistake in self.mistakes_in(stage.tree, providers, sections):
                again = mistake.place in places and mistake.mark not in changed
                said = (mistake.place, mistake.message) in before and mistake.place not in own
                if not (again or said):
                    before.add((mistake.place, mistake.message))
                    yield stage.told(mistake)

    def _kinds_of(
        self, root: Mapping[str, Value], providers: Mapping[str, Provider] | None
    ) -> Mapping[str, str]:
        """Return the operations of a file's provider with their kinds, if the file has faults."""
        name = str(root.get("provider"))
        if "faults" not in root:
            return {}
        if providers is None:
            return self.kinds(name)
        known = providers[name].operations if name in providers else ()
        return {operation.name: operation.kind for operation in known}

    def _baseline_tree(self, tree: Tree) -> Mapping[str, Value] | None:
        """Return the baseline that a file extends, directly or indirectly, or replaces."""
        name = mapping(tree.value).get("provider")
        return self.trees(name) if isinstance(name, str) else None


def _is_said(place: Place, rule: str, strange: Collection[Place]) -> bool:
    """Return whether a mistake about an unknown entry or section replaces a schema violation.

    An unknown entry may be a misspelt known entry, and then the missing keys are no mistake.
    This does not apply to the items of lists, because they are not merged.
    A section that must be removed needs no further mistakes.
    """
    if place in strange or place[:1] in strange:
        return True
    merges = not any(isinstance(step, int) for step in place)
    return rule == "required" and merges and _is_below(place, strange)


def _is_below(place: Place, places: Collection[Place]) -> bool:
    return any(place[:length] in places for length in range(len(place) + 1))
