"""Rules for fuzzing in a contract folder: requests to accept, and failures to ignore.

`fuzzing.yaml` is for this suite. `schemathesis.toml` is an ordinary schemathesis configuration
that users can combine with the document; it lists failures that no schema can prevent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upsim_contracts.documents.openapi import folders
from upsim_contracts.yaml12 import read

if TYPE_CHECKING:
    import schemathesis

    Case = schemathesis.Case[Any]

EXCEPTIONS = "schemathesis.toml"


@dataclass(frozen=True, slots=True)
class FuzzingRules:
    """A provider's `fuzzing.yaml`."""

    accepted: Mapping[str, int]
    key: str
    data_urls: bool


def rules(provider: str) -> FuzzingRules:
    """Read a provider's `fuzzing.yaml`."""
    found = read(folders()[provider] / "fuzzing.yaml")
    return FuzzingRules(found["accepted"], found.get("key", ""), found.get("data_urls", False))


def exceptions(provider: str) -> dict[str, Any]:
    """Read a provider's `schemathesis.toml`; empty if the folder has none."""
    file = folders()[provider] / EXCEPTIONS
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def operation_of(case: Case) -> str:
    """Return the `operationId` of a case."""
    return str(case.operation.definition.raw.get("operationId", case.operation.label))


def described(case: Case) -> str:
    """Return a description of how a case was made."""
    meta = case.meta
    if meta is None:
        return ""
    return f"{meta.generation.mode.value} {meta.phase.name.value} {meta.phase.data}"
