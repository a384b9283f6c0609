"""What a provider's `fuzzing.yaml` says: which calls must be accepted, which failures are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upsim_contracts.documents import folders
from upsim_contracts.yaml12 import read

if TYPE_CHECKING:
    import schemathesis
    from schemathesis import Response
    from schemathesis.core.failures import Failure

    Case = schemathesis.Case[Any]


@dataclass(frozen=True, slots=True)
class Known:
    """A failure that is none: of a check, for some operations, where the reason holds."""

    check: str
    reason: str
    operations: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    request: str = ""
    mode: str = ""
    message: str = ""
    dialects: tuple[str, ...] = ()

    def explains(self, failure: Failure, case: Case, response: Response) -> bool:
        """Whether this is the failure that is meant."""
        return (
            self.check in failure.checks
            and (not self.operations or operation_of(case) in self.operations)
            and (not self.statuses or response.status_code in self.statuses)
            and bool(re.search(self.request, request_of(response), re.DOTALL))
            and bool(re.search(self.mode, described(case)))
            and bool(re.search(self.message, failure.message))
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """A provider's `fuzzing.yaml`."""

    accepted: Mapping[str, int]
    known: tuple[Known, ...]
    key: str


def rules(provider: str) -> Rules:
    """Read a provider's `fuzzing.yaml`."""
    found = read(folders()[provider] / "fuzzing.yaml")
    known = [
        Known(
            check=row["check"],
            reason=row["reason"],
            operations=tuple(row.get("operations", ())),
            statuses=tuple(row.get("statuses", ())),
            request=row.get("request", ""),
            mode=row.get("mode", ""),
            message=row.get("message", ""),
            dialects=tuple(row.get("dialects", ())),
        )
        for row in found["known"]
    ]
    return Rules(found["accepted"], tuple(known), found.get("key", ""))


def operation_of(case: Case) -> str:
    """The `operationId` of a case."""
    return str(case.operation.definition.raw.get("operationId", case.operation.label))


def request_of(response: Response) -> str:
    """Method, address and body of the request that was answered."""
    sent = response.request
    body: object = sent.body or ""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return f"{sent.method} {sent.url}\n{sent.headers.get('Content-Type', '')}\n{text}"


def described(case: Case) -> str:
    """How a case was made."""
    meta = case.meta
    if meta is None:
        return ""
    return f"{meta.generation.mode.value} {meta.phase.name.value} {meta.phase.data}"
