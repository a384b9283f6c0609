"""The queue of deadlines: their order, separate expiries, and obsolete deadlines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.engine.deadlines import LANES, Deadline, Deadlines, Kind

KINDS: tuple[Kind, ...] = ("step", "refund", "forget_job", "forget_upload")


def drained(queue: Deadlines, now: int = 10**9) -> list[Deadline]:
    """Take out everything that is due."""
    found = []
    while (due := queue.pop_due(now)) is not None:
        found.append(due)
    return found


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(KINDS), st.integers(0, 3))))
def test_deadlines_run_by_instant_and_then_in_order_of_addition(
    added: list[tuple[int, Kind, int]],
) -> None:
    """Due steps and expiries run in order of time, then in the order in which they were added."""
    queue = Deadlines()
    for number, (at, kind, lane) in enumerate(added):
        queue.add(at, kind, str(number), lane=lane)
    expected = sorted(range(len(added)), key=lambda number: (added[number][0], number))
    assert [int(due.key) for due in drained(queue)] == expected


@given(st.lists(st.integers(0, 9)), st.integers(0, 9))
def test_only_what_is_due_is_taken(instants: list[int], now: int) -> None:
    """A deadline is due at its instant, not before."""
    queue = Deadlines()
    for at in instants:
        queue.add(at, "step", "job")
    assert [due.at for due in drained(queue, now)] == sorted(at for at in instants if at <= now)


def test_there_may_be_any_number_of_lanes() -> None:
    """Deadlines in more lanes than have room come out in order too."""
    queue = Deadlines()
    for number in range(3 * LANES, 0, -1):
        for at in (number, 5 * LANES + number):
            queue.add(at, "step", str(at), lane=number)
    instants = [*range(1, 3 * LANES + 1), *range(5 * LANES + 1, 8 * LANES + 1)]
    assert [due.at for due in drained(queue)] == instants


def test_a_deadline_added_during_a_run_takes_its_place() -> None:
    """A deadline that is added while due ones are taken out comes before later ones."""
    queue = Deadlines()
    for at in (1, 5):
        queue.add(at, "step", str(at), lane=1)
    found = []
    while (due := queue.pop_due(10)) is not None:
        found.append(due.at)
        if due.at == 1:
            queue.add(3, "step", "3", lane=2)
    assert found == [1, 3, 5]


@pytest.mark.parametrize(("expiries", "key"), [(True, "early"), (False, "late")])
def test_the_next_deadline_may_leave_expiries_out(*, expiries: bool, key: str) -> None:
    """The next deadline can leave out expiries of kept jobs."""
    queue = Deadlines()
    queue.add(1, "forget_job", "early")
    queue.add(2, "step", "late")
    due = queue.next(expiries=expiries)
    assert due is not None
    assert due.key == key


def test_an_empty_queue_has_no_next_deadline() -> None:
    """An empty queue has no next deadline."""
    assert Deadlines().next() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(KINDS), st.booleans())))
def test_next_skips_obsolete_deadlines(
    added: list[tuple[int, Kind, bool]],
) -> None:
    """The next deadline is the first that is not obsolete; obsolete ones before it are dropped."""
    live = {str(number) for number, (_, _, alive) in enumerate(added) if alive}
    queue = Deadlines(lambda deadline: deadline.key in live)
    for number, (at, kind, _) in enumerate(added):
        queue.add(at, kind, str(number))
    head = queue.next()
    found = [due for due in drained(queue) if due.key in live]
    assert {due.key for due in found} == live
    assert head == (found[0] if found else None)


def test_pruning_drops_only_obsolete_deadlines() -> None:
    """Pruning drops obsolete deadlines, and the remaining ones keep their order."""
    queue = Deadlines(lambda deadline: int(deadline.key) % 3 == 0)
    for number in (*range(99, 49, -1), *range(1, 50)):
        queue.add(number, KINDS[number % 4], str(number), lane=number // 50)
    queue.prune()
    assert len(queue) == 33
    assert [due.at for due in drained(queue)] == list(range(3, 100, 3))


def test_the_live_count_ignores_obsolete_deadlines() -> None:
    """The number of live deadlines does not depend on earlier reads of the queue."""
    gone = {"b"}
    deadlines = Deadlines(lambda deadline: deadline.key not in gone)
    for key in "abc":
        deadlines.add(5, "step", key)
    gone.add("a")
    before = deadlines.live
    deadlines.next()

    assert (1, 1) == (before, deadlines.live)


@given(added=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(KINDS))), pruned=st.booleans())
def test_obsolete_deadlines_are_not_counted(added: list[tuple[int, Kind]], *, pruned: bool) -> None:
    """The number of waiting deadlines is the same before and after a cleanup of the queue."""
    queue = Deadlines(lambda deadline: deadline.step == 1)
    for number, (step, kind) in enumerate(added):
        queue.add(number, kind, "job", step)
    if pruned:
        queue.prune()

    assert [step for step, _ in added].count(1) == queue.live
