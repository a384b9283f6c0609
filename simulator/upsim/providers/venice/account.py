"""The account endpoints of Venice, which are views of the ledger, and the list of models."""

from __future__ import annotations

from upsim.core.baseline import Model
from upsim.core.call import Call, Reply
from upsim.core.instants import DAY, iso
from upsim.providers.venice.wire import filled


def balance(call: Call) -> Reply:
    """`GET /billing/balance`: a balance of 0 or less is shown as null."""
    usd, positive = call.who.balance, call.who.balance > 0
    return Reply(
        200,
        {
            "canConsume": usd >= call.rules.limits["consume_minimum"],
            "consumptionCurrency": call.rules.texts["consumption_currency"] if positive else None,
            "balances": {"diem": None, "usd": usd if positive else None},
            "diemEpochAllocation": int(call.rules.texts["diem"]),
        },
    )


def limits(call: Call) -> Reply:
    """`GET /api_keys/rate_limits`: video models report an empty list."""
    baseline = call.rules.baseline
    data = {
        "accessPermitted": baseline.plans[call.who.plan].access,
        "apiTier": filled(call.rules.fact("api_tier")),
        "balances": {"USD": call.who.balance, "DIEM": int(call.rules.texts["diem"])},
        "keyExpiration": None,
        "nextEpochBegins": iso(call.now - call.now % DAY + DAY),
        "rateLimits": [{"apiModelId": name, "rateLimits": []} for name in baseline.models],
    }
    return Reply(200, {"data": data})


def models(call: Call) -> Reply:
    """`GET /models[?type=]`: public."""
    wanted = call.query().get("type", "all")
    shown = wanted in call.rules.words["list_types"]
    listed = call.rules.baseline.models.values() if shown else ()
    data = [_entry(model) for model in listed]
    return Reply(200, {"object": "list", "type": wanted, "data": data})


def _entry(model: Model) -> dict[str, object]:
    facts = {name: filled(fact.value) for name, fact in model.facts.items()}
    spec = facts["spec"]
    return {
        "id": model.id,
        "object": "model",
        "owned_by": facts["owned_by"],
        "type": facts["type"],
        "created": facts["created"],
        "model_spec": {"name": model.name, **(spec if isinstance(spec, dict) else {})},
    }
