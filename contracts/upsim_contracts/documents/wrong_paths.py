"""Requests to undocumented paths that the provider refused.

Such a request is a mistake of the caller and shows nothing about the provider. Only a success
at such a path is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from upsim_contracts.documents.openapi import parts
from upsim_contracts.documents.response_checks import (
    REFUSED,
    DocumentedOperation,
    contract,
    operation_of,
)
from upsim_contracts.request_costs import CostTable

MAX_LENGTH = 200
"""Characters of a path that a note shows and compares."""
SEGMENTS = 16
"""Segments of a path that are compared."""
ALIKE = 0.6
"""The part of two paths that must be the same for one to be meant by the other."""
_PARAMETER = re.compile(r"\{[^}]+\}")


def unknown_path_note(
    costs: CostTable, dialect: str, method: str, path: str, status: int
) -> str | None:
    """Return a note about a refused request to an unknown path; None for any other request."""
    provider = costs.book.provider
    if status < REFUSED or operation_of(provider, dialect, method, path) is not None:
        return None
    bare = path.partition("?")[0]
    shown = bare if len(bare) <= MAX_LENGTH else f"{bare[:MAX_LENGTH]}…"
    meant = near_path(costs, dialect, method, path)
    return f"note: {method} {shown} is not in {provider}'s documents (answered {status}){meant}"


def near_path(costs: CostTable, dialect: str, method: str, path: str) -> str:
    """Return a suggestion: the most similar operation with this method, if possible a free one.

    The text is a question after a semicolon; it is empty if no operation is similar.
    """
    bare = path.partition("?")[0][:MAX_LENGTH]
    rated = [
        (round(_alike(bare, one.path), 3), not _is_paid(costs, one), one.name)
        for one in _operations(costs.book.provider, dialect)
        if one.method == method
    ]
    best = max(rated, default=(0.0, False, ""))
    return f"; did you mean {best[2]}?" if best[0] >= ALIKE else ""


def _operations(provider: str, dialect: str) -> Iterator[DocumentedOperation]:
    for part in parts(provider):
        yield from contract(provider, dialect, part).operations.values()


def _is_paid(costs: CostTable, operation: DocumentedOperation) -> bool:
    form = costs.call(operation.method, operation.path)
    return form is not None and form.paid


def _alike(path: str, documented: str) -> float:
    """Return how similar two paths are; similar segments count less than equal ones."""
    ours = [one for one in path.split("/") if one][-SEGMENTS:]
    theirs = [one for one in documented.split("/") if one]
    best = [0.0] * (len(theirs) + 1)
    for mine in ours:
        before, best = best, [0.0]
        for at, other in enumerate(theirs, 1):
            best.append(max(before[at - 1] + _same(mine, other), before[at], best[at - 1]))
    return 2 * best[-1] / (len(ours) + len(theirs) or 1)


def _same(ours: str, theirs: str) -> float:
    if ours == theirs:
        return 1
    if _PARAMETER.fullmatch(theirs):
        return 0.5
    return 0.6 if SequenceMatcher(None, theirs, ours).ratio() >= ALIKE else 0
