"""A report as text, JSON, JUnit XML, or one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from xml.etree import ElementTree as ET

from upsim_contracts.accepted_differences import KnownDifference
from upsim_contracts.amounts import counted
from upsim_contracts.causes.grouping import Cause
from upsim_contracts.facts.fact_runner import Verdict
from upsim_contracts.used_fields import ASIDE
from upsim_contracts.verify.run import VerifyReport

MAX_LINE_LENGTH = 400
MAX_NAMED = 5

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .6rem;
border-bottom:1px solid #ccc;vertical-align:top}[class]{color:#666}
.held{color:#176b2c}.broken{color:#b3261e}code{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}td,th{border-color:#444}
[class]{color:#aaa}.held{color:#7bd88f}.broken{color:#ff8a80}}
"""


def as_text(report: VerifyReport) -> str:
    """Return the failed facts, each in one or two lines, and then the headline."""
    lines = [line for cause in report.causes for line in _text_of(cause)]
    for cause, known in report.accepted:
        lines += [f"KNOWN {cause}", f"        {known}"]
    if report.refused:
        lines.append(f"        {report.refused[:MAX_LINE_LENGTH]}")
    lines.append(report.headline)
    return "\n".join(lines)


def _text_of(cause: Cause) -> Iterator[str]:
    """Yield the sentence of a cause, the facts that follow from it, and its first difference."""
    weight = f", {cause.weight}:" if cause.weight else ""
    yield f"CHANGED{weight} {cause}"
    facts = [*cause.broken, *cause.unjudged]
    more = f" and {len(facts) - MAX_NAMED} more" if len(facts) > MAX_NAMED else ""
    if facts:
        yield f"        {', '.join(facts[:MAX_NAMED])}{more}"
    yield f"        {cause.details[0][:MAX_LINE_LENGTH]}"


def as_json(reports: Sequence[VerifyReport]) -> str:
    """Return all verdicts as JSON, with amounts as texts."""
    return json.dumps({"reports": [_document(report) for report in reports]}, indent=2)


def _document(report: VerifyReport) -> dict[str, object]:
    aside = report.count("untestable") + report.count("departs")
    testable = len(report.plan.planned) - aside
    return {
        "provider": report.book.provider,
        "target": report.target,
        "held": report.count("held"),
        "broken": report.count("broken"),
        "accepted": report.count("accepted"),
        "not_judged": report.count("not judged"),
        "not_run": report.count("not run"),
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
        "causes": [
            *(_cause(cause) for cause in report.causes),
            *(_cause(cause, known) for cause, known in report.accepted),
        ],
        "facts": [_fact(report, verdict) for verdict in report.verdicts],
    }


def _cause(cause: Cause, known: KnownDifference | None = None) -> dict[str, object]:
    accepted = known and {"reason": known.reason, "on": known.accepted.isoformat()}
    return {
        "kind": cause.key[0],
        "sentence": cause.sentence,
        "broken": cause.broken,
        "not_judged": cause.unjudged,
        "details": cause.details,
        "weight": cause.weight,
        "accepted": accepted,
    }


def _fact(report: VerifyReport, verdict: Verdict) -> dict[str, object]:
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


def as_junit(reports: Sequence[VerifyReport]) -> str:
    """Return a JUnit file for continuous integration, with a suite for each provider.

    Each cause is a failed case. Each fact is a case too. A failed fact with a cause counts as
    skipped and names its cause, so one change of the provider is one failure. A failed fact without
    a cause is a failed case.
    """
    root = ET.Element("testsuites", name="upsim verify")
    for report in reports:
        reasons = {fact: one.sentence for one in report.causes for fact in one.broken}
        alone = sum(v.outcome == "broken" and v.fact.id not in reasons for v in report.verdicts)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=report.book.provider,
            tests=str(len(report.verdicts) + len(report.causes) + len(report.accepted)),
            failures=str(sum(map(_fails, report.causes)) + alone),
            skipped=str(
                len(report.accepted)
                + sum(not _fails(one) for one in report.causes)
                + len(report.verdicts)
                - report.count("held")
                - alone
            ),
        )
        for cause in report.causes:
            name = f"{report.book.provider}.causes"
            case = ET.SubElement(suite, "testcase", classname=name, name=_printable(cause.sentence))
            weight = f"{cause.weight}: " if cause.weight else ""
            kind, message = "failure" if _fails(cause) else "skipped", f"{weight}{cause}"
            failure = ET.SubElement(case, kind, message=_printable(message))
            lines = (*cause.details, *cause.broken, *cause.unjudged)
            failure.text = _printable("\n".join(lines))
        for cause, known in report.accepted:
            name = f"{report.book.provider}.causes"
            case = ET.SubElement(suite, "testcase", classname=name, name=_printable(cause.sentence))
            ET.SubElement(case, "skipped", message=_printable(str(known)))
        for verdict in report.verdicts:
            case = ET.SubElement(
                suite, "testcase", classname=report.book.provider, name=verdict.fact.id
            )
            if verdict.outcome == "broken":
                reason = reasons.get(verdict.fact.id)
                message = f"broken: {reason or verdict.fact.says}"
                kind = "failure" if reason is None else "skipped"
                ET.SubElement(case, kind, message=_printable(message))
                found = "\n".join(map(str, verdict.mismatches))
                out = ET.SubElement(case, "system-out")
                out.text = _printable(f"{verdict.fact.says}\n{found}\n{verdict.exchange}")
            elif verdict.outcome != "held":
                ET.SubElement(case, "skipped", message=_printable(verdict.reason))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _fails(cause: Cause) -> bool:
    return cause.weight != ASIDE


def _printable(text: str) -> str:
    """Return the text without characters that XML 1.0 forbids."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def as_html(reports: Sequence[VerifyReport]) -> str:
    """Return one self-contained page: the facts by provider, with expected and seen values."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width"><title>upsim verify</title>',
        f"<style>{_STYLE}</style><h1>Documented facts</h1>",
    ]
    for report in reports:
        parts += _section(report)
    return "".join(parts)


def _section(report: VerifyReport) -> Iterator[str]:
    yield f"<h2>{escape(report.headline)}</h2><p>Target: <code>{escape(report.target)}</code>"
    if report.spent or report.predicted:
        yield f". Predicted {counted(report.predicted, report.book.unit)}, spent {report.spent}"
    yield ".</p>"
    shown = [
        (
            cause,
            "broken" if _fails(cause) else "accepted",
            f" ({cause.weight})" * bool(cause.weight),
        )
        for cause in report.causes
    ]
    shown += [(cause, "accepted", f" ({known})") for cause, known in report.accepted]
    for cause, kind, why in shown:
        yield f'<details><summary class="{kind}">{escape(f"{cause}{why}")}</summary><ul>'
        for line in (*cause.details, *cause.broken, *cause.unjudged):
            yield f"<li>{escape(line)}</li>"
        yield "</ul></details>"
    yield "<table><tr><th>Fact</th><th>Outcome</th><th>Evidence</th></tr>"
    for verdict in report.verdicts:
        yield from _row(report, verdict)
    yield "</table>"


def _row(report: VerifyReport, verdict: Verdict) -> Iterator[str]:
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
