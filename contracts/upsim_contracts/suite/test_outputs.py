"""Properties of an output: its size, rate, duration and audio follow from the input."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.suite.expected_output_size import size_of_output
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.property_runs import SUBMITS, Explore
from upsim_contracts.suite.strategies.bodies import Options, options
from upsim_contracts.suite.strategies.clips import clips, short
from upsim_contracts.video_probe import probe_video

MAX_PIXELS = 4_000_000
SECONDS_OFF = Decimal("0.05")
"""Seconds by which the audio may be longer than the frames."""
LOOSE = ("mkv", "webm")
"""Containers that keep whole milliseconds, so that they give a frame rate only roughly."""


@pytest.mark.parametrize("submit", SUBMITS)
def test_output_follows_the_input(explore: Explore, submit: Submit) -> None:
    """The output has the promised size, and the rate, frames, duration and audio of the input."""
    explorer = explore(submit)
    explorer.need_controls("the job has to end at once")

    def prove(clip: ClipProperties, chosen: Options) -> None:
        with explorer.account() as account:
            job = account.accepted(submit, clip, chosen)
            content = account.world.http.get(account.link(account.finish(job))).content
        found = probe_video(content)
        wanted = {**submit.defaults, **chosen}
        width, height = size_of_output(submit, clip, wanted)
        audio = submit.output.audio_by
        rate, seconds = Fraction(str(found.pop("fps"))), Decimal(str(found.pop("seconds")))
        assert found == {
            "width": width,
            "height": height,
            "frames": clip.frames,
            "container": "mp4",
            "audio": clip.audio and (audio is None or wanted[audio]),
        }
        assert abs(rate - clip.fps) <= (clip.fps / 1000 if clip.container in LOOSE else 0)
        assert abs(seconds - clip.seconds) <= SECONDS_OFF

    explorer.explore(
        prove,
        clip=clips(short(submit.clips)),
        chosen=options(submit).filter(lambda chosen: _small_enough(submit, chosen)),
    )


def _small_enough(submit: Submit, chosen: Options) -> bool:
    """Return whether the output is small enough to be made quickly."""
    clip = ClipProperties(320, 240, Fraction(10), Decimal(1))
    width, height = size_of_output(submit, clip, {**submit.defaults, **chosen})
    return width * height <= MAX_PIXELS or not submit.options
