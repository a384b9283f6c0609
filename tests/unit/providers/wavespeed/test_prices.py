"""What WaveSpeedAI charges and produces, against the published examples in `contracts/`."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from upsim.core.baseline import Baseline
from upsim.core.instants import seconds_to_micros
from upsim.core.job_spec import JobSpec, failure_of, terms
from upsim.core.knobs_and_dialects import rules
from upsim.core.media import Media
from upsim.core.pricing import plain
from upsim.scenario.loader import Library

EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/wavespeed/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
BASELINE: Baseline = Library().baseline("wavespeed").baseline
UPSCALER = "wavespeed-ai/video-upscaler"
UPSCALE_V1 = "runwayml/upscale-v1"
RESOLUTIONS = ["720p", "1080p", "2k", "4k"]


def video(*, seconds: str = "12", size: str = "1280x720", audio: bool = True) -> Media:
    """Return a measured MP4 at 30 frames a second."""
    width, height = map(int, size.split("x"))
    duration = seconds_to_micros(seconds)
    return Media(
        duration=duration,
        frame_rate=Fraction(30),
        width=width,
        height=height,
        frames=duration * 30 // 1_000_000,
        container="mp4",
        audio=audio,
        size=1_000_000,
    )


def offered(
    name: str, media: Media | None, *, resolution: str = "1080p", copy_audio: bool = True
) -> JobSpec:
    """Return the terms on which a model takes a video."""
    model = BASELINE.models[name]
    asked = {"target_resolution": resolution, "copy_audio": str(copy_audio).lower()}
    failures = rules(BASELINE, "guide", {}).failures
    return terms(
        model,
        media=media,
        options={key: asked[key] for key in model.options},
        steps=model.lifecycle.phases,
        pace=Decimal(1),
        failures={key: failure_of(rule) for key, rule in failures.items()},
    )


@pytest.mark.parametrize("row", PUBLISHED["worked"], ids=lambda row: row["published"])
def test_worked_examples_of_the_pages(row: dict[str, Any]) -> None:
    """Each worked example of WaveSpeed's pages gives the printed seconds and dollars."""
    resolution = row.get("target_resolution", "1080p")
    quote = offered(row["model"], video(seconds=row["seconds"]), resolution=resolution).quote

    assert (Decimal(row["billed"]), "USD") == (quote.quantity, quote.unit)
    assert plain(Decimal(row["usd"])) == quote.amount


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("row", PUBLISHED["boundaries"], ids=lambda row: row["seconds"])
def test_video_upscaler_rounds_up(row: dict[str, Any], resolution: str) -> None:
    """The model `video-upscaler` rounds seconds up and bills at least five.

    The resolution selects the rate.
    """
    quote = offered(UPSCALER, video(seconds=row["seconds"]), resolution=resolution).quote

    assert Decimal(row["up"]["billed"]) == quote.quantity
    assert plain(Decimal(row["up"][resolution])) == quote.amount


@pytest.mark.parametrize("row", PUBLISHED["boundaries"], ids=lambda row: row["seconds"])
def test_upscale_v1_rounds_down(row: dict[str, Any]) -> None:
    """The model `upscale-v1` rounds seconds down and bills at least five."""
    quote = offered(UPSCALE_V1, video(seconds=row["seconds"])).quote

    assert Decimal(row["down"]["billed"]) == quote.quantity
    assert plain(Decimal(row["down"]["usd"])) == quote.amount


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_an_unmeasured_video_costs_the_minimum(resolution: str) -> None:
    """WaveSpeed charges an unavailable video for five seconds at the rate of its resolution."""
    unmeasured = offered(UPSCALER, None, resolution=resolution)
    shortest = offered(UPSCALER, video(seconds="1"), resolution=resolution)

    assert shortest.quote.amount == unmeasured.quote.amount
    assert unmeasured.output is None


def test_ten_prices_add_up_exactly() -> None:
    """Prices are exact decimals: ten times 0.06 is exactly 0.6."""
    quote = offered(UPSCALER, video()).quote

    assert Decimal("0.6") == sum([quote.amount] * 10)
    assert quote.formula == "12 seconds × 0.005 = 0.06 USD"


@pytest.mark.parametrize(
    "row", PUBLISHED["sizes"], ids=lambda row: f"{row['input']} to {row['target_resolution']}"
)
def test_the_short_side_is_scaled_to_the_target(row: dict[str, Any]) -> None:
    """The output keeps the aspect ratio with even sides; a larger source keeps its size."""
    found = offered(UPSCALER, video(size=row["input"]), resolution=row["target_resolution"]).output

    assert found is not None
    assert row["output"] == f"{found.width}x{found.height}"


@pytest.mark.parametrize(
    ("size", "expected"),
    [("640x360", "3840x2160"), ("720x1280", "2160x3840"), ("4096x2304", "4096x2304")],
)
def test_upscale_v1_is_always_4k(size: str, expected: str) -> None:
    """The output of `upscale-v1` always has the short side of 4K."""
    found = offered(UPSCALE_V1, video(size=size)).output

    assert found is not None
    assert expected == f"{found.width}x{found.height}"


@pytest.mark.parametrize(
    ("model", "source", "copied", "expected"),
    [
        (UPSCALER, True, True, True),
        (UPSCALER, True, False, False),
        (UPSCALER, False, True, False),
        (UPSCALE_V1, True, False, True),
    ],
)
def test_audio_is_copied_if_the_source_has_it(
    model: str, *, source: bool, copied: bool, expected: bool
) -> None:
    """`copy_audio` decides about the audio of the first model; the second always keeps it."""
    found = offered(model, video(audio=source), copy_audio=copied).output

    assert found is not None
    assert expected is found.audio


@pytest.mark.parametrize(
    ("model", "resolution", "seconds"),
    [
        (UPSCALER, "720p", 50),
        (UPSCALER, "1080p", 60),
        (UPSCALER, "2k", 80),
        (UPSCALER, "4k", 100),
        (UPSCALE_V1, "1080p", 50),
    ],
)
def test_processing_takes_five_to_ten_seconds_a_second(
    model: str, resolution: str, seconds: int
) -> None:
    """WaveSpeed processes ten seconds of video in 50 to 100 seconds, by resolution."""
    phases = offered(model, video(seconds="10"), resolution=resolution).phases

    assert [1_000_000, seconds * 1_000_000, None] == [phase.lasts for phase in phases]
