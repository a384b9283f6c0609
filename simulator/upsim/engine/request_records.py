"""The log of a sandbox: one record for each request, with its response and the reasons.

The journal, the report card, the live events and the export read the same records. A record only
refers to values that never change: bytes, names, numbers, frozen structs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from upsim.core.baseline import ErrorRule, Model
from upsim.core.call import JSON
from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.jobs import Job
from upsim.core.ledger import Entry
from upsim.core.media import Media

MAX_BODY_KEPT = 16_384
"""Bytes of a body that a record keeps; longer bodies are cut."""
NOTE = "note"
"""The kind of a record that is not a request to a provider."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """Status, body and headers of a response. If `content_type` is empty, no such header is sent.

    A response without a status of its own, because nothing was sent, has status 0.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON

    @property
    def head(self) -> dict[str, Any]:
        """Return the ASGI message that starts the response, with all headers."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        if self.content_type:
            headers.insert(0, (b"content-type", self.content_type))
        return {"type": "http.response.start", "status": self.status, "headers": headers}


class LoggedRequest(msgspec.Struct, frozen=True, gc=False):
    """A request and its response: what an export needs of both.

    `path` is the path as it was sent. `key` is the name of the sent key; the key is not stored.
    """

    at: Instant
    scheme: str
    method: str
    path: str
    query: bytes
    host: bytes | None
    content_type: bytes | None
    key: str
    body: bytes
    oversized: bool
    response: Response

    def shortened(self) -> LoggedRequest:
        """Return this request with long bodies cut."""
        response = msgspec.structs.replace(self.response, body=self.response.body[:MAX_BODY_KEPT])
        return msgspec.structs.replace(self, body=self.body[:MAX_BODY_KEPT], response=response)


def noted_request(
    at: Instant, method: str, path: str, *, body: bytes = b"", response: Response
) -> LoggedRequest:
    """Return a request for the journal alone, which no export contains."""
    return LoggedRequest(
        at=at,
        scheme="",
        method=method,
        path=path,
        query=b"",
        host=None,
        content_type=None,
        key="",
        body=body,
        oversized=False,
        response=response,
    )


class Record(msgspec.Struct, frozen=True, gc=False):
    """One request to a sandbox, with its response and the reasons. `account` is that of its key.

    * `version`: the number of events before this record, those of its decision included.
    * `request`: with long bodies cut; `full_size`, `full_reply_size`: their sizes, 0 if not cut.
    * `path`: the path after the prefix of the provider.
    * `rules`: the digest of the rules; `rule`: the catalogue entry that refused the request;
      `check`: the check that chose it; `compared`: the compared values; `cause`: a sentence about
      them; `hint`: a fitting dialect.
    * `read_job`: the job that was created or read, as it was then; `entries`: ledger entries.
    * `media`: the measured video, or the default media of a URL if `is_assumed`.
    * `faults`: the fired faults; `unfired`: faults that had nothing to change.
    * `clock`: its mode; `jumped`: the time that an `auto` clock had skipped by itself.
    * `retry_after`: the seconds that the response asked the client to wait.
    """

    number: int
    version: int
    at: Instant
    request: LoggedRequest
    kind: str
    provider: str
    operation: str
    path: str
    full_size: int = 0
    account: int | None = None
    dialect: str = ""
    rules: str = ""
    rule: ErrorRule | None = None
    read_job: Job | None = None
    media: Media | None = None
    is_assumed: bool = False
    model: Model | None = None
    entries: tuple[Entry, ...] = ()
    check: str = ""
    compared: Mapping[str, object] | None = None
    cause: str = ""
    hint: str = ""
    faults: tuple[FaultRule, ...] = ()
    unfired: tuple[str, ...] = ()
    clock: str = ""
    jumped: Instant = 0
    retry_after: int | None = None
    full_reply_size: int = 0

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.request.method

    @property
    def target(self) -> str:
        """The path after the prefix of the provider, with the query."""
        query = self.request.query
        return f"{self.path}?{query.decode('latin-1')}" if query else self.path

    @property
    def body(self) -> bytes:
        """The beginning of the request's body."""
        return self.request.body

    @property
    def body_size(self) -> int:
        """The size of the whole body."""
        return self.full_size or len(self.request.body)

    @property
    def status(self) -> int:
        """The status of the response; 0 if no response was sent."""
        return self.request.response.status

    @property
    def reply(self) -> bytes:
        """The beginning of the response's body."""
        return self.request.response.body

    @property
    def reply_size(self) -> int:
        """The size of the whole body of the response."""
        return self.full_reply_size or len(self.request.response.body)

    @property
    def job(self) -> str | None:
        """The id of the job that was created or read."""
        return self.read_job.id if self.read_job else None

    @property
    def assumed(self) -> Media | None:
        """The default media of a URL that was not fetched."""
        return self.media if self.is_assumed else None

    @property
    def fault(self) -> str | None:
        """The ids of the fired faults."""
        return ", ".join([rule.id for rule in self.faults]) or None

    def shortened(self) -> Record:
        """Return this record with long bodies cut."""
        return msgspec.structs.replace(
            self,
            request=self.request.shortened(),
            full_size=self.body_size,
            full_reply_size=self.reply_size,
        )


Listener = Callable[[Record], None]


class RecordLog:
    """The latest records of a sandbox, oldest first; `count` is the number of all records."""

    def __init__(self, kept: int, *, on_record: Listener) -> None:
        """Keep at most `kept` records; `on_record` is called with each record, before others."""
        self._ring: deque[Record] = deque(maxlen=kept)
        self.count = 0
        self._on_record = on_record
        self._listeners: tuple[Listener, ...] = ()
        self._on_cleared: Callable[[int], None] | None = None

    def append(self, record: Record) -> Record:
        """Add a record with the next number, and return it as it is kept: with long bodies cut.

        A full log drops its oldest record.
        """
        request = record.request
        if len(request.body) > MAX_BODY_KEPT or len(request.response.body) > MAX_BODY_KEPT:
            record = record.shortened()
        self.count = record.number
        self._ring.append(record)
        self._on_record(record)
        for listener in self._listeners:
            listener(record)
        return record

    def continue_with(self, records: Iterable[Record], count: int) -> None:
        """Start with the records of another log, which counted `count` records."""
        self._ring.extend(records)
        self.count = count

    def subscribe(
        self, listener: Listener, *, on_cleared: Callable[[int], None] | None = None
    ) -> None:
        """Call `listener` with each new record, and `on_cleared` with the count of cleared ones."""
        self._listeners = (*self._listeners, listener)
        self._on_cleared = on_cleared or self._on_cleared

    def unsubscribe(self, listener: Listener) -> None:
        """Remove a listener."""
        self._listeners = tuple(one for one in self._listeners if one != listener)

    def clear(self) -> None:
        """Remove the records; the counter is not reset."""
        self._ring.clear()
        if self._on_cleared is not None:
            self._on_cleared(self.count)

    def since(self, number: int) -> list[Record]:
        """Return the kept records after this number, oldest first."""
        fresh = []
        for record in reversed(self._ring):
            if record.number <= number:
                break
            fresh.append(record)
        return fresh[::-1]

    def __iter__(self) -> Iterator[Record]:
        """Yield the kept records, oldest first."""
        return iter(self._ring)

    def __len__(self) -> int:
        """Return the number of kept records."""
        return len(self._ring)
