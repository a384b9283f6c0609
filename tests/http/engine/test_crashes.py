"""A bug met while a call is handled: the provider's own answer, a traceback, and whole money."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.http.engine.conftest import POLLS, SUBMITS, MakeWorld
from tests.stateful import invariants
from tests.stateful.asgi_client import Answer, Request, exchange
from tests.stateful.provider_calls import FACES
from upsim.app import App
from upsim.core.checks import ALWAYS_NEEDED, COMMON, SAID_BY
from upsim.core.events import Event, JobAccepted
from upsim.engine.registry import Registry
from upsim.engine.sandbox_api import BoundSandbox
from upsim.engine.settings import ServerSettings
from upsim.web.media_files import MediaApp

PROVIDERS = tuple(SUBMITS)
OURS: dict[str, Any] = {
    "wavespeed": {"code": 500, "message": "Internal Server Error"},
    "venice": {"code": "UNKNOWN_ERROR", "message": "An unknown error occurred"},
    "piapi": {"code": 500, "message": "internal server error"},
    "vicsee": {"code": "INTERNAL_ERROR", "message": "Internal server error"},
}


class BugError(Exception):
    """A mistake of ours."""


def bug(*_args: object, **_named: object) -> None:
    """Be the mistake."""
    raise BugError("boom")


@pytest.fixture
def app() -> Iterator[App]:
    """Return an application as a server has it."""
    made = App(ServerSettings(hosts=("upsim.test",), clock="manual", admin_token="in-process"))
    yield made
    made.close()


def send(app: App, provider: str, method: str, path: str, body: object = None) -> Answer:
    """Call a provider with a key of one's own."""
    request = Request(method, f"/{provider}{path}", body)
    return asyncio.run(exchange(app, request, FACES[provider].headers("mine")))


def submit(app: App, provider: str) -> Answer:
    """Submit the provider's default video."""
    path, body = SUBMITS[provider]
    return send(app, provider, "POST", path, body)


def poll(app: App, provider: str) -> Answer:
    """Ask for the newest job."""
    job = list(app.registry.default.state.jobs)[-1]
    if provider == "venice":
        return send(app, provider, "POST", "/api/v1/video/retrieve", {"queue_id": job})
    return send(app, provider, "GET", POLLS[provider].format(job))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_internal_error_has_the_form_of_the_provider(
    app: App, provider: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of upsim during a request returns the provider's documented 500.

    The log has the request and the traceback, and the metric of crashes counts one more.
    """
    monkeypatch.setattr(BoundSandbox, "terms", bug)
    answer = submit(app, provider)
    document = answer.json()
    told = {**document, **(document.get("error") if provider == "vicsee" else {})}
    if provider == "venice":
        told = {"code": "UNKNOWN_ERROR", "message": document["error"]}
    assert (answer.status, {k: told[k] for k in ("code", "message")}) == (500, OURS[provider])
    (record,) = [entry for entry in caplog.records if entry.name == "upsim"]
    assert record.levelno == logging.ERROR
    assert "a bug of upsim: POST" in record.getMessage()
    assert "BugError: boom" in caplog.text
    metrics = asyncio.run(exchange(app, Request("GET", "/__sim/metrics"), {})).body.decode()
    assert "upsim_crashes_total 1\n" in metrics


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_internal_error_is_in_the_journal_and_charges_nothing(
    app: App, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that hits a bug is in the journal as `internal`, without a job or a charge.

    The next submit succeeds.
    """
    with monkeypatch.context() as broken:
        broken.setattr(BoundSandbox, "terms", bug)
        submit(app, provider)
    box = app.registry.default
    (exchange_,) = box.records
    assert exchange_.rule is not None
    assert (exchange_.status, exchange_.rule.name) == (500, "internal")
    assert (len(box.state.jobs), box.state.entry_count) == (0, 0)
    assert submit(app, provider).status == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_bug_after_the_charge_leaves_job_and_charge(app: App, provider: str) -> None:
    """A bug after the commit of a job leaves the job and its charge: they are one commit."""

    def fail(events: Sequence[Event]) -> None:
        if isinstance(events[0], JobAccepted):
            bug()

    box = app.registry.default
    box.subscribe(fail)
    assert submit(app, provider).status == 500
    box.unsubscribe(fail)
    assert len(box.state.jobs) == 1
    for holds in invariants.ALL:
        holds(box)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_internal_error_of_a_poll_keeps_the_job(
    app: App, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bug during a poll returned a 500, the next poll returns the job as usual."""
    submit(app, provider)
    with monkeypatch.context() as broken:
        broken.setattr(BoundSandbox, "find_job", bug)
        assert poll(app, provider).status == 500
    assert poll(app, provider).status == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_response_that_cannot_be_encoded_is_an_internal_error(
    app: App, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the body of a response cannot be encoded as JSON, the client gets the provider's 500."""
    submit(app, provider)
    bound = app.registry.default.bound(provider)
    failed: list[int] = []

    def once(value: object) -> bytes:
        if not failed:
            failed.append(1)
            raise BugError(repr(value))
        return json.dumps(value, default=str).encode()

    monkeypatch.setattr("upsim.web.provider_responses.encode", once)
    answer = poll(app, provider)
    assert answer.status == bound.rules.errors["internal"].status


@pytest.mark.parametrize("armed", [False, True])
def test_an_internal_error_is_the_same_with_an_armed_fault(
    app: App, *, armed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug gives the same 500 and one journal entry, with or without an armed fault."""
    if armed:
        order = {"provider": "vicsee", "at": "poll", "do": {"headers": {"x-a": "b"}}}
        body = Request("POST", "/__sim/sandboxes/default/faults", order)
        headers = {"authorization": "Bearer in-process", "content-type": "application/json"}
        assert asyncio.run(exchange(app, body, headers)).status == 201
    monkeypatch.setattr(BoundSandbox, "terms", bug)
    answer = submit(app, "vicsee")
    assert (answer.status, answer.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert app.registry.default.records.count == 1


def test_a_bug_is_raised_in_process(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a test calls the simulator in process, a bug raises its exception instead of a 500."""
    world = make_world()
    monkeypatch.setattr(BoundSandbox, "terms", bug)
    with pytest.raises(BugError, match="boom"):
        world.submit("vicsee")


def test_every_common_check_names_the_errors_it_needs() -> None:
    """The table of errors has an entry for each common check."""
    assert SAID_BY.keys() == COMMON.keys()
    assert len(set(ALWAYS_NEEDED)) == len(ALWAYS_NEEDED)


@pytest.mark.parametrize(
    ("path", "holder", "name"),
    [
        ("/media/synthetic/320x240_10fps_1s.mp4", MediaApp, "_serve"),
        ("/__sim/sandboxes/default", Registry, "get"),
    ],
    ids=["a file", "the admin API"],
)
def test_a_bug_outside_the_providers_is_counted_and_raised(
    app: App, path: str, holder: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in the admin API or a file download is counted as a crash and raised."""
    monkeypatch.setattr(holder, name, bug)
    with pytest.raises(BugError):
        asyncio.run(exchange(app, Request("GET", path), {"authorization": "Bearer in-process"}))
    assert app.registry.crashes == 1


@pytest.mark.parametrize("path", ["/__sim/sandboxes", "/__sim/sandboxes/default/inbox/mine"])
def test_a_client_that_disconnects_in_a_body_is_no_crash(app: App, path: str) -> None:
    """If a client disconnects within its body, nothing is raised or counted as a crash."""
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "headers": [
            (b"authorization", b"Bearer in-process"),
            (b"content-type", b"application/json"),
            (b"content-length", b"100"),
        ],
        "server": ("upsim.test", 80),
        "client": ("127.0.0.1", 1),
    }
    came: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(came)

    async def unheard(_message: object) -> None:
        """Nobody is there."""

    asyncio.run(app(scope, receive, unheard))
    assert (0, []) == (app.registry.crashes, list(came))
