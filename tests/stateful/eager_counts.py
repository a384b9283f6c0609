"""Counters of client behaviour, compared with counters that no request ever waits for."""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from upsim.engine import sandbox as sandbox_module
from upsim.engine.client_activity import ClientActivity
from upsim.engine.request_records import Record
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.sandbox import Sandbox
from upsim.engine.timeline import Timeline


class ComparedActivity(ClientActivity):
    """Counts in batches; `eager` counts each request at once and looks at the jobs as they are."""

    repetitions: ClassVar[int] = 0

    def __init__(self, timeline: Timeline, rules: RuleVersions) -> None:
        """Start without requests."""
        super().__init__(timeline, rules)
        self.eager = ClientActivity(timeline, rules, batch=1)

    def record(self, record: Record) -> None:
        """Add a request to both."""
        self.eager.record(record)
        super().record(record)

    def record_end(self, job: str) -> None:
        """Record the end of a job in both."""
        self.eager.record_end(job)
        super().record_end(job)

    def record_download(self, job: str) -> None:
        """Record a download in both."""
        self.eager.record_download(job)
        super().record_download(job)

    def forget_jobs(self, jobs: Sequence[str]) -> None:
        """Compare the counters, and remove those of some jobs."""
        self.compare()
        self.eager.forget_jobs(jobs)
        super().forget_jobs(jobs)

    def clear(self) -> None:
        """Compare the counters, and start again."""
        self.compare()
        self.eager.clear()
        super().clear()

    def compare(self) -> None:
        """Fail if the counters, or their order, depend on when the requests are counted."""
        assert list(self.eager.tallies.items()) == list(self.tallies.items())
        assert self.eager.ignored == self.ignored
        found = (tally.repeats is not None for tally in self.tallies.values())
        ComparedActivity.repetitions += sum(found)


def compare_activity(patch: pytest.MonkeyPatch) -> None:
    """Let all new sandboxes compare their counters."""
    patch.setattr(sandbox_module, "ClientActivity", ComparedActivity)
    patch.setattr(ComparedActivity, "repetitions", 0)


def compare_counts(sandbox: Sandbox) -> None:
    """Compare the counters of a sandbox, if it was made to compare them."""
    if isinstance(sandbox.activity, ComparedActivity):
        sandbox.activity.compare()
