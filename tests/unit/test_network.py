"""The heads before a response's body: how many, how long, and how much is read at once."""

from __future__ import annotations

import httpcore
import pytest

from upsim.untrusted_connections import MAX_HEAD_BYTES, MAX_INFORMATIONAL, PIECE, Heads

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: /\r\n\r\n"
WHOLE = {
    "one": OK,
    "after hints": HINT * MAX_INFORMATIONAL + OK,
    "bare line feeds": b"HTTP/1.1 100 x\n\nHTTP/1.1 200 x\n\n",
    "an upgrade": b"HTTP/1.1 101 x\r\n\r\n",
    "no HTTP": b"\r\n\r\n",
    "a long one": b"HTTP/1.1 200 OK\r\na: " + b"x" * 60_000 + b"\r\n\r\n",
}
BEYOND = {
    "too many": (HINT * (MAX_INFORMATIONAL + 1), "20 informational responses"),
    "too long": (b"HTTP/1.1 200 OK\r\na: " + b"x" * MAX_HEAD_BYTES, "65536 bytes"),
    "too long together": ((HINT[:-2] + b"a: " + b"x" * 9_000 + b"\r\n\r\n") * 8, "65536 bytes"),
    "too many lines": (b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 1_000, "1000 lines"),
    "too many lines together": ((HINT[:-2] + b"a:\r\n" * 99 + b"\r\n") * 10, "1000 lines"),
}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("sent", WHOLE.values(), ids=WHOLE)
def test_the_final_head_is_found(sent: bytes, size: int) -> None:
    """The final response head is found however the bytes are split into pieces."""
    heads = Heads()
    for start in range(0, len(sent), size):
        assert heads.expected
        assert (PIECE, 1) == (heads.piece(1 << 16), heads.piece(1))
        heads.feed(sent[start : start + size])
    assert not heads.expected
    assert heads.piece(1 << 16) == 1 << 16
    heads.feed(HINT * 99)  # a body


@pytest.mark.parametrize("size", [11, 1 << 20])
@pytest.mark.parametrize(("sent", "says"), BEYOND.values(), ids=BEYOND)
def test_heads_without_an_end_are_refused(sent: bytes, says: str, size: int) -> None:
    """Endless response heads are refused by a limit on their number, bytes and lines."""
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
    with pytest.raises(httpcore.RemoteProtocolError, match=says):
        feed(Heads(), pieces)


def feed(heads: Heads, pieces: list[bytes]) -> None:
    """Feed all pieces."""
    for piece in pieces:
        heads.feed(piece)
