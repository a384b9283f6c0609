"""What VicSee charges and produces, against the published examples in `contracts/`."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from upsim.core.baseline import Baseline
from upsim.core.instants import SECOND, seconds_to_micros
from upsim.core.job_spec import JobSpec, failure_of, terms
from upsim.core.knobs_and_dialects import rules
from upsim.core.media import Media
from upsim.providers.vicsee import wire
from upsim.scenario.loader import Library

EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/vicsee/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
BASELINE: Baseline = Library().baseline("vicsee").baseline
RULES = rules(BASELINE, "guide", {})


def video(seconds: str = "8.5", size: str = "854x480", *, audio: bool = True) -> Media:
    """Return a measured MP4 at 30 frames a second."""
    width, height = map(int, size.split("x"))
    duration = seconds_to_micros(seconds)
    return Media(
        duration=duration,
        frame_rate=Fraction(30),
        width=width,
        height=height,
        frames=max(1, duration * 30 // SECOND),
        container="mp4",
        audio=audio,
        size=1_000_000,
    )


def offered(media: Media, factor: str = "2") -> JobSpec:
    """Return the terms on which the baseline's only model takes a video."""
    model = BASELINE.models[PUBLISHED["model"]]
    return terms(
        model,
        media=media,
        options={"upscale_factor": factor},
        steps=model.lifecycle.phases,
        pace=Decimal(1),
        failures={name: failure_of(rule) for name, rule in RULES.failures.items()},
    )


@pytest.mark.parametrize("row", PUBLISHED["worked"], ids=lambda row: row["published"])
def test_the_documented_price_examples(row: dict[str, Any]) -> None:
    """The two worked examples of VicSee's page give the printed prices."""
    quote = offered(video(row["seconds"]), row["upscale_factor"]).quote

    assert (row["billed"], row["rate"], row["credits"]) == (
        quote.quantity,
        quote.rate,
        quote.amount,
    )


@pytest.mark.parametrize("factor", ["1", "2", "4"])
@pytest.mark.parametrize("row", PUBLISHED["boundaries"], ids=lambda row: row["seconds"])
def test_seconds_are_rounded_up(row: dict[str, Any], factor: str) -> None:
    """VicSee credits are the exact duration times the rate of the factor, rounded up."""
    quote = offered(video(row["seconds"]), factor).quote

    assert row["billed"] == quote.quantity
    assert (28 if factor == "4" else 16) * row["billed"] == quote.amount


@pytest.mark.parametrize("row", PUBLISHED["boundaries"], ids=lambda row: row["seconds"])
def test_the_accepted_lengths(row: dict[str, Any]) -> None:
    """VicSee's baseline accepts at most sixty seconds, inclusive."""
    fits = video(row["seconds"]).seconds <= RULES.limits["max_seconds"]

    assert (row["low"] is not None) is fits


@pytest.mark.parametrize("row", PUBLISHED["boundaries"], ids=lambda row: row["seconds"])
def test_the_shown_duration_confirms_the_price(row: dict[str, Any]) -> None:
    """VicSee shows the exact duration; rounded up, it is the billed duration."""
    assert row["shown"] == wire.seconds_text(video(row["seconds"]))


@pytest.mark.parametrize("row", PUBLISHED["rates"], ids=lambda row: row["upscale_factor"])
def test_the_price_table(row: dict[str, Any]) -> None:
    """Each VicSee factor costs its documented credits and, converted, its documented dollars."""
    rate = offered(video(), row["upscale_factor"]).quote.rate
    usd = {plan: rate * Decimal(price) for plan, price in PUBLISHED["credit_usd"].items()}

    assert row["credits"] == rate
    assert (Decimal(row["pro_yearly"]), Decimal(row["pro_monthly"])) == (
        usd["pro_yearly"],
        usd["pro_monthly"],
    )


@pytest.mark.parametrize("row", PUBLISHED["sizes"], ids=lambda row: row["output"])
def test_output_sizes(row: dict[str, Any]) -> None:
    """Both sides of a VicSee output are the input's sides times the factor."""
    output = offered(video(size=row["input"]), row["upscale_factor"]).output

    assert output is not None
    assert row["output"] == f"{output.width}x{output.height}"


@pytest.mark.parametrize("audio", [True, False])
def test_audio_is_kept(*, audio: bool) -> None:
    """A VicSee output has audio if the input has it."""
    output = offered(video(audio=audio)).output

    assert output is not None
    assert audio is output.audio


@pytest.mark.parametrize("seconds", ["0.2", "8.5", "30", "60"])
def test_processing_takes_the_documented_time(seconds: str) -> None:
    """A VicSee task takes 60 to 120 seconds, and more for a longer video."""
    lasts = Decimal(sum(phase.lasts or 0 for phase in offered(video(seconds)).phases)) / SECOND

    assert 60 + Decimal(seconds) == lasts
    assert PUBLISHED["processing"]["at_least"] <= lasts <= PUBLISHED["processing"]["at_most"]


def test_the_formula_is_written_out() -> None:
    """A VicSee price has the formula of the documented sample as text."""
    assert offered(video()).quote.formula == "9 seconds × 16 = 144 credits"
