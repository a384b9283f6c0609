"""The clock: four modes, one direction."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from upsim.core.instants import SECOND
from upsim.engine.clock import EPOCH_OF_TESTS, Clock, ClockError, PlayedClock, parse_mode

WALL = 1_800_000_000 * SECOND
Sleep = Callable[[float], None]


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Sleep:
    """Return a function that lets the machine's time pass, or go back."""
    nanoseconds = [WALL * 1000]

    def pass_by(seconds: float) -> None:
        nanoseconds[0] += round(seconds * 10**9)

    fake = SimpleNamespace(time_ns=lambda: nanoseconds[0])
    monkeypatch.setattr("upsim.engine.clock.time", fake)
    return pass_by


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("real", ("real", 1)),
        ("manual", ("manual", 1)),
        ("auto", ("auto", 1)),
        ("scaled:1", ("scaled", 1)),
        ("scaled:60", ("scaled", 60)),
    ],
)
def test_a_mode_is_written_as_in_settings(text: str, mode: tuple[str, int]) -> None:
    """A clock mode is parsed from its setting; only `scaled` has a rate."""
    assert parse_mode(text) == mode


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "Real",
        "real:2",
        "manual:1",
        "scaled",
        "scaled:",
        "scaled:0",
        "scaled:-1",
        "scaled:1.5",
        "scaled:٣",
        "scaled:" + "9" * 5000,
    ],
)
def test_unknown_clock_modes_are_refused(text: str) -> None:
    """The error for an unknown clock mode lists the known modes."""
    with pytest.raises(ClockError, match="allowed: real, manual, auto, scaled:"):
        parse_mode(text)


@pytest.mark.parametrize("mode", ["manual", "auto"])
def test_clocks_moved_by_hand_start_at_a_fixed_instant(mode: str) -> None:
    """A clock that is moved by hand starts at a fixed instant, so test times never change."""
    assert Clock(mode).now() == EPOCH_OF_TESTS


@pytest.mark.parametrize("mode", ["manual", "auto"])
def test_clocks_moved_by_hand_stand_still(mode: str, sleep: Sleep) -> None:
    """A clock that is moved by hand ignores the time of the machine."""
    clock = Clock(mode, start=5)
    sleep(3600)
    assert clock.now() == 5


@pytest.mark.parametrize(("mode", "seconds"), [("real", 2), ("scaled:1", 2), ("scaled:60", 120)])
def test_moving_clocks_follow_the_machine(mode: str, seconds: int, sleep: Sleep) -> None:
    """A `scaled:n` clock advances n seconds per second of the machine."""
    clock = Clock(mode)
    before = clock.now()
    sleep(2)
    assert clock.now() - before == seconds * SECOND


def test_a_scaled_clock_loses_no_time_between_reads(sleep: Sleep) -> None:
    """Many short reads of a scaled clock give the same time as one long read."""
    clock = Clock("scaled:7", start=0)
    for _ in range(1000):
        sleep(0.000001)
        clock.now()
    assert clock.now() == 7000


@pytest.mark.parametrize(("mode", "start"), [("scaled:2", 0), ("manual", 0), ("auto", 0)])
def test_a_start_can_be_chosen(mode: str, start: int, sleep: Sleep) -> None:
    """Every clock except the real one starts at the given instant."""
    del sleep
    assert Clock(mode, start=start).now() == start


def test_a_real_clock_refuses_a_start(sleep: Sleep) -> None:
    """A real clock refuses a start time, because it always shows the machine's time."""
    del sleep
    assert Clock("real", start=5).now() == WALL


@pytest.mark.parametrize("mode", ["real", "scaled:10"])
def test_no_clock_goes_back_with_the_machine(mode: str, sleep: Sleep) -> None:
    """A sandbox clock does not go back when the machine's clock is set back."""
    clock = Clock(mode)
    before = clock.now()
    sleep(-10)
    assert clock.now() == before


def test_a_jump_goes_to_its_instant() -> None:
    """A jump sets the clock to its instant."""
    clock = Clock("manual", start=10)
    clock.jump(25)
    assert clock.now() == 25


def test_a_scaled_clock_keeps_its_rate_after_a_jump(sleep: Sleep) -> None:
    """A scaled clock keeps its rate after a jump."""
    clock = Clock("scaled:3", start=0)
    clock.jump(100 * SECOND)
    sleep(2)
    assert clock.now() == 106 * SECOND


@pytest.mark.parametrize("mode", ["manual", "auto", "scaled:3"])
def test_no_jump_goes_back(mode: str, sleep: Sleep) -> None:
    """A clock refuses a jump back, and the message names the current instant."""
    del sleep
    clock = Clock(mode, start=10)
    with pytest.raises(ClockError, match="is at 10 and cannot go back"):
        clock.jump(9)


def test_a_real_clock_does_not_jump() -> None:
    """A real clock refuses a jump, and the message names the modes that can jump."""
    with pytest.raises(ClockError, match="set its mode to manual, auto or scaled"):
        Clock("real").jump(2**60)


@pytest.mark.parametrize("mode", ["manual", "auto", "scaled:9"])
def test_a_change_of_mode_keeps_the_instant(mode: str, sleep: Sleep) -> None:
    """A change of mode keeps the instant of the clock."""
    del sleep
    clock = Clock("manual", start=10)
    clock.change(mode)
    assert (clock.now(), clock.label) == (10, mode)


def test_a_change_to_real_goes_forward_to_the_machines_time(sleep: Sleep) -> None:
    """A clock that is behind jumps to the machine's time when its mode becomes real."""
    del sleep
    clock = Clock("manual", start=10)
    clock.change("real")
    assert clock.now() == WALL


def test_a_clock_ahead_of_the_machine_cannot_become_real(sleep: Sleep) -> None:
    """A clock ahead of the machine cannot become real, because it would have to go back."""
    del sleep
    clock = Clock("manual", start=WALL + 1)
    with pytest.raises(ClockError, match="would have to go back"):
        clock.change("real")


def test_a_refused_change_of_mode_changes_nothing(sleep: Sleep) -> None:
    """If a clock ahead of the machine refuses the mode real, its mode and time stay the same."""
    del sleep
    clock = Clock("manual", start=WALL + 1)
    with pytest.raises(ClockError):
        clock.change("real")
    assert (clock.label, clock.now()) == ("manual", WALL + 1)


@pytest.mark.parametrize(
    ("mode", "seconds"), [("real", 60), ("scaled:60", 1), ("manual", None), ("auto", None)]
)
def test_a_wait_is_in_real_seconds(mode: str, seconds: float | None, sleep: Sleep) -> None:
    """The wait for an instant is in real seconds, or None if only a command can reach it."""
    del sleep
    clock = Clock(mode)
    assert clock.real_seconds_until(clock.now() + 60 * SECOND) == seconds


def test_a_wait_for_the_past_is_zero(sleep: Sleep) -> None:
    """The wait for a past instant is zero, never negative."""
    del sleep
    assert Clock("real").real_seconds_until(0) == 0


@pytest.mark.parametrize(("mode", "by_hand"), [("real", False), ("manual", True), ("auto", True)])
def test_by_hand_is_true_for_manual_and_auto(mode: str, *, by_hand: bool) -> None:
    """A clock in mode `manual` or `auto` moves only by commands."""
    assert Clock(mode).moves_by_hand == by_hand


def test_a_pace_below_one_is_refused() -> None:
    """A clock refuses a pace below one."""
    with pytest.raises(ClockError, match="pace 0 is not a whole number of 1 or more"):
        Clock("real", pace=0)


def test_a_moving_clock_ignores_a_past_target(sleep: Sleep) -> None:
    """A moving clock that is asked to reach a past instant keeps its time."""
    clock = Clock("scaled:10", start=0)
    sleep(1)
    clock.reach(5 * SECOND)
    reached = clock.now()
    clock.reach(60 * SECOND)

    assert (10 * SECOND, 60 * SECOND) == (reached, clock.now())


def test_a_real_clock_reaches_nothing(sleep: Sleep) -> None:
    """A real clock cannot be moved to an instant."""
    sleep(0)
    with pytest.raises(ClockError):
        Clock("real").reach(WALL + SECOND)


@pytest.mark.parametrize("mode", ["real", "scaled:10", "manual", "auto"])
def test_a_replayed_clock_ignores_real_time(sleep: Sleep, mode: str) -> None:
    """A replayed clock of any mode ignores real time, and never goes back."""
    clock = PlayedClock(mode, start=SECOND, pace=3)
    sleep(100)
    clock.put(7 * SECOND)
    clock.put(2 * SECOND)

    assert (7 * SECOND, mode, 3) == (clock.now(), clock.label, clock.pace)
    assert clock.real_seconds_until(9 * SECOND) is None


def test_a_replayed_clock_repeats_the_wall_clock(sleep: Sleep) -> None:
    """A replayed clock becomes real where the recorded wall clock allowed it."""
    sleep(0)
    clock = PlayedClock("manual", start=5 * SECOND, pace=1)
    clock.wall = 4 * SECOND
    with pytest.raises(ClockError):
        clock.change("real")
    clock.wall = 5 * SECOND
    clock.change("real")

    assert ("real", 5 * SECOND) == (clock.label, clock.now())
