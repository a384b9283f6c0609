"""Responses of any server's admin API, which are checked before they are used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import msgspec

from upsim.client.adapter import number
from upsim.core.printable_text import LINES, printable
from upsim.web.admin.app import CALLS

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
NO_ANSWER = 0
"""The status of an admin request without a usable response."""
_SENDABLE = re.compile(r"[!-~]{1,8192}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_SHOWN = 300


class AdminCallError(RuntimeError):
    """The admin API refused a request; `code` is machine-readable."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep status, code and message of the response; escape the message."""
        super().__init__(printable(message, keep=LINES))
        self.status, self.code = status, code


def document(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a response. Raises AdminCallError."""
    try:
        found = msgspec.json.decode(answer.content)
    except (ValueError, RecursionError) as error:
        raise strange(answer, str(error)) from None
    if not isinstance(found, dict):
        raise strange(answer, "it is not a JSON object")
    return found


def checked(answer: httpx.Response, path: str) -> dict[str, Any]:
    """Return the JSON object of a response if it has the documented shape of this request.

    `path` is the path below `/__sim`. Raises AdminCallError.
    """
    found = document(answer)
    shape = _shape(answer.request.method, f"/{path.partition('?')[0]}")
    try:
        msgspec.convert(found, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise strange(answer, str(error)) from None
    return found


def check_sandbox(made: Mapping[str, Any], answer: httpx.Response) -> None:
    """Raise AdminCallError if the id or a key of a new sandbox cannot be used in a request."""
    if not _ID.fullmatch(made["id"]):
        raise strange(answer, f"the id {made['id'][:_MAX_SHOWN]!a} is not an id of a sandbox")
    for provider, key in made["keys"].items():
        if not _SENDABLE.fullmatch(key):
            raise strange(answer, f"the key of {provider[:_MAX_SHOWN]!a} fits in no header")


def moment(text: str, where: str) -> datetime:
    """Return the time in a text of a response. Raises AdminCallError."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _no_value(where, text, "a time") from None


def exact_amount(text: str, where: str) -> Decimal:
    """Return the exact amount in a text of a response. Raises AdminCallError."""
    found = number(text)
    if found is None:
        raise _no_value(where, text, "an amount")
    return found


def strange(answer: httpx.Response, why: str) -> AdminCallError:
    """Return the error for a response that no simulator sends."""
    request, status = answer.request, answer.status_code
    what = f"{request.method} {request.url}: the response ({status}) is not a simulator's"
    return AdminCallError(status, "strange_answer", f"{what}: {why[:_MAX_SHOWN]}")


def _no_value(where: str, text: str, kind: str) -> AdminCallError:
    told = f"the response is not a simulator's: {text[:_MAX_SHOWN]!a} is not {kind}"
    return AdminCallError(NO_ANSWER, "strange_answer", f"{where}: {told}")


@cache
def _templates() -> tuple[tuple[str, re.Pattern[str], Any], ...]:
    return tuple(
        (
            call.method,
            re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(call.path))),
            call.answer,
        )
        for call in CALLS
        if call.media == "application/json"
    )


@cache
def _shape(method: str, path: str) -> Any:  # noqa: ANN401 - a type
    """Return the shape of the response to a request; any object for an unknown request."""
    for known, pattern, shape in _templates():
        if known == method and pattern.fullmatch(path):
            return shape
    return dict[str, Any]
