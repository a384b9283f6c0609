"""The output file of a job: its size in pixels, audio, duration, frame rate and frames."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from upsim.core.events import OutputPlan
from upsim.core.evidence import Evidence
from upsim.core.media import MICROSECONDS, Media


class OutputRule(msgspec.Struct, frozen=True):
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


class OutputTiming(msgspec.Struct, frozen=True):
    """The duration of an output in microseconds, its frame rate, and its number of frames."""

    duration: int
    frame_rate: Fraction
    frames: int


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


def output_timing(media: Media) -> OutputTiming:
    """Return duration, frame rate and frames of the output, which are those of the input.

    If the frames would exceed the duration at the input's rate, they are spread over the duration.
    """
    return OutputTiming(
        duration=max(1, media.duration),
        frame_rate=_fitting_rate(media),
        frames=max(1, media.frames),
    )


def _fitting_rate(media: Media) -> Fraction:
    """Return the frame rate of a video, or a higher rate if frames would exceed its duration."""
    rate, frames = media.frame_rate or Fraction(30), max(1, media.frames)
    duration = Fraction(max(1, media.duration), MICROSECONDS)
    return rate if (frames - Fraction(1, 2)) / rate <= duration else frames / duration


def _short_side(width: int, height: int, target: int) -> tuple[int, int]:
    short, long = min(width, height), max(width, height)
    if short > target:
        return (width, height)
    other = _nearest_even(Fraction(long * target, short))
    return (other, target) if width >= height else (target, other)


def _nearest_even(value: Fraction) -> int:
    """Return the nearest even number; a value in the middle is rounded up."""
    return 2 * ((value / 2 + Fraction(1, 2)).__floor__())
