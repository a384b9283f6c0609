"""The built-in receiver: what is kept, and how much."""

from __future__ import annotations

import pytest

from upsim.engine.webhook_inbox import MAX_BODY_KEPT, MAX_BYTES, MAX_MESSAGES, Inbox, InboxMessage


def message(inbox: str = "a", body: bytes = b"{}") -> InboxMessage:
    """Return a request to an inbox."""
    return InboxMessage(0, 0, inbox, "POST", "/a", (("x", "y"),), body, len(body))


def test_each_inbox_has_its_own_messages() -> None:
    """Messages are numbered over all inboxes, and each inbox returns only its own."""
    inbox = Inbox()
    for name in ("a", "b", "a"):
        inbox.put(message(name))

    assert [1, 3] == [kept.number for kept in inbox.messages("a")]


def test_an_unknown_inbox_is_empty() -> None:
    """An inbox that received nothing is empty."""
    assert Inbox().messages("nobody") == ()


def test_a_long_body_is_cut() -> None:
    """The inbox keeps the beginning of a long body and its full size."""
    kept = Inbox().put(message(body=bytes(MAX_BODY_KEPT + 1)))

    assert (MAX_BODY_KEPT, MAX_BODY_KEPT + 1) == (len(kept.body), kept.size)


@pytest.mark.parametrize("body", [b"", bytes(MAX_BODY_KEPT)], ids=["many", "big"])
def test_the_oldest_messages_are_dropped(body: bytes) -> None:
    """The inbox drops its oldest messages, so that their number and their bytes stay bounded."""
    inbox = Inbox()
    for _ in range(MAX_MESSAGES + 10):
        last = inbox.put(message(body=body))
    kept = inbox.messages("a")

    assert len(kept) <= MAX_MESSAGES
    assert sum(one.weight for one in kept) <= MAX_BYTES
    assert kept[-1] == last
