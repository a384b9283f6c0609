"""Answers that leave in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from upsim.cli.one_write import JoiningTransport

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that remembers what was asked of it."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        super().__init__({"peername": ("127.0.0.1", 9)})
        self.asked: list[object] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember a write."""
        self.asked.append(bytes(data))

    def close(self) -> None:
        """Remember the close."""
        self.asked.append("close")

    def abort(self) -> None:
        """Remember the abort."""
        self.asked.append("abort")

    def is_closing(self) -> bool:
        """Closing once closed."""
        return "close" in self.asked

    def pause_reading(self) -> None:
        """Remember the pause."""
        self.asked.append("pause_reading")

    def resume_reading(self) -> None:
        """Remember that reading goes on."""
        self.asked.append("resume_reading")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Remember the protocol."""
        self.asked.append(protocol)


class Turn:
    """The next turn of a loop."""

    def __init__(self) -> None:
        """Nothing is to be done."""
        self.waiting: list[Callable[[], object]] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        """Put something off to the next turn."""
        self.waiting.append(call)

    def come(self) -> None:
        """Do what was put off."""
        while self.waiting:
            self.waiting.pop(0)()


def joined() -> tuple[JoiningTransport, Wire, Turn]:
    """Return a transport, what is behind it, and the next turn of its loop."""
    wire, turn = Wire(), Turn()
    return JoiningTransport(wire, cast("asyncio.AbstractEventLoop", turn)), wire, turn


def test_head_and_body_leave_together() -> None:
    """What follows a head goes with it; the next turn has nothing to add."""
    transport, wire, turn = joined()
    transport.write(HEAD)
    transport.write(b"{}")
    turn.come()

    assert [HEAD + b"{}"] == wire.asked


def test_the_head_of_a_stream_leaves_in_the_next_turn() -> None:
    """A body that takes its time does not hold back its head."""
    transport, wire, turn = joined()
    transport.write(HEAD)
    turn.come()
    transport.write(b"data: 1\n\n")

    assert [HEAD, b"data: 1\n\n"] == wire.asked


def test_answers_keep_their_order() -> None:
    """Two answers in one turn are two writes, each with its body."""
    transport, wire, turn = joined()
    for body in (b"1", b"2"):
        transport.write(HEAD)
        transport.write(body)
    turn.come()

    assert [HEAD + b"1", HEAD + b"2"] == wire.asked


def test_a_close_sends_what_waits() -> None:
    """An answer that ends the connection is whole."""
    transport, wire, turn = joined()
    transport.write(HEAD)
    transport.close()
    turn.come()

    assert [HEAD, "close"] == wire.asked


@pytest.mark.parametrize("name", ["abort", "pause_reading", "resume_reading"])
def test_what_is_passed_on(name: str) -> None:
    """Everything but writing and closing is the other transport's."""
    transport, wire, _ = joined()
    getattr(transport, name)()

    assert [name] == wire.asked


def test_a_new_protocol_is_passed_on() -> None:
    """A connection that is upgraded goes on in another protocol."""
    transport, wire, _ = joined()
    protocol = asyncio.Protocol()
    transport.set_protocol(protocol)

    assert [protocol] == wire.asked


def test_what_the_connection_is() -> None:
    """Address and state are those of the other transport."""
    transport, _, _ = joined()
    found: Any = transport.get_extra_info("peername")
    transport.close()

    assert (("127.0.0.1", 9), True) == (found, transport.is_closing())
