"""The checks of PiAPI that its baseline puts in order."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core.call import JSON, Call
from upsim.core.checks import COMMON, Check, Violation, media_of, named
from upsim.core.states import State
from upsim.providers.piapi.config import read_config
from upsim.providers.piapi.encoded import encoded, is_web_address
from upsim.providers.piapi.history import history_selection
from upsim.providers.piapi.selection import bulk_selection
from upsim.providers.piapi.uploads import (
    plan_has_uploads,
    upload_object,
    upload_request,
    uploadable,
)


def json_content_type(call: Call) -> Violation | None:
    """A Content-Type that came is the one of JSON; none came is well."""
    given = call.headers.get(b"content-type", b"")
    if not given or given == JSON or call.rules.knobs["content_type"] == "any":
        return None
    if given.partition(b";")[0].strip().lower() == JSON:
        return None
    # The upload host has one answer for every mistake.
    return Violation("bad_upload" if call.kind == "upload" else "wrong_content_type")


def known_model(call: Call) -> Violation | None:
    """`model` names an emulated model, in its exact case."""
    name = _text(call.inputs, "model", "model")
    if isinstance(name, Violation):
        return name
    call.model = call.rules.baseline.models.get(name)
    return Violation("unknown_model") if call.model is None else None


def known_task_type(call: Call) -> Violation | None:
    """`task_type` is one that the model is emulated for."""
    name = _text(call.inputs, "task_type", "task_type")
    if isinstance(name, Violation):
        return name
    for model in call.rules.baseline.models.values():
        if model.facts["task_type"].value == name:
            return None
    return Violation("unknown_task_type")


def has_video(call: Call) -> Violation | None:
    """`input.video` is a text: a URL, base64, or a data URI of base64."""
    video = _video(call.inputs.get("input"))
    if isinstance(video, Violation):
        return video
    if not is_web_address(video) and encoded(video) is None:
        return Violation("unreachable")
    call.source = video
    call.inputs = {**call.inputs, "video": video}  # where rules of a scenario look for it
    return None


def valid_config(call: Call) -> Violation | None:
    """`config` has its types; the webhook's endpoint may be any text."""
    config = read_config(call.inputs)
    if isinstance(config, Violation):
        return config
    mode, rules = config.service_mode, call.rules
    private = mode == rules.texts["private_mode"] and rules.knobs["private_mode"] == "refuse"
    known = rules.words["service_modes"]
    return Violation("bad_service_mode") if private or mode not in known else None


def below_task_cap(call: Call) -> Violation | None:
    """Pending and processing tasks are fewer than the plan allows, or the task can be staged."""
    who = call.who
    cap = call.rules.baseline.plans[who.plan].concurrency
    if cap is None:
        return None
    full = who.running + len(who.queue) >= cap
    if call.rules.knobs["over_cap"] == "stage":
        full = who.running >= cap and len(who.queue) >= call.rules.wholes["staged_tasks"]
    compared = {"max": cap, "running": who.running, "queued": len(who.queue)}
    return Violation("too_many_tasks", compared) if full else None


def supported_format(call: Call) -> Violation | None:
    """The container is MP4 by content, whatever the file is called."""
    allowed, found = call.rules.words["formats"], media_of(call).container
    if found in allowed:
        return None
    return Violation("wrong_format", {"allowed": ", ".join(allowed), "found": found})


def within_resolution(call: Call) -> Violation | None:
    """1280x720 inclusive; an upright video is compared by its long and short side."""
    media, rules = media_of(call), call.rules
    long, short = rules.wholes["max_long_side"], rules.wholes["max_short_side"]
    if media.width <= long and media.height <= short:
        return None
    upright = media.height <= long and media.width <= short
    if upright and rules.knobs["resolution"] == "sides":
        return None
    found = f"{media.width}x{media.height}"
    return Violation("wrong_resolution", {"long": long, "short": short, "found": found})


def within_frames(call: Call) -> Violation | None:
    """10 to 240 samples of the video track, both inclusive."""
    least, most = call.rules.wholes["min_frames"], call.rules.wholes["max_frames"]
    found = media_of(call).frames
    if least <= found <= most:
        return None
    return Violation("wrong_frames", {"min": least, "max": most, "found": found})


def own_task(call: Call) -> Violation | None:
    """The task exists; one of another account is as unknown as any other id."""
    job = call.world.find_job(call.params["id"])
    if job is None or job.accepted.account != call.who.number:
        return Violation("unknown_job")
    call.job = job
    return None


def still_pending(call: Call) -> Violation | None:
    """Only a pending task can be cancelled."""
    state = call.target.state
    return None if state is State.WAITING else Violation("not_pending", {"found": state.value})


def cancel_by_post_exists(call: Call) -> Violation | None:
    """The path of an early official CLI, unknown unless the knob says otherwise."""
    return None if call.rules.knobs["cancel_by_post"] == "present" else Violation("no_route")


def _video(found: object) -> str | Violation:
    if found is None:
        return Violation("missing_field", {"field": "input"})
    if not isinstance(found, dict):
        return Violation("wrong_type", {"field": "input", "expected": "object"})
    return _text(found, "video", "input.video")


def _text(inputs: Mapping[str, object], name: str, field: str) -> str | Violation:
    found = inputs.get(name)
    if found is None or found == "":
        return Violation("missing_field", {"field": field})
    if not isinstance(found, str):
        return Violation("wrong_type", {"field": field, "expected": "string"})
    return found


CHECKS: Mapping[str, Check] = COMMON | named(
    json_content_type,
    known_model,
    known_task_type,
    has_video,
    valid_config,
    below_task_cap,
    supported_format,
    within_resolution,
    within_frames,
    own_task,
    still_pending,
    cancel_by_post_exists,
    bulk_selection,
    history_selection,
    plan_has_uploads,
    upload_request,
    upload_object,
    uploadable,
)
