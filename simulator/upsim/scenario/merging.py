"""Merge a file over the file that it extends: mappings merge, everything else is replaced.

The only source of a changed value is the scenario itself. Therefore the evidence of the
entry around a changed value becomes `assumed`, unless the scenario gives its own evidence.
"""

from __future__ import annotations

from upsim.scenario.yaml_tree import Mistake, Place, Tree, Value

EVIDENCE = "evidence"
CHANGED = "changed by a scenario"


def merged(base: Tree, change: Tree) -> Tree:
    """Return the base with the change merged over it."""
    result = Tree(
        value=None,
        marks={**base.marks, **change.marks},
        mistakes=[*base.mistakes, *change.mistakes, *_other_provider(base, change)],
        whole=base.whole and change.whole,
        files=(*base.files, *change.files),
    )
    above = _with_choices(base.value, _without(change.value, "provider"))
    result.value, _ = _Layers(result, change).over(_without(base.value, EVIDENCE), above, ())
    return result


def _other_provider(base: Tree, change: Tree) -> list[Mistake]:
    below, above = base.value, change.value
    if not isinstance(below, dict) or not isinstance(above, dict) or "provider" not in above:
        return []
    place: Place = ("provider",)
    message = f"provider must be {below.get('provider')}, as in the extended file"
    return [change.mistake(place, message)]


def _without(value: Value, name: str) -> Value:
    """Return the file without one key; `reproduces` of a base does not apply to its change."""
    return {k: v for k, v in value.items() if k != name} if isinstance(value, dict) else value


def _with_choices(base: Value, change: Value) -> Value:
    """Return the change with each `knobs: {name: value}` as the choice in the knob's definition."""
    defined = base.get("knobs") if isinstance(base, dict) else None
    knobs = change.get("knobs") if isinstance(change, dict) else None
    if not isinstance(change, dict) or not isinstance(defined, dict) or not isinstance(knobs, dict):
        return change
    chosen = {
        name: {**definition, "chosen": value}
        if isinstance(definition := defined.get(name), dict) and isinstance(value, str)
        else value
        for name, value in knobs.items()
    }
    return {**change, "knobs": chosen}


class _Layers:
    """A merge of one change over one base, place by place."""

    def __init__(self, result: Tree, change: Tree) -> None:
        self._marks = result.marks
        self._change = change

    def over(self, base: Value, change: Value, place: Place) -> tuple[Value, bool]:
        """Return the value at a place, and whether the evidence around it becomes `assumed`."""
        if not isinstance(base, dict) or not isinstance(change, dict):
            return change, base != change
        both = dict(base)
        touched = False
        for key, item in change.items():
            if key == EVIDENCE or key not in base:
                both[key] = item
                touched = touched or key != EVIDENCE
            else:
                both[key], below = self.over(base[key], item, (*place, key))
                touched = touched or below
        if EVIDENCE in change or EVIDENCE not in base:
            return both, touched and EVIDENCE not in change
        if touched:
            both[EVIDENCE] = {"grade": "assumed", "source": CHANGED}
            self._marks[*place, EVIDENCE] = self._change.mark(place)
        return both, False
