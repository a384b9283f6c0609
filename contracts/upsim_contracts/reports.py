"""A report as text, JSON, JUnit XML and one self-contained page of HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from xml.etree import ElementTree as ET

from upsim_contracts.running import Verdict
from upsim_contracts.spending import Difference
from upsim_contracts.verify import Report

LONGEST_LINE = 400

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .6rem;
border-bottom:1px solid #ccc;vertical-align:top}.held{color:#176b2c}.broken{color:#b3261e}
.not-run,.untestable,.departs{color:#666}code{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}td,th{border-color:#444}
.held{color:#7bd88f}.broken{color:#ff8a80}.not-run,.untestable,.departs{color:#aaa}}
"""


def as_text(report: Report) -> str:
    """What is broken, each in a line or two, and the headline last."""
    lines = [line for verdict in report.verdicts for line in _text_of(verdict)]
    lines += [f"MONEY   {_money(report, difference)}" for difference in report.differences]
    lines += [f"ANSWER  {finding}" for finding in report.findings]
    if report.stopped:
        lines.append("stopped before the end")
    if report.refused:
        lines.append(f"STOPPED {report.refused[:LONGEST_LINE]}")
    lines.append(report.headline)
    return "\n".join(lines)


def _text_of(verdict: Verdict) -> Iterator[str]:
    if verdict.outcome == "broken":
        yield f"BROKEN  {verdict.fact.id}: {verdict.fact.says} ({_where(verdict)})"
        for found in verdict.mismatches:
            yield f"        {found}"
        yield f"        {verdict.exchange[:LONGEST_LINE]}"


def _where(verdict: Verdict) -> str:
    return f"{verdict.fact.source}: {verdict.fact.place}"


def _money(report: Report, difference: Difference) -> str:
    amounts = f"documented {difference.documented}, charged {difference.actual}"
    return f"{difference.what}: {amounts} {report.book.unit}"


def as_json(reports: Sequence[Report]) -> str:
    """All verdicts, for programs; amounts are texts."""
    return json.dumps({"reports": [_document(report) for report in reports]}, indent=2)


def _document(report: Report) -> dict[str, object]:
    aside = report.count("untestable") + report.count("departs")
    testable = len(report.plan.planned) - aside
    return {
        "provider": report.book.provider,
        "target": report.target,
        "held": report.count("held"),
        "broken": report.count("broken"),
        "documented": testable,
        "untestable": report.count("untestable"),
        "departs": report.count("departs"),
        "stopped": report.stopped,
        "unit": report.book.unit,
        "predicted": str(report.predicted),
        "spent": str(report.spent),
        "differences": [
            {"what": d.what, "documented": str(d.documented), "actual": str(d.actual)}
            for d in report.differences
        ],
        "facts": [_fact(report, verdict) for verdict in report.verdicts],
    }


def _fact(report: Report, verdict: Verdict) -> dict[str, object]:
    return {
        "id": verdict.fact.id,
        "says": verdict.fact.says,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "mismatches": [
            {"where": m.where, "expected": m.expected, "seen": m.seen} for m in verdict.mismatches
        ],
        "exchange": verdict.exchange,
        "evidence": {
            "place": verdict.fact.place,
            **asdict(report.book.sources[verdict.fact.source]),
        },
    }


def as_junit(reports: Sequence[Report]) -> str:
    """What continuous integration reads: a suite for each provider, a case for each fact."""
    root = ET.Element("testsuites", name="upsim verify")
    for report in reports:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=report.book.provider,
            tests=str(len(report.verdicts)),
            failures=str(report.count("broken")),
            skipped=str(sum(map(report.count, ("not run", "untestable", "departs")))),
        )
        for verdict in report.verdicts:
            case = ET.SubElement(
                suite, "testcase", classname=report.book.provider, name=verdict.fact.id
            )
            if verdict.outcome == "broken":
                message = "; ".join(map(str, verdict.mismatches))
                failure = ET.SubElement(case, "failure", message=_printable(message))
                failure.text = _printable(f"{verdict.fact.says}\n{verdict.exchange}")
            elif verdict.outcome != "held":
                ET.SubElement(case, "skipped", message=_printable(verdict.reason))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _printable(text: str) -> str:
    """The text without what XML 1.0 cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def as_html(reports: Sequence[Report]) -> str:
    """One page that needs nothing else: the facts by provider, with what was expected and seen."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width"><title>upsim verify</title>',
        f"<style>{_STYLE}</style><h1>Documented facts</h1>",
    ]
    for report in reports:
        parts += _section(report)
    return "".join(parts)


def _section(report: Report) -> Iterator[str]:
    yield f"<h2>{escape(report.headline)}</h2><p>Target: <code>{escape(report.target)}</code>"
    if report.spent or report.predicted:
        yield f". Predicted {report.predicted} {report.book.unit}, spent {report.spent}"
    yield ".</p><ul>"
    for difference in report.differences:
        yield f'<li class="broken">{escape(_money(report, difference))}</li>'
    yield "</ul><table><tr><th>Fact</th><th>Outcome</th><th>Evidence</th></tr>"
    for verdict in report.verdicts:
        yield from _row(report, verdict)
    yield "</table>"


def _row(report: Report, verdict: Verdict) -> Iterator[str]:
    source = report.book.sources[verdict.fact.source]
    kind = verdict.outcome.replace(" ", "-")
    yield f'<tr id="{escape(verdict.fact.id, quote=True)}"><td>{escape(verdict.fact.says)}</td>'
    yield f'<td class="{kind}">{verdict.outcome}'
    if verdict.reason:
        yield f"<br>{escape(verdict.reason)}"
    for found in verdict.mismatches:
        yield f"<br><code>{escape(str(found))}</code>"
    if verdict.exchange:
        yield f"<br><code>{escape(verdict.exchange)}</code>"
    link, title = escape(source.url, quote=True), escape(source.title)
    yield f'</td><td><a href="{link}">{title}</a>, {escape(verdict.fact.place)}'
    yield f" (read {escape(source.read)})</td></tr>"
