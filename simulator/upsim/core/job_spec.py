"""The price, output and plan of a job, from the rules and the measured media."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import msgspec

from upsim.core.baseline import ErrorRule, Model
from upsim.core.events import OutputPlan
from upsim.core.lifecycle import PhaseRule, plan
from upsim.core.media import Media
from upsim.core.outputs import output_plan
from upsim.core.pricing import PriceQuote, quote
from upsim.core.states import TERMINAL, Failure, JobState, Phase


class JobSpec(msgspec.Struct, frozen=True):
    """The price, output and steps of a submit. `output` is None if the video is unavailable."""

    quote: PriceQuote
    debit: Decimal
    options: Mapping[str, str]
    output: OutputPlan | None
    phases: tuple[Phase, ...]


def measures(
    media: Media | None, options: Mapping[str, str], output: OutputPlan | None
) -> dict[str, Decimal | Fraction | int | str]:
    """Return the values that the price may depend on; an unmeasured video counts as zero."""
    found: dict[str, Decimal | Fraction | int | str] = dict(options)
    found["seconds"] = media.seconds if media else Decimal(0)
    found["frames"] = media.frames if media else 0
    if media is not None:
        found["frame_rate"] = media.frame_rate
    if output is not None:
        found["output_height"] = output.height
    return found


def terms(
    model: Model,
    *,
    media: Media | None,
    options: Mapping[str, str],
    steps: tuple[PhaseRule, ...],
    pace: Decimal,
    failures: Mapping[str, Failure],
    failure: str | None = None,
) -> JobSpec:
    """Return price, output and plan. With `failure`, the plan ends in that failure."""
    output = output_plan(model.output, media, options) if media else None
    chosen = failing(steps, failure) if failure else steps
    price = quote(model.billing, measures(media, options, output))
    return JobSpec(
        quote=price,
        debit=-price.amount,
        options=dict(options),
        output=output,
        phases=plan(chosen, media=media, options=options, pace=pace, failures=failures),
    )


def failing(steps: tuple[PhaseRule, ...], failure: str) -> tuple[PhaseRule, ...]:
    """Return the steps with this failure as their end."""
    before = tuple(step for step in steps if step.state not in TERMINAL)
    return (*before, PhaseRule(state=JobState.FAILED, duration=None, failure=failure))


def failure_of(rule: ErrorRule, **values: object) -> Failure:
    """Return a job failure from the catalogue, with the values filled into its message."""
    return Failure(
        name=rule.name,
        code=rule.code,
        message=rule.message.format_map(values),
        status=rule.status,
        extra=tuple(rule.extra.items()),
    )
