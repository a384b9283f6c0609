"""The error in a response, as the provider words it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from upsim_contracts.cassettes.cassette import RecordedExchange
from upsim_contracts.expected_responses import MAX_LENGTH


@dataclass(frozen=True, slots=True)
class ProviderWords:
    """The error in a response: its code and its text, empty if there is none."""

    code: str = ""
    message: str = ""

    def __str__(self) -> str:
        """Return the code and the quoted text."""
        text = f'"{self.message}"' if self.message else ""
        return f"{self.code}: {text}" if self.code and text else self.code or text


def said(document: object, text: str) -> ProviderWords:
    """Return the error in a response body, as the provider words it."""
    if not isinstance(document, Mapping):
        return ProviderWords("", re.sub(r"<[^>]*>|\s+", " ", text).strip()[:120])
    error: Any = document.get("error")
    inner: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    code = inner.get("code") or inner.get("type") or document.get("error_code")
    code = code or document.get("code")
    message = inner.get("message") or (error if isinstance(error, str) else "")
    return ProviderWords(str(code or ""), str(message or document.get("message") or ""))


def words_of(exchange: RecordedExchange) -> str:
    """Return the error in a recorded response, as the provider words it."""
    body = exchange.answer.body
    found = said(body.get("json"), str(body.get("text", "")))
    code = "" if found.code.isdecimal() else found.code  # most often the status once more
    return str(replace(found, code=code, message=found.message[:MAX_LENGTH]))
