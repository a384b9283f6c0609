"""The duration of each state of a job: a provider's timing rule, and the job's plan."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from upsim.core.evidence import Evidence
from upsim.core.instants import SECOND
from upsim.core.media import Media
from upsim.core.states import Failure, JobState, Phase


class JobDuration(msgspec.Struct, frozen=True):
    """`base` seconds, plus `per_second` of video and `per_frame`, within bounds.

    `by` names the option whose value selects a factor from `table`; a missing factor is 1.
    """

    base: Decimal = Decimal(0)
    per_second: Decimal = Decimal(0)
    per_frame: Decimal = Decimal(0)
    by: str | None = None
    table: tuple[tuple[str, Decimal], ...] = ()
    at_least: Decimal | None = None
    at_most: Decimal | None = None


class PhaseRule(msgspec.Struct, frozen=True):
    """One step: the state and how it ends (a duration, a number of polls, or a command)."""

    state: JobState
    duration: JobDuration | None
    polls: int | None = None
    failure: str | None = None


class Lifecycle(msgspec.Struct, frozen=True):
    """The steps in order. `evidence` is the evidence for the durations."""

    phases: tuple[PhaseRule, ...]
    evidence: Evidence


def seconds_of(rule: JobDuration, media: Media | None, options: Mapping[str, str]) -> Decimal:
    """Return the duration in seconds for this video and these options."""
    length = media.seconds if media else Decimal(0)
    frames = media.frames if media else 0
    factor = dict(rule.table).get(options.get(rule.by or "", ""), Decimal(1))
    seconds = rule.base + rule.per_second * factor * length + rule.per_frame * frames
    if rule.at_least is not None:
        seconds = max(seconds, rule.at_least)
    if rule.at_most is not None:
        seconds = min(seconds, rule.at_most)
    return seconds


def plan(
    rules: tuple[PhaseRule, ...],
    *,
    media: Media | None,
    options: Mapping[str, str],
    pace: Decimal,
    failures: Mapping[str, Failure],
) -> tuple[Phase, ...]:
    """Return the plan of one job; `pace` divides every duration."""
    return tuple(_phase(rule, media, options, pace, failures) for rule in rules)


def _phase(
    rule: PhaseRule,
    media: Media | None,
    options: Mapping[str, str],
    pace: Decimal,
    failures: Mapping[str, Failure],
) -> Phase:
    lasts = None
    if rule.duration is not None:
        lasts = int(seconds_of(rule.duration, media, options) * SECOND / pace)
    failure = failures[rule.failure] if rule.failure is not None else None
    return Phase(state=rule.state, lasts=lasts, polls=rule.polls, failure=failure)
