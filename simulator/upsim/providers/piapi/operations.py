"""The task endpoints of PiAPI, after their checks have passed."""

from __future__ import annotations

from upsim.core.call import Call, Reply, SentFile
from upsim.core.checks import media_of
from upsim.providers.piapi import wire
from upsim.providers.piapi.base64_files import is_web_address
from upsim.providers.piapi.task_config import config_of
from upsim.providers.piapi.uploads import stored_file


def create(call: Call) -> Reply:
    """`POST /api/v1/task`: the task is charged at once, and the response reports the charge."""
    config = config_of(call)
    inputs = {"video": _echo(call), "service_mode": config.service_mode}
    job = call.sandbox.accept(call, inputs=inputs, webhook=config.webhook)
    return wire.created(call, job)


def get_task(call: Call) -> Reply:
    """`GET /api/v1/task/{id}`: 200 also for a failed task."""
    return wire.success(call, wire.task(call, call.target))


def _echo(call: Call) -> str:
    """Return the video as responses show it: unchanged, or a link if it is long base64."""
    video = call.source
    if is_web_address(video) or len(video) <= call.rules.wholes["echoed_characters"]:
        return video
    if not call.blob:  # it was not measured, because a rule of the scenario says what it is
        return video
    file = SentFile("", "", media_of(call).size, call.blob)
    return stored_file(call, file, "mp4", "video/mp4") or video
