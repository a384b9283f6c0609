"""Stop a run at a live API that refuses, or does not respond to, several facts in a row."""

from __future__ import annotations

import re

from upsim_contracts.facts.fact_runner import CONNECTION, Verdict

ALIKE = 5
"""Number of facts in a row that may fail with the same refusal or without a response."""
_LOST = "no answer"
_REFUSED = re.compile(r" → (401|402|403|429|5\d\d) (.*)", re.DOTALL)
_ID = re.compile(r"[0-9a-f-]{8,}")


class EarlyStop:
    """Counts consecutive facts that broke on the same refusal, or without a response."""

    def __init__(self) -> None:
        """Start without refusals."""
        self._last = ""
        self._count = 0

    def add(self, verdict: Verdict) -> str:
        """Return why the run must stop; an empty text if it continues."""
        found = _REFUSED.search(verdict.exchange) if verdict.outcome == "broken" else None
        said = _ID.sub("…", f"{found[1]} {found[2]}") if found is not None else ""
        lost = [one.seen for one in verdict.mismatches if one.where == CONNECTION]
        said = _LOST if lost else said
        if verdict.outcome in ("held", "broken"):
            self._count = self._count + 1 if said and said == self._last else int(bool(said))
            self._last = said
        if self._count < ALIKE:
            return ""
        if lost:
            return f"{self._count} facts in a row got no answer, so the run stopped: {lost[0]}"
        return f"{self._count} facts in a row were refused alike, so the run stopped: {said}"
