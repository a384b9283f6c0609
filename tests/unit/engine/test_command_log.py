"""The command log: what is kept of it, for how long, and by which names keys go."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from upsim.core.webhooks import AttemptOutcome
from upsim.engine.clock import Clock
from upsim.engine.command_log import (
    CURRENT,
    MAX_BODY_KEPT,
    WEIGHT,
    Command,
    CommandLog,
    LoggedKey,
    Resumed,
    happened,
    resumed,
)
from upsim.engine.replay_command_log import NotPlayedError, ReplayCommandLog, ReplayedCommand
from upsim.engine.request_records import LoggedRequest, Response
from upsim.engine.timeline import Timeline


def log_of(most: int = 100, most_bytes: int = 10**6) -> CommandLog:
    """Return the log of a sandbox whose clock does not move."""
    world = SimpleNamespace(clock=Clock("manual", start=5), now=5)
    return CommandLog(cast("Timeline", world), most=most, most_bytes=most_bytes)


def asked(body: bytes = b"", reply: bytes = b"{}") -> LoggedRequest:
    """Return a request that was answered without a wait."""
    return LoggedRequest(
        at=5,
        scheme="http",
        method="GET",
        path="/x",
        query=b"",
        host=b"h",
        content_type=None,
        key="",
        body=body,
        oversized=not body,
        response=Response(200, reply),
    )


def command(log: CommandLog) -> Command:
    """Return a command that may wait."""
    return Command(log, 5, "http", "POST", "/x", b"", [])


def test_entries_are_bounded() -> None:
    """The command log keeps its first entries; when it is full, it says why."""
    log = log_of(most=3)
    counts = []
    for _ in range(5):
        log.add(asked(), 0)
        counts.append(log.count)

    assert ([1, 2, 3, 3, 3], 3) == (counts, len(log.entries))
    assert (False, "3 entries are kept") == (log.open, log.filled)


def test_bytes_are_bounded() -> None:
    """The size limit of the command log counts each body and a fixed size per entry."""
    log = log_of(most_bytes=3 * WEIGHT)
    for _ in range(9):
        log.add(asked(), WEIGHT)

    assert (2, "the bytes that are kept were used up") == (log.count, log.filled)


def test_a_full_log_takes_no_entry() -> None:
    """A full command log accepts no later entry of any kind."""
    log = log_of(most=1)
    log.add(asked(), 0)
    log.opened("vicsee", "main", 1)
    log.told("d", 1, AttemptOutcome(200))
    with log.during(command(log)):
        pass
    named = log.key(b"mark", LoggedKey("vicsee/main", "vicsee", "main", "known", ""))

    assert (7, "", 1, []) == (log.stamp(7), named, len(log.entries), log.stamps)


def test_a_log_may_be_off() -> None:
    """A command log with room for no entry keeps none."""
    log = log_of(most=0)

    log.add(asked(), 0)

    assert (False, 0, "no command is kept") == (log.open, log.count, log.filled)


def test_long_bodies_are_cut() -> None:
    """A body that does not fit is cut in the log, with its full size and the hash of the whole."""
    log = log_of(most_bytes=2 * MAX_BODY_KEPT)
    body = b"x" * (MAX_BODY_KEPT + 1)
    log.add(asked(body), len(body))
    (kept,) = log.entries

    assert isinstance(kept, Command)
    assert (MAX_BODY_KEPT, MAX_BODY_KEPT + 1, 64) == (
        len(kept.body),
        kept.body_size,
        len(kept.body_digest),
    )
    assert (200, b"{}") == (kept.status, b"".join(kept.parts))


def test_keys_have_names() -> None:
    """A key keeps its name, and another key of the same owner has a different name."""
    log = log_of()
    key = LoggedKey("vicsee/main", "vicsee", "main", "known", "sk-")
    names = [log.key(mark, key) for mark in (b"1", b"2", b"1", b"3")]

    assert ["vicsee/main", "vicsee/main#2", "vicsee/main", "vicsee/main#3"] == names


def test_a_wait_is_logged_if_other_commands_came() -> None:
    """A waiting command adds an entry only if another command came while it waited."""
    log = log_of()

    async def course() -> None:
        with log.during(command(log)):
            await resumed("alone")
            log.add(asked(), 0)
            await resumed("among others")
            happened(9)

    asyncio.run(course())
    first, _, last = log.entries

    assert isinstance(first, Command)
    assert Resumed(9, 1, "among others", 0) == last
    assert (5, None) == (first.at, CURRENT.get())


def test_no_wait_is_logged_outside_of_a_command() -> None:
    """Advancing a clock outside of a command adds no entry to the log."""
    log = log_of()
    asyncio.run(resumed("flush"))
    happened(9)

    assert 0 == log.count


def test_a_replayed_command_waits_as_recorded() -> None:
    """A replayed command waits where the recorded command waited, and nowhere else."""
    log = ReplayCommandLog(log_of().timeline, [7])
    order: list[str] = []

    async def course() -> None:
        played = ReplayedCommand(
            log, 5, "http", "GET", "/x", b"", (), turns=[("hold", 1)], played=True
        )
        CURRENT.set(played)

        async def run() -> None:
            for name in ("hold", "hold", "sent"):
                await resumed(name)
                order.append(name)

        task = asyncio.create_task(run())
        await played.waiting.wait()
        order.append("turn")
        played.go.set()
        await task

    asyncio.run(course())

    assert ["hold", "turn", "hold", "sent"] == order
    assert [7, 8] == [log.stamp(8), log.stamp(8)]


def test_a_replay_takes_no_other_request() -> None:
    """A replay refuses a request that it did not record."""
    log = ReplayCommandLog(log_of().timeline, [])
    with pytest.raises(NotPlayedError) as caught:
        log.begin(command(log))

    assert "POST /x is no command of the replay" == str(caught.value)
