"""VicSee's checks; the baseline file sets their order."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core import causes
from upsim.core.call import Call
from upsim.core.checks import COMMON, Check, Violation, media_of, named, no_own_job, whole_number
from upsim.core.hosts import host_of, is_public
from upsim.core.refused_keys import key_flaw
from upsim.core.states import JobState
from upsim.providers.vicsee import wire
from upsim.providers.vicsee.uploads import uploadable

MODEL = "topaz-video-upscale"


def has_key(call: Call) -> Violation | None:
    """The request has an Authorization header."""
    return Violation("missing_key", cause=key_flaw(call)) if call.credential == "missing" else None


def has_bearer_token(call: Call) -> Violation | None:
    """The header has the scheme Bearer and a token."""
    return (
        Violation("malformed_key", cause=key_flaw(call)) if call.credential == "malformed" else None
    )


def well_formed_key(call: Call) -> Violation | None:
    """The key has the form of VicSee's keys, if keys are strict."""
    return (
        Violation("ill_formed_key", cause=key_flaw(call))
        if call.credential == "ill_formed"
        else None
    )


def issued_key(call: Call) -> Violation | None:
    """The key was issued, if keys are strict."""
    return Violation("unknown_key", cause=key_flaw(call)) if call.credential == "unknown" else None


def known_tool(call: Call) -> None:
    """Set the only model of the dedicated endpoint; the body itself has the inputs."""
    call.model = call.rules.baseline.models[MODEL]


def known_model(call: Call) -> Violation | None:
    """`model` names an emulated model; the key `input` of the body has the inputs."""
    name, models = call.inputs.get("model"), call.rules.baseline.models
    if name is None or name == "":
        expected = f"the text {' or '.join(map(causes.quoted, models))}"
        return Violation("missing_model", cause=causes.of("model", call.inputs, expected))
    call.model = models.get(name) if isinstance(name, str) else None
    if call.model is None:
        return Violation("unknown_model", cause=causes.wrong_choice("model", name, models))
    inner = call.inputs.get("input")
    call.inputs = inner if isinstance(inner, dict) else {}
    return None


def _field(call: Call, name: str) -> str:
    """Return the path of an input in the body: in `input` if the body also names the model."""
    return f"input.{name}" if call.operation == "generate" else name


def has_video(call: Call) -> Violation | None:
    """`video_url` is a text that is not empty."""
    url = call.inputs.get("video_url")
    if not isinstance(url, str) or not url:
        return Violation("missing_video", cause=_video_flaw(call))
    call.source = url
    return None


def _video_flaw(call: Call) -> str:
    document = call.document
    if call.operation == "generate" and isinstance(document, dict):
        inner = document.get("input")
        if not isinstance(inner, dict):
            return causes.of("input", document, "an object with video_url")
    return causes.of(_field(call, "video_url"), call.inputs, "the text of an http(s) URL")


def known_factor(call: Call) -> Violation | None:
    """`upscale_factor` is absent or one of the allowed strings."""
    option = call.rules.baseline.models[MODEL].options["upscale_factor"]
    factor = call.inputs.get(option.name, option.default)
    number = whole_number(factor)
    if number is not None and call.rules.knobs["factor_type"] == "lenient":
        factor = str(number)
    if not isinstance(factor, str) or factor not in option.allowed:
        field, found = _field(call, option.name), call.inputs.get(option.name)
        cause = causes.wrong_choice(field, found, option.allowed)
        compared = {"allowed": ", ".join(option.allowed), "found": causes.told(factor)}
        return Violation("bad_factor", compared, cause=cause)
    call.options[option.name] = factor
    return None


def fetchable(call: Call) -> Violation | None:
    """`video_url` is an http or https URL, not a data URI; with the knob, its host is public."""
    end = call.source.find("://", 0, len("https://"))
    scheme = call.source[: max(end, 0)].lower()
    if scheme not in ("http", "https"):
        return _unreachable(call, "an http(s) URL")
    if not call.source.startswith(scheme):
        call.source = f"{scheme}{call.source[end:]}"
    strict = call.rules.knobs["public_urls"] == "strict"
    if strict and not is_public(host_of(call.source), call.rules.words["private_names"]):
        return _unreachable(call, "a URL of a public host")
    return None


def _unreachable(call: Call, expected: str) -> Violation:
    field = _field(call, "video_url")
    cause = f"{field}: found {causes.described(call.source)}, expected {expected}"
    return Violation("unreachable", cause=cause)


def supported_format(call: Call) -> Violation | None:
    """The container is one of the documented ones, and the duration could be read."""
    media, allowed = media_of(call), call.rules.words["formats"]
    if media.container not in allowed or media.duration == 0:
        compared = {"allowed": ", ".join(allowed), "found": media.container}
        found = f"a file of container {media.container}"
        cause = f"video: found {found}, expected {' or '.join(allowed)}"
        if media.container in allowed:
            cause = f"video: found a file of {media.seconds} s, expected one with a duration"
        return Violation("not_a_video", {**compared, "seconds": media.seconds}, cause=cause)
    return None


def own_task(call: Call) -> Violation | None:
    """The task exists and belongs to the account."""
    name = call.params["id"]
    job = call.sandbox.find_job(name)
    provider = call.rules.baseline.provider
    if job is None or job.accepted.provider != provider or job.state is JobState.DELETED:
        return no_own_job(call, name, "task id", "a task of this key")
    if job.accepted.account != call.who.number:
        cause = f"task id: {causes.quoted(name)} belongs to another account than this key"
        return Violation("foreign_job", cause=cause)
    call.job = job
    return None


def has_result(call: Call) -> Violation | None:
    """The task is completed and its file is still there."""
    if wire.has_file(call, call.target):
        return None
    state = call.target.state.value
    cause = f"task id: the task is {state}, expected one that is completed and whose file is there"
    return Violation("no_result", cause=cause)


CHECKS: Mapping[str, Check] = COMMON | named(
    has_key,
    has_bearer_token,
    well_formed_key,
    issued_key,
    known_tool,
    known_model,
    has_video,
    known_factor,
    fetchable,
    supported_format,
    own_task,
    has_result,
    uploadable,
)
