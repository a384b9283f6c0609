"""Check the response to a recorded request, and list the findings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from upsim_contracts.cassettes.bodies import Tee, reason_not_kept
from upsim_contracts.cassettes.cassette import Charge
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.charge_check import price_finding
from upsim_contracts.documents import wrong_paths
from upsim_contracts.documents.response_checks import check_response
from upsim_contracts.record.body_memory import BodyShare
from upsim_contracts.record.upstream import Upstream
from upsim_contracts.record.video_measuring import KnownVideos
from upsim_contracts.request_costs import CostTable, RequestCost

MAX_FINDINGS = 20
"""Findings of one response that are printed and recorded; the others are counted."""


@dataclass(slots=True)
class PassingRequest:
    """A request that is being forwarded."""

    method: str
    path: str
    part: str
    proxy: str
    headers: dict[str, str]
    body: bytes
    sent: dict[str, Any]
    sighted: KnownVideos
    began: float
    share: BodyShare
    upload: AsyncIterator[bytes] | None = None
    tee: Tee | None = None
    hook: int | None = None


@dataclass(frozen=True, slots=True)
class ResponseFindings:
    """Checks responses against the provider's document, and charges against its prices."""

    target: Upstream
    costs: CostTable
    redactor: Redactor

    def of(
        self,
        passing: PassingRequest,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        toll: RequestCost | None,
        charge: Charge | None,
    ) -> tuple[int, list[str]]:
        """Return the number of findings, and lines for the first findings and a summary."""
        judged = [] if passing.part == "file" else self._judged(passing, status, body, headers)
        priced = self._priced(passing, toll, charge, status)
        lines = [str(one) for one in judged[:MAX_FINDINGS]]
        if len(judged) > MAX_FINDINGS:
            name = f"{passing.method} {passing.path.partition('?')[0]}"
            more = f"{len(judged) - MAX_FINDINGS} more findings"
            lines.append(f"{self.target.provider}: {name}: {more} of this response")
        return len(judged) + len(priced), [self.redactor.text(line) for line in lines + priced]

    def notes(
        self, passing: PassingRequest, status: int, body: bytes, kept: Mapping[str, Any]
    ) -> list[str]:
        """Return notes about an unknown path, and about bodies that are not kept."""
        if passing.part == "file":
            return []
        method, path = passing.method, passing.path
        found = wrong_paths.unknown_path_note(self.costs, self.target.dialect, method, path, status)
        said = [] if found is None else [found]
        for side, content, one in (
            ("request", passing.body, passing.sent),
            ("answer", body, kept),
        ):
            why = reason_not_kept(content, one)
            if why is not None:
                name = f"{method} {path.partition('?')[0]}"
                said.append(f"note: {name}: of the {side} only size and hash are kept: {why}")
        return [self.redactor.text(line) for line in said]

    def _judged(
        self, passing: PassingRequest, status: int, body: bytes, headers: Mapping[str, str]
    ) -> list[object]:
        if status == 0:
            name = f"{passing.method} {passing.path.partition('?')[0]}"
            return [f"{self.target.provider}: {name}: connection: expected an answer, seen none"]
        return [
            *check_response(
                self.target.provider,
                self.target.dialect,
                method=passing.method,
                path=passing.path,
                status=status,
                headers=headers,
                body=body,
            )
        ]

    def _priced(
        self, passing: PassingRequest, toll: RequestCost | None, charge: Charge | None, status: int
    ) -> list[str]:
        if toll is None or charge is None:
            return []
        name = f"{passing.method} {passing.path.partition('?')[0]}"
        source = self.costs.evidence(toll.call, passing.sent.get("json"))
        found = price_finding(self.target.provider, name, status, charge, source)
        return [str(found)] if found is not None else []
