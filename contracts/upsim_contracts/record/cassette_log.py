"""Write the exchanges of a recording to a cassette, one line for each exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256

from upsim_contracts.cassettes.cassette import RecordedExchange, RecordedMessage, Writer
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.record.reservations import PaidCall
from upsim_contracts.record.response_findings import PassingRequest, ResponseFindings
from upsim_contracts.record.video_measuring import Seen

MAX_ACCOUNTS = 1_000
"""Keys for which a cassette has separate accounts."""
MAX_LINES = 200
"""Characters of a method and a path that a line about them shows."""
ENDED = "the recording ended before the whole response came"
Head = tuple[str, dict[str, str], dict[str, Seen]]
"""The path, the headers and the videos of a request, without secrets."""


@dataclass(slots=True)
class CassetteLog:
    """Checks exchanges, records them and reports the findings.

    `redactor` redacts requests; `auth` are the names of headers with API keys.
    """

    writer: Writer
    judge: ResponseFindings
    redactor: Redactor
    auth: Collection[str]
    say: Callable[[str], None]
    seconds: Callable[[], float]
    start: float
    findings: int = 0
    lost: int = 0
    _accounts: dict[bytes, int] = field(default_factory=dict)
    _open: dict[int, tuple[PassingRequest, PaidCall | None]] = field(default_factory=dict)

    def begin(self, passing: PassingRequest, paid: PaidCall | None) -> None:
        """Remember a request that is about to be sent, until `record` or `end` writes it."""
        self._open[id(passing)] = (passing, paid)

    def forget(self, passing: PassingRequest) -> None:
        """Forget a request that could not be sent."""
        self._open.pop(id(passing), None)

    def end(self) -> None:
        """Write every request that still has no complete response, with status 0.

        The upstream got these requests and may have charged for them.
        """
        for passing, paid in self._open.values():
            if paid is not None:
                paid.close()
            message = RecordedMessage({}, {"text": ENDED})
            took = self._since(passing.began)
            exchange = self._exchange(
                passing,
                0,
                message=message,
                paid=paid,
                head=self._head(passing),
                took=took,
                findings=(),
            )
            try:
                self.writer.add_last(exchange)
            except (ContractFileError, OSError) as error:
                self._lose(exchange, error)
            self.say(self.redactor.text(f"{exchange.call[:MAX_LINES]}: {ENDED}"))
        self._open.clear()

    async def record(
        self,
        passing: PassingRequest,
        status: int,
        message: RecordedMessage,
        paid: PaidCall | None,
        body: bytes,
        headers: Mapping[str, str],
    ) -> None:
        """Write one exchange, and report its findings. Long texts do not delay other exchanges."""
        charge = paid.charge if paid is not None else None
        toll = paid.toll if paid is not None else None
        took = self._since(passing.began)
        count, lines = await asyncio.to_thread(
            self.judge.of, passing, status, body, headers, toll, charge
        )
        notes = await asyncio.to_thread(self.judge.notes, passing, status, body, message.body)
        head = await asyncio.to_thread(self._head, passing)
        exchange = self._exchange(
            passing, status, message=message, paid=paid, head=head, took=took, findings=tuple(lines)
        )
        if self._open.pop(id(passing), None) is not None:  # else `end` has written it down
            await self.write(exchange, count, [*lines, *notes])

    async def write(self, exchange: RecordedExchange, count: int, lines: list[str]) -> None:
        """Write a line of the cassette, and report the findings."""
        try:
            await self.writer.add_beside(exchange)
        except (ContractFileError, OSError) as error:
            self._lose(exchange, error)
        self.findings += count
        for line in lines:
            self.say(line)

    def _lose(self, exchange: RecordedExchange, error: ContractFileError | OSError) -> None:
        self.lost += 1
        self.say(f"{exchange.call[:MAX_LINES]} is not in the cassette: {_reason(error)}")

    def _exchange(
        self,
        passing: PassingRequest,
        status: int,
        message: RecordedMessage,
        paid: PaidCall | None,
        head: Head,
        took: Decimal,
        findings: tuple[str, ...],
    ) -> RecordedExchange:
        path, sent, media = head
        return RecordedExchange(
            number=0,
            at=Decimal(str(round(passing.began - self.start, 3))),
            took=took,
            method=passing.method,
            path=path,
            request=RecordedMessage(sent, passing.sent),
            status=status,
            answer=message,
            part=passing.part,
            charge=paid.charge if paid is not None else None,
            media=media,
            hook=passing.hook,
            findings=findings,
            account=self._account(passing.headers),
        )

    def _since(self, began: float) -> Decimal:
        return Decimal(str(round(self.seconds() - began, 3)))

    def _account(self, headers: Mapping[str, str]) -> int:
        """Return the number of the API key of a request; 0 if it has no key."""
        sent = [headers[name] for name in sorted(self.auth) if name in headers]
        key = sha256("\n".join(sent).encode("utf-8", "surrogateescape")).digest()
        if not sent or (len(self._accounts) >= MAX_ACCOUNTS and key not in self._accounts):
            return 0
        return self._accounts.setdefault(key, len(self._accounts) + 1)

    def _head(self, passing: PassingRequest) -> Head:
        """Return the path, the headers and the videos of a request, without secrets."""
        redactor = self.redactor
        media = {redactor.text(url): seen for url, seen in passing.sighted.media.items()}
        return redactor.path(passing.path), redactor.headers(passing.headers), media


def _reason(error: ContractFileError | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
