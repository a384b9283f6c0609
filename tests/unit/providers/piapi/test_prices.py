"""What PiAPI charges and produces, against the published examples in `contracts/`."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from upsim.core.baseline import Baseline
from upsim.core.job_spec import JobSpec, failure_of, terms
from upsim.core.knobs_and_dialects import rules
from upsim.core.media import Media
from upsim.core.pricing import plain
from upsim.scenario.loader import Library

EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/piapi/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
BASELINE: Baseline = Library().baseline("piapi").baseline


def video(*, frames: int = 60, size: str = "640x360") -> Media:
    """Return a measured MP4 at 30 frames a second."""
    width, height = map(int, size.split("x"))
    return Media(
        duration=frames * 1_000_000 // 30,
        frame_rate=Fraction(30),
        width=width,
        height=height,
        frames=frames,
        container="mp4",
        audio=True,
        size=1_000_000,
    )


def offered(media: Media) -> JobSpec:
    """Return the terms on which the baseline's only model takes a video."""
    model = BASELINE.models[PUBLISHED["model"]]
    failures = rules(BASELINE, "guide", {}).failures
    return terms(
        model,
        media=media,
        options={},
        steps=model.lifecycle.phases,
        pace=Decimal(1),
        failures={name: failure_of(rule) for name, rule in failures.items()},
    )


@pytest.mark.parametrize("row", PUBLISHED["prices"], ids=lambda row: f"{row['frames']} frames")
def test_a_frame_costs_three_thousand_points(row: dict[str, Any]) -> None:
    """The PiAPI price is $0.0003 per frame, exact in points and in dollars."""
    quote = offered(video(frames=row["frames"])).quote

    assert (Decimal(row["points"]), "point") == (quote.amount, quote.unit)
    assert plain(Decimal(row["usd"])) == plain(quote.amount / Decimal(10_000_000))


@pytest.mark.parametrize("row", PUBLISHED["prices"], ids=lambda row: f"{row['frames']} frames")
def test_the_frame_limits_are_inclusive(row: dict[str, Any]) -> None:
    """PiAPI's baseline accepts 10 to 240 frames, both ends included."""
    found = rules(BASELINE, "guide", {})

    inside = found.wholes["min_frames"] <= row["frames"] <= found.wholes["max_frames"]

    assert row["accepted"] is inside


def test_only_frames_are_billed() -> None:
    """The size and the duration of sixty frames do not change the PiAPI price."""
    small, large = offered(video(size="16x16")), offered(video(size="1280x720"))

    assert small.quote.amount == large.quote.amount


def test_the_formula_is_written_out() -> None:
    """A PiAPI price has the formula of the documented example as text."""
    quote = offered(video(frames=60)).quote

    assert quote.formula == "60 frames × 0.0003 × 10000000 = 180000 points"


@pytest.mark.parametrize("row", PUBLISHED["sizes"], ids=lambda row: row["input"])
def test_both_sides_are_doubled(row: dict[str, Any]) -> None:
    """A PiAPI output has twice the width and twice the height."""
    output = offered(video(size=row["input"])).output

    assert output is not None
    assert row["output"] == f"{output.width}x{output.height}"


def test_audio_is_kept() -> None:
    """A PiAPI output has audio if the input has it."""
    output = offered(video()).output

    assert output is not None
    assert output.audio


@pytest.mark.parametrize(
    ("frames", "seconds"), [(10, 14.5), (60, 27), (240, 72)], ids=["cheapest", "example", "dearest"]
)
def test_every_task_ends_within_the_polling_time_of_clients(frames: int, seconds: float) -> None:
    """PiAPI's assumed times are below 150 seconds, the shortest known polling time of a client."""
    lasts = sum(phase.lasts or 0 for phase in offered(video(frames=frames)).phases)

    assert seconds == lasts / 1_000_000
    assert seconds < 150
