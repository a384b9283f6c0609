"""Venice: `topaz-video-upscale` by the video queue, and the account endpoints beside it."""

from upsim.core.provider import Operation, Provider
from upsim.core.secrets import Secrets
from upsim.providers.venice import (
    account,
    headers,
    ineffective_fields,
    operations,
    usage_history,
    wire,
)
from upsim.providers.venice.check_inputs import USES
from upsim.providers.venice.checks import CHECKS

VIDEO = Secrets(urls=("video_url", "url"))
QUEUE = frozenset({"model", "video_url"})
COMPLETE = frozenset({"model", "queue_id"})
RETRIEVE = frozenset({*COMPLETE, "delete_media_on_completion"})
QUEUED = frozenset({"model", "queue_id"})
ANSWER = frozenset(
    {"status", "url", "video_url", "download_url", "error", "error.*", "error_code"}
    | {"credits_refunded", "average_execution_time", "execution_duration"}
)
"""Fields in the response to a poll of a job."""

PROVIDER = Provider(
    name="venice",
    operations=(
        Operation(
            "video/queue",
            "POST",
            "/api/v1/video/queue",
            operations.queue,
            kind="submit",
            secrets=VIDEO,
            reads={(): QUEUE},
            idle=ineffective_fields.on_queue,
            answers=QUEUED,
        ),
        Operation(
            "video/retrieve",
            "POST",
            "/api/v1/video/retrieve",
            operations.retrieve,
            kind="poll",
            secrets=VIDEO,
            reads={(): RETRIEVE},
            answers=ANSWER,
        ),
        Operation(
            "video/complete",
            "POST",
            "/api/v1/video/complete",
            operations.complete,
            kind="write",
            reads={(): COMPLETE},
        ),
        Operation(
            "video/quote",
            "POST",
            "/api/v1/video/quote",
            operations.quote,
            secrets=VIDEO,
            reads={(): QUEUE},
            idle=ineffective_fields.on_quote,
        ),
        Operation("billing/balance", "GET", "/api/v1/billing/balance", account.balance),
        Operation(
            "billing/usage-history",
            "GET",
            "/api/v1/billing/usage-history",
            usage_history.usage_history,
            query=frozenset({"startTimestamp", "endTimestamp", "currency", "pageSize", "cursor"}),
        ),
        # Retired: a check refuses every request, so that the operation is never reached.
        Operation("billing/usage", "GET", "/api/v1/billing/usage", usage_history.usage_history),
        Operation("api_keys/rate_limits", "GET", "/api/v1/api_keys/rate_limits", account.limits),
        Operation("models", "GET", "/api/v1/models", account.models),
    ),
    checks=CHECKS,
    problem=wire.problem,
    draw_id=wire.draw_id,
    uses=USES,
    headers=headers.response_headers,
)
