"""Writes down what passed through a recording: a line of the cassette for each exchange."""

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
"""Keys that are told apart in a cassette."""
MAX_LINES = 200
"""Characters of a method and a path that a line about them shows."""


@dataclass(slots=True)
class CassetteLog:
    """Judges exchanges, writes them down and says what was found.

    `redactor` is that of requests, `auth` are the headers in which keys come.
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

    async def record(
        self,
        passing: PassingRequest,
        status: int,
        message: RecordedMessage,
        paid: PaidCall | None,
        body: bytes,
        headers: Mapping[str, str],
    ) -> None:
        """Write one exchange down, and say what was found. Long texts do not hold up others."""
        charge = paid.charge if paid is not None else None
        toll = paid.toll if paid is not None else None
        took = Decimal(str(round(self.seconds() - passing.began, 3)))
        count, lines = await asyncio.to_thread(
            self.judge.of, passing, status, body, headers, toll, charge
        )
        notes = await asyncio.to_thread(self.judge.notes, passing, status, body, message.body)
        path, sent, media = await asyncio.to_thread(self._head, passing)
        exchange = RecordedExchange(
            number=0,
            at=Decimal(str(round(passing.began - self.start, 3))),
            took=took,
            method=passing.method,
            path=path,
            request=RecordedMessage(sent, passing.sent),
            status=status,
            answer=message,
            part=passing.part,
            charge=charge,
            media=media,
            hook=passing.hook,
            findings=tuple(lines),
            account=self._account(passing.headers),
        )
        await self.write(exchange, count, [*lines, *notes])

    async def write(self, exchange: RecordedExchange, count: int, lines: list[str]) -> None:
        """Write a line of the cassette, and say what was found."""
        try:
            await self.writer.add_beside(exchange)
        except (ContractFileError, OSError) as error:
            self.lost += 1
            self.say(f"{exchange.call[:MAX_LINES]} is not in the cassette: {_reason(error)}")
        self.findings += count
        for line in lines:
            self.say(line)

    def _account(self, headers: Mapping[str, str]) -> int:
        """Return the number of the key of a request; 0 where it has none."""
        sent = [headers[name] for name in sorted(self.auth) if name in headers]
        key = sha256("\n".join(sent).encode("utf-8", "surrogateescape")).digest()
        if not sent or (len(self._accounts) >= MAX_ACCOUNTS and key not in self._accounts):
            return 0
        return self._accounts.setdefault(key, len(self._accounts) + 1)

    def _head(self, passing: PassingRequest) -> tuple[str, dict[str, str], dict[str, Seen]]:
        """The path, the headers and the videos of a request without what is secret."""
        redactor = self.redactor
        media = {redactor.text(url): seen for url, seen in passing.sighted.media.items()}
        return redactor.path(passing.path), redactor.headers(passing.headers), media


def _reason(error: ContractFileError | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
