"""The endpoints of VicSee, after their checks have passed."""

from __future__ import annotations

from upsim.core.baseline import Model
from upsim.core.call import Call, FileReply, Reply
from upsim.core.checks import media_of
from upsim.providers.vicsee import wire


def upscale(call: Call) -> Reply:
    """`POST /tools/upscale-video`: create a job; the response shows how its cost was computed."""
    job = call.sandbox.accept(call, inputs=call.inputs)
    quote = job.accepted.quote
    shown = {
        "video_url": call.inputs["video_url"],
        **call.options,
        "detected_duration": wire.seconds_text(media_of(call)),
        "billed_seconds": int(quote.quantity),
        "credits_per_second": int(quote.rate),
    }
    answer = wire.submitted(call, job)
    head = {name: answer.pop(name) for name in ("id", "model", "status")}
    return wire.success({**head, "input": shown, **answer})


def generate(call: Call) -> Reply:
    """`POST /generate`: create the same job; the response has no `input`."""
    return wire.success(wire.submitted(call, call.sandbox.accept(call, inputs=call.inputs)))


def get_task(call: Call) -> Reply:
    """Return a task: `GET /tasks/{id}`."""
    return wire.success(wire.task(call, call.target))


def download(call: Call) -> Reply | FileReply:
    """`GET /tasks/{id}/download`, as on the older pages; `?mode=proxy` returns the bytes."""
    job = call.target
    if call.query().get("mode") == "proxy":
        return FileReply(job.id)
    return wire.success({"url": wire.output_url(call, job), "type": "video", "expiresAt": None})


def credits(call: Call) -> Reply:  # noqa: A001 - the operation's own name
    """`GET /credits`: one integer, the sum of all sources."""
    return wire.success({"credits": int(call.who.balance)})


def models(call: Call) -> Reply:
    """`GET /models[?type=]`: public."""
    wanted = call.query().get("type")
    listed = call.rules.baseline.models.values()
    return wire.success(
        [_model(call, m) for m in listed if wanted in (None, m.facts["type"].value)]
    )


def _model(call: Call, model: Model) -> dict[str, object]:
    factors = model.options["upscale_factor"].allowed
    rates = {key: int(rate) for key, rate in model.billing.rate.table}
    return {
        "id": model.id,
        "name": model.name,
        "type": model.facts["type"].value,
        "credits": rates,
        "unit": "second",
        "options": {
            "upscale_factor": list(factors),
            "maxDuration": call.rules.wholes["max_seconds"],
        },
    }
