"""`POST /video/quote`: the price of a file, or of a clip that is described."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from upsim.scenario.loader import shipped_root

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

EXAMPLES = Path(shipped_root().parent) / "contracts/upsim_contracts/venice/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
TOO_LONG = "Video duration exceeds the maximum allowed."
CLIP = "854x480_30fps_2s.mp4"


@pytest.mark.parametrize("row", PUBLISHED["quotes"], ids=lambda row: str(row["body"]))
def test_described_clips_are_quoted(row: dict[str, Any], venice: "Venice") -> None:
    """The response is one JSON number; nothing is charged, and no job is made."""
    answer = venice.quote(**row["body"])

    assert answer.status_code == 200
    assert answer.text == f'{{"quote":{row["usd"]}}}'
    assert (venice.entries, venice.jobs) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"duration": "300", "input_height": 100},
        {"duration": "nonsense", "input_height": "nonsense"},
        {"duration": "Auto"},
        {"duration": "auto"},
        {"upscale_factor": None},
        {"prompt": "x", "audio": True, "nonsense": {}},
    ],
)
def test_a_video_beats_its_description(body: dict[str, Any], venice: "Venice") -> None:
    """With a file, duration and input_height are ignored: 2 s of 960 lines cost 0.05."""
    answer = venice.quote(video_url=venice.clip(CLIP), **body)

    assert answer.text == '{"quote":0.05}'


@pytest.mark.parametrize(
    "clip",
    ["854x480_48fps_1s.mp4", "854x480_60fps_1s.mov", "854x480_60000-1001fps_1.001s.webm"],
)
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_quote_of_a_file_is_its_charge(clip: str, factor: int, venice: "Venice") -> None:
    """The quote of a file equals its charge."""
    url = venice.clip(clip)
    quoted = venice.quote(video_url=url, upscale_factor=factor).json()["quote"]
    venice.queued(url, upscale_factor=factor)

    assert Decimal(str(quoted)) == 100 - venice.balance


@pytest.mark.parametrize(
    ("fps", "usd"), [("48", "0.25"), ("48.001", "0.5"), ("48000/1001", "0.25")]
)
def test_the_surcharge_begins_above_48(
    fps: str, usd: str, make_from: Callable[..., "Venice"]
) -> None:
    """Frame rates are compared as exact fractions."""
    venice = make_from(f"media: [{{url: '*', duration: 10, size: 854x480, fps: '{fps}'}}]")

    assert venice.quote(video_url="https://a.b/c.mp4").text == f'{{"quote":{usd}}}'


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({}, "duration", "Required"),
        ({"duration": None}, "duration", "Required"),
        ({"duration": "Auto"}, "video_url", "Required"),
        ({"duration": "auto"}, "video_url", "Required"),
        ({"duration": ""}, "duration", "Invalid value"),
        ({"duration": "0"}, "duration", "Invalid value"),
        ({"duration": 0}, "duration", "Invalid value"),
        ({"duration": -10}, "duration", "Invalid value"),
        ({"duration": "-10"}, "duration", "Invalid value"),
        ({"duration": "ten"}, "duration", "Invalid value"),
        ({"duration": "10 s"}, "duration", "Invalid value"),
        ({"duration": "1e1"}, "duration", "Invalid value"),
        ({"duration": "\u0661\u0660"}, "duration", "Invalid value"),
        ({"duration": True}, "duration", "Invalid value"),
        ({"duration": ["10"]}, "duration", "Invalid value"),
        ({"duration": "10", "input_height": "720"}, "input_height", None),
        ({"duration": "10", "input_height": True}, "input_height", None),
        ({"duration": "10", "input_height": 0}, "input_height", "Invalid value"),
        ({"duration": "10", "input_height": -720}, "input_height", "Invalid value"),
        ({"duration": "10", "input_height": 720.5}, "input_height", "Invalid value"),
        ({"duration": "10", "upscale_factor": 3}, "upscale_factor", None),
        ({"duration": "10", "upscale_factor": "2"}, "upscale_factor", None),
        ({"video_url": 7}, "video_url", "Expected string, received number"),
        ({"video_url": "string"}, "video_url", "Invalid url"),
    ],
    ids=str,
)
def test_fields_of_a_quote_are_checked(
    body: dict[str, Any], field: str, text: str | None, venice: "Venice"
) -> None:
    """A wrong field is a 400 that names it."""
    answer = venice.quote(**body)

    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid request parameters")
    assert answer.json()["issues"][0]["path"] == [field]
    assert text in (None, answer.json()["issues"][0]["message"])


@pytest.mark.parametrize("height", ["720.0", "1e3", "100000", f"1{'0' * 400}", "1e400"])
def test_heights_may_be_any_whole_number(height: str, venice: "Venice") -> None:
    """Whole numbers of any spelling and size are accepted; the highest tier has no upper end."""
    text = f'{{"model": "topaz-video-upscale", "duration": "10", "input_height": {height}}}'
    headers = {"content-type": "application/json"}
    answer = venice.request("POST", "video/quote", content=text, headers=headers)

    assert answer.status_code in (200, 400)
    if answer.is_success:
        assert answer.json() == {"quote": 1}


@pytest.mark.parametrize("duration", ["300.04", "301s", 300.5, 1e300])
def test_a_quote_accepts_300_seconds(duration: object, venice: "Venice") -> None:
    """A longer duration is a 400 in a quote, not the 422 of queue."""
    answer = venice.quote(duration=duration)

    assert (answer.status_code, answer.json()) == (400, {"error": TOO_LONG})


def test_a_file_that_is_too_long_cannot_be_quoted(venice: "Venice") -> None:
    """A file above the limit is a 400 in a quote as well."""
    answer = venice.quote(video_url=venice.clip("160x90_25fps_300.04s.mp4"))

    assert (answer.status_code, answer.json()) == (400, {"error": TOO_LONG})


@pytest.mark.parametrize("dialect", ["", "live"])
@pytest.mark.parametrize("value", ["1080p", None, 2, "3x", ["2x"]])
def test_resolution_is_refused_on_quote(value: object, dialect: str, venice: "Venice") -> None:
    """A quote refuses `resolution`, as the guide says for upscale models."""
    answer = venice.under(dialect).quote(video_url=venice.clip(CLIP), resolution=value)

    assert answer.status_code == 400
    assert answer.json()["error"] == "Use upscale_factor instead of resolution"


@pytest.mark.parametrize(
    ("body", "usd"),
    [
        ({"resolution": "1x"}, "0.026"),
        ({"resolution": "2x"}, "0.05"),
        ({"resolution": "4x"}, "0.2"),
        ({"resolution": "4x", "upscale_factor": 1}, "0.026"),
        ({"duration": "9", "input_height": 90}, "0.05"),
    ],
    ids=str,
)
def test_live_takes_the_alias_and_the_file(
    body: dict[str, Any], usd: str, venice: "Venice"
) -> None:
    """The live dialect reads 1x, 2x and 4x as the factor, and ignores duration and input_height."""
    answer = venice.under("live").quote(video_url=venice.clip(CLIP), **body)

    assert answer.text == f'{{"quote":{usd}}}'


def test_live_needs_a_video(live: "Venice") -> None:
    """The live dialect refuses a quote without a video."""
    answer = live.quote(duration="10", input_height=720)

    assert answer.status_code == 400
    assert answer.json()["issues"] == [
        {"code": "invalid_type", "path": ["video_url"], "message": "Required"}
    ]


@pytest.mark.parametrize(
    ("dialect", "status", "error"),
    [("", 401, "Authentication failed"), ("live", 403, "Unauthorized access")],
)
def test_a_quote_needs_a_key(dialect: str, status: int, error: str, venice: "Venice") -> None:
    """Without a key an upscale quote is refused, in two ways; with a wrong one it is a 401."""
    venice = venice.under(dialect)
    body = {"model": "topaz-video-upscale", "duration": "10"}
    bare = venice.request("POST", "video/quote", json=body, headers={"authorization": None})
    wrong = venice.with_key("VENICE_INFERENCE_KEY_none").request(
        "POST", "video/quote", json=body, by_path=True
    )

    assert (bare.status_code, bare.json()) == (status, {"error": error})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Authentication failed"})


def test_errors_of_a_quote_come_in_order(venice: "Venice") -> None:
    """The checks are in the order model, resolution, factor, duration, height."""
    bad: dict[str, Any] = {
        "model": "x",
        "resolution": "2x",
        "upscale_factor": 3,
        "duration": "x",
        "input_height": 0,
    }
    seen = []
    mended: dict[str, Any] = {
        "model": "topaz-video-upscale",
        "resolution": None,
        "upscale_factor": 2,
        "duration": "10",
        "input_height": 720,
    }
    for name, good in mended.items():
        answer = venice.post("video/quote", **bad)
        issues = answer.json().get("issues", [{"path": ["model"]}])
        seen.append((name, issues[0]["path"]))
        bad[name] = good
        if good is None:
            del bad[name]

    assert seen == [(name, [name]) for name, _ in seen]
    assert venice.post("video/quote", **bad).json() == {"quote": 1}
