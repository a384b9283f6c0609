"""The fields of a submit by which the job rules of a scenario can tell jobs apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODEL = "model"


def inputs_of(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that a baseline names in its fact `inputs`, and `model`; none, if it has none."""
    fact = tree.get("facts", {}).get("inputs")
    return () if fact is None else (MODEL, *(str(name) for name in fact["value"]))
