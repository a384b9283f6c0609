"""Official clients, unmodified and with their default hosts, under interception."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import upsim

if TYPE_CHECKING:
    from tests.e2e.clients.conftest import Client

pytestmark = [
    pytest.mark.timeout(600),  # the first run installs the client
    pytest.mark.xdist_group("clients"),
]

OWN = [str(Path(upsim.__file__).parents[1]), *(p for p in sys.path if p.endswith("site-packages"))]
"""Where the simulator is, and what it needs."""


def run(client: Client, provider: str, dialect: str | None) -> object:
    """Run the client of a provider in its own environment, with the simulator added at the end."""
    request = {"provider": provider, "dialect": dialect, "path": OWN}
    return client.run("intercepted.py", request)


def test_wavespeed(client: Callable[[str], Client]) -> None:
    """The client of WaveSpeed uploads, runs a model and gets an output, all at its own host."""
    answer = run(client("wavespeed-2.0.5"), "wavespeed", None)

    host = "api.wavespeed.ai"
    assert {"host": host, "polled": host, "output": "ftyp", "charges": ["0.12"]} == answer


def test_venice(client: Callable[[str], Client]) -> None:
    """The client `venice-py` queues, waits, saves and completes, all at its own host."""
    answer = run(client("venice-py-2.9.0"), "venice", None)

    expected = {"status": "COMPLETED", "output": "ftyp", "completed": True, "charges": ["0.026"]}
    assert expected == answer
