"""The polling interval that a provider advises."""

from __future__ import annotations

import msgspec

from upsim.core.evidence import Evidence
from upsim.core.instants import Instant


class PollingAdvice(msgspec.Struct, frozen=True):
    """The shortest pause between two polls, and the growth of pauses if the provider has a rule.

    `factor` is a decimal as the provider writes it, `most` the longest pause.
    """

    every: Instant
    evidence: Evidence
    factor: str = "1"
    most: Instant | None = None
