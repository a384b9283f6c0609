"""The API's list of models, and its quotes."""

from __future__ import annotations

from decimal import Decimal

from upsim.core.baseline import Model, Option
from upsim.core.call import Call, Reply
from upsim.core.pricing import plain
from upsim.providers.wavespeed import wire
from upsim.providers.wavespeed.checks import VIDEO, is_switch, model_of


def models(call: Call) -> Reply:
    """`GET /models`: a bare array of all models; `page`, `size` and `search` are ignored."""
    return wire.success(call, [_entry(call, m) for m in call.rules.baseline.models.values()])


def price(call: Call) -> Reply:
    """`POST /model/price`: the price before the discount and after it."""
    amount = _quoted(call)
    shown = {
        "model_id": model_of(call).id,
        "price": amount,
        "discounted_price": amount,
        "discount_rate": call.rules.fact("discount_rate"),
        "currency": call.rules.texts["currency"],
    }
    return wire.success(call, shown)


def pricing(call: Call) -> Reply:
    """`POST /model/pricing`: the same price, with the older path and response format."""
    shown = {
        "model_id": model_of(call).id,
        "unit_price": _quoted(call),
        "currency": call.rules.texts["currency"],
    }
    return wire.success(call, shown)


def base_price(call: Call, model: Model) -> Decimal:
    """Return the price on a model's page; a knob selects how the page of one model is read."""
    knob = model.facts.get("base_price_by")
    value = call.rules.knobs[str(knob.value)] if knob else str(model.facts["base_price"].value)
    return plain(Decimal(value))


def _quoted(call: Call) -> Decimal:
    """Return the price of a submit; without a video, the base price."""
    if VIDEO not in call.inputs or not call.inputs[VIDEO]:
        return base_price(call, model_of(call))
    return call.sandbox.terms(call).quote.amount


def _entry(call: Call, model: Model) -> dict[str, object]:
    facts = {name: fact.value for name, fact in model.facts.items()}
    schema = {
        "type": "model_run",
        "method": "POST",
        "server": call.urls.api(""),
        "api_path": f"/api/v3/{model.id}",
        "request_schema": _request_schema(model),
    }
    return {
        "model_id": model.id,
        "name": model.id,
        "base_price": base_price(call, model),
        "description": facts["description"],
        "type": facts["type"],
        "sort_order": facts["sort_order"],
        "formula": facts["formula"],
        "api_schema": {"api_schemas": [schema]},
    }


def _request_schema(model: Model) -> dict[str, object]:
    video = {"type": "string", "x-ui-component": "uploader"}
    properties = {VIDEO: video} | {o.name: _property(o) for o in model.options.values()}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [VIDEO],
        "properties": {
            name: {**shape, "description": model.facts[name].value}
            for name, shape in properties.items()
        },
        "x-order-properties": list(properties),
    }


def _property(option: Option) -> dict[str, object]:
    if is_switch(option):
        return {"type": "boolean", "default": option.default == "true"}
    return {"type": "string", "enum": list(option.allowed), "default": option.default}
