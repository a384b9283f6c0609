"""Admin calls on the journal of a sandbox: list, find and count its requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.globs import fits
from upsim.engine.request_records import Record
from upsim.engine.sandbox import Sandbox
from upsim.web.admin import exchange_views
from upsim.web.admin.admin_call import Text
from upsim.web.admin.long_lists import chosen, listed
from upsim.web.admin.parameters import AT, LIMIT, SINCE
from upsim.web.admin.problems import AdminError, answer, nearest, shown
from upsim.web.admin.request_sandbox import one_provider, registry_of, sandbox_and, sandbox_of

MAX_PATTERN_LENGTH = 1000


class JournalQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST …/journal/count`; a request counts if it matches all given conditions."""

    provider: Text | None = None
    operation: Text | None = None
    method: Text | None = None
    status: int | None = None
    refused_by: Text | None = None
    job: Text | None = None
    target: Text | None = None
    since: int = 0


class JournalSearch(JournalQuery, forbid_unknown_fields=True):
    """Body of `POST …/journal/find`: the conditions of count, and the page to return."""

    offset: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1000


async def journal(request: Request) -> Response:
    """`GET …/journal`: list the newest requests and responses in order, each with its reasons.

    With `since`, list the requests after that number, oldest first, so that no request is skipped.
    """
    sandbox = sandbox_of(request)
    since, limit = SINCE.whole(request), LIMIT.whole(request)
    provider = one_provider(request)
    at = AT.instant(request)
    kept = [one for one in sandbox.records.since(since) if at is None or one.at <= at]
    beside = {"kept": len(sandbox.records), "total": sandbox.records.count}
    found = [exchange for exchange in kept if provider in (None, exchange.provider)]
    first = 0 if SINCE.name in request.query_params else max(0, len(found) - limit)
    page = [exchange_views.seen(sandbox, exchange) for exchange in found[first : first + limit]]
    return await listed("exchanges", page, exchange_views.exchange, **beside)


async def find(request: Request) -> Response:
    """`POST …/journal/find`: return the requests that match all given conditions."""
    sandbox, asked = await sandbox_and(request, JournalSearch)
    found = await _matching(request, sandbox, asked)
    page = found[asked.offset : asked.offset + asked.limit]
    shown = [exchange_views.seen(sandbox, exchange) for exchange in page]
    return await listed("exchanges", shown, exchange_views.exchange, total=len(found))


async def count(request: Request) -> Response:
    """`POST …/journal/count`: return how many requests `find` would return."""
    sandbox, asked = await sandbox_and(request, JournalQuery)
    return answer({"count": len(await _matching(request, sandbox, asked))})


async def _matching(request: Request, sandbox: Sandbox, asked: JournalQuery) -> list[Record]:
    if asked.target is not None and len(asked.target) > MAX_PATTERN_LENGTH:
        raise AdminError(400, "invalid", f"target has more than {MAX_PATTERN_LENGTH} characters")
    found = await chosen(sandbox.records.since(asked.since), lambda one: _matches(one, asked))
    if not found:
        _check_names(sandbox, asked, [*registry_of(request).providers])
    return found


def _check_names(sandbox: Sandbox, asked: JournalQuery, providers: list[str]) -> None:
    """Raise AdminError for an unknown name in a search without results."""
    _check_name("provider", asked.provider, providers)
    some = [asked.provider] if asked.provider else providers
    operations = [one.name for name in some for one in sandbox.bound(name).provider.operations]
    rules = dict.fromkeys(key for name in some for key in sandbox.bound(name).rules.errors)
    kept = [*sandbox.records]
    _check_name("operation", asked.operation, [*operations, *{one.operation for one in kept}])
    refused = {one.rule.name for one in kept if one.rule}
    _check_name("refused_by", asked.refused_by, [*rules, *refused])


def _check_name(field: str, name: str | None, known: Iterable[str]) -> None:
    if name is not None and name not in (names := [*filter(None, known)]):
        raise AdminError(
            400, "invalid", f"{field} {shown(name)} is unknown; {nearest(name, names)}"
        )


def _matches(exchange: Record, asked: JournalQuery) -> bool:
    pairs = (
        (asked.provider, exchange.provider),
        (asked.operation, exchange.operation),
        (asked.method, exchange.method),
        (asked.status, exchange.status),
        (asked.refused_by, exchange.rule.name if exchange.rule else None),
        (asked.job, exchange.job),
    )
    return all(wanted in (None, found) for wanted, found in pairs) and (
        asked.target is None or fits(exchange.target, asked.target)
    )
