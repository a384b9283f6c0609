"""PiAPI: `Qubico/video-toolkit` with `upscale`, the account endpoints and the upload host."""

from upsim.core.provider import Operation, Provider
from upsim.core.secrets import Secrets
from upsim.providers.piapi import (
    account,
    operations,
    task_cancellation,
    task_history,
    uploads,
    webhooks,
    wire,
)
from upsim.providers.piapi.check_inputs import USES
from upsim.providers.piapi.checks import CHECKS

TASK = webhooks.SECRETS
"""Fields of a task that repeat the client's configuration in every response."""
UPLOAD = Secrets(urls=("data.url",))
ANSWER = frozenset(
    {"code", "message", "task_id", "data.logs.*", "data.output.*", "data.input.*"}
    | {f"data.{name}" for name in ("task_id", "model", "task_type", "status", "detail")}
    | {"data.error.*", "data.config.*", "data.meta.*"}
)
"""Fields of a task in the responses to its submit and to its polls."""

PROVIDER = Provider(
    name="piapi",
    operations=(
        Operation(
            "task/create",
            "POST",
            "/api/v1/task",
            operations.create,
            kind="submit",
            secrets=TASK,
            reads={
                (): frozenset({"model", "task_type", "input", "config"}),
                ("input",): frozenset({"video"}),
                ("config",): frozenset({"service_mode", "webhook_config"}),
                ("config", "webhook_config"): frozenset({"endpoint", "secret"}),
            },
            answers=ANSWER,
        ),
        Operation(
            "task/get",
            "GET",
            "/api/v1/task/{id}",
            operations.get_task,
            kind="poll",
            secrets=TASK,
            answers=ANSWER,
        ),
        Operation(
            "task/cancel",
            "DELETE",
            "/api/v1/task/{id}",
            task_cancellation.cancel,
            kind="write",
            secrets=TASK,
        ),
        Operation(
            "task/cancel-by-post",
            "POST",
            "/api/v1/task/{id}/cancel",
            task_cancellation.cancel,
            kind="write",
            secrets=TASK,
        ),
        Operation(
            "tasks/cancel",
            "DELETE",
            "/api/v1/tasks",
            task_cancellation.cancel_many,
            kind="write",
            secrets=TASK,
            query=frozenset({"created_before", "model"}),
        ),
        Operation("account/info", "GET", "/account/info", account.info),
        Operation("account/active_tasks", "GET", "/account/active_tasks", account.active_tasks),
        Operation(
            "tasks/histories",
            "GET",
            "/api/open/tasks/histories",
            task_history.histories,
            secrets=TASK,
            query=frozenset({"page", "page_size", "start_time", "end_time", "model"}),
        ),
        Operation(
            "ephemeral_resource",
            "POST",
            "/api/ephemeral_resource",
            uploads.upload,
            kind="upload",
            secrets=UPLOAD,
            file=uploads.carried,
            reads={(): frozenset({"file_name", "file_data"})},
        ),
    ),
    checks=CHECKS,
    problem=wire.problem,
    draw_id=wire.draw_id,
    uses=USES,
    notice=webhooks.NOTICE,
)
