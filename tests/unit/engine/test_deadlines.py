"""The queue of deadlines: order, expiries apart, and what has come to nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.engine.deadlines import Deadline, Deadlines, Kind

KINDS: tuple[Kind, ...] = ("step", "refund", "forget_job", "forget_upload")


def drained(queue: Deadlines, now: int = 10**9) -> list[Deadline]:
    """Take out everything that is due."""
    found = []
    while (due := queue.pop_due(now)) is not None:
        found.append(due)
    return found


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(KINDS))))
def test_deadlines_run_by_instant_and_then_in_the_order_they_came(
    added: list[tuple[int, Kind]],
) -> None:
    """Work and expiries are one queue to who asks what is due."""
    queue = Deadlines()
    for number, (at, kind) in enumerate(added):
        queue.add(at, kind, str(number))
    expected = sorted(range(len(added)), key=lambda number: (added[number][0], number))
    assert [int(due.key) for due in drained(queue)] == expected


@given(st.lists(st.integers(0, 9)), st.integers(0, 9))
def test_only_what_is_due_is_taken(instants: list[int], now: int) -> None:
    """A deadline is due at its instant, not before."""
    queue = Deadlines()
    for at in instants:
        queue.add(at, "step", "job")
    assert [due.at for due in drained(queue, now)] == sorted(at for at in instants if at <= now)


@pytest.mark.parametrize(("expiries", "key"), [(True, "early"), (False, "late")])
def test_the_next_deadline_may_leave_expiries_out(*, expiries: bool, key: str) -> None:
    """Who waits for work is not told of ends of retention."""
    queue = Deadlines()
    queue.add(1, "forget_job", "early")
    queue.add(2, "step", "late")
    due = queue.next(expiries=expiries)
    assert due is not None
    assert due.key == key


def test_an_empty_queue_has_no_next_deadline() -> None:
    """None says that nothing will happen by itself."""
    assert Deadlines().next() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(KINDS), st.booleans())))
def test_what_has_come_to_nothing_is_never_returned(
    added: list[tuple[int, Kind, bool]],
) -> None:
    """Neither as due nor as next."""
    live = {str(number) for number, (_, _, alive) in enumerate(added) if alive}
    queue = Deadlines(lambda deadline: deadline.key in live)
    for number, (at, kind, _) in enumerate(added):
        queue.add(at, kind, str(number))
    head = queue.next()
    found = drained(queue)
    assert {due.key for due in found} == live
    assert head == (found[0] if found else None)


def test_pruning_drops_only_what_has_come_to_nothing() -> None:
    """The rest stays in order."""
    queue = Deadlines(lambda deadline: int(deadline.key) % 3 == 0)
    for number in range(99, 0, -1):
        queue.add(number, KINDS[number % 4], str(number))
    queue.prune()
    assert len(queue) == 33
    assert [due.at for due in drained(queue)] == list(range(3, 100, 3))
