"""Why a fact is believed: its grade, its source and the date of that source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["documented", "observed", "assumed"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """`documented` names a page, `observed` a recording or a client, `assumed` gives its reason."""

    grade: Grade
    source: str
    date: str
