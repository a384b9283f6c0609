"""Each provider's adapter against the simulator: what it hands in is billed, done and served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction

import httpx
import pytest

from upsim import Simulator
from upsim.client.adapter import File, Order, Progress, Submitted
from upsim.client.discovery import adapter, providers
from upsim.client.exceptions import RefusedError
from upsim.client.session import Session
from upsim.core.media import Media
from upsim.media.clip import parse_clip_name
from upsim.media.probe import measure_file
from upsim.media.synthetic import make_clip
from upsim.scenario.loader import Library

CLIP = "640x360_30fps_4s.mp4"
KEY = "sk-of-the-tests"
LIBRARY = Library()
MODELS = [
    pytest.param(provider, model, id=f"{provider}-{model.rpartition('/')[2]}")
    for provider in providers()
    for model in LIBRARY.baseline(provider).baseline.models
]
EXPECTED = {
    "wavespeed-ai/video-upscaler": ("0.025", "USD", (1920, 1080)),
    "runwayml/upscale-v1": ("0.10", "USD", (3840, 2160)),
    "Qubico/video-toolkit": ("360000", "point", (1280, 720)),
    "venice/topaz-video-upscale": ("0.052", "USD", (1280, 720)),
    "vicsee/topaz-video-upscale": ("64", "credit", (1280, 720)),
}
"""By the published prices: 5 s at least at 0.025 and at 0.02 a second, 120 frames at 0.0003 (ten
million points a dollar), 4 s at 0.013, 4 s at 16 credits."""


def expected(provider: str, model: str) -> tuple[Decimal, str, tuple[int, int]]:
    """Return price, unit and output size of the clip by a model with its defaults."""
    found = EXPECTED.get(model) or EXPECTED[f"{provider}/{model}"]
    return Decimal(found[0]), found[1], found[2]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Return a simulator whose clock jumps from poll to poll."""
    with Simulator(clock="auto", seed=1) as simulator:
        yield simulator


@pytest.fixture
def session(sim: Simulator) -> Callable[[str], Session]:
    """Return a function that opens a session with a provider."""

    def start(provider: str) -> Session:
        http = httpx.Client(transport=sim.transport())
        base_url = sim.base_url(provider)
        return Session(adapter(provider), http=http, base_url=base_url, key=KEY)

    return start


def clip_file(name: str = CLIP) -> File:
    """Return a clip as a file to be handed in."""
    return File("input.mp4", "video/mp4", make_clip(parse_clip_name(name)))


def submitted(session: Session, model: str) -> Submitted:
    """Hand in the clip and submit it with no option set."""
    return session.submit(Order(model, session.upload(clip_file())))


def finished(session: Session, job: Submitted) -> Progress:
    """Poll a job until it has ended."""
    for _ in range(10):
        progress = session.poll(job)
        if progress.ended:
            return progress
    pytest.fail(f"{job} has not ended after ten polls")


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_price(session: Callable[[str], Session], provider: str, model: str) -> None:
    """The price that a client is told is the published one, in the provider's unit."""
    price = submitted(session(provider), model).price

    assert price is not None
    assert (price.amount, price.unit) == expected(provider, model)[:2]


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_output(
    sim: Simulator, session: Callable[[str], Session], provider: str, model: str
) -> None:
    """The finished file has the promised size and the input's frames, rate, length and audio."""
    opened = session(provider)
    progress = finished(opened, submitted(opened, model))
    content = httpx.Client(transport=sim.transport()).get(progress.output or "").content

    found = measure_file(content)
    width, height = expected(provider, model)[2]
    assert found == Media(4_000_000, Fraction(30), width, height, 120, "mp4", True, len(content))  # noqa: FBT003


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_states(session: Callable[[str], Session], provider: str, model: str) -> None:
    """A job waits or works at first, and the last thing that a client sees is its completion."""
    opened = session(provider)
    job = submitted(opened, model)

    assert (opened.poll(job).state, finished(opened, job).state) in {
        ("waiting", "completed"),
        ("processing", "completed"),
    }


@pytest.mark.parametrize("provider", providers())
def test_options_are_understood(session: Callable[[str], Session], provider: str) -> None:
    """Every option with its default, written as in the provider's documentation, is accepted."""
    opened = session(provider)
    (model, *_) = LIBRARY.baseline(provider).baseline.models.values()
    options = {option.name: option.default for option in model.options.values()}

    assert opened.submit(Order(model.id, opened.upload(clip_file()), options)).job


@pytest.mark.parametrize("provider", providers())
def test_unknown_job_is_a_refusal(session: Callable[[str], Session], provider: str) -> None:
    """Polling an id that does not exist raises the provider's own refusal, with a message."""
    with pytest.raises(RefusedError) as refused:
        session(provider).poll(Submitted("task_0", "any"))

    assert refused.value.status in range(400, 405)
    assert refused.value.message


def refusal_of(session: Session, model: str, file: File) -> str | None:
    """Return what a provider says against a file: at upload, at submit, or when the job fails."""
    try:
        job = session.submit(Order(model, session.upload(file)))
    except RefusedError as refused:
        return refused.message
    return finished(session, job).error


@pytest.mark.parametrize("provider", providers())
def test_no_video_is_a_refusal(session: Callable[[str], Session], provider: str) -> None:
    """A text handed in as a video is refused in the provider's own words, sooner or later."""
    (model, *_) = LIBRARY.baseline(provider).baseline.models

    assert refusal_of(session(provider), model, File("a.mp4", "video/mp4", b"no video"))
