"""WaveSpeedAI: `wavespeed-ai/video-upscaler` and `runwayml/upscale-v1`."""

from upsim.core.provider import Operation, Provider
from upsim.core.secrets import Secrets
from upsim.providers.wavespeed import (
    checks,
    listings,
    models_and_quotes,
    operations,
    parameters,
    uploads,
    webhooks,
    wire,
)
from upsim.providers.wavespeed.check_inputs import USES

V3 = "/api/v3"

TASK = webhooks.SECRETS
SIGNING_KEY = Secrets(fields=("data.secret",))
UPLOAD = Secrets(urls=("upload.url", "download_url"))
SUBMIT = frozenset({"video", "enable_sync_mode"})
LISTED = frozenset({"page", "page_size", "model", "status"}) | {
    "created_after",
    "created_before",
    "include_inputs",
}
PERIOD = frozenset({"start_time", "end_time", "model_uuid"})
BILLED = PERIOD | {
    "page",
    "page_size",
    "billing_type",
    "prediction_uuids",
    "sort",
    "access_key_uuid",
}
PRICED = SUBMIT | {"enable_base64_output", "webhook_url"}
PRICE = {(): frozenset({"model_id", "inputs"}), ("inputs",): PRICED}
ANSWER = frozenset(
    {"code", "message"}
    | {
        f"data.{name}"
        for name in ("id", "model", "status", "code", "error", "created_at", "executionTime")
    }
    | {"data.outputs.0", "data.has_nsfw_contents.0", "data.timings.inference", "data.urls.get"}
)
"""Fields of a task in the responses to its submit and to its polls."""

PROVIDER = Provider(
    name="wavespeed",
    operations=(
        Operation(
            "submit",
            "POST",
            f"{V3}/{{model*}}",
            operations.submit,
            kind="submit",
            secrets=TASK,
            reads={(): SUBMIT},
            idle=webhooks.idle,
            query=frozenset({"webhook"}),
            answers=ANSWER,
        ),
        Operation(
            "result",
            "GET",
            f"{V3}/predictions/{{id}}/result",
            operations.result,
            kind="poll",
            secrets=TASK,
            answers=ANSWER,
        ),
        Operation(
            "prediction",
            "GET",
            f"{V3}/predictions/{{id}}",
            operations.result,
            kind="poll",
            secrets=TASK,
            answers=ANSWER,
        ),
        Operation(
            "media/uploads",
            "POST",
            f"{V3}/media/uploads",
            uploads.request_upload,
            kind="write",
            secrets=UPLOAD,
            reads={(): frozenset({"filename", "size", "content_type"})},
        ),
        Operation(
            "media/upload/binary",
            "POST",
            f"{V3}/media/upload/binary",
            uploads.upload_binary,
            kind="upload",
            secrets=UPLOAD,
            file=uploads.carried,
        ),
        Operation("balance", "GET", f"{V3}/balance", operations.balance),
        Operation(
            "webhook/secret",
            "GET",
            f"{V3}/webhook/secret",
            operations.webhook_secret,
            secrets=SIGNING_KEY,
        ),
        Operation("models", "GET", f"{V3}/models", models_and_quotes.models),
        Operation(
            "model/price",
            "POST",
            f"{V3}/model/price",
            models_and_quotes.price,
            secrets=TASK,
            reads=PRICE,
            options_at=("inputs",),
        ),
        Operation(
            "model/pricing",
            "POST",
            f"{V3}/model/pricing",
            models_and_quotes.pricing,
            secrets=TASK,
            reads=PRICE,
            options_at=("inputs",),
        ),
        Operation(
            "predictions",
            "POST",
            f"{V3}/predictions",
            listings.predictions,
            secrets=TASK,
            reads={(): LISTED},
        ),
        Operation(
            "predictions/delete",
            "POST",
            f"{V3}/predictions/delete",
            operations.delete,
            kind="write",
            reads={(): frozenset({"ids"})},
        ),
        Operation(
            "billings/search",
            "POST",
            f"{V3}/billings/search",
            listings.billings,
            reads={(): BILLED},
        ),
        Operation(
            "user/usage_stats", "POST", f"{V3}/user/usage_stats", listings.usage, reads={(): PERIOD}
        ),
        # An older generation of pages, behind the knob `old_paths`.
        Operation(
            "old/predictions",
            "GET",
            f"{V3}/predictions",
            listings.predictions,
            secrets=TASK,
            query=LISTED,
        ),
        Operation("old/account/balance", "GET", f"{V3}/account/balance", operations.balance),
        Operation(
            "old/account/billings", "GET", f"{V3}/account/billings", listings.billings, query=BILLED
        ),
        Operation("old/account/usage", "GET", f"{V3}/account/usage", listings.usage, query=PERIOD),
        Operation(
            "old/upload",
            "POST",
            f"{V3}/upload",
            uploads.upload_binary,
            kind="upload",
            secrets=UPLOAD,
            file=uploads.carried,
        ),
        # Always refused by its only check, with 405 for a model and 404 for anything else.
        Operation("not-a-task", "GET", f"{V3}/{{model*}}", operations.result, refuses=True),
    ),
    checks={**checks.CHECKS, **parameters.CHECKS, **uploads.CHECKS},
    problem=wire.problem,
    draw_id=wire.draw_id,
    uses=USES,
    aliases={"/api/v2": V3},
    notice=webhooks.NOTICE,
    failure="task_failed",
)
