"""The report card of a sandbox's clients, for use in tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from upsim.core.suggestions import unknown_value
from upsim.engine.report_card import SEVERITIES

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class ReportCard:
    """The client mistakes found in a sandbox so far; `findings` are dicts of the admin API."""

    findings: tuple[Json, ...]
    callers: tuple[Json, ...]
    not_judged: tuple[str, ...]

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> ReportCard:
        """Return the report card in a response of the admin API."""
        return cls(tuple(answer["findings"]), tuple(answer["callers"]), tuple(answer["not_judged"]))

    @property
    def clean(self) -> bool:
        """Return whether the clients made no known mistake."""
        return not self.findings

    @property
    def text(self) -> str:
        """Return every finding with its numbers, its advice, and the requests that show it."""
        return "\n".join(lines(self.findings)) or "no client mistakes found"

    def named(self, name: str) -> tuple[Json, ...]:
        """Return the findings with this name. Raises LookupError for a name that does not exist."""
        known = {*SEVERITIES, *(found["name"] for found in self.findings)}
        if name not in known:
            raise LookupError(unknown_value("finding", name, sorted(known)))
        return tuple(found for found in self.findings if found["name"] == name)

    def __repr__(self) -> str:
        """Return a short form of the findings, for a failed assertion."""
        if self.clean:
            return "<clean report card>"
        counted = Counter(found["name"] for found in self.findings)
        told = ", ".join(f"{n} ({times}×)" for n, times in counted.items())
        return f"<report card: {told}>"


def lines(findings: Iterable[Json]) -> Iterator[str]:
    """Yield the lines of the findings."""
    for found in findings:
        whose = f"{found['provider']} job {found['job']}" if found["job"] else found["provider"]
        numbers = ", ".join(f"{name} {value}" for name, value in found["numbers"].items())
        yield f"{found['severity']}: {found['name']}: {whose} ({numbers})"
        for shown in found["exchanges"]:
            if shown["method"] is None:
                yield f"    #{shown['number']} (no longer in the journal)"
            else:
                what = f"{shown['at'][11:23]} {shown['method']} {shown['target']}"
                yield f"    #{shown['number']} {what} → {shown['status'] or 'no response'}"
        yield f"    {found['advice']}"
