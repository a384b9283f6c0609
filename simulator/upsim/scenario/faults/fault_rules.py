"""A whole fault: validate it with all of its mistakes, and build its rule.

Validation uses no schema, so that scenarios and the admin API report the same mistakes.
The places of mistakes are relative to the fault.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from itertools import chain, count

from upsim.core.faults import STAGES, FaultRule, spelt
from upsim.core.states import JobState
from upsim.core.suggestions import nearest_to, shown, unknown_value
from upsim.scenario.faults.actions import action_mistakes, actions_at, build_action
from upsim.scenario.faults.ineffective_patches import patch_mistakes
from upsim.scenario.faults.matched_requests import count_mistakes, selection_mistakes, unreached
from upsim.scenario.faults.shadowed_faults import shadow_of
from upsim.scenario.faults.size_limits import size_mistakes, together
from upsim.scenario.faults.vocabulary import FaultVocabulary, Node
from upsim.scenario.schema import properties_of
from upsim.scenario.yaml_tree import Found

_EXAMPLE = "{at: poll, do: drop_connection}"
_KEYS = tuple(properties_of("fault"))


def all_mistakes(faults: object, known: FaultVocabulary) -> Found:
    """Yield all mistakes in the faults of a file, at places within the file."""
    seen: set[str] = set()
    sound: dict[int, Node] = {}
    nodes = faults if isinstance(faults, list | tuple) else ()
    excess = together(node for node in nodes if isinstance(node, Mapping))
    if excess:
        yield ("faults",), excess
        return
    for i, node in enumerate(nodes):
        wrong = list(fault_mistakes(node, known))
        for place, message in wrong:
            yield ("faults", i, *place), message
        shadow = None if wrong else shadow_of(node, sound, known)
        if shadow is not None:
            told = f"this fault can never fire: faults[{shadow}] fires on every matching request"
            yield (
                ("faults", i),
                f"{told}; limit faults[{shadow}] with first, every, after or probability",
            )
        if not wrong:
            sound[i] = node
        name = node.get("id") if isinstance(node, Mapping) else None
        if isinstance(name, str):
            if name in seen:
                yield ("faults", i, "id"), f"another fault has the id {name!r}; use a unique id"
            seen.add(name)


def fault_mistakes(node: object, known: FaultVocabulary) -> Found:
    """Yield all mistakes in one fault, with suggestions for misspelt names."""
    if not isinstance(node, Mapping):
        yield (), f"a fault is a mapping such as {_EXAMPLE}, not {shown(node)}"
        return
    large = list(size_mistakes(node))
    if large:
        yield from large
        return
    for key in node:
        if key not in _KEYS:
            yield (key,), f"unknown key; {nearest_to(key, _KEYS)}"
    yield from count_mistakes(node)
    message = _wrong_stage(node, known)
    if message is not None:
        yield ("at",), message
    stage = node["at"] if message is None else None
    yield from selection_mistakes(node, stage, known)
    if "do" in node:
        yield from action_mistakes(node["do"], stage, known)
        yield from patch_mistakes(node, stage, known)
    else:
        yield (), f"do is missing; use one of {', '.join(actions_at(stage))}"


def _wrong_stage(node: Node, known: FaultVocabulary) -> str | None:
    if "at" not in node:
        return f"at is missing; use one of {', '.join(STAGES)}"
    stage = node["at"]
    if not isinstance(stage, str) or stage not in STAGES:
        return unknown_value("stage", stage, STAGES)
    if stage == "webhook" and known.told == ():
        return f"{known.provider} documents no webhooks, so none is ever sent"
    if unreached(stage, known.operations):
        return f"{known.provider} has no operation for the stage {stage}"
    return None


def build_faults(tree: Node) -> tuple[FaultRule, ...]:
    """Return the rules of a valid file; faults without an id are named `f1`, `f2`, … by place."""
    nodes, provider = tree.get("faults", ()), tree["provider"]
    given = {node["id"] for node in nodes if "id" in node}
    return tuple(
        build_fault(node, provider=provider, name=node.get("id") or _free_name(i, given))
        for i, node in enumerate(nodes, 1)
    )


def _free_name(place: int, given: Collection[str]) -> str:
    """Return a name for a fault without an id; no other fault of the file has this name."""
    further = (f"fault-{place}-{n}" for n in count(2))
    names = chain((f"f{place}", f"fault-{place}"), further)
    return next(name for name in names if name not in given)


def build_fault(node: Node, *, provider: str, name: str) -> FaultRule:
    """Return the rule of a valid fault."""
    probability = node.get("probability")
    return FaultRule(
        id=name,
        provider=provider,
        at=node["at"],
        do=build_action(node["do"]),
        on=node.get("on"),
        account=str(node["account"]) if "account" in node else None,
        when=tuple((str(path), spelt(value)) for path, value in node.get("when", {}).items()),
        state=JobState(node["state"]) if "state" in node else None,
        first=node.get("first"),
        every=node.get("every", 1),
        after=node.get("after", 0),
        probability=None if probability is None else Decimal(probability),
        written=node["do"],
    )
