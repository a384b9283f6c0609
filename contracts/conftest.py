"""What the contract suite runs against here: the simulator in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from upsim import Simulator
from upsim_contracts.suite.fuzzing import PROFILES, Profile


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses how long schemathesis looks."""
    parser.addoption(
        "--upsim-profile",
        choices=list(PROFILES),
        default="ci",
        help="how long schemathesis looks: ci (the same cases each time) or nightly (others)",
    )


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> Profile:
    """Return the profile that the command line chose."""
    return PROFILES[request.config.getoption("--upsim-profile")]


@pytest.fixture
def application() -> Iterator[Any]:
    """Return an ASGI application that knows issued keys only and makes sandboxes."""
    with Simulator(clock="auto", strict_keys=True) as simulator:
        yield simulator.app
