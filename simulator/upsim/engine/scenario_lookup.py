"""Find the scenario of each provider in a sandbox, whose own scenario belongs to one of them."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from upsim.scenario.loader import Library
from upsim.scenario.model import Scenario


class ScenarioLookup(msgspec.Struct, frozen=True):
    """The scenario of each provider in a sandbox: the chosen scenario, or the baseline."""

    library: Library
    main: Scenario | None

    def __call__(self, provider: str) -> Scenario:
        """Return the scenario that applies to a provider."""
        main = self.main
        if main is None:
            return self.library.baseline(provider)
        if main.baseline.provider == provider:
            return main
        baseline = self.library.baseline(provider)
        return replace(baseline, accounts=main.accounts) if main.accounts else baseline
