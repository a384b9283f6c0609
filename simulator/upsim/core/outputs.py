"""The output file of a job: its size in pixels, and whether it has audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from upsim.core.events import OutputPlan
from upsim.core.evidence import Evidence
from upsim.core.media import Media


@dataclass(frozen=True, slots=True)
class OutputRule:
    """A scale factor for both sides (`scale`), or a target for the short side.

    The value of the option `by` selects the number from `table`; without `by` the number is
    under the empty key. A source whose short side is already above the target keeps its size.
    `audio` is `keep`, `drop`, or the name of an option (`true` keeps the audio).
    """

    kind: str
    by: str | None
    table: Mapping[str, int]
    audio: str
    evidence: Evidence


def output_size(rule: OutputRule, media: Media, options: Mapping[str, str]) -> tuple[int, int]:
    """Return width and height of the output, in pixels."""
    value = rule.table[options[rule.by] if rule.by is not None else ""]
    if rule.kind == "scale":
        return (media.width * value, media.height * value)
    return _short_side(media.width, media.height, value)


def output_plan(rule: OutputRule, media: Media, options: Mapping[str, str]) -> OutputPlan:
    """Return the plan of the output file: its size and its audio."""
    width, height = output_size(rule, media, options)
    wanted = rule.audio == "keep" or options.get(rule.audio) == "true"
    return OutputPlan(width=width, height=height, audio=media.audio and wanted)


def _short_side(width: int, height: int, target: int) -> tuple[int, int]:
    short, long = min(width, height), max(width, height)
    if short > target:
        return (width, height)
    other = _nearest_even(Fraction(long * target, short))
    return (other, target) if width >= height else (target, other)


def _nearest_even(value: Fraction) -> int:
    """Return the nearest even number; a value in the middle is rounded up."""
    return 2 * ((value / 2 + Fraction(1, 2)).__floor__())
