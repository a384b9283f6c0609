"""Tests of `client` and `world` run for all models and all eight ways to a simulator.

A way is sync or async, in process or over a socket, in the guide's dialect or the live one. What is
decided before anything is sent, and what takes longest (polls and downloads that go wrong, each
form of source), is marked `in_four_ways`: each two of the three choices still meet in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.worlds import (
    EIGHT_WAYS,
    MODELS,
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


@pytest.fixture(params=MODELS, ids=lambda model: str(model).replace("/", "-"))
def model(request: pytest.FixtureRequest) -> str:
    """Return each of the models."""
    return str(request.param)


@pytest.fixture(params=EIGHT_WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> Way:
    """Return each way to a simulator: sync or async, in process or by socket, either dialect."""
    found: Way = request.param
    return found


@pytest.fixture
def world(model: str, way: Way, request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a sandbox whose clock moves when told, one for each way."""
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
