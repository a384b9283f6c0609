"""`upsim record` after option parsing: the upstream, the guard, the file, the application.

The command line finds `recording` by an entry point and serves the returned application.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from upsim.client.clocks import stopwatch, wall
from upsim.client.http.connections import async_connections
from upsim.client.request_guard import is_loopback, scheme_flaw
from upsim.untrusted_connections import NoCookies
from upsim_contracts.amounts import counted
from upsim_contracts.cassettes.cassette import Header, Writer, read_cassette
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.clip_properties import ClipProperties, clip
from upsim_contracts.documents.openapi import parts
from upsim_contracts.documents.response_checks import contract
from upsim_contracts.exceptions import ClipError, UsageError
from upsim_contracts.facts.fact_files import Book, filled
from upsim_contracts.record.proxy import Recording
from upsim_contracts.record.reservations import Reservations
from upsim_contracts.record.upstream import Upstream, live_hosts, upstream
from upsim_contracts.record.video_measuring import VideoMeasuring
from upsim_contracts.record.webhook_urls import WebhookUrls, http_url
from upsim_contracts.report_files import check_folders
from upsim_contracts.request_costs import CostTable
from upsim_contracts.spending_guard import SpendingBudget
from upsim_contracts.used_fields import read_uses, uses_in, write_uses
from upsim_contracts.verify.run import book_of, pricer, providers

TRUSTED = "UPSIM_TRUSTED_HOSTS"
HELD = 300
"""Seconds that an upstream may hold a request open."""


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """The options of the record command; the cap is in the provider's unit.

    `webhooks` is the recorder's URL for the provider, `address` its URL for local clients.
    """

    upstream: str
    to: Path
    provider: str | None = None
    dialect: str | None = None
    cap: Decimal | None = None
    api_key: str | None = None
    clips: Sequence[str] = ()
    balances: bool = True
    uses: Path | None = None
    webhooks: str | None = None
    webhook_secret: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingSession:
    """A running recording: the application, the provider, and the final report."""

    application: Recording
    upstream: Upstream
    purse: SpendingBudget
    writer: Writer

    def end(self) -> str:
        """Write the requests that are still open, and return the summary line."""
        self.application.logbook.end()
        return self.summary

    @property
    def summary(self) -> str:
        """Return a one-line summary of the recording."""
        app, purse = self.application, self.purse
        found = f"{counted(app.logbook.findings, 'finding')}"
        refused = f", {app.refused} not sent" if app.refused else ""
        refused += f", {app.logbook.lost} not in the cassette" if app.logbook.lost else ""
        lost = app.relay.undelivered
        refused += f", {counted(lost, 'webhook attempt')} not delivered" if lost else ""
        cap = f"; {purse.spent:f} of the cap of {counted(purse.cap, purse.unit)} spent"
        line = f"{counted(self.writer.count, 'exchange')}, {found}{refused}"
        return line + (cap if purse.cap is not None else "")


@contextmanager
def recording(
    asked: Mapping[str, object],
    names: frozenset[str] | None,
    say: Callable[[str], None],
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    seconds: Callable[[], float] = stopwatch,
) -> Iterator[RecordingSession]:
    """Start a recording with these options; it ends with the block. Raises UsageError before.

    `names` are the host names that clients may use for the recorder; None allows all.
    `transport` replaces the network connection to the upstream. `seconds` is a monotonic clock.
    """
    order = RecordOptions(**asked)  # type: ignore[arg-type]  # the command line's own options, one for one
    trusted = os.environ.get(TRUSTED, "")
    target = upstream(
        order.upstream,
        provider=order.provider,
        dialect=order.dialect,
        known=providers(),
        cap=order.cap,
        trusted=trusted,
    )
    book = book_of(target.provider)
    paths = [
        one.path
        for part in parts(target.provider)
        for one in contract(target.provider, target.dialect, part).operations.values()
    ]
    if order.uses is not None:
        check_folders((order.uses,))
        if order.uses.exists() and order.uses.stat().st_size:
            read_uses(order.uses)
    told = [_told(text) for text in order.clips]
    key = {}
    if order.api_key:
        key = {k.lower(): str(filled(v, {"key": order.api_key})) for k, v in book.auth.items()}
    now = datetime.fromtimestamp(wall(), UTC).replace(microsecond=0)
    header = Header(
        target.provider, target.dialect, target.host, now.isoformat().replace("+00:00", "Z")
    )
    purse = SpendingBudget(order.cap, book.unit)
    http = async_connections(HELD)
    if transport is not None:
        http = httpx.AsyncClient(
            transport=transport, trust_env=False, timeout=HELD, cookies=NoCookies()
        )
    hooks = _hooks(order, target, book, names, say)
    file = _opened(order.to)
    with file, ExitStack() as ending:
        try:
            writer = Writer(file, header)
        except OSError as error:
            raise UsageError(f"--to {order.to}: {error.strerror}") from error
        ending.callback(writer.close)
        costs = CostTable(book, pricer(target.provider))
        redactor = Redactor()
        if order.webhook_secret:
            redactor.of_caller().learn(order.webhook_secret)
        app = Recording(
            target,
            writer,
            Reservations(costs, purse, http, target.base, balances=order.balances),
            VideoMeasuring(target, http, paths=paths, say=say, told=told),
            http,
            redactor=redactor,
            say=say,
            seconds=seconds,
            names=names,
            hooks=hooks,
            key=key,
            held=HELD,
        )
        yield RecordingSession(app, target, purse, writer)
    if order.uses is not None:
        write_uses(order.uses, uses_in(read_cassette(order.to)))


def _hooks(
    order: RecordOptions,
    target: Upstream,
    book: Book,
    names: frozenset[str] | None,
    say: Callable[[str], None],
) -> WebhookUrls:
    """Return the URLs for webhooks, and the allowed receivers. Raises UsageError."""
    host = urlsplit(target.base).hostname or ""
    base = order.webhooks or (order.address if is_loopback(host) else None)
    if base is not None:
        base = _reachable(base)
    trusted = os.environ.get(TRUSTED, "").split(",")
    return WebhookUrls(
        target,
        book,
        base,
        say,
        receivers=None if host in live_hosts(providers()) else frozenset(filter(None, trusted)),
        own=names or frozenset(filter(None, [urlsplit(order.address or "").netloc])),
        secret=order.webhook_secret or "",
    )


def _reachable(url: str) -> str:
    """Return a base URL for webhooks, without a slash at its end. Raises UsageError."""
    found = http_url(url)
    if found is None or found.query or found.fragment:
        flaw = scheme_flaw(url) or "is no URL such as https://tunnel.example"
        raise UsageError(f"--webhooks {url!r} {flaw}")
    return url.rstrip("/")


def _opened(path: Path) -> FileIO:
    """Open a new file that only its owner can read.

    Raises UsageError if the file is not empty, because its recording may have cost money.
    """
    try:
        if path.exists() and path.stat().st_size > 0:
            raise UsageError(f"--to {path}: it holds something already; move it away first")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise UsageError(f"--to {path}: {error.strerror}") from error
    return FileIO(handle, "wb")


def _told(text: str) -> tuple[str, ClipProperties]:
    """Parse `GLOB=854x480 30fps 4.5s`: the videos at matching URLs. Raises UsageError."""
    glob, equals, described = text.rpartition("=")
    if not equals or not glob:
        raise UsageError(f"--clip {text!r}: expected GLOB=CLIP, such as '*/a.mp4=854x480 30fps 4s'")
    try:
        return glob, clip(described)
    except ClipError as error:
        raise UsageError(f"--clip: {error}") from error
