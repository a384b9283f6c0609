"""The evidence for a fact: its grade, its source and the date of that source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["documented", "observed", "assumed"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence: `documented` by a page, `observed` in use, or `assumed` for a stated reason."""

    grade: Grade
    source: str
    date: str
