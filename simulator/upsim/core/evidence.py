"""The evidence for a fact: its grade, its source and the date of that source."""

from __future__ import annotations

from typing import Literal

import msgspec

Grade = Literal["documented", "observed", "assumed"]


class Evidence(msgspec.Struct, frozen=True):
    """Evidence: `documented` by a page, `observed` in use, or `assumed` for a stated reason."""

    grade: Grade
    source: str
    date: str
