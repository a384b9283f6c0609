"""The shapes of the server's own data: its calls, its errors, its scenarios."""

from __future__ import annotations

from typing import Any, TypedDict


class Status(TypedDict):
    """The response of a probe."""

    status: str


class Health(TypedDict):
    """The served providers and scenarios; `providers` gives the newest date of each baseline."""

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
    """All calls, and the URL of the OpenAPI document."""

    openapi: str
    calls: list[Called]


class ErrorText(TypedDict):
    """An error: a machine-readable code, and a message."""

    code: str
    message: str


class Problem(TypedDict):
    """The shape of all errors."""

    error: ErrorText


class Evidence(TypedDict):
    """The evidence of a fact: `documented`, `observed` or `assumed`, its source and its date."""

    grade: str
    source: str
    date: str


class ScenarioLine(TypedDict):
    """A scenario with its summary; `template` is the file that it shares with other providers."""

    name: str
    provider: str
    summary: str
    template: str | None


class Scenarios(TypedDict):
    """A page of the loaded scenarios."""

    scenarios: list[ScenarioLine]
    total: int


ScenarioValue = TypedDict(
    "ScenarioValue", {"path": str, "value": Any, "from": str, "evidence": Evidence | None}
)
"""One value of a resolved scenario; `from` is its file and line."""


class ScenarioShown(TypedDict):
    """A scenario merged with everything that it extends."""

    name: str
    provider: str
    summary: str
    evidence: Evidence | None
    files: list[str]
    values: list[ScenarioValue]
