"""Report the changes since an earlier run of `upsim verify`, from the JSON of that run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from upsim_contracts.amounts import counted
from upsim_contracts.charge_check import amount_text
from upsim_contracts.exceptions import UsageError
from upsim_contracts.verify.run import VerifyReport

MAX_NAMED = 5
MAX_PLACES = 30


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """One provider in an earlier run: its causes, the outcomes of facts, and the amount spent."""

    causes: Sequence[str]
    outcomes: Mapping[str, str]
    spent: Decimal


def read_earlier(file: Path) -> Mapping[str, EarlierRun]:
    """Return an earlier run by provider. Raises UsageError if the file is no `--json` report."""
    try:
        document = json.loads(file.read_text("utf-8"))
        return {one["provider"]: _earlier(one) for one in document["reports"]}
    except OSError as error:
        raise UsageError(f"--compare: cannot read {file}: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(
            f"--compare: {file} is not what `upsim verify --json` writes: "
            f'it has no "{str(error.args[0])[:40]}"'
        ) from error
    except (ValueError, TypeError, RecursionError, InvalidOperation) as error:
        found = f"{type(error).__name__}: {error}"[:200]
        raise UsageError(
            f"--compare: {file} is not what `upsim verify --json` writes: {found}"
        ) from error


def _earlier(report: Mapping[str, Any]) -> EarlierRun:
    causes = [str(one["sentence"]) for one in report["causes"]]
    outcomes = {str(one["id"]): str(one["outcome"]) for one in report["facts"]}
    spent = Decimal(report["spent"])
    if not spent.is_finite() or abs(spent.adjusted()) > MAX_PLACES:
        raise ValueError(f"spent: {spent} is no amount")
    return EarlierRun(causes, outcomes, spent)


def changes_since(
    earlier: Mapping[str, EarlierRun], reports: Sequence[VerifyReport]
) -> Iterator[str]:
    """Yield a line for each change: of causes, of the outcomes of facts, of the money spent."""
    for report in reports:
        name, before = report.book.provider, earlier.get(report.book.provider)
        if before is None:
            yield f"since then: {name}: the earlier run did not check it"
            continue
        lines = [*_causes(before, report), *_outcomes(before, report), *_spent(before, report)]
        yield from (f"since then: {name}: {line}" for line in lines or ["nothing changed"])


def _causes(before: EarlierRun, report: VerifyReport) -> Iterator[str]:
    now = [*report.causes, *(cause for cause, _ in report.accepted)]
    yield from (f"new: {one}" for one in now if one.sentence not in before.causes)
    sentences = {one.sentence for one in now}
    yield from (f"gone: {one}" for one in before.causes if one not in sentences)


def _outcomes(before: EarlierRun, report: VerifyReport) -> Iterator[str]:
    """Yield the changed outcomes of facts, including facts that only one of the runs has."""
    now = {one.fact.id: str(one.outcome) for one in report.verdicts}
    moved: dict[tuple[str, str], list[str]] = {}
    for fact in sorted({*before.outcomes, *now}):
        change = before.outcomes.get(fact, "not there"), now.get(fact, "not there")
        if change[0] != change[1]:
            moved.setdefault(change, []).append(fact)
    for (old, new), facts in moved.items():
        more = f" and {len(facts) - MAX_NAMED} more" if len(facts) > MAX_NAMED else ""
        count = counted(len(facts), "fact")
        yield f"{count} {old} before, {new} now: {', '.join(facts[:MAX_NAMED])}{more}"


def _spent(before: EarlierRun, report: VerifyReport) -> Iterator[str]:
    if before.spent != report.spent:
        unit = report.book.unit
        old, new = amount_text(before.spent, unit), amount_text(report.spent, unit)
        yield f"spent {old} before, {new} now"
