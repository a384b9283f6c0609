"""A file laid over what it extends: mappings merge, everything else is replaced.

What a scenario changes without saying why is believed for no other reason than that: the evidence
around a changed value becomes `assumed`, unless the scenario brings evidence of its own.
"""

from __future__ import annotations

from upsim.scenario.yaml_tree import Mistake, Place, Tree, Value

EVIDENCE = "evidence"
CHANGED = "changed by a scenario"


def merged(base: Tree, change: Tree) -> Tree:
    """The base with the change laid over it."""
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
    message = f"a file that extends another is of its provider, {below.get('provider')}"
    return [change.mistake(place, message)]


def _without(value: Value, name: str) -> Value:
    """The file without a key: a base loses the report that it reproduces, which is not this one."""
    return {k: v for k, v in value.items() if k != name} if isinstance(value, dict) else value


def _with_choices(base: Value, change: Value) -> Value:
    """A scenario writes `knobs: {name: value}`; the definition stays and takes the choice."""
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
    """One change laid over one base, place by place."""

    def __init__(self, result: Tree, change: Tree) -> None:
        self._marks = result.marks
        self._change = change

    def over(self, base: Value, change: Value, place: Place) -> tuple[Value, bool]:
        """What is at a place now, and whether evidence around it must answer for a change."""
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
