"""What Venice charges and produces, against the published examples in `contracts/`."""

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
from upsim.scenario.loader import Library

EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/venice/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
BASELINE: Baseline = Library().baseline("venice").baseline


def offered(
    *, size: str = "854x480", fps: str = "30", factor: int = 2, seconds: str = "10"
) -> JobSpec:
    """Return the terms on which the baseline's only model takes a video."""
    width, height = map(int, size.split("x"))
    rate, duration = Fraction(fps), seconds_to_micros(seconds)
    media = Media(
        duration=duration,
        frame_rate=rate,
        width=width,
        height=height,
        frames=max(1, round(rate * duration / SECOND)),
        container="mp4",
        audio=True,
        size=1_000_000,
    )
    model = BASELINE.models[PUBLISHED["model"]]
    failures = rules(BASELINE, "guide", {}).failures
    return terms(
        model,
        media=media,
        options={"upscale_factor": str(factor), "audio": "true"},
        steps=model.lifecycle.phases,
        pace=Decimal(1),
        failures={name: failure_of(rule) for name, rule in failures.items()},
    )


@pytest.mark.parametrize("row", PUBLISHED["prices"], ids=lambda row: row["published"])
def test_the_documented_price_rows(row: dict[str, Any]) -> None:
    """The five documented sample rows of Venice's pricing table give the printed amounts."""
    found = offered(size=row["input"], fps=row["fps"], factor=row["factor"], seconds=row["seconds"])

    assert (Decimal(row["usd"]), "USD") == (found.quote.amount, found.quote.unit)
    assert row["tier"] == found.quote.tier


@pytest.mark.parametrize(
    "row", PUBLISHED["tiers"], ids=lambda row: f"{row['height']} x{row['factor']}"
)
@pytest.mark.parametrize("width", [2, 4096])
def test_the_output_height_alone_selects_the_tier(row: dict[str, Any], width: int) -> None:
    """The output height alone selects Venice's price tier; a limit belongs to the cheaper tier."""
    found = offered(size=f"{width}x{row['height']}", factor=row["factor"])

    assert found.output is not None
    assert (row["output"], row["tier"]) == (found.output.height, found.quote.tier)
    assert Decimal(row["usd"]) == found.quote.amount


@pytest.mark.parametrize("row", PUBLISHED["frame_rates"], ids=lambda row: row["fps"])
def test_rates_above_48_cost_double(row: dict[str, Any]) -> None:
    """A Venice video above 48 fps costs exactly twice as much; one at 48 fps does not."""
    assert Decimal(row["usd"]) == offered(fps=row["fps"]).quote.amount


@pytest.mark.parametrize(
    "row", PUBLISHED["durations"], ids=lambda row: f"{row['seconds']} {row['fps']}"
)
def test_seconds_are_not_rounded(row: dict[str, Any]) -> None:
    """Venice bills the exact duration, and rounds the amount half up to six decimals."""
    found = offered(size=row["input"], fps=row["fps"], factor=row["factor"], seconds=row["seconds"])

    assert Decimal(row["usd"]) == found.quote.amount


@pytest.mark.parametrize("row", PUBLISHED["sizes"], ids=lambda row: row["published"])
def test_both_sides_are_multiplied(row: dict[str, Any]) -> None:
    """Both sides of a Venice output are the input's sides times the factor."""
    found = offered(size=row["input"], factor=row["factor"]).output

    assert found is not None
    assert row["output"] == f"{found.width}x{found.height}"


@pytest.mark.parametrize(("factor", "seconds"), [(1, 50), (2, 100), (4, 200)])
def test_processing_time_grows_with_length_and_factor(factor: int, seconds: int) -> None:
    """Venice's processing time is a constant times the length times the factor."""
    phases = offered(factor=factor).phases

    assert seconds * SECOND == phases[0].lasts


@pytest.mark.parametrize(
    ("name", "seconds", "size", "fps", "usd"),
    [
        ("older-guide", "10", "640x360", "30", "0.125"),
        ("older-guide", "10", "854x480", "60", "0.50"),
        ("older-guide", "10", "854x480", "59", "0.25"),
        ("measured-prices", "10", "1280x720", "30", "1.2"),
        ("measured-prices", "10", "640x360", "30", "0.13"),
    ],
)
def test_other_prices_are_scenarios(name: str, seconds: str, size: str, fps: str, usd: str) -> None:
    """Scenarios have the prices of an older Venice guide and measured prices."""
    model = Library().load(f"venice/{name}").baseline.models[PUBLISHED["model"]]
    width, height = map(int, size.split("x"))
    media = Media(
        duration=seconds_to_micros(seconds),
        frame_rate=Fraction(fps),
        width=width,
        height=height,
        frames=1,
        container="mp4",
        audio=False,
        size=1,
    )
    found = terms(
        model,
        media=media,
        options={"upscale_factor": "2"},
        steps=model.lifecycle.phases,
        pace=Decimal(1),
        failures={},
    )

    assert Decimal(usd) == found.quote.amount
