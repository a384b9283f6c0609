"""PiAPI: `Qubico/video-toolkit` with `upscale`, the account's views and the upload host."""

from upsim.core.provider import Operation, Provider
from upsim.providers.piapi import account, history, operations, uploads, webhooks, wire
from upsim.providers.piapi.checks import CHECKS

PROVIDER = Provider(
    name="piapi",
    operations=(
        Operation("task/create", "POST", "/api/v1/task", operations.create, kind="submit"),
        Operation("task/get", "GET", "/api/v1/task/{id}", operations.get_task, kind="poll"),
        Operation("task/cancel", "DELETE", "/api/v1/task/{id}", operations.cancel, kind="write"),
        Operation(
            "task/cancel-by-post",
            "POST",
            "/api/v1/task/{id}/cancel",
            operations.cancel,
            kind="write",
        ),
        Operation("tasks/cancel", "DELETE", "/api/v1/tasks", operations.cancel_many, kind="write"),
        Operation("account/info", "GET", "/account/info", account.info),
        Operation("account/active_tasks", "GET", "/account/active_tasks", account.active_tasks),
        Operation("tasks/histories", "GET", "/api/open/tasks/histories", history.histories),
        Operation(
            "ephemeral_resource", "POST", "/api/ephemeral_resource", uploads.upload, kind="upload"
        ),
    ),
    checks=CHECKS,
    problem=wire.problem,
    draw_id=wire.draw_id,
    notice=webhooks.NOTICE,
)
