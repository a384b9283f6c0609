"""`GET /billing/usage-history`: pages of the ledger, oldest first, continued by a cursor."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from hashlib import blake2b

from upsim.core import causes
from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import Instant, from_iso, iso
from upsim.core.jobs import Job
from upsim.core.ledger import Entry
from upsim.providers.venice import field_errors, wire

_FILTERS = ("startTimestamp", "endTimestamp", "currency", "pageSize")
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,512}")
_SIZE = re.compile(r"[0-9]{1,9}")
_MAX_TIMESTAMP_LENGTH = 40
_MAC_SIZE = 16
_BEFORE_ALL = -1


@dataclass(frozen=True, slots=True)
class Page:
    """The requested page of the ledger: size, times, currency, and the last number before it."""

    size: int
    start: Instant | None = None
    end: Instant | None = None
    currency: str | None = None
    after: int = _BEFORE_ALL

    def holds(self, entry: Entry) -> bool:
        """Return whether an entry is on this page or a later one."""
        return (
            entry.number > self.after
            and (self.currency is None or self.currency == entry.unit)
            and (self.start is None or self.start <= entry.at)
            and (self.end is None or entry.at < self.end)
        )


def well_formed_page(call: Call) -> Violation | None:
    """The query describes the first page with filters, or has only a cursor."""
    query = call.query()
    other = next((name for name in query if name not in (*_FILTERS, "cursor")), None)
    if other is not None:
        return field_errors.unrecognized(other, (*_FILTERS, "cursor"))
    if "cursor" not in query:
        return _wrong_filter(call, query)
    if len(query) > 1:
        return field_errors.out_of_range("cursor", query["cursor"], "no other parameter beside it")
    if _continued(call):
        return None
    cause = causes.wrong("cursor", query["cursor"], "a nextCursor of this account")
    return Violation("bad_cursor", cause=cause)


def usage_history(call: Call) -> Reply:
    """Return one page of the ledger, and the cursor of the next page."""
    page = _continued(call) or _first(call)
    entries = [entry for entry in call.sandbox.entries_of(call.who) if page.holds(entry)]
    entries.sort(key=lambda entry: entry.number)
    shown = entries[: page.size]
    following = None
    if len(entries) > page.size:
        following = _cursor(call, replace(page, after=shown[-1].number))
    return Reply(200, {"data": [_row(call, entry) for entry in shown], "nextCursor": following})


def _wrong_filter(call: Call, query: Mapping[str, str]) -> Violation | None:
    for name in ("startTimestamp", "endTimestamp"):
        if name in query and _instant(query[name]) is None:
            return field_errors.out_of_range(name, query[name], "an ISO 8601 time in UTC, with Z")
    page = _first(call)
    if page.start is not None and page.end is not None and page.end <= page.start:
        expected = "a time after startTimestamp"
        return field_errors.out_of_range("endTimestamp", query["endTimestamp"], expected)
    currencies = call.rules.words["currencies"]
    if page.currency is not None and page.currency not in currencies:
        return field_errors.wrong_text("currency", currencies, page.currency)
    least, most = call.rules.wholes["page_size_least"], call.rules.wholes["page_size_most"]
    if least <= page.size <= most:
        return None
    expected = f"a whole number from {least} to {most}"
    return field_errors.out_of_range("pageSize", query.get("pageSize", page.size), expected)


def _first(call: Call) -> Page:
    query = call.query()
    size = query.get("pageSize", str(call.rules.wholes["page_size"]))
    return Page(
        size=int(size) if _SIZE.fullmatch(size) else 0,
        start=_instant(query.get("startTimestamp", "")),
        end=_instant(query.get("endTimestamp", "")),
        currency=query.get("currency"),
    )


def _instant(text: str) -> Instant | None:
    """Return the time of an ISO 8601 text in UTC with `Z`; None for any other text."""
    if not text.endswith("Z") or len(text) > _MAX_TIMESTAMP_LENGTH:
        return None
    try:
        return from_iso(text)
    except ValueError:
        return None


def _cursor(call: Call, page: Page) -> str:
    """Return an opaque cursor of a page, signed so that only this account can use it."""
    text = json.dumps(astuple(page), separators=(",", ":")).encode()
    return urlsafe_b64encode(_mac(call, text) + text).decode().rstrip("=")


def _continued(call: Call) -> Page | None:
    """Return the page that a cursor names; None if the cursor is missing or was never issued."""
    cursor = call.query().get("cursor", "")
    if not _CURSOR.fullmatch(cursor) or len(cursor) % 4 == 1:
        return None
    sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    mac, text = sealed[:_MAC_SIZE], sealed[_MAC_SIZE:]
    return Page(*json.loads(text)) if mac == _mac(call, text) else None


def _mac(call: Call, text: bytes) -> bytes:
    key = call.sandbox.secret(call.who, "usage-history", 32)
    return blake2b(text, key=key, digest_size=_MAC_SIZE).digest()


def _row(call: Call, entry: Entry) -> dict[str, object]:
    job = call.sandbox.find_job(entry.job) if entry.job is not None else None
    notes = wire.filled(call.rules.fact("notes"))
    return {
        "timestamp": iso(entry.at),
        **(_of_money(entry) if job is None else _of_job(call, job)),
        "amount": entry.amount,
        "currency": entry.unit,
        "notes": notes[entry.kind] if isinstance(notes, dict) else "",
        "inferenceDetails": None if job is None else _details(job),
    }


def _of_money(entry: Entry) -> dict[str, object]:
    return {"sku": entry.kind, "units": 1, "pricePerUnitUsd": abs(entry.amount)}


def _of_job(call: Call, job: Job) -> dict[str, object]:
    model, quote = call.rules.baseline.models[job.accepted.model], job.accepted.quote
    sku = str(model.facts["sku"].value).format(model=model.id, tier=quote.tier.lower())
    return {"sku": sku, "units": quote.quantity, "pricePerUnitUsd": quote.rate}


def _details(job: Job) -> dict[str, object]:
    ended = job.ended_at
    took = None if ended is None else wire.milliseconds(job.accepted.at, ended)
    return {
        "requestId": job.id,
        "promptTokens": None,
        "completionTokens": None,
        "inferenceExecutionTime": took,
    }
