"""The names of a baseline that rules may use: submit fields, options, and words for states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upsim.core.suggestions import shown
from upsim.scenario.yaml_tree import items, mapping

MODEL = "model"
TASK_TYPE = "task_type"
SOURCES = ("video", "video_url")
"""The fields of a submit that contain the video, as a text in each accepted request."""


def inputs_of(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields in a baseline's fact `inputs`, and `model`; empty without that fact."""
    fact = tree.get("facts", {}).get("inputs")
    return () if fact is None else (MODEL, *map(str, items(fact.get("value"))))


def body_fields_of(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the top-level fields of a submit body; empty if the baseline does not list them.

    The fact `body_fields` lists the fields. A baseline without this fact has the fields
    in `inputs` and the options of its models.
    """
    facts = tree.get("facts", {})
    own = facts.get("body_fields")
    if own is not None:
        return tuple(map(str, items(own.get("value"))))
    fact = facts.get("inputs")
    if fact is None:
        return ()
    options = [name for model in tree["models"].values() for name in model.get("options", {})]
    return tuple(dict.fromkeys([*map(str, items(fact.get("value"))), *options]))


def options_of(root: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the options of all models of a file, with all values that any model allows."""
    found: dict[str, list[str]] = {}
    for model in mapping(root.get("models")).values():
        for name, option in mapping(mapping(model).get("options")).items():
            allowed = map(str, items(mapping(option).get("allowed")))
            found[name] = [*found.get(name, ()), *allowed]
    return found


def values_of(root: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the allowed values of a submit: options, task types, and model names."""
    models = mapping(root.get("models"))
    facts = [mapping(mapping(model).get("facts")).get(TASK_TYPE) for model in models.values()]
    types = {} if None in facts else {TASK_TYPE: [str(mapping(f).get("value")) for f in facts]}
    return {**options_of(root), **types, MODEL: [*models]}


def wrong_source(field: str, value: object) -> str | None:
    """Return why no accepted submit has this value in a video field; None if one can have it."""
    if field not in SOURCES or isinstance(value, str):
        return None
    return f"{shown(value)} is not a text; the video of a job is a text such as a URL"


def statuses_of(root: Mapping[str, Any]) -> dict[str, str]:
    """Return the provider's word for each state."""
    found = mapping(root.get("statuses"))
    return {state: str(mapping(fact).get("value")) for state, fact in found.items()}
