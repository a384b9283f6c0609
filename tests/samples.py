"""How each model is called, and what an upscale costs there: by the contracts, for any provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from upsim.scenario.loader import Library
from upsim_contracts.clip_properties import clip
from upsim_contracts.facts.fact_files import CallForm
from upsim_contracts.suite.expected_output_size import size_of_output
from upsim_contracts.suite.generate_table import Generation, Submit
from upsim_contracts.suite.property_runs import tables
from upsim_contracts.verify.run import pricer

ROUNDING = {"up": ROUND_CEILING, "down": ROUND_FLOOR}
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The call that submits a video to one model, without its options."""

    table: Generation
    model: str
    submit: Submit

    @property
    def provider(self) -> str:
        """The provider of the model."""
        return self.table.provider

    @property
    def call(self) -> CallForm:
        """The call as the contracts know it."""
        return self.table.book.calls[self.submit.call]

    @property
    def body(self) -> dict[str, Any]:
        """The body of the call; `$video` marks the video."""
        whole = self.call.body
        assert isinstance(whole, Mapping)
        return {name: value for name, value in whole.items() if name not in self.submit.options}

    @property
    def poll(self) -> CallForm:
        """The call that reads a job; `$job` marks its id."""
        return self.table.book.calls[self.table.book.lifecycle.call]

    @property
    def output_at(self) -> Place:
        """The place of the output's URL in the response to a poll."""
        return path_of(self.table.book.lifecycle.output[0])


def model_calls() -> list[ModelCall]:
    """Return the call of each model of each provider that has contracts."""
    found = []
    for table in tables():
        first = next(iter(table.submits))
        for model, name in table.book.models.items():
            found.append(ModelCall(table, model, table.submits.get(name) or table.submits[first]))
    return found


def path_of(dotted: str) -> Place:
    """Return a place in JSON as a tuple: `data.outputs.0` is ("data", "outputs", 0)."""
    return tuple(int(part) if part.isdigit() else part for part in dotted.split("."))


def place_of(value: object, word: str) -> tuple[str, ...]:
    """Return the path of a word in nested mappings, or an empty tuple."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = place_of(inner, word)
            if inner == word or below:
                return (name, *below)
    return ()


def expected_upscale(made: ModelCall, text: str) -> tuple[str, str, str, str]:
    """Return price, unit, billed quantity and output size of a clip with the default options."""
    found, rule = clip(text), made.submit.price
    options = made.submit.defaults
    price = pricer(made.provider)(made.submit.call, found, options)
    assert price is not None
    if rule.of == "frames":
        quantity = f"{found.frames} frames"
    else:
        whole = found.seconds.to_integral_value(ROUNDING.get(rule.round))
        billed = max(found.seconds if rule.round == "none" else whole, rule.least)
        quantity = f"{billed:f} seconds"
    width, height = size_of_output(made.submit, found, options)
    unit = Library().baseline(made.provider).baseline.unit
    amount = made.table.funds(price, enough=True)
    return f"{Decimal(amount).normalize():f}", unit, quantity, f"{width}x{height}"
