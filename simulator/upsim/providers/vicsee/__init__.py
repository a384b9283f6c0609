"""VicSee: `topaz-video-upscale` through a dedicated endpoint and a unified endpoint."""

from upsim.core.provider import Operation, Provider
from upsim.core.secrets import Secrets
from upsim.providers.vicsee import operations, uploads, wire
from upsim.providers.vicsee.check_inputs import USES
from upsim.providers.vicsee.checks import CHECKS

TASK = Secrets(urls=("video_url", "result.url", "data.url"))
UPLOAD = Secrets(urls=("uploadUrl", "publicUrl"))
ANSWER = frozenset(
    {"success", "data.id", "data.model", "data.status", "data.createdAt", "data.input.*"}
    | {"data.creditsUsed", "data.creditsRemaining", "data.mediaType", "data.prompt"}
    | {"data.result.type", "data.result.url", "data.error.*"}
)
"""Fields of a task in the responses to its submit and to its polls."""

PROVIDER = Provider(
    name="vicsee",
    operations=(
        Operation(
            "tools/upscale-video",
            "POST",
            "/api/v1/tools/upscale-video",
            operations.upscale,
            kind="submit",
            secrets=TASK,
            reads={(): frozenset({"video_url"})},
            answers=ANSWER,
        ),
        Operation(
            "generate",
            "POST",
            "/api/v1/generate",
            operations.generate,
            kind="submit",
            secrets=TASK,
            reads={(): frozenset({"model", "input"}), ("input",): frozenset({"video_url"})},
            options_at=("input",),
            answers=ANSWER,
        ),
        Operation(
            "tasks/get",
            "GET",
            "/api/v1/tasks/{id}",
            operations.get_task,
            kind="poll",
            secrets=TASK,
            answers=ANSWER,
        ),
        Operation(
            "tasks/download",
            "GET",
            "/api/v1/tasks/{id}/download",
            operations.download,
            secrets=TASK,
            query=frozenset({"mode"}),
        ),
        Operation("credits", "GET", "/api/v1/credits", operations.credits),
        Operation("models", "GET", "/api/v1/models", operations.models, query=frozenset({"type"})),
        Operation(
            "upload",
            "POST",
            "/api/v1/upload",
            uploads.upload,
            kind="upload",
            secrets=UPLOAD,
            reads={(): frozenset({"contentType", "sizeBytes"})},
        ),
    ),
    checks=CHECKS,
    problem=wire.problem,
    draw_id=wire.draw_id,
    uses=USES,
    headers=wire.rate_limit_headers,
)
