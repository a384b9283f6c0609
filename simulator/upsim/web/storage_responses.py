"""Responses of the storage below `/media/`: plain texts, and catalogue entries."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Send

from upsim.core.baseline import ErrorRule

Headers = tuple[tuple[bytes, bytes], ...]
TEXT = b"text/plain; charset=utf-8"


async def refusal_answer(send: Send, rule: ErrorRule, values: Mapping[str, object]) -> None:
    """Respond with a catalogue entry."""
    kind = next((v for k, v in rule.headers.items() if k.lower() == "content-type"), None)
    content_type = TEXT if kind in (None, "text/plain") else kind.encode()
    await whole_answer(send, rule.status, rule.message.format_map(values).encode(), content_type)


async def text_answer(send: Send, status: int, text: str, headers: Headers = ()) -> None:
    """Respond with a plain text."""
    await whole_answer(send, status, text.encode(), TEXT, headers)


async def whole_answer(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Headers = ()
) -> None:
    """Respond with a body in one piece."""
    length = (b"content-length", b"%d" % len(body))
    start = [(b"content-type", content_type), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
