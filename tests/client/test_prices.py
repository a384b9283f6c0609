"""Local pricing: what the client computes from a file is what the simulator charges for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.client.client_targets import MODELS, World, clip, hand, in_process
from upsim.client import MediaRefusedError
from upsim.core.media import Media
from upsim.media.probe import measure_file

HEIGHTS = st.sampled_from([90, 180, 182, 270, 272, 360, 362, 540, 542, 720])
"""Around the lines of Venice's tiers for each factor, in even numbers."""
RATES = st.sampled_from([10, 24, 48, 49, 60])
FRAMES = st.one_of(st.integers(10, 30), st.sampled_from([47, 48, 49, 50, 51, 59, 60, 61, 239, 240]))
FACTORS = st.sampled_from([None, 1, 2, 4])


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, tuple[World, Any]]]:
    """Return a sandbox and a client for each model, for all examples."""
    with ExitStack() as stack:
        made = {model: in_process(stack, model) for model in MODELS}
        yield {model: (world, hand(world)) for model, world in made.items()}


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(height=HEIGHTS, rate=RATES, frames=FRAMES, factor=FACTORS)
@example(height=90, rate=10, frames=50, factor=2)  # exactly the five seconds of the minimum
@example(height=90, rate=10, frames=51, factor=2)  # a tenth above
@example(height=360, rate=48, frames=48, factor=2)  # the edges of tier and surcharge
@example(height=362, rate=49, frames=49, factor=2)
@example(height=90, rate=1, frames=60, factor=4)  # the longest that is taken by each
def test_quote_of_a_file_is_its_charge(
    worlds: dict[str, tuple[World, Any]],
    *,
    model: str,
    height: int,
    rate: int,
    frames: int,
    factor: int | None,
) -> None:
    """The client's own price of measured media equals the ledger's, near every edge."""
    world, client = worlds[model]
    seconds = Fraction(frames, rate)
    text = f"{Decimal(seconds.numerator) / Decimal(seconds.denominator):f}"
    if len(text) > 12:
        frames, text = rate, "1"
    content = clip(f"64x{height}_{rate}fps_{text}s_silent.mp4")
    media = measure_file(content)
    assert isinstance(media, Media)
    scales = client.client._logic.known.model.output.by == "upscale_factor"
    wishes = {"factor": factor} if scales and factor is not None else {}

    quoted = client.quote(media, **wishes)
    before = world.charged()
    try:
        job = client.submit(content, **wishes)
    except MediaRefusedError:
        return  # the frames of PiAPI and the seconds of VicSee have bounds of their own
    assert (quoted.by, world.charged() - before) == ("client", quoted.price.amount)
    assert (job.price, job.billed) == (quoted.price, quoted.billed)
