"""What documents promise beside the answers of one request: refunds, times of jobs, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refunds:
    """That a failed job is paid back, as the fact named here says.

    `within` is the documented time, such as `3h`, and `patience` what is given where none is.
    `texts` are what polls of a failed job say, for a provider that answers them with a status of
    500 and above, which can also be an outage.
    """

    fact: str
    within: str = ""
    patience: str = "5m"
    texts: Sequence[str] = ()
