"""What can go wrong for a client.

ClientError
├── RefusedError        the provider answered with an error of its own
├── UnreadableError     the answer is not what the provider documents
└── UnknownAdapterError no adapter of this name
"""

from __future__ import annotations


class ClientError(Exception):
    """Anything that keeps a client from its result."""


class RefusedError(ClientError):
    """A provider's refusal: its HTTP status, its code where it has one, its message verbatim."""

    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        """Keep the parts; the text is `<status> [<code>] <message>`."""
        self.status = status
        self.code = code
        self.message = message
        super().__init__(" ".join(filter(None, (str(status), code, message))))


class UnreadableError(ClientError):
    """An answer without what the provider's documentation promises."""


class UnknownAdapterError(ClientError, LookupError):
    """No adapter of this name; the message lists those there are."""
