"""Times in scenario files: with their unit, or as seconds that are quoted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from upsim.app import Simulator
from upsim.core.baseline import Baseline
from upsim.core.instants import SECOND
from upsim.scenario.durations import micros_of, seconds_of
from upsim.scenario.loader import Library, ScenarioError
from upsim.scenario.model import Scenario

Load = Callable[[str], Scenario]
MODEL = "models: {runwayml/upscale-v1: {lifecycle: {phases: [{state: processing, "
EVIDENCE = "evidence: {grade: assumed, source: a test}"
HOUR = 3600


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a scenario which extends WaveSpeed's baseline."""

    def write(text: str) -> Scenario:
        path = tmp_path / "a.yaml"
        path.write_text(f"extends: wavespeed/baseline\n{text}\n", "utf-8")
        return Library().load(str(path))

    return write


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("refund: {after: 1h}", lambda b: b.refund.after, HOUR),
        ("refund: {after: '3600'}", lambda b: b.refund.after, HOUR),
        ("refund: {after: 250ms}", lambda b: b.refund.after, Decimal("0.25")),
        ("retention: {outputs: {value: 24h}}", lambda b: b.retention["outputs"].value, "86400"),
        ("retention: {outputs: {value: '5'}}", lambda b: b.retention["outputs"].value, "5"),
        ("retention: {outputs: {value: null}}", lambda b: b.retention["outputs"].value, None),
        (
            "webhooks: {pauses: {value: [5s, '2', 1m]}}",
            lambda b: b.webhooks and b.webhooks.pauses,
            (5 * SECOND, 2 * SECOND, 60 * SECOND),
        ),
        (
            "webhooks: {timeout: {value: 500ms}}",
            lambda b: b.webhooks and b.webhooks.timeout,
            SECOND // 2,
        ),
        (
            f"polling: {{every: 1.5s, most: 1m, {EVIDENCE}}}",
            lambda b: b.polling and (b.polling.every, b.polling.most),
            (3 * SECOND // 2, 60 * SECOND),
        ),
        ("default_media: {duration: 1m}", lambda b: b.default_media.duration, 60 * SECOND),
        (
            f"{MODEL}base: 2m, per_second: 250ms, at_most: 1h}}, {{state: completed}}]}}}}}}",
            lambda b: [
                (d.base, d.per_second, d.at_most)
                for phase in b.models["runwayml/upscale-v1"].lifecycle.phases
                if (d := phase.duration)
            ],
            [(120, Decimal("0.25"), HOUR)],
        ),
    ],
)
def test_a_time_with_its_unit(
    load: Load, text: str, read: Callable[[Baseline], object], expected: object
) -> None:
    """Every time in a scenario accepts a unit; a number without a unit is in seconds."""
    assert expected == read(load(text).baseline)


@pytest.mark.parametrize("duration", ["1m", "60", "60s", "60.0"])
def test_the_duration_of_a_video(load: Load, duration: str) -> None:
    """The duration of a video is given in seconds or with a unit."""
    (found,) = load(f"media: [{{url: x, duration: {duration}}}]").media

    assert 60 * SECOND == getattr(found.found, "duration", None)


def test_an_invalid_time_gets_the_form(load: Load) -> None:
    """The error for an invalid time names the units, and says that a number is in seconds."""
    with pytest.raises(ScenarioError) as caught:
        load("refund: {after: soon}\nretention: {jobs: {value: soon}}")

    form = "A time with its unit, such as 250ms, 90s, 10m, 3h or 2d, or a number of seconds"
    assert form in str(caught.value)
    assert "'soon' must be a number of seconds, a duration such as 24h, or null" in str(
        caught.value
    )


def test_a_refund_an_hour_later(tmp_path: Path) -> None:
    """A refund with a delay of `1h` comes exactly one hour later."""
    path = tmp_path / "a.yaml"
    text = "extends: vicsee/fails-and-refunds\nrefund: {after: 1h}\n"
    path.write_text(text, "utf-8")
    with Simulator(scenario=str(path), clock="manual") as sim:
        assert HOUR * SECOND == sim.sandbox.bound("vicsee").ending.refund_after


def test_how_times_are_read() -> None:
    """A time with a unit is exact to the microsecond; without a unit it is a number."""
    assert [1_500_000, 172_800 * SECOND, None] == [micros_of(t) for t in ("1.5s", "2d", "5")]
    assert [150, 5400, Decimal("86460.25")] == [
        seconds_of(text) for text in ("2m30s", "1h30m", "1d1m250ms")
    ]
    assert [None] * 6 == [micros_of(t) for t in ("30s2m", "1m1m", "", "2m30", "2m 30s", "2ms30s")]
    assert [Decimal("0.0005"), 600, 7] == [seconds_of(value) for value in ("0.5ms", "10m", 7)]
