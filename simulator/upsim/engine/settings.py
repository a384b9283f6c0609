"""The settings of a server, and those of a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec


class ServerSettings(msgspec.Struct, frozen=True):
    """The options of `upsim serve` and of the in-process simulator.

    * `hosts`: the `host:port` forms of the server.
    * `loopback`: the server is bound to loopback only. Then local clients need no token for
      the admin API. Requests for other hosts are refused, except for `hosts`, the providers'
      own hosts, the host of `public_url`, and `allow_hosts`.
    * `webhook_allow`: the hosts, besides loopback, to which webhooks may go.
      `webhook_seconds`: the real time to wait for a receiver, by default the provider's
      limit.
    * `scenario`: a name, a path, or an inline document.
    * `commands_max`, `commands_bytes`: the limits of the command log of each sandbox.
    * `hold_seconds`: the maximum real time for which a `manual` clock holds a request.
    """

    hosts: tuple[str, ...] = ()
    loopback: bool = True
    scenario: str | Mapping[str, object] | None = None
    clock: str = "real"
    pace: int = 30
    seed: int = 0
    start: int | None = None
    admin_token: str = ""
    public_url: str | None = None
    fetch: bool = False
    strict_keys: bool = False
    dialect: str | None = None
    render: str = "synthetic"
    journal_max: int = 1_000
    jobs_max: int = 100_000
    commands_max: int = 10_000
    commands_bytes: int = 32 * 1024 * 1024
    sandboxes_max: int = 10_000
    ttl: float = 86_400.0
    store_bytes: int = 2 * 1024**3
    in_process: bool = False
    hold_seconds: float = 30.0
    allow_hosts: tuple[str, ...] = ()
    webhook_allow: tuple[str, ...] = ()
    webhook_timestamp: str = "wall"
    webhook_seconds: float | None = None


class SandboxSettings(msgspec.Struct, frozen=True):
    """The settings of a sandbox besides its scenario."""

    dialects: Mapping[str, str]
    knobs: Mapping[str, Mapping[str, str]]
    balances: Mapping[str, Decimal]
    strict_keys: bool = False
    default_dialect: str | None = None
    render: str | None = None
    jobs_max: int = 100_000
    journal_max: int = 1_000
    ttl: float | None = None
    webhook_timestamp: str = "wall"
    commands_max: int = 10_000
    commands_bytes: int = 32 * 1024 * 1024
