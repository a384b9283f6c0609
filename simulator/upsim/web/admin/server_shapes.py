"""The shapes of what the server says of itself: its calls, its errors, its scenarios."""

from __future__ import annotations

from typing import Any, TypedDict


class Status(TypedDict):
    """The answer of a probe."""

    status: str


class Health(TypedDict):
    """What is served; `providers` gives the newest date of each baseline."""

    status: str
    version: str
    providers: dict[str, str]
    scenarios: list[str]


class Called(TypedDict, total=False):
    """A call of the admin API: its query parameters, and the fields of its body."""

    method: str
    path: str
    does: str
    query: list[str]
    body: dict[str, Any]


class Index(TypedDict):
    """Every call, and where their document is."""

    openapi: str
    calls: list[Called]


class ErrorText(TypedDict):
    """What went wrong: a code for programs, a text for people."""

    code: str
    message: str


class Problem(TypedDict):
    """The one shape of every error."""

    error: ErrorText


class Evidence(TypedDict):
    """Why a fact is believed: `documented`, `observed` or `assumed`, where, and when."""

    grade: str
    source: str
    date: str


class ScenarioLine(TypedDict):
    """A scenario at a glance; `template` is the file that it has in common with other providers."""

    name: str
    provider: str
    summary: str
    template: str | None


class Scenarios(TypedDict):
    """A page of the scenarios that are loaded."""

    scenarios: list[ScenarioLine]
    total: int


ScenarioValue = TypedDict(
    "ScenarioValue", {"path": str, "value": Any, "from": str, "evidence": Evidence | None}
)
"""One value of a resolved scenario; `from` is its file and line."""


class ScenarioShown(TypedDict):
    """A scenario with everything that it extends merged in."""

    name: str
    provider: str
    summary: str
    evidence: Evidence | None
    files: list[str]
    values: list[ScenarioValue]
