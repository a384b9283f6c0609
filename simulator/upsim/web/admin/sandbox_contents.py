"""Admin calls on the contents of a sandbox: jobs, accounts, keys, ledger and journal."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.globs import fits
from upsim.core.jobs import IllegalMoveError, Job
from upsim.core.ledger import Account, EntryKind
from upsim.core.states import UNSUCCESSFUL, Failure, JobState
from upsim.engine.exceptions import KeyTakenError, SandboxRefusedError
from upsim.engine.records import Record
from upsim.engine.registry import DEFAULT
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import MAIN
from upsim.engine.sandbox_state import SandboxState
from upsim.web.admin import exchange_views, job_shapes, sandbox_views
from upsim.web.admin.admin_call import Name, Text
from upsim.web.admin.earlier_states import state_at
from upsim.web.admin.long_lists import chosen, listed, ordered
from upsim.web.admin.parameters import AT, LIMIT, LINES, MANY, OFFSET, SINCE, STATE
from upsim.web.admin.problems import AdminError, answer, nearest, shown
from upsim.web.admin.sandboxes import balance, registry_of, sandbox_and, sandbox_of
from upsim.web.admin.shape_fields import show

MAX_PATTERN_LENGTH = 1000
MAX_NUMBERS = 10
"""Number of accounts that a message lists."""


class StateChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT …/jobs/<job>/state`; `error` names an entry of the failure catalogue."""

    state: Text
    error: Text | None = None


class AccountChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT …/accounts/<provider>`."""

    balance: Text | int | None = None
    plan: Text | None = None
    account: int | None = None


class KeyOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST …/accounts/<provider>/keys`; a new account name creates an account."""

    account: Name = MAIN
    key: Text | None = None


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


async def jobs(request: Request) -> Response:
    """`GET …/jobs`: list the jobs, oldest first, each with its timeline."""
    sandbox = sandbox_of(request)
    offset, limit = OFFSET.whole(request), LIMIT.whole(request)
    provider, phase = one_provider(request), STATE.text(request)
    state = await state_at(request, sandbox)
    found = await chosen(
        list(state.jobs.values()),
        lambda one: provider in (None, one.accepted.provider) and phase in (None, one.state.value),
    )
    page = [sandbox_views.paid(state, one) for one in found[offset : offset + limit]]
    return await listed("jobs", page, sandbox_views.job, total=len(found))


async def job(request: Request) -> Response:
    """`GET …/jobs/<job>`: return one job with its timeline, media, output and money."""
    sandbox = sandbox_of(request)
    state = await state_at(request, sandbox)
    return answer(sandbox_views.job(sandbox_views.paid(state, _job(sandbox, request, state))))


async def set_state(request: Request) -> Response:
    """`PUT …/jobs/<job>/state`: force an allowed state change."""
    sandbox, asked = await sandbox_and(request, StateChange)
    found = _job(sandbox, request, sandbox.state)
    if asked.state not in list(JobState):
        message = f"state {shown(asked.state)} is unknown; {nearest(asked.state, JobState)}"
        raise AdminError(400, "invalid", message)
    state = JobState(asked.state)
    if asked.error is not None and state not in UNSUCCESSFUL:
        raise AdminError(400, "invalid", f"a job that is {state} has no error")
    if asked.state == JobState.COMPLETED and found.accepted.output is None:
        message = f"job {found.id} has no output: its video was never measured"
        raise AdminError(409, "no_output", message)
    failure = _failure(sandbox, found.accepted.provider, asked, state)
    try:
        moved = sandbox.jobs.move(found, state, failure)
    except IllegalMoveError as error:
        raise AdminError(409, "illegal_move", str(error)) from error
    return answer(sandbox_views.job(sandbox_views.paid(sandbox.state, moved)))


async def accounts(request: Request) -> Response:
    """`GET …/accounts`: list all accounts with their balances and plans."""
    sandbox = sandbox_of(request)
    offset, limit = OFFSET.whole(request), MANY.whole(request)
    found = list((await state_at(request, sandbox)).accounts.values())
    page = [show(job_shapes.Account, account) for account in found[offset : offset + limit]]
    return answer({"accounts": page, "total": len(found)})


async def change_account(request: Request) -> Response:
    """`PUT …/accounts/<provider>`: set the balance, or change the plan."""
    sandbox, asked = await sandbox_and(request, AccountChange)
    account = _account(request, sandbox, asked.account)
    baseline = sandbox.scenario_for(account.provider).baseline
    if asked.plan is not None and asked.plan not in baseline.plans:
        hint = nearest(asked.plan, baseline.plans)
        message = f"{account.provider} has no plan {shown(asked.plan)}; {hint}"
        raise AdminError(400, "invalid", message)
    if asked.balance is not None:
        change = balance(asked.balance, "balance", baseline) - account.balance
        if change:
            kind: EntryKind = "top_up" if change > 0 else "adjustment"
            sandbox.money.post(account, kind, change, formula="set by the admin API")
    if asked.plan is not None:
        sandbox.accounts.set_plan(account, asked.plan)
    return answer(show(job_shapes.Account, account))


async def issue_key(request: Request) -> Response:
    """`POST …/accounts/<provider>/keys`: issue a key for the same or another account."""
    sandbox, asked = await sandbox_and(request, KeyOrder)
    provider = _provider(request)
    registry = registry_of(request)
    try:
        key = registry.issue_key(sandbox, provider, owner=asked.account, key=asked.key)
    except SandboxRefusedError as error:
        status = 409 if isinstance(error, KeyTakenError) else 400
        raise AdminError(status, "refused", str(error)) from error
    account = sandbox.accounts.of(provider, asked.account)
    return answer({"key": key, **show(job_shapes.Account, account)}, 201)


async def ledger(request: Request) -> Response:
    """`GET …/ledger`: list the entries of all accounts, oldest first, amounts as texts."""
    sandbox = sandbox_of(request)
    offset, limit = OFFSET.whole(request), LINES.whole(request)
    provider = one_provider(request)
    state = await state_at(request, sandbox)
    entries = [
        entry
        for account in state.accounts.values()
        if provider in (None, account.provider)
        for entry in account.entries.values()
    ]
    page = (await ordered(entries, lambda entry: entry.number))[offset : offset + limit]
    return await listed("entries", page, partial(show, job_shapes.Entry), total=len(entries))


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


def _job(sandbox: Sandbox, request: Request, state: SandboxState) -> Job:
    name = request.path_params["job"]
    found = state.jobs.get(name)
    if found is None:
        message = f"there is no job {shown(name)} in sandbox {sandbox.id!r}"
        raise AdminError(404, "unknown_job", message)
    return found


def _failure(
    sandbox: Sandbox, provider: str, asked: StateChange, state: JobState
) -> Failure | None:
    """Return the named failure, or the provider's usual failure for this state."""
    bound = sandbox.bound(provider)
    known = bound.failures
    if asked.error is None:
        usual = bound.provider.failure if state is JobState.FAILED else state.value
        first = next(iter(known.values()), None)
        return known.get(usual, first) if state in UNSUCCESSFUL else None
    if asked.error not in known:
        message = f"error {shown(asked.error)} is unknown; {nearest(asked.error, known)}"
        raise AdminError(400, "invalid", message)
    return known[asked.error]


def _provider(request: Request) -> str:
    name: str = request.path_params["provider"]
    providers = registry_of(request).providers
    if name not in providers:
        message = f"there is no provider {shown(name)}; {nearest(name, providers)}"
        raise AdminError(404, "unknown_provider", message)
    return name


def one_provider(request: Request) -> str | None:
    """Return the provider in `?provider=`, if given."""
    name = request.query_params.get("provider")
    providers = registry_of(request).providers
    if name is not None and name not in providers:
        message = f"provider={shown(name)} is unknown; {nearest(name, providers)}"
        raise AdminError(400, "invalid", message)
    return name


def _account(request: Request, sandbox: Sandbox, number: int | None) -> Account:
    """Return the account with this number, or else the account of the sandbox's own keys.

    In the sandbox `default` every key has its own account. If a provider has only one account,
    the number can be omitted. Raises AdminError if a number is needed.
    """
    provider = _provider(request)
    if number is None and sandbox.id != DEFAULT:
        owner = registry_of(request).first_owner(sandbox, provider)
        return sandbox.accounts.of(provider, owner)
    if number is None:
        own = [a for a in sandbox.state.accounts.values() if a.provider == provider]
        if not own:
            message = f"{provider} has no account in sandbox {DEFAULT!r} yet: it is created"
            message += " by the first request with a key, or by POST …/keys"
            raise AdminError(409, "no_account", message)
        if len(own) > 1:
            raise AdminError(409, "several_accounts", _choice(provider, own))
        return own[0]
    found = sandbox.state.accounts.get(number)
    if found is None or found.provider != provider:
        raise AdminError(404, "unknown_account", f"{provider} has no account {number}")
    return found


def _choice(provider: str, accounts: list[Account]) -> str:
    """Return a message that lists the numbers of the accounts and asks for one of them."""
    numbers = [str(account.number) for account in accounts[:MAX_NUMBERS]]
    more = "" if len(accounts) <= MAX_NUMBERS else f", … (GET …/accounts lists {len(accounts)})"
    message = f"{provider} has several accounts in sandbox {DEFAULT!r}"
    return f"{message}; give account: {', '.join(numbers)}{more}"
