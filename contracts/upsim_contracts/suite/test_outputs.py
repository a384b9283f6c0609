"""What a finished job gives: a file whose size, rate, length and sound follow from the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest

from upsim_contracts.clips import Clip
from upsim_contracts.generation import Submit
from upsim_contracts.looking import look_into
from upsim_contracts.suite.exploring import SUBMITS, Explore
from upsim_contracts.suite.strategies.bodies import options
from upsim_contracts.suite.strategies.clips import clips

Options = Mapping[str, Any]
MOST_PIXELS = 4_000_000
SECONDS_OFF = Decimal("0.05")
"""Sound may last a little longer than pictures."""


@pytest.mark.parametrize("submit", SUBMITS)
def test_output_follows_the_input(explore: Explore, submit: Submit) -> None:
    """The output has the promised size, and the rate, pictures, length and sound of the input."""
    explorer = explore(submit)
    explorer.need_controls("the job has to end at once")

    def prove(clip: Clip, chosen: Options) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, chosen)
            content = account.world.http.get(account.link(account.finish(job))).content
        found = look_into(content)
        wanted = {**submit.defaults, **chosen}
        width, height = size_of_output(submit, clip, wanted)
        audio = submit.output.audio_by
        assert found | {"seconds": None} == {
            "width": width,
            "height": height,
            "fps": f"{clip.fps}",
            "seconds": None,
            "frames": clip.frames,
            "container": "mp4",
            "audio": clip.audio and (audio is None or wanted[audio]),
        }
        assert abs(Decimal(str(found["seconds"])) - clip.seconds) <= SECONDS_OFF

    table = submit.clips
    short = replace(table, sizes=table.sizes[:2], near={})
    if not short.frames:
        short = replace(short, seconds=["0.5", "6"])
    explorer.explore(
        prove,
        clip=clips(short),
        chosen=options(submit).filter(lambda chosen: _small_enough(submit, chosen)),
    )


def size_of_output(submit: Submit, clip: Clip, options: Options) -> tuple[int, int]:
    """Width and height that the provider promises for a clip."""
    rule = submit.output
    times = rule.times
    if rule.times_by is not None:
        times = int(options[rule.times_by])
    if times is not None:
        return clip.width * times, clip.height * times
    side = rule.short_side
    if rule.short_side_by is not None:
        side = rule.table[options[rule.short_side_by]]
    assert side is not None
    short = min(clip.width, clip.height)
    if short >= side:
        return clip.width, clip.height
    return _scaled(clip.width, side, short), _scaled(clip.height, side, short)


def _scaled(length: int, side: int, short: int) -> int:
    """The short side becomes what is promised, the other one the nearest even number."""
    if length == short:
        return side
    half = Fraction(length * side, short) / 2
    rounded = (Decimal(half.numerator) / half.denominator).to_integral_value(ROUND_HALF_UP)
    return int(rounded) * 2


def _small_enough(submit: Submit, chosen: Options) -> bool:
    """Whether the output takes no long time to make."""
    clip = Clip(320, 240, Fraction(10), Decimal(1))
    width, height = size_of_output(submit, clip, {**submit.defaults, **chosen})
    return width * height <= MOST_PIXELS or not submit.options
