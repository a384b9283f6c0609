"""The state of one process of a pytest run, and the cost of its requests."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from upsim.client.server_urls import base_url_flaw
from upsim.testing.host_blocker import HostBlocker
from upsim.testing.running_server import at_running_server, origin_of

if TYPE_CHECKING:
    from upsim.testing.run_costs import Costs
    from upsim.testing.simulator_session import PytestSession

TARGETS = ("sim", "socket", "live")
TOKEN = "UPSIM_ADMIN_TOKEN"  # noqa: S105 - the name of a variable


class PytestRun:
    """The state of one process: options, host blocker, and a session once a test needs it."""

    def __init__(self, config: pytest.Config, protocol: Callable[[], Any]) -> None:
        """Read the options; `protocol` returns the server protocol. Raises pytest.UsageError."""
        self.config = config
        self._protocol = protocol
        try:
            asked = config.getoption("upsim_target")
            self.target, self._origin = at_running_server(asked), origin_of(asked)
        except ValueError as error:
            raise pytest.UsageError(f"--upsim-target=server: {error}") from error
        self.seed: int = config.getoption("upsim_seed")
        self.guard = HostBlocker()
        self.cap: str | None = config.getoption("upsim_cap")
        self.gathered: list[dict[str, Any]] = []
        self.cards_wanted: bool = config.getoption("upsim_report_card")
        self.cards: list[tuple[str, list[str]]] = []
        self.live_costs: Costs | None = None
        self._session: PytestSession | None = None
        if self.target not in TARGETS and not re.match(r"https?://", self.target):
            allowed = "sim, socket, server, live or the URL of a server (http://…)"
            from upsim.core.url_flaws import scheme_flaw  # not at every start of a test run

            flaw = scheme_flaw(self.target) or f"it must be {allowed}"
            raise pytest.UsageError(f"--upsim-target={self.target}: {flaw}")
        flaw = "" if self.target in TARGETS else base_url_flaw(self.target)
        if flaw:
            raise pytest.UsageError(f"--upsim-target={self.target}: {flaw}")
        if self.cap is not None and not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,30})?", self.cap):
            allowed = "an amount such as 0.50"
            raise pytest.UsageError(f"--upsim-cap={self.cap}: it must be {allowed}")

    @property
    def session(self) -> PytestSession:
        """The session, started on first use."""
        if self._session is None:
            from upsim.testing.simulator_session import PytestSession

            token = os.environ.get(TOKEN, "")
            self._session = PytestSession(
                self.target,
                seed=self.seed,
                token=token,
                origin=self._origin,
                protocol=self._protocol,
            )
        return self._session

    @property
    def live(self) -> bool:
        """Return whether the tests call the real APIs."""
        return self.target == "live"

    def packed(self) -> dict[str, Any] | None:
        """Return the cost of this process alone, in a form that can be sent to another process."""
        if self._session is not None:
            return self._session.costs.packed()
        return None if self.live_costs is None else self.live_costs.packed()

    def pay(self, provider: str, amount: Any, unit: str) -> None:  # noqa: ANN401 - a Decimal
        """Add the cost of a live client."""
        from upsim.testing.run_costs import Costs

        self.live_costs = self.live_costs or Costs()
        self.live_costs.add({"sandboxes": 0, "amounts": [[provider, unit, str(amount)]]})

    def close(self) -> None:
        """End the session if it was started."""
        self.guard.stop()
        if self._session is not None:
            self._session.close()

    def costs(self) -> Costs | None:
        """Return the cost of this process and its workers; None if no request was sent."""
        packed = list(self.gathered)
        own = self.packed()
        packed += [own] if own else []
        if not packed:
            return None
        from upsim.testing.run_costs import Costs

        found = Costs()
        for part in packed:
            found.add(part)
        return found
