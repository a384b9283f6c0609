"""The developer reads what each field of a body held, and which fields have no effect."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.http.test_causes import PIAPI, TOPAZ, UPSCALER, URL, Mistake, send, watched
from upsim import Simulator
from upsim.core.causes import typed

VALUES: Mapping[str, list[object]] = {
    "null": [None],
    "empty": [""],
    "text": ["x"],
    "list": [[], [1]],
    "object": [{}, {"a": 1}],
    "flag": [True, False],
    "number": [5, 1.5],
}
"""JSON values by their type; an empty text is a type of its own."""
OPTIONAL = "null empty text"
QUEUE = {"model": "", "video_url": "", "upscale_factor": "null number", "resolution": ""}
FIELDS: Mapping[str, tuple[Mapping[str, object], Mapping[str, str]]] = {
    UPSCALER: (
        {"video": URL},
        {
            "video": "text",
            "target_resolution": "null",
            "copy_audio": "null flag",
            "enable_sync_mode": "null flag",
        },
    ),
    "POST wavespeed/api/v3/model/price": (
        {"model_id": "wavespeed-ai/video-upscaler", "inputs": {"video": URL}},
        {
            "model_id": "",
            "inputs": "object",
            "inputs.video": OPTIONAL,
            "inputs.target_resolution": "null",
            "inputs.copy_audio": "null flag",
            "inputs.enable_sync_mode": "null flag",
        },
    ),
    "POST wavespeed/api/v3/media/uploads": (
        {"filename": "a.mp4", "size": 9, "content_type": "video/mp4"},
        {"filename": "text", "size": "number", "content_type": OPTIONAL},
    ),
    "POST wavespeed/api/v3/predictions": (
        {"page": 1, "page_size": 9},
        {
            "page": "number",
            "page_size": "number",
            "model": OPTIONAL,
            "status": "null empty",
            "created_after": "null empty",
            "include_inputs": "null empty flag",
        },
    ),
    "POST wavespeed/api/v3/predictions/delete": ({"ids": ["a"]}, {"ids": "list"}),
    "POST wavespeed/api/v3/user/usage_stats": (
        {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z"},
        {"start_time": "", "end_time": "", "model_uuid": OPTIONAL},
    ),
    "POST piapi/api/v1/task": (
        {**PIAPI, "input": {"video": URL}, "config": {"webhook_config": {}}},
        {
            "model": "",
            "task_type": "",
            "input": "object",
            "input.video": "text",
            "config": "null object",
            "config.service_mode": "null empty",
            "config.webhook_config": "null object",
            "config.webhook_config.endpoint": OPTIONAL,
            "config.webhook_config.secret": OPTIONAL,
        },
    ),
    "POST piapi/api/ephemeral_resource": (
        {"file_name": "a.mp4", "file_data": "AAAA"},
        {"file_name": "", "file_data": "text"},
    ),
    "POST vicsee/api/v1/tools/upscale-video": (
        {"video_url": URL},
        {"video_url": "text", "upscale_factor": ""},
    ),
    "POST vicsee/api/v1/generate": (
        {**TOPAZ, "input": {"video_url": URL}},
        {"model": "", "input": "object", "input.video_url": "text", "input.upscale_factor": ""},
    ),
    "POST vicsee/api/v1/upload": (
        {"contentType": "video/mp4", "sizeBytes": 9},
        {"contentType": "", "sizeBytes": "number"},
    ),
    "POST venice/guide/api/v1/video/queue": (
        {**TOPAZ, "video_url": URL},
        {**QUEUE, "video_url": "text", "prompt": ""},
    ),
    "POST venice/live/api/v1/video/queue": (
        {**TOPAZ, "video_url": URL},
        {**QUEUE, "video_url": "text", "duration": "number text"},
    ),
    "POST venice/live/api/v1/video/quote": (
        {**TOPAZ, "video_url": URL},
        {**QUEUE, "video_url": "text"},
    ),
    "POST venice/guide/api/v1/video/quote": (
        {**TOPAZ, "duration": "10", "input_height": 720},
        {"duration": "number", "input_height": "null number"},
    ),
    "POST venice/live/api/v1/video/retrieve": (
        {**TOPAZ, "queue_id": "a"},
        {"model": "text empty", "queue_id": "", "delete_media_on_completion": "null flag"},
    ),
    "POST venice/live/api/v1/video/complete": (
        {**TOPAZ, "queue_id": "a"},
        {"model": "text empty", "queue_id": ""},
    ),
}
"""Calls, each with a good body and the types of each field that it may have."""


@pytest.mark.parametrize("call", FIELDS)
def test_cause_names_the_found_type_and_the_expected_one(call: str) -> None:
    """Every field of every provider gets a cause for every JSON type that it may not have."""
    body, fields = FIELDS[call]
    silent: list[str] = []
    with Simulator(clock="auto", seed=1) as sim:
        seen = watched(sim)
        for field, taken in fields.items():
            for value in [
                one for kind in VALUES if kind not in taken.split() for one in VALUES[kind]
            ]:
                send(sim, Mistake(call, changed(body, field, value)))
                if f"{field}: found {typed(value)}, expected " not in seen.cause:
                    silent.append(f"{field}: {json.dumps(value)}: {seen.cause}")
    assert [] == silent


def changed(body: Mapping[str, object], field: str, value: object) -> dict[str, object]:
    """Return a copy of a body in which a dotted field has another value."""
    copy: dict[str, object] = json.loads(json.dumps(body))
    at: dict[str, object] = copy
    *path, last = field.split(".")
    for name in path:
        at = at[name]  # type: ignore[assignment]  # the path of the table leads through objects
    at[last] = value
    return copy


VENICE = "POST venice/{}/api/v1/video/{}"
IDLE: list[tuple[str, Mapping[str, object], str]] = [
    *(
        (VENICE.format(dialect, operation), {**TOPAZ, "video_url": URL, field: value}, said)
        for dialect in ("guide", "live", "auto")
        for operation in ("queue", "quote")
        for field, value, said in [
            ("duration", "9", "the length of the video decides"),
            ("negative_prompt", "blurry", "the model takes no prompt"),
            ("anon_user_id", "me", "it names an end user for Venice alone"),
        ]
    ),
    *(
        (VENICE.format(dialect, "quote"), {**TOPAZ, "video_url": URL, field: value}, said)
        for dialect in ("guide", "live", "auto")
        for field, value, said in [
            ("input_height", 720, "the video is measured"),
            ("prompt", "x", "the model takes no prompt"),
            ("audio", True, "it does not change the price"),
            ("aspect_ratio", "16:9", "upscaling keeps that of the video"),
        ]
    ),
    (
        VENICE.format("live", "queue"),
        {**TOPAZ, "video_url": URL, "prompt": "x"},
        "the model takes no prompt",
    ),
    (
        UPSCALER,
        {"video": URL, "enable_base64_output": True},
        "the output of a video model is always a URL",
    ),
    (UPSCALER, {"webhook_url": URL}, "give the URL in the query, as ?webhook=…"),
]


def test_field_without_effect_is_named_with_the_reason() -> None:
    """Cause and log line name the field in every operation and dialect; the client sees nothing."""
    with Simulator(clock="auto", seed=1) as sim:
        seen = watched(sim)
        for call, body, said in IDLE:
            field = [*body][-1]
            if field == "duration" and call.endswith("quote"):
                said = "the video is measured"  # noqa: PLW2901 - a table with one odd row
            answer = send(sim, Mistake(call, body))
            assert f"{field} has no effect: {said}" in seen.cause, call
            assert seen.cause in seen.line
            assert "no effect" not in answer.text


@pytest.mark.parametrize("dialect", ["guide", "live", "auto"])
@pytest.mark.parametrize("operation", ["retrieve", "complete"])
def test_options_of_a_model_are_not_read_by_a_poll(operation: str, dialect: str) -> None:
    """Only a submit and a quote read options; a dialect that refuses unknown fields says so."""
    with Simulator(clock="auto", seed=1) as sim:
        seen = watched(sim)
        made = send(sim, Mistake(VENICE.format(dialect, "queue"), {**TOPAZ, "video_url": URL}))
        for field in ("upscale_factor", "duration", "prompt"):
            body = {**TOPAZ, "queue_id": made.json()["queue_id"], field: "4"}
            send(sim, Mistake(VENICE.format(dialect, operation), body))
            refused = f'"{field}": found a field that is not known'
            assert seen.cause.startswith(refused if dialect == "live" else f"{field} is not read")


def test_field_with_an_effect_or_a_default_is_not_named() -> None:
    """A refused prompt is named once, and null and false have no cause.

    Many clients send null and false for fields that they do not use.
    """
    defaults = dict.fromkeys(("duration", "negative_prompt", "anon_user_id"))
    quiet: list[tuple[str, Mapping[str, object]]] = [
        (VENICE.format("guide", "queue"), {**TOPAZ, "video_url": URL, **defaults}),
        (VENICE.format("guide", "quote"), {**TOPAZ, "duration": "10", "input_height": 720}),
        (VENICE.format("live", "quote"), {**TOPAZ, "video_url": URL, "resolution": "2x"}),
        (UPSCALER, {"video": URL, "enable_base64_output": False, "webhook_url": None}),
    ]
    with Simulator(clock="auto", seed=1) as sim:
        seen = watched(sim)
        for call, body in quiet:
            assert 200 == send(sim, Mistake(call, body)).status_code
            assert seen.cause == ""
        send(sim, Mistake(VENICE.format("guide", "queue"), {**TOPAZ, "prompt": "x"}))
        assert seen.cause == 'prompt: found the text "x", expected no such field'


def test_video_of_a_quote_may_be_null_beside_a_duration() -> None:
    """Without a video and a duration, the cause says that null counts as no video."""
    with Simulator(clock="auto", seed=1) as sim:
        seen = watched(sim)
        send(sim, Mistake(VENICE.format("guide", "quote"), {**TOPAZ, "video_url": None}))
        expected = "duration: found nothing, expected seconds, or a video_url that is not null"
        assert seen.cause == expected
        body = {**TOPAZ, "video_url": None, "duration": "auto"}
        send(sim, Mistake(VENICE.format("guide", "quote"), body))
        assert seen.cause.startswith("video_url: found null, expected a video")
