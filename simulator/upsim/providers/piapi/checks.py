"""PiAPI's checks; the baseline file sets their order."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core import causes
from upsim.core.call import JSON, Call
from upsim.core.checks import COMMON, Check, Violation, json_type_flaw, media_of, named, no_own_job
from upsim.core.states import JobState
from upsim.providers.piapi.base64_files import encoded, is_web_address
from upsim.providers.piapi.task_cancellation import bulk_selection
from upsim.providers.piapi.task_config import read_config
from upsim.providers.piapi.task_history import history_selection
from upsim.providers.piapi.uploads import (
    plan_has_uploads,
    upload_object,
    upload_request,
    uploadable,
)


def json_content_type(call: Call) -> Violation | None:
    """The Content-Type is that of JSON, or is missing."""
    given = call.headers.get(b"content-type", b"")
    if not given or given == JSON or call.rules.knobs["content_type"] == "any":
        return None
    if given.partition(b";")[0].strip().lower() == JSON:
        return None
    # The upload host has one answer for every mistake.
    name = "bad_upload" if call.kind == "upload" else "wrong_content_type"
    return Violation(name, cause=json_type_flaw(call))


def known_model(call: Call) -> Violation | None:
    """`model` names an emulated model, in its exact case."""
    name = _text(call.inputs, "model", "model")
    if isinstance(name, Violation):
        return name
    models = call.rules.baseline.models
    call.model = models.get(name)
    if call.model is not None:
        return None
    return Violation("unknown_model", cause=causes.wrong_choice("model", name, models))


def known_task_type(call: Call) -> Violation | None:
    """`task_type` is one of the emulated types of the model."""
    name = _text(call.inputs, "task_type", "task_type")
    if isinstance(name, Violation):
        return name
    models = call.rules.baseline.models.values()
    for model in models:
        if name == model.facts["task_type"].value:
            return None
    known = [str(model.facts["task_type"].value) for model in models]
    cause = causes.wrong_choice("task_type", name, known)
    return Violation("unknown_task_type", cause=cause)


def has_video(call: Call) -> Violation | None:
    """`input.video` is a text: a URL, base64, or a data URI of base64."""
    video = _video(call.inputs)
    if isinstance(video, Violation):
        return video
    if not is_web_address(video) and encoded(video) is None:
        cause = f"input.video: {causes.described(video)}: {causes.base64_flaw(video)}"
        return Violation("unreachable", cause=cause)
    call.source = video
    call.inputs = {**call.inputs, "video": video}  # where rules of a scenario look for it
    return None


def valid_config(call: Call) -> Violation | None:
    """The values in `config` have the right types; the webhook's endpoint may be any string."""
    config = read_config(call.inputs)
    if isinstance(config, Violation):
        return config
    mode, rules = config.service_mode, call.rules
    private = mode == rules.texts["private_mode"] and rules.knobs["private_mode"] == "refuse"
    known = rules.words["service_modes"]
    if mode in known and not private:
        return None
    taken = [word for word in known if word and not (private and word == mode)]
    cause = causes.wrong_choice("config.service_mode", mode, taken)
    return Violation("bad_service_mode", cause=cause)


def below_task_cap(call: Call) -> Violation | None:
    """The plan allows one more pending or processing task, or the task can be staged."""
    who = call.who
    cap = call.rules.baseline.plans[who.plan].concurrency
    if cap is None:
        return None
    full = who.running + len(who.queue) >= cap
    if call.rules.knobs["over_cap"] == "stage":
        full = who.running >= cap and len(who.queue) >= call.rules.wholes["staged_tasks"]
    if not full:
        return None
    compared = {"max": cap, "running": who.running, "queued": len(who.queue)}
    cause = f"tasks: found {who.running} running and {len(who.queue)} queued, expected below {cap}"
    return Violation("too_many_tasks", compared, cause=cause)


def supported_format(call: Call) -> Violation | None:
    """The content of the file is MP4; the file name does not matter."""
    allowed, found = call.rules.words["formats"], media_of(call).container
    if found in allowed:
        return None
    cause = f"video: found a file of container {found}, expected {' or '.join(allowed)}"
    compared = {"allowed": ", ".join(allowed), "found": found}
    return Violation("wrong_format", compared, cause=cause)


def within_resolution(call: Call) -> Violation | None:
    """The video has at most 1280x720 pixels; a portrait video may have at most 720x1280."""
    media, rules = media_of(call), call.rules
    long, short = rules.wholes["max_long_side"], rules.wholes["max_short_side"]
    if media.width <= long and media.height <= short:
        return None
    upright = media.height <= long and media.width <= short
    if upright and rules.knobs["resolution"] == "sides":
        return None
    found = media.dimensions
    cause = f"video: found {found} pixels, expected at most {long}x{short}"
    compared = {"long": long, "short": short, "found": found}
    return Violation("wrong_resolution", compared, cause=cause)


def within_frames(call: Call) -> Violation | None:
    """10 to 240 samples of the video track, both inclusive."""
    least, most = call.rules.wholes["min_frames"], call.rules.wholes["max_frames"]
    found = media_of(call).frames
    if least <= found <= most:
        return None
    cause = f"video: found {found} frames, expected {least} to {most}"
    return Violation("wrong_frames", {"min": least, "max": most, "found": found}, cause=cause)


def own_task(call: Call) -> Violation | None:
    """The task exists; another account's task counts as unknown."""
    name = call.params["id"]
    job = call.sandbox.find_job(name)
    if job is None or job.accepted.account != call.who.number:
        return no_own_job(call, name, "task_id", "a task of this key")
    call.job = job
    return None


def still_pending(call: Call) -> Violation | None:
    """The task is still pending, because only such a task can be cancelled."""
    state = call.target.state
    if state is JobState.WAITING:
        return None
    cause = f"task_id: the task is {state.value}, expected one that is still pending"
    return Violation("not_pending", {"found": state.value}, cause=cause)


def cancel_by_post_exists(call: Call) -> Violation | None:
    """The knob `cancel_by_post` enables the cancel path of an early official CLI (else 404)."""
    if call.rules.knobs["cancel_by_post"] == "present":
        return None
    cause = "path: cancelling by POST needs the knob cancel_by_post: present"
    return Violation("no_route", cause=cause)


def _video(inputs: Mapping[str, object]) -> str | Violation:
    found = inputs.get("input")
    if isinstance(found, dict):
        return _text(found, "video", "input.video")
    if found is None:
        cause = causes.of("input", inputs, "an object with video")
        return Violation("missing_field", {"field": "input"}, cause=cause)
    cause = causes.wrong("input", found, "an object with video")
    return Violation("wrong_type", {"field": "input", "expected": "object"}, cause=cause)


def _text(inputs: Mapping[str, object], name: str, field: str) -> str | Violation:
    found = inputs.get(name)
    if found is None or found == "":
        cause = causes.needed(field, inputs, "a text")
        return Violation("missing_field", {"field": field}, cause=cause)
    if not isinstance(found, str):
        cause = causes.wrong(field, found, "a text")
        return Violation("wrong_type", {"field": field, "expected": "string"}, cause=cause)
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
