"""Promises of every simulator that no provider documents: seeds, order, fairness, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from upsim.untrusted_connections import NoCookies
from upsim_contracts.clip_properties import clip
from upsim_contracts.exceptions import TargetError
from upsim_contracts.expected_responses import at
from upsim_contracts.facts.account_client import body_of
from upsim_contracts.facts.fact_files import Book, CallForm, filled
from upsim_contracts.target import Target, TargetAccount, TargetSettings
from upsim_contracts.verify.run import book_of, pricer, providers

SHORT = "320x240 10fps 1s"
TOO_LONG = {"piapi": "320x240 10fps 30s"}
"""A clip that the provider refuses; most refuse what is longer than ten minutes."""
PROVIDERS = pytest.mark.parametrize("provider", providers())
AMPLE = "1000000000"
MANY = 50
UNAUTHORIZED = 401
TargetOf = Callable[[str], Target]


@pytest.fixture
def simulated(target_of: TargetOf) -> TargetOf:
    """Return a function from a provider to its target; the test is skipped without a simulator."""

    def target(provider: str) -> Target:
        found = target_of(provider)
        if not found.simulator:
            pytest.skip("only a simulator promises it")
        return found

    return target


@PROVIDERS
def test_equal_seeds(simulated: TargetOf, provider: str) -> None:
    """Two sandboxes with one seed give their jobs the same ids."""
    assert ids(simulated(provider), provider, seed=5) == ids(simulated(provider), provider, seed=5)


@PROVIDERS
def test_different_seeds_give_different_ids(simulated: TargetOf, provider: str) -> None:
    """Sandboxes of different seeds have no id in common."""
    first, second = (set(ids(simulated(provider), provider, seed=seed)) for seed in (5, 6))

    assert first & second == set()


@PROVIDERS
def test_ids_do_not_repeat(simulated: TargetOf, provider: str) -> None:
    """A sandbox gives each of many jobs its own id."""
    assert len(set(ids(simulated(provider), provider, seed=5, number=MANY))) == MANY


@PROVIDERS
def test_the_key_is_checked_first(simulated: TargetOf, provider: str) -> None:
    """A request without a key gets the error for the key, even if its fields are wrong too."""
    book = book_of(provider)
    with simulated(provider).world(TargetSettings()) as world:
        answer = world.http.post(f"{world.base_url}{paid(book).path}", json={})

    assert answer.status_code == UNAUTHORIZED


@PROVIDERS
def test_funds_are_checked_last(simulated: TargetOf, provider: str) -> None:
    """A request without funds and with a mistake in its video gets the error for the video."""
    text = TOO_LONG.get(provider, "320x240 10fps 601s")
    with simulated(provider).world(TargetSettings()) as world:
        rich = submit(world, book_of(provider), text)
    with simulated(provider).world(TargetSettings(balance="0")) as world:
        poor = submit(world, book_of(provider), text)

    assert (rich.is_success, poor.text) == (False, rich.text)


@PROVIDERS
def test_the_end_is_final(simulated: TargetOf, provider: str) -> None:
    """A finished job cannot be made to fail, and its charge stays."""
    with simulated(provider).world(TargetSettings()) as world:
        submit(world, book_of(provider), SHORT)
        assert world.controls is not None
        (job,) = world.controls.jobs()
        world.controls.force(job["id"], "completed", None)

        with pytest.raises(TargetError, match=r"409 .* it cannot become failed"):
            world.controls.force(job["id"], "failed", None)

        (after,) = world.controls.jobs()
    assert (after["state"], after["refunded"]) == ("completed", None)


@PROVIDERS
def test_simultaneous_requests_with_funds_for_one(simulator: Any, provider: str) -> None:  # noqa: ANN401 - the simulator's own
    """If two simultaneous requests have funds for only one, exactly one request is accepted."""
    book = book_of(provider)
    price = pricer(provider)(paid(book).name, clip(SHORT), body_of(paid(book), {}))
    per_unit = 10_000_000 if provider == "piapi" else 1
    root = simulator.base_url("").rstrip("/")
    order = {"balances": {provider: f"{Decimal(price or 0) * per_unit:f}"}}

    async def both() -> list[bool]:
        transport = simulator.transport()
        async with httpx.AsyncClient(
            transport=transport, base_url=root, cookies=NoCookies()
        ) as http:
            token = simulator.app.registry.settings.admin_token
            admin = {"Authorization": f"Bearer {token}"}
            made = (await http.post("/__sim/sandboxes", json=order, headers=admin)).json()
            base = f"/sandbox/{made['id']}/{provider}"
            names = {"key": made["keys"][provider], "video": f"{root}{clip(SHORT).path}"}
            asked = {"json": filled(body_of(paid(book), {}), names)}
            asked["headers"] = filled(dict(book.auth), names)
            answers = await asyncio.gather(
                *(http.post(f"{base}{paid(book).path}", **asked) for _ in range(2))
            )
            return [answer.is_success for answer in answers]

    assert sorted(asyncio.run(both())) == [False, True]


def ids(target: Target, provider: str, *, seed: int, number: int = 3) -> list[object]:
    """Submit some jobs in a new sandbox, and return their ids."""
    book = book_of(provider)
    with target.world(TargetSettings(seed=seed, balance=AMPLE)) as world:
        answers = [submit(world, book, SHORT) for _ in range(number)]
    assert all(answer.is_success for answer in answers)
    return [at(answer.json(), str(paid(book).job)) for answer in answers]


def submit(world: TargetAccount, book: Book, text: str) -> httpx.Response:
    """Submit a clip with the book's first request that creates jobs."""
    form = paid(book)
    names = {"key": world.key, "video": f"{world.media}{clip(text).path}"}
    headers = filled(dict(book.auth), names)
    body = filled(body_of(form, {}), names)
    return world.http.post(f"{world.base_url}{form.path}", json=body, headers=headers)


def paid(book: Book) -> CallForm:
    """Return the book's first request that creates jobs."""
    return next(form for form in book.calls.values() if form.paid)
