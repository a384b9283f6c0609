"""At the provider itself, a call goes to the host that its document names."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from upsim_contracts.documents.openapi import further_hosts, providers
from upsim_contracts.facts.fact_runner import check_fact
from upsim_contracts.spending_guard import SpendingBudget
from upsim_contracts.target import Target
from upsim_contracts.verify.run import book_of, pricer


@pytest.mark.parametrize("provider", providers())
def test_each_path_goes_to_its_own_host(provider: str) -> None:
    """Each path is sent to its own host, for example uploads of PiAPI.

    With a cap of 0, only free requests are sent.
    """
    book = book_of(provider)
    seen: dict[str, set[str]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        seen.setdefault(request.url.path, set()).add(request.url.host)
        return httpx.Response(404, json={})

    hosts = further_hosts(provider)
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        purse = SpendingBudget(Decimal(0), book.unit)
        target = Target("live", provider, book.live, http, purse, simulator=False, hosts=hosts)
        for fact in book.facts:
            calls = [book.calls[one["call"]] for one in fact.steps if "call" in one]
            if not any(one.paid for one in calls):
                check_fact(book, fact, target, pricer(provider), lambda _seconds: None)

    own = httpx.URL(book.live).host
    for path, server in hosts.items():
        assert {httpx.URL(server).host} == seen.pop(path)
    assert {own} == set[str]().union(*seen.values())
