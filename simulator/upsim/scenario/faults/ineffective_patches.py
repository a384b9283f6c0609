"""Find patches without effect: the responses to which a patch applies lack its fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from upsim.core.faults import KINDS_AT, UNNAMED_AT, Stage
from upsim.core.globs import fits
from upsim.core.nearest_names import nearest_of
from upsim.core.suggestions import shown
from upsim.scenario.faults.vocabulary import FaultVocabulary, Node
from upsim.scenario.yaml_tree import Found

_PLACE = re.compile(r"(?<=\.)[0-9]+(?=\.|\Z)")


def patch_mistakes(node: Node, stage: Stage | None, known: FaultVocabulary) -> Found:
    """Yield a mistake if a patch can never fire, because no response has any of its fields."""
    do = node.get("do")
    fields = do.get("patch") if isinstance(do, Mapping) else None
    if stage is None or not isinstance(fields, Mapping) or not fields:
        return
    names = _operations(node.get("on"), stage, known)
    if not names or not known.answers.keys() >= set(names):
        return
    answered = frozenset[str]().union(*(known.answers[name] for name in names))
    paths = [str(path) for path in fields]
    if any(_is_in(path, answered) for path in paths):
        return
    plain = sorted({_named(field) for field in answered} - {""})
    near = nearest_of(paths[0], plain) or nearest_of(paths[0].rpartition(".")[2], plain)
    hint = f"; did you mean {near}?" if near else ""
    message = f"no response of {', '.join(names)} has {shown(paths[0])}, so this never fires{hint}"
    yield ("do", "patch", paths[0]), message


def _named(field: str) -> str:
    """Return a field path up to its first index or wildcard."""
    return re.sub(r"(?:\.|\A)[0*](?:\..*)?\Z", "", field)


def _operations(on: object, stage: Stage, known: FaultVocabulary) -> list[str]:
    allowed = UNNAMED_AT[stage] if on is None else KINDS_AT[stage]
    return [
        name
        for name, kind in known.operations.items()
        if kind in allowed and (on is None or fits(name, str(on)))
    ]


def _is_in(path: str, answered: Collection[str]) -> bool:
    """Return whether a path names a known field, a parent of one, or a child of an open object."""
    path = _PLACE.sub("0", path)
    last = path.rpartition(".")[2]
    return any(
        field == path
        or field.startswith(f"{path}.")
        or (field.endswith(".*") and path.startswith(field[:-1]))
        or field == f"*.{last}"
        for field in answered
    )
