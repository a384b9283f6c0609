"""The options with which a sandbox is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from upsim.engine.clock import Clock
from upsim.engine.command_log import CommandLog
from upsim.engine.timeline import Timeline
from upsim.scenario.model import Scenario

MAIN = "main"
"""The owner of the first keys of a sandbox."""


class SandboxRequest(msgspec.Struct, frozen=True):
    """The options of `POST /__sim/sandboxes`; None means the server's setting."""

    id: str | None = None
    scenario: str | Scenario | None = None
    seed: int | None = None
    clock: str | None = None
    start: int | None = None
    pace: int | None = None
    dialects: Mapping[str, str] = msgspec.field(default_factory=dict)
    knobs: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)
    balances: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    keys: Mapping[str, str] = msgspec.field(default_factory=dict)
    strict_keys: bool | None = None
    render: str | None = None
    ttl: float | None = None
    webhook_timestamp: str | None = None
    owners: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The owner of the first key of each provider, if another one than `MAIN`."""
    sent: int = 0
    """Bytes of the scenario, where it came as a document."""


class Recorded(msgspec.Struct, frozen=True):
    """The recorded parts of a sandbox that is replayed."""

    clock: Clock
    commands: Callable[[Timeline], CommandLog]
