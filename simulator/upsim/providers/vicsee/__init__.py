"""VicSee: `topaz-video-upscale` by a dedicated and a unified endpoint."""

from upsim.core.provider import Operation, Provider
from upsim.providers.vicsee import operations, wire
from upsim.providers.vicsee.checks import CHECKS

PROVIDER = Provider(
    name="vicsee",
    operations=(
        Operation(
            "tools/upscale-video",
            "POST",
            "/api/v1/tools/upscale-video",
            operations.upscale,
            kind="submit",
        ),
        Operation("generate", "POST", "/api/v1/generate", operations.generate, kind="submit"),
        Operation("tasks/get", "GET", "/api/v1/tasks/{id}", operations.get_task, kind="poll"),
        Operation("tasks/download", "GET", "/api/v1/tasks/{id}/download", operations.download),
        Operation("credits", "GET", "/api/v1/credits", operations.credits),
        Operation("models", "GET", "/api/v1/models", operations.models),
        Operation("upload", "POST", "/api/v1/upload", operations.upload, kind="upload"),
    ),
    checks=CHECKS,
    problem=wire.problem,
    draw_id=wire.draw_id,
    headers=wire.rate_limit_headers,
)
