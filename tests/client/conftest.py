"""Every client test runs for all models, sync and async, in process and over a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.worlds import MODELS, Hand, World, clip, hand, in_process, over_socket
from tests.e2e.conftest import Server, running

Open = Callable[..., Hand]
WAYS = [
    pytest.param((kind, where, dialect), id=f"{kind}-{where}-{dialect}")
    for kind, where, dialect in (
        ("sync", "process", "guide"),
        ("async", "process", "live"),
        ("sync", "socket", "live"),
        ("async", "socket", "guide"),
    )
]


@pytest.fixture(scope="session")
def client_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server of the client tests, whose sandboxes each have a clock of their own."""
    with running(tmp_path_factory.mktemp("client-server"), "--clock", "auto") as started:
        yield started


@pytest.fixture(params=MODELS, ids=lambda model: str(model).replace("/", "-"))
def model(request: pytest.FixtureRequest) -> str:
    """Return each of the models."""
    return str(request.param)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Return each way to a simulator: sync or async, in process or by socket, either dialect."""
    found: tuple[str, str, str] = request.param
    return found


@pytest.fixture
def world(model: str, way: tuple[str, str, str], request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a sandbox whose clock moves when told, one for each way."""
    _, where, dialect = way
    with ExitStack() as stack:
        if where == "process":
            yield in_process(stack, model, dialect=dialect)
        else:
            server: Server = request.getfixturevalue("client_server")
            yield over_socket(stack, model, server, dialect=dialect)


@pytest.fixture
def start(world: World, way: tuple[str, str, str]) -> Open:
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
