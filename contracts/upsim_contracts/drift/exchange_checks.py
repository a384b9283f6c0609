"""Check one exchange against the contract, the price list, and a simulator's response.

Each difference is reported once. A contract violation is reported first, since it cites a
document. A changed price is reported as a charge, and not again for each field with the price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from upsim_contracts.cassettes.cassette import RecordedExchange
from upsim_contracts.cassettes.redaction import PLACEHOLDER
from upsim_contracts.causes.signs import Key
from upsim_contracts.charge_check import CHARGE, price_finding
from upsim_contracts.documents import document_sources
from upsim_contracts.documents.response_checks import (
    REFUSED,
    Contract,
    DocumentedOperation,
    check_response,
    operation_of,
)
from upsim_contracts.documents.webhook_checks import callbacks_of, check_delivery
from upsim_contracts.drift.cassette_replay import Replayed
from upsim_contracts.drift.changed_defaults import changed_default
from upsim_contracts.drift.response_diff import INSTEAD, STATUS, ResponseDiff, compare, is_price
from upsim_contracts.drift.video_limits import moved_limit
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.findings import Finding
from upsim_contracts.provider_words import words_of
from upsim_contracts.request_costs import CostTable

Kind = Literal["contract", "price", "simulator", "stale"]
Place = tuple[Contract, DocumentedOperation]
DEFAULT = "default"
_WHOLE = ("(request)", "body", "header Content-Type")
_MISSING = "none"


@dataclass(frozen=True, slots=True)
class CheckedExchange:
    """One difference. `field` is its place, separate from the status of the response.

    `key` names the change that it points to, if the finding itself does not. `said` is the
    provider's own error in a refusal, and `says` replaces the text of the finding. A `vague`
    difference is reported only if no other difference reports the same change.
    """

    kind: Kind
    finding: Finding
    field: str
    key: Key = ()
    said: str = ""
    says: str = ""
    vague: bool = False


def check_exchange(
    exchange: RecordedExchange, dialect: str, costs: CostTable, replayed: Replayed | None
) -> list[CheckedExchange]:
    """Return the differences that one exchange shows."""
    provider = costs.book.provider
    if exchange.part != "api":
        return [*_beside(exchange, dialect, costs, replayed)]
    if exchange.status == 0:
        lost = Finding(
            provider, exchange.call, "connection", "an answer", "none", document_sources.UNKNOWN
        )
        return [CheckedExchange("contract", lost, "connection")]
    place = place_of(provider, dialect, exchange)
    if place is None and exchange.status >= REFUSED:
        return []  # a path that the caller got wrong
    name = place[1].name if place else exchange.call
    unlike = (
        [*compare(replayed, costs.texts)] if replayed is not None and not replayed.skipped else []
    )
    told = [*_contract(provider, dialect, exchange)]
    told = _without_consequences(told, unlike, replayed)
    source = costs.evidence(_call_name(costs, exchange), exchange.request.body.get("json"))
    charge, priced = exchange.charge, None
    if charge is not None:
        priced = price_finding(provider, name, exchange.status, charge, source)
    if charge is not None and charge.actual == 0 and any(one.where == STATUS for one in unlike):
        priced = None  # what was refused in other words than documented costs nothing
    if priced is not None:
        told = [one for one in told if not is_price(one.field)]
        unlike = [one for one in unlike if one.where != CHARGE and not is_price(one.where)]
    found = [CheckedExchange("price", priced, CHARGE)] if priced is not None else []
    limit = _limit(exchange, replayed, name, costs)
    if limit is not None:
        return [limit, *found]
    found += [*_defaults(exchange, name, costs), *told]
    known = {one.field for one in told}
    cited = cited_at(place, exchange)
    for one in unlike:
        if not _is_about(one.where, known):
            found.append(_unlike(one, provider, name, exchange.status, cited, source))
    words = words_of(exchange) if exchange.status >= REFUSED else ""
    return [replace(one, said=words) if one.field == STATUS else one for one in found]


def _limit(
    exchange: RecordedExchange, replayed: Replayed | None, name: str, costs: CostTable
) -> CheckedExchange | None:
    """Return the video limit that moved; it explains both the status and the error text."""
    limit = moved_limit(exchange, replayed, name, costs)
    if limit is None:
        return None
    key, where = ("limit", limit.of), limit.finding.where
    return CheckedExchange(
        "contract", limit.finding, where, key, says=limit.says, vague=not limit.exact
    )


def _defaults(exchange: RecordedExchange, name: str, costs: CostTable) -> Iterator[CheckedExchange]:
    """Yield the difference for an option whose default changed, if there is one."""
    default = changed_default(exchange, name, costs)
    if default is not None:
        option, vague = default.finding.where, not default.is_told
        yield CheckedExchange("price", default.finding, option, (DEFAULT, option), vague=vague)


def _outputs(
    costs: CostTable, dialect: str, exchange: RecordedExchange, replayed: Replayed | None
) -> Iterator[CheckedExchange]:
    """Yield the differences of an output from the simulator's, at the request that led to it."""
    life = costs.book.calls[costs.book.lifecycle.call]
    for one in compare(replayed) if replayed is not None and not replayed.skipped else ():
        place = operation_of(costs.book.provider, dialect, life.method, life.path)
        name = place[1].name if place else exchange.call
        source = costs.output_evidence(one.where.removeprefix("output."))
        found = Finding(costs.book.provider, name, one.where, one.expected, one.seen, source)
        yield CheckedExchange("simulator", found, one.where)


def _beside(
    exchange: RecordedExchange, dialect: str, costs: CostTable, replayed: Replayed | None
) -> Iterator[CheckedExchange]:
    """Yield the differences of a file or of a webhook delivery."""
    if exchange.part == "file":
        yield from _outputs(costs, dialect, exchange, replayed)
    else:
        yield from _delivery(exchange, dialect, costs)


def _delivery(
    exchange: RecordedExchange, dialect: str, costs: CostTable
) -> Iterator[CheckedExchange]:
    """Yield the differences between a webhook delivery and its document."""
    message, header = exchange.request, costs.book.telling.proof
    provider, path = costs.book.provider, exchange.path
    for callback in callbacks_of(provider, dialect, exchange.method, path):
        checked = exchange.signature or ""
        for one in check_delivery(callback, message.headers, message.content, header, checked):
            is_kept = "file" not in message.body or one.where.startswith("header ")
            if is_kept and PLACEHOLDER not in one.seen + one.expected:
                yield CheckedExchange("contract", one, one.where)


def place_of(provider: str, dialect: str, exchange: RecordedExchange) -> Place | None:
    """Return the document and the operation of a request."""
    return operation_of(provider, dialect, exchange.method, exchange.path)


def cited_at(place: Place | None, exchange: RecordedExchange) -> str:
    """Return the source of the document's part about this response."""
    if place is None:
        return document_sources.UNKNOWN
    one, operation = place
    steps = ("paths", operation.path, operation.method.lower(), "responses", str(exchange.status))
    return document_sources.source_at(one.document, steps)


def _contract(provider: str, dialect: str, exchange: RecordedExchange) -> Iterator[CheckedExchange]:
    found = check_response(
        provider,
        dialect,
        method=exchange.method,
        path=exchange.path,
        status=exchange.status,
        headers=exchange.answer.headers,
        body=exchange.answer.content,
    )
    for one in found:
        field = _field(one, exchange.status)
        redacted = PLACEHOLDER in one.seen or PLACEHOLDER in one.expected
        is_kept = "file" not in exchange.answer.body or field.startswith(("(", "header "))
        if is_kept and not redacted:
            yield CheckedExchange("contract", one, field)


def _field(finding: Finding, status: int) -> str:
    """Return the place of a finding; a finding about the whole response is in brackets."""
    whole = not finding.operation.endswith(f" {status}")
    return f"({finding.where})" if whole else finding.where


def _without_consequences(
    told: Sequence[CheckedExchange], unlike: Sequence[ResponseDiff], replayed: Replayed | None
) -> list[CheckedExchange]:
    """Report a different status or field name once, and drop differences that follow from it."""
    by_field = {one.where: one for one in unlike}
    if STATUS in by_field:
        return [one for one in told if one.field == STATUS]
    names = {one.seen.removesuffix(INSTEAD) for one in unlike if one.seen.endswith(INSTEAD)}
    document = replayed.document if replayed is not None and not replayed.skipped else None
    kept = []
    for one in told:
        missing = one.finding.seen == _MISSING
        other = by_field.get(one.field)
        new = one.finding.expected == "no such field"
        if missing and other is not None and other.seen.endswith(INSTEAD):
            kept.append(replace(one, finding=replace(one.finding, seen=other.seen)))
        elif new and one.field.rpartition(".")[2] in names:
            continue
        elif missing and document is not None and len(told) > 1 and _lacks(document, one.field):
            continue  # the simulator keeps to the contract without it: another finding says why
        else:
            kept.append(one)
    return kept


def _lacks(document: object, field: str) -> bool:
    return not field.startswith("header ") and at(document, field) is ABSENT


def _unlike(
    one: ResponseDiff, provider: str, name: str, status: int, cited: str, priced: str
) -> CheckedExchange:
    """Return a difference between the recorded and the simulator's response as a finding."""
    label = name if one.where in (STATUS, CHARGE) else f"{name} {status}"
    kind: Kind = "price" if one.where == CHARGE else "simulator"
    source = priced if kind == "price" else cited
    where = one.where.strip("()")
    return CheckedExchange(
        kind, Finding(provider, label, where, one.expected, one.seen, source), one.where
    )


def _is_about(where: str, known: Iterable[str]) -> bool:
    """Return whether a place equals, contains or lies within a place already reported."""
    return any(
        one in (*_WHOLE, STATUS)
        or one == where
        or where.startswith(f"{one}.")
        or one.startswith(f"{where}.")
        for one in known
    )


def _call_name(costs: CostTable, exchange: RecordedExchange) -> str:
    form = costs.call(exchange.method, exchange.path)
    return form.name if form is not None else ""
