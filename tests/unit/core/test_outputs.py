"""The file that a job produces: its size, its timing, and whether it has audio."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.core.conftest import SCALE, WHY, video
from upsim.core.events import OutputPlan
from upsim.core.outputs import OutputRule, OutputTiming, output_plan, output_size, output_timing

SIDES = st.integers(1, 8192)
TARGETS = {"720p": 720, "1080p": 1080, "2k": 1440, "4k": 2160}
SHORT_SIDE = OutputRule("short_side", "target", TARGETS, "keep", WHY)


@given(SIDES, SIDES, st.sampled_from(["1", "2", "4"]))
def test_scaling_multiplies_both_sides(width: int, height: int, factor: str) -> None:
    """Both sides of the output are the input's sides multiplied by the factor."""
    found = output_size(SCALE, video(width=width, height=height), {"factor": factor})

    assert (width * int(factor), height * int(factor)) == found


def test_a_single_factor() -> None:
    """A rule without an option has one factor for all."""
    rule = OutputRule("scale", None, {"": 2}, "keep", WHY)

    assert output_size(rule, video(), {}) == (1708, 960)


@given(SIDES, SIDES, st.sampled_from(sorted(TARGETS)))
def test_the_short_side_reaches_the_target(width: int, height: int, target: str) -> None:
    """The short side becomes the target length, or stays if it is already longer."""
    found = output_size(SHORT_SIDE, video(width=width, height=height), {"target": target})

    assert max(min(width, height), TARGETS[target]) == min(found)


@given(SIDES, SIDES, st.sampled_from(sorted(TARGETS)))
def test_an_enlarged_output_is_even(width: int, height: int, target: str) -> None:
    """Both sides of an output that was enlarged are even."""
    found = output_size(SHORT_SIDE, video(width=width, height=height), {"target": target})

    assert found == (width, height) or [side % 2 for side in found] == [0, 0]


@given(SIDES, SIDES, st.sampled_from(sorted(TARGETS)))
def test_the_aspect_is_kept(width: int, height: int, target: str) -> None:
    """The long side keeps the aspect ratio, within one pixel of rounding."""
    found = output_size(SHORT_SIDE, video(width=width, height=height), {"target": target})

    exact = Fraction(max(width, height) * min(found), min(width, height))
    assert abs(max(found) - exact) <= 1


@given(SIDES, SIDES, st.sampled_from(sorted(TARGETS)))
def test_portrait_is_landscape_on_its_side(width: int, height: int, target: str) -> None:
    """If width and height of the input are swapped, those of the output are swapped too."""
    wide = output_size(SHORT_SIDE, video(width=width, height=height), {"target": target})
    tall = output_size(SHORT_SIDE, video(width=height, height=width), {"target": target})

    assert wide == tall[::-1]


@pytest.mark.parametrize(
    ("size", "target", "output"),
    [
        ((640, 360), "1080p", (1920, 1080)),
        ((360, 640), "1080p", (1080, 1920)),
        ((480, 480), "720p", (720, 720)),
        ((854, 480), "720p", (1282, 720)),
        ((853, 480), "720p", (1280, 720)),
        ((1920, 1080), "720p", (1920, 1080)),
        ((1281, 720), "720p", (1282, 720)),
    ],
)
def test_sizes(size: tuple[int, int], target: str, output: tuple[int, int]) -> None:
    """Sample sizes are correct; a value halfway between two even numbers is rounded up."""
    width, height = size

    assert output == output_size(SHORT_SIDE, video(width=width, height=height), {"target": target})


@pytest.mark.parametrize(
    ("rule", "option", "source", "output"),
    [
        ("keep", "", True, True),
        ("keep", "", False, False),
        ("drop", "", True, False),
        ("copy_audio", "true", True, True),
        ("copy_audio", "true", False, False),
        ("copy_audio", "false", True, False),
    ],
)
def test_sound(rule: str, option: str, *, source: bool, output: bool) -> None:
    """Audio is kept, dropped or set by an option; a silent input stays silent."""
    options = {"factor": "2", "copy_audio": option}

    found = output_plan(replace(SCALE, audio=rule), replace(video(), audio=source), options)

    assert found == OutputPlan(1708, 960, audio=output)


def test_output_has_the_timing_of_its_input() -> None:
    """The output has the duration, frame rate and frames of its input."""
    media = replace(video("2"), frame_rate=Fraction(30), frames=60)

    assert output_timing(media) == OutputTiming(2_000_000, Fraction(30), 60)


def test_too_many_frames_raise_the_frame_rate_of_an_output() -> None:
    """If the frames exceed the duration at the input's rate, they are spread over the duration."""
    media = replace(video("2"), frame_rate=Fraction(30), frames=90)

    assert output_timing(media).frame_rate == 45
