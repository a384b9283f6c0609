"""Orders: a clip and options for a model, valid or with one flaw that must be refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from upsim.client import adapter as words
from upsim.client.adapter_discovery import adapter
from upsim.client.models import find_model
from upsim.kit.clips import RATES, SIZES, Clip, clips
from upsim.kit.model_limits import ModelLimits, limits_of
from upsim.media.clip_names import CONTAINERS

UNKNOWN = "no-such-value"
NOTHING_THERE = "/media/uploads/nothing-is-here.mp4"
SAID: Mapping[str, tuple[str, ...]] = {
    "no video": ("missing_video", "missing_field", "missing_property", "field_url"),
    "nothing there": ("unreachable",),
    "too long": ("too_long",),
    "too few frames": ("wrong_frames",),
    "too many frames": ("wrong_frames",),
    "too large a frame": ("wrong_resolution",),
    "wrong container": ("wrong_format", "not_a_video"),
    "unknown option": ("bad_factor", "bad_choice", "field_type"),
}
"""Each flaw of an order, with names of its refusal in catalogues; the first known name counts."""
SWITCH = {"true", "false"}
"""The values of an option that is a boolean in the request."""
MEASURED = "measurable"
"""The check that refuses a missing video; without it the job fails instead."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order for a client. `flaw` describes what is invalid, or is empty.

    `refused_by` is the entry of the provider's error catalogue that must refuse such an
    order.
    """

    model: str
    clip: Clip | None
    options: Mapping[str, str] = field(default_factory=dict)
    flaw: str = ""
    refused_by: str = ""
    path: str = ""

    def source(self, base_url: str) -> str:
        """Return the URL of the video on a simulator."""
        if self.clip is not None:
            return self.clip.url(base_url)
        return f"{base_url}{self.path}" if self.path else ""

    def request(self, base_url: str) -> words.Request:
        """Return the provider's own submit request."""
        known = find_model(self.model)
        order = words.AdapterRequest(known.model.id, self.source(base_url), dict(self.options))
        return next(adapter(known.adapter.provider).submit(order))

    def __repr__(self) -> str:
        """Show the video, the options and the flaw."""
        video = self.clip.name if self.clip else repr(self.path)
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        wrong = f", {self.flaw}: {self.refused_by}" if self.flaw else ""
        return f"<Order of {self.model}: {video}{options}{wrong}>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: ANN401, FBT001 - Hypothesis's
        """Print the short form in Hypothesis's examples too."""
        printer.text(repr(self))


def valid_orders(model: str, *, longest: float | Decimal | None = None) -> st.SearchStrategy[Order]:
    """Return a strategy of orders that the provider accepts; clips last up to `longest` s."""
    bounds = limits_of(model)
    chosen = {option.name: _allowed(option.default, option.allowed) for option in bounds.options}
    options = st.fixed_dictionaries({}, optional=chosen)
    return st.builds(Order, st.just(bounds.model), clips(model, longest=longest), options)


def invalid_orders(model: str) -> st.SearchStrategy[Order]:
    """Return a strategy of orders with one flaw; each order names the expected catalogue error."""
    bounds = limits_of(model)
    right = Order(bounds.model, Clip(*SIZES[0], RATES[0], max(2 * RATES[0], bounds.min_frames)))
    flawed = [
        replace(order, flaw=flaw, refused_by=refusal)
        for flaw, order in _flawed(bounds, right)
        if (refusal := next((name for name in SAID[flaw] if name in bounds.errors), ""))
    ]
    return st.sampled_from(flawed)


def _allowed(default: str, allowed: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from([default, *(value for value in allowed if value != default)])


def _flawed(bounds: ModelLimits, right: Order) -> Iterator[tuple[str, Order]]:
    clip = right.clip or Clip(*SIZES[0], RATES[0], RATES[0])
    yield "no video", replace(right, clip=None)
    if MEASURED in bounds.checks:
        yield "nothing there", replace(right, clip=None, path=NOTHING_THERE)
    for flaw, other in (*_wrong_lengths(bounds, clip), *_wrong_pictures(bounds, clip)):
        yield flaw, replace(right, clip=other)
    for option in bounds.options:
        if set(option.allowed) != SWITCH:
            yield "unknown option", replace(right, options={option.name: UNKNOWN})


def _wrong_lengths(bounds: ModelLimits, clip: Clip) -> Iterator[tuple[str, Clip]]:
    if bounds.max_seconds is not None:
        for fps in RATES:
            yield "too long", clip._replace(fps=fps, frames=int(bounds.max_seconds * fps) + 1)
    if bounds.min_frames > 1:
        yield "too few frames", clip._replace(frames=bounds.min_frames - 1)
    if bounds.max_frames is not None:
        yield "too many frames", clip._replace(frames=bounds.max_frames + 1)


def _wrong_pictures(bounds: ModelLimits, clip: Clip) -> Iterator[tuple[str, Clip]]:
    long, short = bounds.long_side, bounds.short_side
    if long is not None and short is not None:
        for width, height in ((long + 2, short), (long, short + 2)):
            yield "too large a frame", clip._replace(width=width, height=height)
    for container in CONTAINERS:
        if container not in bounds.containers:
            yield "wrong container", clip._replace(container=container)
