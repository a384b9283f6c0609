"""The checks of fields that queue and quote share: model, factor, video, what is refused."""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import urlsplit

from upsim.core.call import Call
from upsim.core.checks import Violation, media_of
from upsim.core.hosts import address_of, bare
from upsim.core.instants import SECOND
from upsim.providers.venice import fields

_PLAIN_HOST = re.compile(r"//[a-z0-9][a-z0-9.-]*(?::[0-9]+)?/", re.ASCII)
"""After the scheme: most URLs are plain enough to see that they name a host."""
_PRIVATE_NAMES = ("localhost", "local", "internal")
_FORMATS = {"guide": "formats", "older": "formats_older", "wider": "formats_wider"}


def known_model(call: Call) -> Violation | None:
    """`model` is a text that names an emulated model, in the same letters."""
    name = call.inputs.get("model")
    if name is None or name == "":
        return Violation("missing_model")
    if not isinstance(name, str):
        return Violation("ill_typed_model")
    call.model = call.rules.baseline.models.get(name)
    return None if call.model else Violation("unknown_model", {"model": name})


def no_resolution(call: Call) -> Violation | None:
    """`resolution` is not there, with any value, unless the knob tolerates null."""
    if "resolution" not in call.inputs:
        return None
    if call.inputs["resolution"] is None and call.rules.knobs["resolution_null"] == "tolerate":
        return None
    return Violation("resolution_given")


def no_prompt(call: Call) -> Violation | None:
    """`prompt` is not there: the server sets the empty string itself."""
    if "prompt" not in call.inputs or call.rules.knobs["prompt"] == "ignore":
        return None
    if call.inputs["prompt"] in ("", None) and call.rules.knobs["prompt"] == "tolerate_empty":
        return None
    return Violation("prompt_given")


def known_factor(call: Call) -> Violation | None:
    """`upscale_factor` is absent, null, or a number equal to one of the allowed ones."""
    (model,) = call.rules.baseline.models.values()
    option = model.options["upscale_factor"]
    value = call.inputs.get(option.name)
    chosen: str | None = option.default
    if value is not None:
        number = fields.number(value)
        if number is None:
            return fields.wrong_type(option.name, "number", value)
        chosen = str(value)
        if chosen not in option.allowed:
            chosen = next((text for text in option.allowed if Decimal(text) == number), None)
    if chosen is None:
        return fields.wrong_value(option.name, option.allowed, value)
    call.options[option.name] = chosen
    call.options["audio"] = "true" if call.rules.knobs["audio"] == "keep" else "false"
    return None


def has_video(call: Call) -> Violation | None:
    """`video_url` is an http(s) URL, or a data URL of a video in base64."""
    url = call.inputs.get("video_url")
    if url is None:
        return fields.missing("video_url")
    if not isinstance(url, str):
        return fields.wrong_type("video_url", "string", url)
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    if scheme == "data":
        kind, comma, _ = rest.partition(",")
        kind = kind.lower()
        if not (comma and kind.startswith("video/") and kind.endswith(";base64")):
            return Violation("not_a_video")
    elif scheme not in ("http", "https") or not (_PLAIN_HOST.match(rest) or _host(url)):
        return Violation("field_url", {"field": "video_url"})
    call.source = f"{scheme}:{rest}"
    return None


def public_video(call: Call) -> Violation | None:
    """With the knob, the URL is https, or its host is a public one."""
    wanted = call.rules.knobs["public_urls"]
    if wanted == "any" or call.source.startswith("data:"):
        return None
    if wanted == "https" and not call.source.startswith("https:"):
        return Violation("field_https", {"field": "video_url"})
    if wanted == "public" and not _is_public(_host(call.source)):
        return Violation("field_private_url", {"field": "video_url"})
    return None


def supported_format(call: Call) -> Violation | None:
    """The container, found by content, is one of the accepted ones."""
    accepted = call.rules.words[_FORMATS[call.rules.knobs["input_formats"]]]
    found = media_of(call).container
    if found in accepted:
        return None
    return Violation("not_a_video", {"allowed": ", ".join(accepted), "found": found})


def long_enough(call: Call) -> Violation | None:
    """The clip lasts at all."""
    found = media_of(call)
    return None if found.duration > 0 else Violation(_name("too_short", call), {"found": 0})


def short_enough(call: Call) -> Violation | None:
    """The measured duration is within the limit and the tolerance, none by default."""
    limit = call.rules.limits["max_seconds"] + call.rules.limits["max_seconds_tolerance"]
    media = media_of(call)
    duration = media.duration
    if call.rules.knobs["length_compared"] == "whole_seconds":
        duration -= duration % SECOND
    if duration <= limit * SECOND:
        return None
    return Violation(_name("too_long", call), {"max": limit, "found": media.seconds})


def _name(violation: str, call: Call) -> str:
    return f"{violation}_on_quote" if call.operation == "video/quote" else violation


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_public(host: str) -> bool:
    address = address_of(host)
    if address is not None:
        return address.is_global
    return bare(host).rpartition(".")[2] not in _PRIVATE_NAMES
