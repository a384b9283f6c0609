"""A scenario: a baseline with overrides, and rules for media, accounts and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from upsim.core.baseline import Baseline
from upsim.core.evidence import Evidence
from upsim.core.faults import FaultRule, is_like, spelt
from upsim.core.globs import fits
from upsim.core.instants import Instant
from upsim.core.lifecycle import PhaseRule
from upsim.core.media import Media, Unmeasurable


class MediaRule(msgspec.Struct, frozen=True):
    """The result for URLs that match a glob: video properties, a failure, or a local file."""

    url: str
    found: Media | Unmeasurable | Path

    def matches(self, url: str) -> bool:
        """Return whether the rule matches this URL."""
        return fits(url, self.url)


class JobRule(msgspec.Struct, frozen=True):
    """The steps of all jobs whose options or inputs have all of these values."""

    when: tuple[tuple[str, str], ...]
    phases: tuple[PhaseRule, ...]

    def matches(self, values: Mapping[str, object]) -> bool:
        """Return whether the rule matches a job with these options and inputs."""
        return all(is_like(values.get(name), wanted) for name, wanted in self.when)


word = spelt


class AccountRule(msgspec.Struct, frozen=True):
    """The initial state of accounts of a provider."""

    balance: Decimal | None
    plan: str | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A resolved scenario of one provider; `knobs` and `dialect` are the scenario's own choices.

    `evidence` is the report of the behaviour that the scenario reproduces; `values` are the
    values of the file merged with all files that it extends.
    """

    name: str
    summary: str
    evidence: Evidence | None
    baseline: Baseline
    media: tuple[MediaRule, ...]
    jobs: tuple[JobRule, ...]
    accounts: Mapping[str, AccountRule]
    knobs: Mapping[str, str]
    dialect: str | None
    clock: str | None
    seed: int | None
    faults: tuple[FaultRule, ...] = ()
    changes: tuple[Change, ...] = ()
    webhook_timestamp: str | None = None
    body_fields: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)


class Change(msgspec.Struct, frozen=True):
    """Rules that apply from a time on: `after` the start of the sandbox, or `at` a date.

    `scenario` is the complete scenario from that time on, including all earlier changes.
    """

    after: Instant
    at: Instant | None
    scenario: Scenario

    def instant(self, began: Instant) -> Instant:
        """Return the time of the change in a sandbox that started at `began`."""
        return began + self.after if self.at is None else self.at
