"""How long a sandbox keeps jobs and uploads, and how it forgets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from upsim.core.call import NoRoomError
from upsim.core.events import JobsForgotten, UploadsForgotten
from upsim.engine.client_activity import ClientActivity
from upsim.engine.money import Money
from upsim.engine.timeline import Timeline

FORGET_AT_ONCE = 1024
"""Number of finished jobs above the limit that are forgotten in one event."""
MAX_UPLOADS = 10_000
"""Uploads and tickets for them that are kept."""
DEADLINES_PER_JOB = 3
"""Number of deadlines per job and upload above which most of a queue is obsolete."""


class Retention:
    """Forgets the jobs and uploads of one sandbox: after a time, above a limit, or by a reset."""

    __slots__ = ("_activity", "_money", "_on_blob_released", "_timeline")

    def __init__(
        self,
        timeline: Timeline,
        *,
        money: Money,
        activity: ClientActivity,
        on_blob_released: Callable[[str], None],
    ) -> None:
        """Call `on_blob_released` with the digest of each file that is no longer kept."""
        self._timeline = timeline
        self._money = money
        self._activity = activity
        self._on_blob_released = on_blob_released

    # -- jobs

    def on_end(self, job: str) -> None:
        """Record the end of a job; if there are too many finished jobs, forget the oldest."""
        self._activity.record_end(job)
        ended = self._timeline.state.ended
        if len(ended) >= self._timeline.choices.jobs_max + FORGET_AT_ONCE:
            self.forget_jobs(list(islice(ended, FORGET_AT_ONCE)), "cap")

    def forget_all_jobs(self) -> None:
        """Forget every job in any state; ledger entries are carried over as sums."""
        self.forget_jobs(list(self._timeline.state.jobs), "reset")

    def forget_jobs(self, names: Sequence[str], reason: str) -> None:
        """Forget some jobs, after posting the refunds that are still due."""
        if not names:
            return
        timeline = self._timeline
        self._activity.forget_jobs(names)
        for name in names:
            self._money.refund_owed(timeline.state.jobs[name])
        timeline.commit(JobsForgotten(timeline.now, tuple(names), reason))
        known = len(timeline.state.jobs) + len(timeline.state.uploads)
        if len(timeline.deadlines) > DEADLINES_PER_JOB * known + FORGET_AT_ONCE:
            timeline.deadlines.prune()

    # -- uploads

    def forget_upload(self, name: str) -> None:
        """Forget an upload that has expired, and release its file."""
        timeline = self._timeline
        upload = timeline.state.uploads[name]
        timeline.commit(UploadsForgotten(timeline.now, (name,)))
        if upload.stored is not None and not timeline.abandoned:
            self._on_blob_released(upload.stored.digest)

    def make_room_for_upload(self) -> None:
        """Forget the oldest unused tickets if there are too many uploads.

        Raises NoRoomError if all of them hold files.
        """
        timeline = self._timeline
        uploads = timeline.state.uploads
        if len(uploads) < MAX_UPLOADS:
            return
        unused = (name for name, upload in uploads.items() if upload.stored is None)
        oldest = tuple(islice(unused, MAX_UPLOADS // 10))
        if not oldest:
            raise NoRoomError(f"{MAX_UPLOADS} files are kept in a sandbox")
        timeline.commit(UploadsForgotten(timeline.now, oldest))
