"""Fields that Venice accepts without effect, each with the reason, for the developer's log."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core.call import Call

_OTHER_MODELS = {
    "negative_prompt": "the model takes no prompt",
    "anon_user_id": "it names an end user for Venice alone",
}
_NO_PROMPT = "the model takes no prompt"
_NO_RESOLUTION = "upscale_factor decides the size"


def on_queue(call: Call) -> Mapping[str, str]:
    """Fields of `POST /video/queue` without effect; a field that a rule refuses is not listed."""
    return {
        **_OTHER_MODELS,
        "duration": "the length of the video decides",
        "prompt": "" if call.rules.knobs["prompt"] == "refuse" else _NO_PROMPT,
        "resolution": _resolution(call),
    }


def on_quote(call: Call) -> Mapping[str, str]:
    """Fields of `POST /video/quote` without effect; a video overrides the described properties."""
    has_video = call.inputs.get("video_url") is not None
    measured = has_video or call.rules.knobs["quote_basis"] == "video"
    described = "the video is measured" if measured else ""
    alias = call.rules.knobs["quote_resolution"] == "alias"
    return {
        **_OTHER_MODELS,
        "prompt": _NO_PROMPT,
        "audio": "it does not change the price",
        "aspect_ratio": "upscaling keeps that of the video",
        "duration": described,
        "input_height": described,
        "resolution": "" if alias else _resolution(call),
    }


def _resolution(call: Call) -> str:
    return "" if call.rules.knobs["resolution_null"] == "refuse" else _NO_RESOLUTION
