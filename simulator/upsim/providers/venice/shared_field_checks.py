"""The field checks that queue and quote share: model, factor, video, forbidden fields."""

from __future__ import annotations

import re
from decimal import Decimal

from upsim.core import causes
from upsim.core.call import Call
from upsim.core.checks import Violation, media_of, too_long
from upsim.core.hosts import host_of, is_public
from upsim.core.instants import SECOND
from upsim.providers.venice import field_errors

_PLAIN_HOST = re.compile(r"//[a-z0-9][a-z0-9.-]*(?::[0-9]+)?/", re.ASCII)
"""The part after the scheme in most URLs, which needs no full parser to find a host."""
_FORMATS = {"guide": "formats", "older": "formats_older", "wider": "formats_wider"}


def known_model(call: Call) -> Violation | None:
    """`model` is a text that names an emulated model, in its exact case."""
    name = call.inputs.get("model")
    if name is None or name == "":
        cause = causes.of("model", call.inputs, _models(call))
        return Violation("missing_model", cause=cause)
    if not isinstance(name, str):
        return Violation("ill_typed_model", cause=causes.wrong("model", name, _models(call)))
    call.model = call.rules.baseline.models.get(name)
    if call.model:
        return None
    cause = causes.wrong("model", name, _models(call))
    return Violation("unknown_model", {"model": name}, cause=cause)


def no_resolution(call: Call) -> Violation | None:
    """`resolution` is absent, or null if the knob tolerates null."""
    if "resolution" not in call.inputs:
        return None
    if call.inputs["resolution"] is None and call.rules.knobs["resolution_null"] == "tolerate":
        return None
    cause = causes.of("resolution", call.inputs, "no such field; the model has upscale_factor")
    return Violation("resolution_given", cause=cause)


def no_prompt(call: Call) -> Violation | None:
    """`prompt` is absent: the server itself sets the empty string."""
    if "prompt" not in call.inputs or call.rules.knobs["prompt"] == "ignore":
        return None
    if call.inputs["prompt"] in ("", None) and call.rules.knobs["prompt"] == "tolerate_empty":
        return None
    cause = causes.of("prompt", call.inputs, "no such field")
    return Violation("prompt_given", cause=cause)


def known_factor(call: Call) -> Violation | None:
    """`upscale_factor` is absent, null, or a number equal to one of the allowed ones."""
    (model,) = call.rules.baseline.models.values()
    option = model.options["upscale_factor"]
    value = call.inputs.get(option.name)
    chosen: str | None = option.default
    if value is not None:
        number = field_errors.number(value)
        if number is None:
            violation = field_errors.wrong_type(option.name, "number", value)
            cause = causes.wrong_choice(option.name, value, option.allowed, "number")
            return Violation(violation.name, violation.values, cause=cause)
        chosen = str(value)
        if chosen not in option.allowed:
            chosen = next((text for text in option.allowed if Decimal(text) == number), None)
    if chosen is None:
        return field_errors.wrong_number(option.name, option.allowed, value)
    call.options[option.name] = chosen
    call.options["audio"] = "true" if call.rules.knobs["audio"] == "keep" else "false"
    return None


def has_video(call: Call) -> Violation | None:
    """`video_url` is an http(s) URL, or a data URL of a video in base64."""
    url = call.inputs.get("video_url")
    if url is None:
        return field_errors.missing("video_url", call.inputs, _SOURCES)
    if not isinstance(url, str):
        return field_errors.wrong_type("video_url", "string", url)
    colon = url.find(":", 0, _END_OF_SCHEME)
    written = url[: max(colon, 0)]
    scheme = written.lower()
    if scheme == "data":  # it may be long, and is not copied
        comma = url.find(",", 0, causes.MAX_READ)
        kind = url[colon + 1 : max(comma, 0)].lower()
        if not (kind.startswith("video/") and kind.endswith(";base64")):
            cause = f"video_url: {causes.described(url)}: {causes.data_url_flaw(url)}"
            return Violation("not_a_video", cause=cause)
        call.source = url if written == scheme else f"{scheme}{url[colon:]}"
        return None
    if scheme not in ("http", "https") or not (_PLAIN_HOST.match(url, colon + 1) or host_of(url)):
        cause = f"video_url: found {causes.described(url)}, expected {_SOURCES}"
        return Violation("field_url", {"field": "video_url"}, cause=cause)
    call.source = url if written == scheme else f"{scheme}{url[colon:]}"
    return None


_END_OF_SCHEME = len("https:")
_SOURCES = "an http(s) URL with a host, or a data URL such as data:video/mp4;base64,<content>"


def public_video(call: Call) -> Violation | None:
    """The URL is https, or its host is public, if the knob asks for that."""
    wanted = call.rules.knobs["public_urls"]
    if wanted == "any" or call.source.startswith("data:"):
        return None
    if wanted == "https" and not call.source.startswith("https:"):
        cause = f"video_url: found {causes.described(call.source)}, expected an https URL"
        return Violation("field_https", {"field": "video_url"}, cause=cause)
    private_names = call.rules.words["private_names"]
    if wanted == "public" and not is_public(host_of(call.source), private_names):
        cause = f"video_url: found {causes.described(call.source)}, expected a public host"
        return Violation("field_private_url", {"field": "video_url"}, cause=cause)
    return None


def supported_format(call: Call) -> Violation | None:
    """The container, found by content, is one of the accepted ones."""
    accepted = call.rules.words[_FORMATS[call.rules.knobs["input_formats"]]]
    found = media_of(call).container
    if found in accepted:
        return None
    cause = f"video: found a file of container {found}, expected {' or '.join(accepted)}"
    compared = {"allowed": ", ".join(accepted), "found": found}
    return Violation("not_a_video", compared, cause=cause)


def long_enough(call: Call) -> Violation | None:
    """The clip's duration is not zero."""
    found = media_of(call)
    if found.duration > 0:
        return None
    cause = "video: found a duration of 0 s, expected more"
    return Violation(_name("too_short", call), {"found": 0}, cause=cause)


def short_enough(call: Call) -> Violation | None:
    """The measured duration is within the limit plus the tolerance (0 by default)."""
    limit = call.rules.limits["max_seconds"] + call.rules.limits["max_seconds_tolerance"]
    media = media_of(call)
    duration = media.duration
    if call.rules.knobs["length_compared"] == "whole_seconds":
        duration -= duration % SECOND
    if duration <= limit * SECOND:
        return None
    return too_long(call, limit, _name("too_long", call))


def _models(call: Call) -> str:
    return f"the text {' or '.join(map(causes.quoted, call.rules.baseline.models))}"


def _name(violation: str, call: Call) -> str:
    return f"{violation}_on_quote" if call.operation == "video/quote" else violation
