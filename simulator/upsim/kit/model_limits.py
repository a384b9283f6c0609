"""The limits of a model, read from the baseline of its provider."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from upsim.client.models import ModelInfo, find_model
from upsim.core.baseline import Option, Plain
from upsim.media.clip_names import CONTAINERS
from upsim.providers import discover

LARGEST = 4_096
"""Maximum side length of clips, so that outputs are made quickly."""
SUBMIT = "submit"


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """The limits of one model; None means no limit.

    `long_side` limits the longer side of a video, `short_side` the shorter side.
    """

    model: str
    provider: str
    max_seconds: Decimal | None
    billed_seconds: Decimal | None
    min_frames: int
    max_frames: int | None
    long_side: int | None
    short_side: int | None
    containers: tuple[str, ...]
    options: tuple[Option, ...]
    heights: tuple[int, ...]
    errors: frozenset[str]
    checks: frozenset[str]


@cache
def limits_of(model: str) -> ModelLimits:
    """Return the limits of a model by its name. Raises UnknownModelError."""
    known = find_model(model)
    baseline, rules = known.baseline, known.model
    quantity = rules.billing.quantity
    return ModelLimits(
        model=known.name,
        provider=known.adapter.provider,
        max_seconds=_number(known, "max_seconds"),
        billed_seconds=quantity.minimum if quantity.of == "seconds" else None,
        min_frames=int(_number(known, "min_frames") or 1),
        max_frames=_whole(_number(known, "max_frames")),
        long_side=_whole(_number(known, "max_long_side")),
        short_side=_whole(_number(known, "max_short_side")),
        containers=_containers(known),
        options=tuple(rules.options.values()),
        heights=_heights(known),
        errors=frozenset(baseline.errors),
        checks=frozenset(_checks(known)),
    )


def _value(known: ModelInfo, name: str) -> Plain:
    fact = known.baseline.limits.get(name)
    return None if fact is None else fact.value


def _number(known: ModelInfo, name: str) -> Decimal | None:
    value = _value(known, name)
    return Decimal(value) if isinstance(value, str | int | Decimal) else None


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)


def _containers(known: ModelInfo) -> tuple[str, ...]:
    """Return the file formats that the model accepts and the simulator can make."""
    value = _value(known, "formats")
    taken = {str(name) for name in value} if isinstance(value, tuple) else set(CONTAINERS)
    return tuple(name for name in CONTAINERS if name in taken)


def _heights(known: ModelInfo) -> tuple[int, ...]:
    """Yield input heights whose output is at the edge of a price tier, and just above the edge."""
    rule = known.model.output
    if rule.kind != "scale":
        return ()
    edges = [int(t.up_to) for t in known.model.billing.rate.tiers if t.up_to is not None]
    found = {
        edge // factor + more for edge in edges for factor in rule.table.values() for more in (0, 2)
    }
    return tuple(sorted(height for height in found if height % 2 == 0))


def _checks(known: ModelInfo) -> set[str]:
    """Return the checks of the operations that accept jobs."""
    operations = discover()[known.adapter.provider].operations
    submits = [operation.name for operation in operations if operation.kind == SUBMIT]
    return {check for name in submits for check in known.baseline.checks.get(name, ())}
