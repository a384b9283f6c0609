"""What the admin API shows of webhooks, resending, and the built-in inbox."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.hosts import ELSEWHERE, IPV6, LOOPBACK, ODD_PORTS
from tests.http.conftest import refusal_of
from tests.http.webhooks.conftest import HOOK, hang

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Start, World

LONG = 10_000
INBOX = "http://upsim.test/__sim/sandboxes/default/inbox/mine"
MESSAGES = "inbox/mine/messages"


def test_a_new_sandbox_has_no_deliveries(world: World) -> None:
    """The admin API shows no webhook deliveries for a new sandbox."""
    assert world.call("GET", "webhooks") == {"deliveries": [], "total": 0}


def test_a_delivery_is_shown(start: Start) -> None:
    """The admin API shows the job, state, URL, outcome and next attempt of a delivery."""
    world = start(500)
    task = world.wavespeed()
    world.call("PUT", f"jobs/{task}/state", {"state": "failed"})
    (found,) = world.call("GET", "webhooks")["deliveries"]

    assert (task, "failed", HOOK) == (found["job"], found["job_state"], found["url"])
    assert ("pending", "2026-01-01T00:00:01.000000Z") == (found["outcome"], found["next_at"])
    assert found["ended_at"] is None


def test_an_attempt_is_shown(start: Start) -> None:
    """The admin API shows the headers, status, response and next attempt of a webhook attempt."""
    world = start(503, webhook_timestamp="virtual")
    task = world.wavespeed()
    world.call("PUT", f"jobs/{task}/state", {"state": "failed"})
    (attempt,) = world.call("GET", f"webhooks/{world.only.id}")["attempts"]
    headers = attempt.pop("headers")

    assert attempt == {
        "at": "2026-01-01T00:00:00.000000Z",
        "number": 1,
        "stamp": 1_767_225_600,
        "sent": True,
        "status": 503,
        "error": None,
        "answer": {"size": 0, "truncated": False, "text": ""},
        "next_at": "2026-01-01T00:00:01.000000Z",
        "fault": None,
    }
    assert {
        "content-type": "application/json",
        "webhook-id": task,
        "webhook-timestamp": "1767225600",
        "webhook-signature": headers["webhook-signature"],
    } == headers


def test_secrets_are_redacted(world: World) -> None:
    """The admin API shows PiAPI's webhook secret neither in the headers nor in the body."""
    world.piapi(secret="do-not-show")
    world.sim.advance(LONG)
    answer = world.admin.get("/__sim/sandboxes/default/webhooks")

    assert "do-not-show" not in answer.text
    assert answer.json()["deliveries"][0]["attempts"][0]["headers"]["x-webhook-secret"] == (
        "<redacted>"
    )


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 2), ("?limit=1", 1), ("?offset=2", 0), ("?outcome=delivered", 1), ("?job=nobody", 0)],
)
def test_deliveries_are_filtered(start: Start, query: str, count: int) -> None:
    """The list of deliveries can be filtered by page, by job and by outcome."""
    world = start(200, 500, 500, 500, 500)
    for _ in range(2):
        world.wavespeed()
        world.sim.advance(LONG)

    assert len(world.call("GET", f"webhooks{query}")["deliveries"]) == count


def test_an_unknown_delivery_is_refused(world: World) -> None:
    """A request for an unknown delivery gets a 404."""
    answer = world.call("POST", "webhooks/nobody/resend", ok=False)

    assert answer["error"]["code"] == "unknown_delivery"


def test_a_delivery_is_sent_again(world: World) -> None:
    """A resend makes one extra attempt at once, with the same body."""
    world.wavespeed()
    world.sim.advance(LONG)
    found = world.call("POST", f"webhooks/{world.only.id}/resend")
    first, second = world.receiver.requests

    assert first.content == second.content
    assert [1, None] == [attempt["number"] for attempt in found["attempts"]]
    assert found["outcome"] == "delivered"


def test_a_successful_resend_ends_the_retries(start: Start) -> None:
    """If a resent webhook is accepted, no further retry follows."""
    world = start(500, 200)
    task = world.wavespeed()
    world.call("PUT", f"jobs/{task}/state", {"state": "failed"})
    world.call("POST", f"webhooks/{world.only.id}/resend")
    world.sim.advance(LONG)

    assert [500, 200] == [attempt.status for attempt in world.only.attempts]


def test_a_failed_resend_changes_nothing(start: Start) -> None:
    """If a resent webhook fails, the retry schedule and the final outcome stay the same."""
    world = start(*[500] * 9)
    world.wavespeed()
    world.sim.advance(LONG)
    found = world.call("POST", f"webhooks/{world.only.id}/resend")

    assert (5, "given_up") == (len(found["attempts"]), found["outcome"])


def test_advance_shows_deliveries(world: World) -> None:
    """An advance lists each webhook attempt with its delivery, its number and the response."""
    task = world.wavespeed()
    fired = world.call("POST", "clock/advance", {"seconds": LONG})["fired"][-1]

    assert fired == {
        "at": fired["at"],
        "kind": "deliver",
        "key": world.only.id,
        "state": "delivered",
        "job": task,
        "attempt": 1,
        "status": 200,
    }


def test_an_inbox_receives(world: World) -> None:
    """The built-in inbox stores each received webhook byte for byte, with its headers."""
    task = world.wavespeed(INBOX)
    world.sim.advance(LONG)
    (message,) = world.call("GET", MESSAGES)["messages"]

    assert message["headers"]["webhook-id"] == task
    assert message["body"].encode() == world.only.created.body
    assert ("POST", 1, False) == (message["method"], message["number"], message["truncated"])


def test_an_inbox_shows_in_the_journal(world: World) -> None:
    """A POST to an inbox appears in the journal, with its secrets redacted."""
    world.piapi(INBOX, secret="do-not-show")
    world.sim.advance(LONG)
    found = world.call("POST", "journal/find", {"operation": "inbox"})["exchanges"]

    assert [(200, "POST")] == [(exchange["status"], exchange["method"]) for exchange in found]
    assert "do-not-show" not in str(found)


def test_an_inbox_may_refuse(world: World) -> None:
    """With `?status=` in its URL, an inbox responds with that status."""
    world.wavespeed(f"{INBOX}?status=503")
    world.sim.advance(LONG)

    assert [503] * 4 == [attempt.status for attempt in world.only.attempts]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("status=abc", "status='abc' is not a status from 200 to 599"),
        ("status=99", "status='99' is not a status from 200 to 599"),
        ("status=", "status='' is not a status from 200 to 599"),
        ("status=500&status=200", "query parameter 'status' came twice"),
        ("stats=500", "unknown query parameter 'stats'; did you mean status?"),
        ("Status=500", "unknown query parameter 'Status'; did you mean status?"),
    ],
)
def test_an_inbox_refuses_a_wrong_status(world: World, query: str, message: str) -> None:
    """An inbox refuses an invalid status or a misspelt parameter, and stores nothing."""
    answer = world.admin.post(f"/__sim/sandboxes/default/inbox/mine?{query}", content=b"x")
    world.wavespeed(f"{INBOX}?{query}")
    world.sim.advance(LONG)

    assert refusal_of(answer) == (400, "invalid", message)
    assert {400} == {attempt.status for attempt in world.only.attempts}
    assert world.call("GET", MESSAGES)["total"] == 0


def test_an_inbox_accepts_extra_query_parameters(world: World) -> None:
    """An inbox stores the query parameters that a client or a provider adds to its URL."""
    path = "/__sim/sandboxes/default/inbox/mine?status=503&order=17&t=1"
    answer = world.admin.post(path, content=b"x")

    assert answer.status_code == 503
    assert [path] == [m["target"] for m in world.call("GET", MESSAGES)["messages"]]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_an_inbox_takes_every_method(world: World, method: str) -> None:
    """An inbox stores requests of every method and format, without a token."""
    headers = {"host": "hooks.example", "content-type": "text/plain"}
    path = "/__sim/sandboxes/default/inbox/mine"
    answer = world.admin.request(method, path, content=b"\xff", headers=headers)

    assert answer.status_code == 200
    assert [method] == [m["method"] for m in world.call("GET", MESSAGES)["messages"]]


def test_reading_an_inbox_is_guarded(world: World) -> None:
    """A web page of another origin cannot read the contents of an inbox."""
    headers = {"origin": "https://elsewhere.example"}
    answer = world.admin.get(f"/__sim/sandboxes/default/{MESSAGES}", headers=headers)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/__sim/sandboxes/nobody/inbox/mine",
        "/__sim/sandboxes/default/inbox/a%2Fb",
        "/__sim/sandboxes/default/inbox/a%20b",
        f"/__sim/sandboxes/default/inbox/{'n' * 65}",
    ],
)
def test_unknown_inboxes_are_not_found(world: World, path: str) -> None:
    """An inbox of an unknown sandbox or with an invalid name does not exist."""
    assert world.admin.post(path, json={}).status_code == 404


def test_an_inbox_is_bounded(world: World) -> None:
    """An inbox refuses a body above the size limit and does not store it."""
    answer = world.admin.post("/__sim/sandboxes/default/inbox/mine", content=bytes(1_048_577))

    assert answer.status_code == 413
    assert world.call("GET", MESSAGES)["total"] == 0


NO_URL = ("127.0.0.256", "127..1", "localhost..", ".")
"""What a client refuses to read as an address."""


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        ("https://example.com/hook", "example.com is not loopback; allow it with --webhook-allow"),
        ("http://169.254.169.254/", "169.254.169.254 is not loopback"),
        ("http://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1 is not loopback"),
        *((f"http://{host}/", " is not loopback") for host in ELSEWHERE if host not in NO_URL),
        *(
            (f"http://{host}:{port}/", f"the port {port!a} is not a plain number from 1 to 65535")
            for host in ("localhost", "[::1]", "u:p@127.0.0.1")
            for port in ODD_PORTS
        ),
        ("http://127.0.0.1.evil.example/", "127.0.0.1.evil.example is not loopback"),
        ("http://localhost@evil.example/", "evil.example is not loopback"),
        ("ftp://localhost/", "not an http or https URL"),
        ("localhost:1", "not an http or https URL"),
        ("http://[/", "is not loopback"),
        ("http://[::1]evil.example/", "not an http or https URL"),
        ("http://127.0.0.1\\@evil.example/", "evil.example is not loopback"),
        ("http://evil.example\t@127.0.0.1/", "not an http or https URL"),
        (f"http://localhost/{'x' * 8192}", "not an http or https URL"),
        ("http:///x", "not an http or https URL"),
        ("http://localhost:x/", "the port 'x' is not a plain number"),
        ("http://upsim.test/__sim/sandboxes/default/reset", "can only go to an inbox"),
        ("http://u@upsim.test/__sim/sandboxes", "can only go to an inbox"),
        ("http://UPSIM.test/wavespeed/api/v3/balance", "can only go to an inbox"),
        ("http://upsim.test/__sim/sandboxes/default/inbox/../reset", "can only go to an inbox"),
    ],
)
def test_webhooks_to_forbidden_hosts_are_not_sent(start: Start, hook: str, error: str) -> None:
    """A webhook to a host that is neither loopback nor allowed is logged once, without a retry."""
    world = start(webhook_transport=None)
    world.wavespeed(hook)
    world.sim.advance(LONG)
    (attempt,) = world.only.attempts

    assert error in attempt.error
    assert (True, "refused") == (attempt.unsent, world.only.outcome)


@contextmanager
def receiver_at(address: str, told: list[httpx.Headers]) -> Iterator[int]:
    """Serve a receiver at an address of this machine, keep the headers of what comes."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            told.append(httpx.Headers(list(self.headers.items())))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    server = Server((address, 0), Receiver)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("host", LOOPBACK)
def test_every_name_of_loopback_is_called(start: Start, host: str) -> None:
    """A receiver on this machine gets the webhook for every spelling of the loopback address."""
    told: list[httpx.Headers] = []
    address = host if host == "127.255.255.254" else "127.0.0.1"
    with receiver_at("::1" if host in IPV6 else address, told) as port:
        world = start(webhook_transport=None)
        world.wavespeed(f"http://{host}:{port}/hook")
        world.sim.advance(LONG)

    expected = {f"{host}:{port}".lower()}
    assert expected == {headers["host"].lower() for headers in told}, world.only.attempts


def test_a_closed_port_is_tried_again(start: Start) -> None:
    """If no server listens at a loopback URL, the webhook is retried as the provider does."""
    world = start(webhook_transport=None)
    world.wavespeed("http://127.0.0.1:9/")
    world.sim.advance(LONG)

    assert len(world.only.attempts) == 4
    assert all(attempt.error for attempt in world.only.attempts)


def test_a_hanging_receiver_delays_no_other(start: Start) -> None:
    """While a webhook receiver hangs, the server still responds to async clients."""
    world = start(hang, webhook_seconds=60)

    async def both() -> list[int]:
        transport = world.sim.transport()
        auth = {"Authorization": "Bearer mine"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            path = f"/__sim/sandboxes/default/jobs/{task}/state"
            first = await http.put(path, json={"state": "failed"})
            second = await http.get("/wavespeed/api/v3/balance", headers=auth)
            await world.sim.app.deliverer.close()
            return [first.status_code, second.status_code]

    task = world.wavespeed()

    assert [200, 200] == asyncio.run(both())


def test_a_job_completed_by_an_operator_still_sends_its_webhook(world: World) -> None:
    """If an operator takes a job over and completes it later, its webhook is sent."""
    task = world.wavespeed()
    assert world.call("PUT", f"jobs/{task}/state", {"state": "processing"})["state"] == "processing"
    world.call("PUT", f"jobs/{task}/state", {"state": "completed"})

    assert [task] == [body["id"] for body in world.receiver.bodies]
