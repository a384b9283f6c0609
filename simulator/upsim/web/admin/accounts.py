"""Admin calls on the accounts of a sandbox, their keys, and the ledger."""

from __future__ import annotations

from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.ledger import Account, EntryKind
from upsim.engine.exceptions import KeyTakenError, SandboxRefusedError
from upsim.engine.registry import DEFAULT
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import MAIN
from upsim.web.admin import job_shapes
from upsim.web.admin.admin_call import Name, Text
from upsim.web.admin.amounts import balance
from upsim.web.admin.earlier_states import state_at
from upsim.web.admin.long_lists import listed, ordered
from upsim.web.admin.parameters import LINES, MANY, OFFSET
from upsim.web.admin.problems import AdminError, answer, nearest, shown
from upsim.web.admin.request_sandbox import one_provider, registry_of, sandbox_and, sandbox_of
from upsim.web.admin.shape_fields import show

MAX_NUMBERS = 10
"""Number of accounts that a message lists."""


class AccountChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT …/accounts/<provider>`."""

    balance: Text | int | None = None
    plan: Text | None = None
    account: int | None = None


class KeyOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST …/accounts/<provider>/keys`; a new account name creates an account."""

    account: Name = MAIN
    key: Text | None = None


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


def _provider(request: Request) -> str:
    name: str = request.path_params["provider"]
    providers = registry_of(request).providers
    if name not in providers:
        message = f"there is no provider {shown(name)}; {nearest(name, providers)}"
        raise AdminError(404, "unknown_provider", message)
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
