"""An interception restores what it changed, and each call reaches one certain sandbox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter

import upsim
from upsim.client.http.connections import SyncTransport
from upsim.testing.pytest_marker import MarkError
from upsim.testing.server_thread import SimulatorGoneError
from upsim.untrusted_connections import AsyncTransport

if TYPE_CHECKING:
    from upsim.testing.sandboxes import SandboxHandle

PLACES = (
    (httpx.HTTPTransport, "handle_request"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (SyncTransport, "handle_request"),
    (AsyncTransport, "handle_async_request"),
    (HTTPAdapter, "get_connection_with_tls_context"),
    (aiohttp.TCPConnector, "_create_connection"),
)
API = "https://vicsee.com/api/v1"
SUBMIT = f"{API}/tools/upscale-video"
BODY = {"video_url": "https://vicsee.com/media/synthetic/64x36_10fps_4s.mp4"}
KEY = {"Authorization": "Bearer any"}


def changed() -> tuple[object, ...]:
    """Return the values that an interception replaces."""
    return tuple(vars(owner)[name] for owner, name in PLACES)


def submit(sandbox: SandboxHandle, key: str = "sk-any") -> httpx.Response:
    """Submit a job of 64 credits to the provider's own host."""
    return httpx.post(
        f"{API}/tools/upscale-video",
        json={"video_url": sandbox.clip()},
        headers={"Authorization": f"Bearer {key}"},
    )


def credits_by_requests() -> int:
    """Ask for the credits, by requests, and return the status."""
    headers = {"Authorization": "Bearer any"}
    return requests.get(f"{API}/credits", headers=headers, timeout=60).status_code


def test_libraries_are_restored_after_the_block() -> None:
    """HTTP libraries are patched inside the block and restored after it."""
    before = changed()
    with upsim.intercept():
        within = changed()

    assert before == changed()
    assert not set(before) & set(within)


def test_libraries_are_restored_after_an_exception() -> None:
    """HTTP libraries are also restored if the block ends with an exception."""
    before = changed()
    with pytest.raises(KeyError), upsim.intercept():
        raise KeyError

    assert before == changed()


def test_each_call_of_a_decorated_function_begins_anew() -> None:
    """Each call of a decorated function has its own sandbox, which is removed afterwards."""
    before = changed()

    @upsim.intercept(balance=64)
    def status(*, twice: bool) -> int:
        """Submit a job or two, and return the last status."""
        answers = [httpx.post(SUBMIT, json=BODY, headers=KEY) for _ in range(1 + twice)]
        return answers[-1].status_code

    assert [200, 402, 200] == [status(twice=False), status(twice=True), status(twice=False)]
    assert ("status", before) == (status.__name__, changed())


def test_an_async_function_can_be_decorated() -> None:
    """The interception of a decorated async function lasts until its last await has ended."""

    @upsim.intercept(balance=64)
    async def status() -> int:
        """Submit a job after having given way to others."""
        await asyncio.sleep(0)
        async with httpx.AsyncClient() as http:
            return (await http.post(SUBMIT, json=BODY, headers=KEY)).status_code

    async def both() -> list[int]:
        """Call it twice at once."""
        return [await status(), *await asyncio.gather(status())]

    before = changed()
    assert ([200, 200], before) == (asyncio.run(both()), changed())


def test_generators_coroutines_and_classes_cannot_be_decorated() -> None:
    """A generator, a coroutine or a class cannot be decorated, because its code runs later."""

    def numbers() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    class Shop:
        """Its methods are called later."""

    for one in (numbers, later, partial(numbers), Shop):
        with pytest.raises(TypeError, match="is not a plain function: it would run after"):
            upsim.intercept()(one)


def test_innermost_block_gets_the_calls() -> None:
    """In nested blocks, requests go to the innermost sandbox, and later to the outer one again."""
    with upsim.intercept() as outer:
        with upsim.intercept() as inner:
            submit(inner)
        submit(outer)
        submit(outer)

        assert (2, True) == (len(outer.jobs), inner.closed)


def test_blocks_may_end_in_any_order() -> None:
    """If an outer block ends first, the inner block still works."""
    before = changed()
    first, second = upsim.intercept(), upsim.intercept()
    first.__enter__()
    inner = second.__enter__()
    first.__exit__(None, None, None)
    status = submit(inner).status_code
    second.__exit__(None, None, None)

    assert 200 == status
    assert before == changed()


def test_threads_share_the_sandbox(sandbox: SandboxHandle) -> None:
    """Forty requests from eight threads all get a response, and each is charged once."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: submit(sandbox), range(40)))

    assert {200} == {answer.status_code for answer in answers}
    assert 40 == len({answer.json()["data"]["id"] for answer in answers})
    assert Decimal(40 * 64) == sandbox.ledger.spent("vicsee")


def test_sync_call_below_a_running_loop(sandbox: SandboxHandle) -> None:
    """Sync code that is called by async code also reaches the sandbox."""

    async def call() -> int:
        return credits_by_requests()

    assert 200 == asyncio.run(call())
    assert 1 == len(sandbox.journal)


def test_many_async_calls_at_once(sandbox: SandboxHandle) -> None:
    """All simultaneous requests of one event loop get a response."""

    async def call() -> list[int]:
        headers = {"Authorization": "Bearer any"}
        async with aiohttp.ClientSession(headers=headers) as http:

            async def one() -> int:
                async with http.get(f"{API}/credits") as answer:
                    return answer.status

            return await asyncio.gather(*(one() for _ in range(30)))

    assert [200] * 30 == asyncio.run(call())
    assert 30 == len(sandbox.journal)


def test_urls_in_responses_keep_the_provider_host(sandbox: SandboxHandle) -> None:
    """URLs in responses use the provider's own host, and API URLs look like the real ones."""
    answer = httpx.post(
        "https://api.wavespeed.ai/api/v3/runwayml/upscale-v1",
        json={"video": sandbox.clip()},
        headers={"Authorization": "Bearer any"},
    ).json()["data"]

    expected = f"https://api.wavespeed.ai/api/v3/predictions/{answer['id']}/result"
    assert expected == answer["urls"]["get"]


def test_missing_key_is_refused_by_this_sandbox(sandbox: SandboxHandle) -> None:
    """A call without a key gets the provider's refusal, and this sandbox's journal lists it."""
    answer = httpx.get(f"{API}/credits")

    assert 401 == answer.status_code
    assert [401] == [exchange["status"] for exchange in sandbox.journal]


def test_the_clients_request_is_not_changed(sandbox: SandboxHandle) -> None:
    """The request on the response object still has the client's key and URL."""
    sent = submit(sandbox, key="sk-mine").request

    assert ("Bearer sk-mine", f"{API}/tools/upscale-video") == (
        sent.headers["Authorization"],
        str(sent.url),
    )


def test_strict_keys_refuse_others() -> None:
    """A sandbox with strict keys accepts only its own keys."""
    with upsim.intercept(strict_keys=True) as sandbox:
        statuses = [submit(sandbox).status_code, submit(sandbox, sandbox.key("vicsee")).status_code]

    assert [401, 200] == statuses


def test_further_key_keeps_its_account(sandbox: SandboxHandle) -> None:
    """A key that was issued for another account pays from that account."""
    submit(sandbox, sandbox.new_key("vicsee", account="other"))

    assert [Decimal(64)] == sandbox.ledger.charges("vicsee")
    assert Decimal(100_000_000) == sandbox.ledger.balance("vicsee")


def test_other_hosts_are_left_alone(sandbox: SandboxHandle) -> None:
    """A call to any other host is not intercepted: here it goes to a port without a server."""
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://127.0.0.1:9/")

    assert [] == sandbox.journal


def test_the_simulators_own_url_works(sandbox: SandboxHandle) -> None:
    """Code that uses the sandbox's base URL and key reaches the sandbox without a socket."""
    url = f"{sandbox.base_url('vicsee')}/api/v1/credits"
    headers = {"Authorization": f"Bearer {sandbox.key('vicsee')}"}

    assert 200 == requests.get(url, headers=headers, timeout=60).status_code


def test_unknown_scenario_names_the_nearest() -> None:
    """The error for an unknown scenario suggests the most similar name."""
    with (
        pytest.raises(MarkError, match="did you mean vicsee/insufficient-funds"),
        upsim.intercept("vicsee/out-of-credit"),
    ):
        pass


def test_missing_scenario_file_is_named_in_full() -> None:
    """The error for a missing scenario file names its whole path."""
    with (
        pytest.raises(MarkError, match=r"no scenario file '/.*/nosuch\.yaml': the file does not"),
        upsim.intercept("nosuch.yaml"),
    ):
        pass


def test_a_call_in_a_forked_process_fails(sandbox: SandboxHandle) -> None:
    """A forked process has no simulator: a request there fails at once with that reason."""
    child = os.fork()
    if child == 0:
        try:
            credits_by_requests()
        except SimulatorGoneError:
            os._exit(7)
        os._exit(1)

    assert 7 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 200 == credits_by_requests()
    assert 1 == len(sandbox.journal)
