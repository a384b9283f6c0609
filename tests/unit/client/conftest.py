"""Playing an adapter by hand: its requests are noted, its answers are given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from upsim.client.adapter import ProviderResponse, Request, Steps


def answer(status: int, body: object) -> ProviderResponse:
    """Return an answer with this JSON, or with this text."""
    text = body if isinstance(body, str) else json.dumps(body)
    return ProviderResponse(status, text.encode())


@dataclass(slots=True)
class Played:
    """What an adapter asked, and what it made of the answers."""

    requests: list[Request] = field(default_factory=list)
    result: Any = None


Play = Callable[..., Played]


@pytest.fixture
def play() -> Play:
    """Return a function that runs steps with these answers: (status, body), or ready ones."""

    def run(steps: Steps[Any], *answers: tuple[int, object] | ProviderResponse) -> Played:
        played = Played()
        left: Iterator[tuple[int, object] | ProviderResponse] = iter(answers)
        try:
            played.requests.append(next(steps))
            while True:
                given = next(left)
                ready = given if isinstance(given, ProviderResponse) else answer(*given)
                played.requests.append(steps.send(ready))
        except StopIteration as stop:
            played.result = stop.value
        return played

    return run
