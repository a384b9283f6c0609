"""Write the findings of `upsim drift` for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape

from upsim_contracts.accepted_differences import KnownDifference
from upsim_contracts.drift.run import Drift, DriftReport

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; max-width: 75rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8884; padding: .35rem .6rem; text-align: left;
  vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #16181d; color: #e6e6e6 } }
"""


def as_text(report: DriftReport) -> str:
    """Return one line for each difference, and one summary line."""
    known = [f"known: {one} ({why})" for one, why in report.accepted]
    return "\n".join([*map(str, report.drifts), *known, *report.notes, report.headline])


def as_json(reports: Sequence[DriftReport]) -> str:
    """Return all differences with their details, for JSON."""
    return json.dumps([_report(report) for report in reports], indent=2, ensure_ascii=False)


def as_html(reports: Sequence[DriftReport]) -> str:
    """Return the report as one self-contained HTML page."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width"><title>upsim drift</title>',
        f"<style>{_STYLE}</style><h1>Recorded answers against contract and simulator</h1>",
    ]
    for report in reports:
        parts += _section(report)
    return "".join(parts)


def _report(report: DriftReport) -> dict[str, object]:
    head = report.cassette.header
    return {
        "cassette": report.cassette.name,
        "provider": head.provider,
        "dialect": head.dialect,
        "upstream": head.upstream,
        "recorded": head.recorded,
        "exchanges": report.judged,
        "webhooks": len(report.cassette.deliveries),
        "replayed": report.replayed,
        "not_replayed": report.skipped,
        "notes": list(report.notes),
        "findings": [
            *(_drift(one) for one in report.drifts),
            *(_drift(one, known) for one, known in report.accepted),
        ],
    }


def _drift(one: Drift, known: KnownDifference | None = None) -> dict[str, object]:
    return {
        "kind": one.kind,
        "operation": one.finding.operation,
        "where": one.finding.where,
        "expected": one.finding.expected,
        "seen": one.finding.seen,
        "evidence": one.finding.evidence,
        "read": one.read,
        "read_days_ago": one.read_age,
        "recorded": one.recorded,
        "recorded_days_ago": one.recorded_age,
        "exchanges": list(one.exchanges),
        "line": str(one),
        "weight": one.weight,
        "accepted": known and {"reason": known.reason, "on": known.accepted.isoformat()},
    }


def _section(report: DriftReport) -> Iterator[str]:
    yield f"<h2>{escape(report.headline)}</h2>"
    shown = [*((one, None) for one in report.drifts), *report.accepted]
    if shown:
        titles = ("Call", "Where", "Expected", "Seen", "Evidence", "Age", "Exchanges", "Accepted")
        yield "<table><tr>" + "".join(f"<th>{title}</th>" for title in titles) + "</tr>"
        for one, known in shown:
            found = one.finding
            ages = f"read {_days(one.read_age)}, recorded {_days(one.recorded_age)}"
            numbers = ", ".join(map(str, one.exchanges))
            told = (found.operation, found.where, found.expected, found.seen, found.evidence)
            cells = "".join(
                f"<td>{escape(text)}</td>"
                for text in (*told, ages, numbers, "" if known is None else str(known))
            )
            yield f"<tr>{cells}</tr>"
        yield "</table>"


def _days(age: int | None) -> str:
    return "at an unknown date" if age is None else f"{age} days ago"
