"""A scenario: a baseline with overrides, and what happens to media, accounts and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from upsim.core.baseline import Baseline
from upsim.core.evidence import Evidence
from upsim.core.faults import FaultRule, is_like, spelt
from upsim.core.globs import fits
from upsim.core.instants import Instant
from upsim.core.lifecycle import PhaseRule
from upsim.core.media import Media, Unmeasurable


@dataclass(frozen=True, slots=True)
class MediaRule:
    """What is found at the URLs that match a glob: properties, a failure, or a local file."""

    url: str
    found: Media | Unmeasurable | Path

    def matches(self, url: str) -> bool:
        """Whether the rule speaks of this URL."""
        return fits(url, self.url)


@dataclass(frozen=True, slots=True)
class JobRule:
    """The plan of jobs whose options or inputs have all these values."""

    when: tuple[tuple[str, str], ...]
    phases: tuple[PhaseRule, ...]

    def matches(self, values: Mapping[str, object]) -> bool:
        """Whether the rule speaks of a job with these options and inputs."""
        return all(is_like(values.get(name), wanted) for name, wanted in self.when)


word = spelt


@dataclass(frozen=True, slots=True)
class AccountRule:
    """What accounts of a provider start with."""

    balance: Decimal | None
    plan: str | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A resolved scenario of one provider. `knobs` and `dialect` are its own choices.

    `evidence` is where it was reported that what it reproduces happens; `values` are those of the
    file and of all that it extends, from which it was built.
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


@dataclass(frozen=True, slots=True)
class Change:
    """Rules that hold from an instant on: `after` the sandbox began, or `at` a date.

    `scenario` is what then holds, whole, with the changes before this one in it.
    """

    after: Instant
    at: Instant | None
    scenario: Scenario

    def instant(self, began: Instant) -> Instant:
        """When it takes place in a sandbox that began at an instant."""
        return began + self.after if self.at is None else self.at
