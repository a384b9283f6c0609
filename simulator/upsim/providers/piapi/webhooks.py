"""PiAPI's webhooks: the task with a timestamp, and the secret unchanged."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core.call import Call
from upsim.core.jobs import Job
from upsim.core.provider import Attempt, Notice
from upsim.core.secrets import Secrets
from upsim.providers.piapi import wire


def body(call: Call, job: Job, seconds: int) -> dict[str, object]:
    """Return the task as get-task shows it, with a timestamp that identifies duplicates."""
    return {"timestamp": seconds, "data": wire.task(call, job)}


def headers(call: Call, _job: Job, attempt: Attempt) -> Mapping[str, str]:
    """Return the header with the unchanged secret, if there is one; nothing is signed."""
    rule = call.rules.baseline.webhooks
    return {rule.headers["secret"]: attempt.secret} if rule and attempt.secret else {}


SECRETS = Secrets(
    fields=("webhook_config.secret",),
    urls=("webhook_config.endpoint", "input.video", "output.video_url"),
    headers=("x-webhook-secret",),
)
NOTICE = Notice(body=body, headers=headers, secrets=SECRETS)
