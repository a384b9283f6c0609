"""The checks that only quote has, and the price of a clip that is described instead of sent."""

from __future__ import annotations

import re
from decimal import Decimal

from upsim.core import causes
from upsim.core.baseline import Model
from upsim.core.call import Call, Pending
from upsim.core.checks import Violation, first_violation, measurable, output_within_own_limit
from upsim.core.pricing import PriceQuote
from upsim.core.pricing import quote as price
from upsim.providers.venice import field_errors
from upsim.providers.venice.shared_field_checks import (
    has_video,
    long_enough,
    no_resolution,
    public_video,
    short_enough,
    supported_format,
)

_SECONDS = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)s?")
_TOP_TIER = Decimal("Infinity")
"""A height above every tier: without `input_height` the estimate is never too low."""


def no_resolution_on_quote(call: Call) -> Violation | None:
    """`resolution` is absent; if the knob allows it, `2x` means the factor 2."""
    (model,) = call.rules.baseline.models.values()
    value = call.inputs.get("resolution")
    aliases = {f"{factor}x": int(factor) for factor in model.options["upscale_factor"].allowed}
    alias = call.rules.knobs["quote_resolution"] == "alias"
    if alias and isinstance(value, str) and value in aliases:
        call.inputs = {"upscale_factor": aliases[value], **call.inputs}
        return None
    return no_resolution(call)


def quotable(call: Call) -> Violation | None:
    """There is a video, or a duration if a duration is enough."""
    if call.inputs.get("video_url") is not None or call.rules.knobs["quote_basis"] == "video":
        return has_video(call)
    duration = call.inputs.get("duration")
    if duration is None:
        null = " that is not null" if "video_url" in call.inputs else ""
        return field_errors.missing("duration", call.inputs, f"seconds, or a video_url{null}")
    if not (isinstance(duration, str) and duration[:5].lower() == "auto"):
        return None
    return field_errors.missing("video_url", call.inputs, 'a video, for "duration": "auto"')


def quoted_duration(call: Call) -> Violation | None:
    """`duration` is a positive number of seconds within the limit, if there is no video."""
    if call.source:
        return None
    duration = call.inputs.get("duration")
    found = seconds_of(duration)
    if found is None or found <= 0:
        return field_errors.out_of_range(
            "duration", duration, 'seconds above 0, as 10, "10" or "10s"'
        )
    limit = call.rules.limits["max_seconds"]
    if found <= limit:
        return None
    cause = causes.wrong("duration", duration, f"at most {limit} seconds")
    return Violation("too_long_on_quote", {"max": limit, "found": found}, cause=cause)


def quoted_height(call: Call) -> Violation | None:
    """`input_height` is absent, null, or a positive whole number, if there is no video."""
    height = call.inputs.get("input_height")
    if call.source or height is None:
        return None
    number = field_errors.number(height)
    if number is None:
        return field_errors.wrong_type("input_height", "number", height)
    positive = number > 0 and number == number.to_integral_value()
    return (
        None
        if positive
        else field_errors.out_of_range("input_height", height, "whole pixels above 0")
    )


def quoted_video(call: Call) -> Violation | Pending | None:
    """The video is measured and checked as on queue; it overrides the described properties."""
    if not call.source:
        return None
    return first_violation(
        call,
        (
            public_video,
            measurable,
            supported_format,
            long_enough,
            short_enough,
            output_within_own_limit,
        ),
    )


def seconds_of(duration: object) -> Decimal | None:
    """The seconds of `10`, `"10"`, `"10.5"` or `"10s"`; None for anything else."""
    if isinstance(duration, str):
        spelt = _SECONDS.fullmatch(duration)
        return Decimal(spelt[1]) if spelt else None
    return field_errors.number(duration)


def estimate(call: Call) -> PriceQuote:
    """The price by `duration` and `input_height`; without a file there is no surcharge."""
    (model,) = call.rules.baseline.models.values()
    return price(
        model.billing,
        {
            "seconds": seconds_of(call.inputs.get("duration")) or Decimal(0),
            "output_height": _output_height(call, model),
        },
    )


def _output_height(call: Call, model: Model) -> Decimal:
    height = field_errors.number(call.inputs.get("input_height"))
    if height is None:
        return _TOP_TIER
    factor = model.output.table[call.options["upscale_factor"]]
    # Nothing above the largest side changes the tier, and numbers of 400 digits stay harmless.
    return min(height, call.rules.limits["own_output_side"]) * factor
