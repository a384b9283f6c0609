"""Money under concurrency: many submits over a socket, funds for one of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.stateful.provider_calls import FACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Sandbox

AT_ONCE = 32
REFUSED = {"wavespeed": 400, "venice": 402, "piapi": 402, "vicsee": 402}
PRICES = {"wavespeed": "0.025", "venice": "0.0325", "piapi": "75000", "vicsee": "48"}


async def submits(sandbox: Sandbox, provider: str, video: str) -> list[int]:
    """Submit a video many times at once, each on a connection of its own; return the statuses."""
    face = FACES[provider]
    request = face.submit(video, face.options[0])
    url = f"{sandbox.server.base_url}{request.path}"
    headers = face.headers(sandbox.keys[provider])
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as http:
        calls = (http.post(url, json=request.body, headers=headers) for _ in range(AT_ONCE))
        return [answer.status_code for answer in await asyncio.gather(*calls)]


def bought(sandbox: Sandbox, provider: str, *, times: str = "1") -> list[int]:
    """Submit with money for so many jobs a video that nobody has measured yet."""
    height = 120 + 2 * list(PRICES).index(provider) + 8 * int(Decimal(times))
    sandbox.set_balance(provider, str(Decimal(PRICES[provider]) * Decimal(times)))
    video = sandbox.server.clip(f"160x{height}", "10", "2.5")
    return asyncio.run(submits(sandbox, provider, video))


def account(sandbox: Sandbox, provider: str) -> dict[str, str]:
    """Return the provider's account as the admin API shows it."""
    shown = sandbox.server.admin("GET", f"sandboxes/{sandbox.id}/accounts")["accounts"]
    (found,) = (one for one in shown if one["provider"] == provider)
    return dict(found)


@pytest.mark.parametrize("provider", PRICES)
@pytest.mark.parametrize("times", ["1", "3"])
def test_money_for_some_gives_some(sandbox: Sandbox, provider: str, times: str) -> None:
    """Of 32 simultaneous submits, exactly those that the balance covers are accepted."""
    statuses = bought(sandbox, provider, times=times)
    paid = int(times)
    assert sorted(statuses) == sorted([200] * paid + [REFUSED[provider]] * (AT_ONCE - paid))


@pytest.mark.parametrize("provider", PRICES)
def test_money_for_less_than_one_gives_none(sandbox: Sandbox, provider: str) -> None:
    """If the balance is below the price of one job, all simultaneous submits are refused."""
    assert set(bought(sandbox, provider, times="0.5")) == {REFUSED[provider]}


@pytest.mark.parametrize("provider", PRICES)
def test_the_ledger_is_exact_after_simultaneous_submits(sandbox: Sandbox, provider: str) -> None:
    """After simultaneous submits the ledger has one charge per job, and its sum is the balance."""
    bought(sandbox, provider)
    path = f"sandboxes/{sandbox.id}/ledger?provider={provider}"
    lines = sandbox.server.admin("GET", path)["entries"]
    found = account(sandbox, provider)
    total = sum((Decimal(line["amount"]) for line in lines), Decimal(found["opening"]))
    assert sandbox.charges(provider) == [Decimal(PRICES[provider])]
    assert [Decimal(found["balance"]), total] == [Decimal(0), Decimal(0)]


@pytest.mark.parametrize("provider", PRICES)
def test_refused_submits_create_no_job(sandbox: Sandbox, provider: str) -> None:
    """A refused submit creates no job."""
    bought(sandbox, provider)
    assert sandbox.server.admin("GET", f"sandboxes/{sandbox.id}/jobs")["total"] == 1


def test_every_request_is_in_the_journals_count(make_sandbox: Callable[..., Sandbox]) -> None:
    """The journal counts every request, including simultaneous requests."""
    sandbox = make_sandbox()
    bought(sandbox, "vicsee")
    assert sandbox.server.admin("GET", f"sandboxes/{sandbox.id}")["requests"] == AT_ONCE
