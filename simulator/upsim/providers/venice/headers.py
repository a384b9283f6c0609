"""The response headers that Venice documents for every response."""

from __future__ import annotations

from hashlib import blake2b

from upsim.core.baseline import RateLimit
from upsim.core.call import Call, Reply
from upsim.core.instants import SECOND, iso
from upsim.core.ledger import Account
from upsim.providers.venice.error_budget import COUNTED

Headers = tuple[tuple[bytes, bytes], ...]
_FAILURE = 400
_TOO_MANY = 429
_DIGEST = blake2b(digest_size=8)
"""A hash state that each request copies: a copy takes half the time of a new one."""


def response_headers(call: Call, reply: Reply) -> Headers:
    """Return request id, version and time; model, balances and limits if they are known."""
    texts = call.rules.texts
    values = {
        "request_id": _request_id(call),
        "version": texts["version"],
        "timestamp": iso(call.now),
    }
    if reply.status >= _FAILURE:
        values["host_name"] = texts["host_name"]
    model, account = call.model, call.account
    if model is not None:
        values["model_id"], values["model_name"] = model.id, model.name
    if account is not None:
        _add_account(values, call, account, reply)
    names = call.rules.header_names
    return tuple([(names[key], text.encode()) for key, text in values.items()])


def balance_before(call: Call) -> Headers:
    """Return the header with the balance before this request changes it."""
    return ((call.rules.header_names["balance_usd"], _dollars(call.who).encode()),)


def _dollars(account: Account) -> str:
    return f"{account.balance.normalize():f}"


def _request_id(call: Call) -> str:
    """Return an opaque id: an equal request at the same time gets the same id.

    The id depends on nothing that an export redacts, so a replay gives the same id.
    """
    job = call.job.accepted.job if call.job is not None else ""
    sizes = f"{len(call.query_string)} {len(call.body)}"
    digest = _DIGEST.copy()
    digest.update(f"{call.now} {call.method} {call.path} {sizes} {job}".encode())
    return f"{digest.hexdigest()}-{call.rules.texts['request_id_suffix']}"


def _add_account(values: dict[str, str], call: Call, account: Account, reply: Reply) -> None:
    rules = call.rules
    values["balance_diem"] = rules.texts["diem"]
    known = rules.header_names["balance_usd"]
    if not reply.headers or known not in [name for name, _ in reply.headers]:
        values["balance_usd"] = _dollars(account)
    for rate in rules.baseline.plans[account.plan].rates:
        values |= _of_limit(call, account, rate)
    if reply.status == _TOO_MANY:
        values["limit_type"] = rules.texts["limit_type"]


def _of_limit(call: Call, account: Account, rate: RateLimit) -> dict[str, str]:
    window = call.sandbox.window(account, rate.name)
    if window is None or rate.counts not in (COUNTED, "all", call.kind, call.operation):
        return {}
    remaining = f"{max(0, window.limit - window.used)}"
    if rate.counts == COUNTED:
        return {"budget_remaining": remaining, "budget_reset": f"{window.resets_at // 1000}"}
    divisor = SECOND if call.rules.knobs["reset_unit"] == "seconds" else 1000
    reset = f"{window.resets_at // divisor}"
    return {"limit": f"{window.limit}", "remaining": remaining, "reset": reset}
