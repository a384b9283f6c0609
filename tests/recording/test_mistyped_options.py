"""Under a cap, a request with a mistyped option says which one, and what was meant."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.recording.conftest import Studio
from upsim_contracts.documents.wrong_options import MAX_REPORTED, wrong_options

CLIP = "http://upsim.test/media/synthetic/854x480_30fps_4.5s.mp4"
VENICE = ("venice", "/api/v1/video/queue", {"model": "topaz-video-upscale", "video_url": CLIP})
VICSEE = ("vicsee", "/api/v1/tools/upscale-video", {"video_url": CLIP})
WAVESPEED = ("wavespeed", "/api/v3/wavespeed-ai/video-upscaler", {"video": CLIP})
PIAPI = ("piapi", "/api/v1/task", {"task_type": "upscale", "input": {"video": CLIP}})
CASES: dict[str, tuple[tuple[str, str, dict[str, Any]], dict[str, Any], str]] = {
    "a value": (
        VENICE,
        {"upscale_factor": 3},
        "upscale_factor: found 3, expected one of 1, 2, 4, null",
    ),
    "a text for a number": (
        VENICE,
        {"upscale_factor": "2"},
        'upscale_factor: found "2", expected one of 1, 2, 4, null; did you mean 2?',
    ),
    "a number for a text": (
        VICSEE,
        {"upscale_factor": 4},
        'upscale_factor: found 4, expected one of "1", "2", "4"; did you mean "4"?',
    ),
    "a list": (
        VICSEE,
        {"upscale_factor": ["4"]},
        'upscale_factor: found ["4"], expected one of "1", "2", "4"',
    ),
    "a part of a value": (
        WAVESPEED,
        {"target_resolution": "1080"},
        (
            'target_resolution: found "1080", expected one of "720p", "1080p", "2k", "4k", null; '
            'did you mean "1080p"?'
        ),
    ),
    "a model": (
        PIAPI,
        {"model": "Qubico/video-tolkit"},
        (
            "is unknown: the model 'Qubico/video-tolkit' is not documented; "
            "did you mean Qubico/video-toolkit?"
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistyped_option_is_named(studio: Studio, name: str) -> None:
    """The message for a mistyped option names the value, the allowed values and the nearest one."""
    (provider, path, usual), wrong, said = CASES[name]
    told: list[str] = []

    async def caller(http: httpx.AsyncClient) -> None:
        answer = await http.post(path, json=usual | wrong)
        assert 402 == answer.status_code
        told.append(answer.json()["error"]["message"])

    studio.record(provider, caller, cap=Decimal("0.000001"))

    assert told[0].endswith(f" {said}"), told
    assert [f"not sent: {told[0]}"] == studio.said


def test_a_valid_request_over_the_cap_has_no_option_hint(studio: Studio) -> None:
    """A valid request over the cap gets no hint about options, nor does one with missing fields."""
    provider, path, usual = VENICE

    async def caller(http: httpx.AsyncClient) -> None:
        for body in (usual, {}):
            await http.post(path, json=body)

    studio.record(provider, caller, cap=Decimal("0.000001"))

    assert ["found" in line for line in studio.said] == [False, False]


def test_hostile_bodies_are_compared_in_part() -> None:
    """Of a hostile body, only some fields are compared, and few mistakes are reported."""
    found = []
    for body in (
        b"{" + b",".join(b'"k%d":1' % number for number in range(90_000)) + b"}",
        b'{"model":"' + b"x" * 500_000 + b'","upscale_factor":[' + b"1," * 90_000 + b"1]}",
        b"[1]",
        b"{",
    ):
        told = wrong_options("venice", "guide", method="POST", path=VENICE[1], body=body)
        found.append([*told])

    assert all(len(one) <= MAX_REPORTED for one in found)
    assert max(len(text) for one in found for text in one) < 400
    assert [[], []] == found[2:]
