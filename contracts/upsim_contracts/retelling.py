"""Tells a cassette as a scenario."""

from __future__ import annotations

from dataclasses import dataclass

from upsim_contracts.cassettes import Cassette
from upsim_contracts.target import Target
from upsim_contracts.tolls import Tolls


@dataclass(frozen=True, slots=True)
class Told:
    """A scenario, and what it does not repeat."""

    text: str
    differences: tuple[str, ...]
    replayed: int


def retell(cassette: Cassette, tolls: Tolls, target: Target) -> Told:
    """A scenario in which the cassette's requests have the same statuses and amounts."""
    raise NotImplementedError
