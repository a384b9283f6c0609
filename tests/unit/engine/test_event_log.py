"""The event log: versions, and a compaction that changes nothing but the length."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.event_histories import Historian, Step, histories, written
from upsim.core.events import EntriesCarried, Event, JobsForgotten, QuotaUsed, UploadsForgotten
from upsim.core.ledger import Entry
from upsim.core.states import JobState
from upsim.engine.event_log import MemoryLog, VersionConflictError, compacted
from upsim.engine.sandbox_state import SandboxState


def parts_after(*logs: Sequence[Event]) -> list[object]:
    """Return all that the events add up to."""
    state = SandboxState()
    for events in logs:
        state.apply(events)
    counts = (state.entry_count, state.accepted_count)
    settled = (state._charges, state._refunds)
    return [state.accounts, state.jobs, state.uploads, *settled, state._quotas, counts]


@given(histories)
def test_a_compacted_log_gives_the_same_state(history: Historian) -> None:
    """A compacted log gives the same accounts, ledger entries, jobs, uploads, quotas and counts."""
    assert parts_after(compacted(history.events)) == parts_after(history.events)


@given(histories, st.data())
def test_a_log_can_be_compacted_at_any_time(history: Historian, data: st.DataObject) -> None:
    """Events after a compaction lead to the same state as without the compaction."""
    cut = data.draw(st.integers(2, len(history.events)))
    before, after = history.events[:cut], history.events[cut:]
    assert parts_after(compacted(before), after) == parts_after(history.events)


@given(histories)
def test_compacting_twice_changes_nothing(history: Historian) -> None:
    """The compaction of a compacted log changes nothing."""
    once = compacted(history.events)
    assert compacted(once) == once


@given(histories)
def test_forgotten_jobs_and_uploads_are_removed(history: Historian) -> None:
    """A compacted log names only existing jobs and uploads."""
    left = compacted(history.events)
    named = {getattr(e, "job", None) or getattr(e, "upload", None) for e in left} - {None}
    assert named == {*history.state.jobs, *history.state.uploads}
    assert not [e for e in left if isinstance(e, JobsForgotten | UploadsForgotten)]


@given(histories)
def test_one_quota_is_left_for_each_limit(history: Historian) -> None:
    """A compaction leaves one event for the requests of a rate-limit window."""
    quotas = [e for e in compacted(history.events) if isinstance(e, QuotaUsed)]
    assert len(quotas) == len({(e.account, e.limit) for e in quotas})


@given(histories)
def test_balances_survive_exactly(history: Historian) -> None:
    """After a compaction, every balance equals the opening plus the ledger entries, exactly."""
    sums = {account: Decimal(1000) for account in (1, 2)}
    for event in compacted(history.events):
        if isinstance(event, Entry | EntriesCarried):
            sums[event.account] += event.amount
    assert sums == {a.number: a.balance for a in history.state.accounts.values()}


def test_an_entry_of_a_reused_id_is_carried_with_its_own_job() -> None:
    """A ledger entry is carried when its own job is forgotten, not a later job of that id."""
    steps: list[Step] = [
        lambda h: h.accept(2, Decimal(1)),
        lambda h: h.end(0, JobState.COMPLETED),
        lambda h: h.forget(1),
        lambda h: h.reuse(1),
        lambda h: h.end(0, JobState.COMPLETED),
        lambda h: h.forget(1),
    ]
    carried = [e for e in compacted(written(steps).events) if isinstance(e, EntriesCarried)]
    assert {(e.account, e.at) for e in carried} == {(2, 3), (1, 6)}


def test_an_append_counts_the_events() -> None:
    """The version of a log is the number of all events ever appended."""
    log, events = MemoryLog(), Historian().events
    assert log.append("box", 0, events) == len(events)


def test_an_append_at_a_wrong_version_is_refused() -> None:
    """An append at a version other than the current one is refused."""
    log, events = MemoryLog(), Historian().events
    log.append("box", 0, events)
    with pytest.raises(VersionConflictError, match="box is at version 2, not 1"):
        log.append("box", 1, events)


def test_a_refused_append_changes_nothing() -> None:
    """A refused append leaves the log unchanged."""
    log, events = MemoryLog(), Historian().events
    log.append("box", 0, events)
    with pytest.raises(VersionConflictError):
        log.append("box", 5, events)
    assert log.read("box") == tuple(events)


def test_a_dropped_sandbox_has_an_empty_log() -> None:
    """A dropped sandbox has version 0 and no events."""
    log, events = MemoryLog(), Historian().events
    log.append("box", 0, events)
    log.drop("box")
    assert (log.read("box"), log.append("box", 0, events)) == ((), 2)


def test_each_sandbox_has_its_own_log() -> None:
    """An append to one sandbox's log does not change another sandbox's version."""
    log, events = MemoryLog(), Historian().events
    log.append("one", 0, events)
    assert log.append("two", 0, events) == len(events)


def long_life(historian: Historian, jobs: int) -> None:
    """Accept, end and forget jobs one by one."""
    for _ in range(jobs):
        historian.at += 1
        historian.accept(1, Decimal("0.1"))
        historian.start(0)
        historian.end(0, JobState.FAILED if historian.at % 2 else JobState.COMPLETED)
        historian.call(1, 0)
        historian.forget(1)


def appended(historian: Historian, log: MemoryLog) -> int:
    """Append a history event by event, and return how long the log was at most."""
    longest = 0
    for version, event in enumerate(historian.events):
        log.append("box", version, [event])
        longest = max(longest, len(log.read("box")))
    return longest


def test_a_long_life_makes_no_long_log() -> None:
    """After thousands of forgotten jobs, the log is as short as the compaction promises."""
    historian = Historian()
    long_life(historian, 3000)
    assert appended(historian, MemoryLog(worth_it=200)) < 400


def test_a_log_that_was_compacted_often_gives_the_same_state() -> None:
    """Money, counts and quotas are exact after dozens of compactions."""
    historian, log = Historian(), MemoryLog(worth_it=50)
    long_life(historian, 500)
    appended(historian, log)
    assert parts_after(log.read("box")) == parts_after(historian.events)


def test_requests_alone_make_no_long_log() -> None:
    """The log stays short if requests only count for rate limits and no job is created."""
    historian = Historian()
    for _ in range(3000):
        historian.at += 1
        historian.call(1, 0)
    assert appended(historian, MemoryLog(worth_it=200)) < 500


def test_uploads_alone_make_no_long_log() -> None:
    """The log stays short if only upload tickets are created and expire."""
    historian = Historian()
    for _ in range(1000):
        historian.at += 1
        historian.upload(1)
        historian.forget_upload(0)
    assert appended(historian, MemoryLog(worth_it=200)) < 500
