"""Tests of `client` and `world` run for all models and all eight ways to a simulator.

A way is sync or async, in process or over a socket, in the guide's dialect or the live one. The
short suite runs each model in two ways that together have every choice; the rest runs at night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.client_targets import (
    EIGHT_WAYS,
    MODELS,
    SHORT,
    Hand,
    Way,
    World,
    clip,
    hand,
    in_process,
    over_socket,
)
from tests.e2e.conftest import Server, running

Open = Callable[..., Hand]


@pytest.fixture(scope="session")
def client_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server of the client tests, whose sandboxes each have a clock of their own."""
    with running(tmp_path_factory.mktemp("client-server"), "--clock", "auto") as started:
        yield started


CASES = [
    pytest.param(
        (model, way),
        id="-".join((model.replace("/", "-"), *way)),
        marks=() if (model, way) in SHORT else pytest.mark.nightly,
    )
    for model in MODELS
    for way in EIGHT_WAYS
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, Way]:
    """Return each model with each of its ways; most of them at night only."""
    found: tuple[str, Way] = request.param
    return found


@pytest.fixture
def model(case: tuple[str, Way]) -> str:
    """Return the model of the case."""
    return case[0]


@pytest.fixture
def way(case: tuple[str, Way]) -> Way:
    """Return the way of the case: sync or async, in process or by socket, either dialect."""
    return case[1]


@pytest.fixture
def world(model: str, way: Way, request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a sandbox with a manual clock, one for each way."""
    _, where, dialect = way
    with ExitStack() as stack:
        if where == "process":
            yield in_process(stack, model, dialect=dialect)
        else:
            server: Server = request.getfixturevalue("client_server")
            yield over_socket(stack, model, server, dialect=dialect)


@pytest.fixture
def start(world: World, way: Way) -> Open:
    """Return a function that connects a client with these settings."""
    return lambda **settings: hand(world, kind=way[0], **settings)


@pytest.fixture
def client(start: Open) -> Hand:
    """Return a client as it is."""
    return start()


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a clip of four seconds, 640x360 at 30 fps."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(clip())
    return path
