"""Convert sizes into a provider's options, and compute output sizes and prices by its rules."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from upsim.client.adapter import number
from upsim.client.argument_checks import check_kind
from upsim.client.exceptions import ArgumentError, UnsupportedError
from upsim.client.models import ModelInfo, height_of
from upsim.client.results import Billed, Money, Option, Quote, Size
from upsim.core import pricing
from upsim.core.media import Media
from upsim.core.outputs import output_size
from upsim.core.suggestions import shown, unknown_value

_DEAREST_RATE = Fraction(1000)
_DEAREST_HEIGHT = 1 << 20
"""A frame rate above the limit of every surcharge, and a height above every tier."""


def chosen(
    known: ModelInfo,
    media: Media | None,
    *,
    target_height: int | None,
    factor: int | None,
    options: Mapping[str, Option] | None,
) -> dict[str, Option]:
    """Return the provider's options for a wanted size. Raises UnsupportedError with the choices.

    A target height is the length of the shorter side in pixels, as in "1080p".
    """
    found: dict[str, Option] = dict(options or {})
    for name in found:
        if name not in known.model.options:
            told = unknown_value("option", name, known.model.options)
            raise UnsupportedError(f"{known.name}: {told}")
    if target_height is not None and factor is not None:
        raise UnsupportedError("use either target_height or factor, not both")
    if target_height is None and factor is None:
        return found
    rule = known.model.output
    wanted = _wanted(known, media, target_height, factor)
    names = [name for name, value in rule.table.items() if value == wanted]
    if not names:
        raise UnsupportedError(_refusal(known, media, target_height, factor))
    if rule.by is None:
        return found
    if rule.by in found:
        raise UnsupportedError(f"{rule.by} is set twice, by options and by the size; set it once")
    return found | {rule.by: names[0]}


def option_flaws(known: ModelInfo, options: Mapping[str, Option]) -> str:
    """Return the options with an invalid value, as the end of a message."""
    return "".join(
        f"; {name} is one of {', '.join(allowed)}, not {shown(value)}"
        for name, value in options.items()
        if (allowed := known.model.options[name].allowed) and _text(value) not in allowed
    )


def quote(known: ModelInfo, media: Media | None, options: Mapping[str, Option]) -> Quote | None:
    """Return the price for this video, or the highest price if the video is unknown.

    Return None if the price is unknown.
    """
    values = _values(known, options)
    try:
        size = None if media is None else Size(*output_size(known.model.output, media, values))
    except KeyError:
        return None
    measures = _dearest(known) if media is None else _measures(media, size)
    if measures is None:
        return None
    billing = known.model.billing
    try:
        price = pricing.quote(billing, values | measures)
    except (pricing.UnknownPriceError, KeyError):
        return None
    return Quote(
        model=known.name,
        price=Money(price.amount, price.unit),
        billed=Billed(price.quantity, billing.quantity.of),
        output=size,
        exact=media is not None,
        formula=price.formula,
    )


def cap_of(known: ModelInfo, cap: Money | Decimal | int | str | None) -> Money | None:
    """Return a cap in the unit in which the model is charged.

    A plain number is in the unit of the published price: US dollars, or the provider's credits.
    """
    if cap is None:
        return None
    billing = known.model.billing
    published = billing.unit if billing.unit_per == 1 else "USD"
    given = cap if isinstance(cap, Money) else Money(_amount(cap), published)
    check_kind("cap.amount", given.amount, Decimal, "a Decimal")
    if number(given.amount) is None or given.amount < 0:
        raise ArgumentError(f"cap is an amount from 0 up, not {given.amount}")
    if given.unit == published != billing.unit:
        given = Money(pricing.plain(given.amount * billing.unit_per), billing.unit)
    if given.unit != billing.unit:
        raise UnsupportedError(
            f"{known.name} is charged in {billing.unit}, the cap is in {given.unit}"
        )
    return given


def _amount(cap: Decimal | int | str) -> Decimal:
    """Return an exact amount. Raises ArgumentError for a float, which is not exact."""
    found = None if isinstance(cap, float) else number(cap)
    if found is None:
        raise ArgumentError(f'cap is an exact amount such as "0.50", not {shown(cap)}')
    return found


def _wanted(
    known: ModelInfo, media: Media | None, height: int | None, factor: int | None
) -> Fraction:
    """Return the value to look up in the model's table: a factor, or a shorter side."""
    scales = known.model.output.kind == "scale"
    asked = Fraction(height if height is not None else factor or 0)
    if scales == (factor is not None):
        return asked
    if media is None:
        what, other = ("a height", "factor") if scales else ("a factor", "target_height")
        raise UnsupportedError(
            f"{known.name} needs a measured video for {what}; use {other}, or a file"
        )
    return asked / height_of(media) if scales else asked * height_of(media)


def _refusal(known: ModelInfo, media: Media | None, height: int | None, factor: int | None) -> str:
    table = sorted(set(known.model.output.table.values()))
    if known.model.output.kind == "scale":
        told = [f"factor {value}" for value in table]
        if media is not None:
            told = [f"{height_of(media) * value} lines (factor {value})" for value in table]
    else:
        told = [f"{value} lines" for value in table]
    asked = f"{height} lines" if height is not None else f"a factor of {factor}"
    source = "" if media is None else f" from {media.width}x{media.height}"
    return f"{known.name} cannot make {asked}{source}; it makes {', '.join(told)}"


def _values(known: ModelInfo, options: Mapping[str, Option]) -> dict[str, str]:
    """Return all options as texts, with defaults for those not given."""
    given = {name: _text(value) for name, value in options.items()}
    return {name: option.default for name, option in known.model.options.items()} | given


def _text(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _measures(media: Media, size: Size | None) -> dict[str, Decimal | Fraction | int | str]:
    height = 0 if size is None else size.height
    return {
        "seconds": media.seconds,
        "frames": media.frames,
        "frame_rate": media.frame_rate,
        "output_height": height,
    }


def _dearest(known: ModelInfo) -> dict[str, Decimal | Fraction | int | str] | None:
    """Return the properties of the most expensive video of the model; None without a limit."""
    of = known.model.billing.quantity.of
    most = known.whole(f"max_{of}")
    if most is None:
        return None
    return {of: most, "frame_rate": _DEAREST_RATE, "output_height": _DEAREST_HEIGHT}
