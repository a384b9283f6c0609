"""Admin calls on webhooks: deliveries with attempts, resending, and the built-in inbox."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from upsim.core.instants import Instant
from upsim.core.nearest_names import closest
from upsim.core.secrets import Secrets
from upsim.core.webhooks import Delivery
from upsim.engine import request_records
from upsim.engine.request_records import NOTE, Record, noted_request
from upsim.engine.sandbox import Sandbox
from upsim.engine.webhook_inbox import InboxMessage
from upsim.web.admin.long_lists import chosen, listed
from upsim.web.admin.parameters import JOB, LIMIT, OFFSET, OUTCOME, SINCE, STATUS
from upsim.web.admin.problems import AdminError, answer, problem, shown
from upsim.web.admin.recorded_calls import begin, note
from upsim.web.admin.request_sandbox import deliverer_of, registry_of, sandbox_of
from upsim.web.admin.webhook_views import delivery, message, secrets_of_webhook
from upsim.web.webhook_targets import INBOX, is_own_posting

MAX_BODY = 1_048_576
MAX_HEADERS = 64
ANSWERS = range(200, 600)
ANSWER = b'{"received":true}'


async def listing(request: Request) -> Response:
    """`GET …/webhooks`: list webhooks, oldest first; filter with `job=` and `outcome=`."""
    sandbox = sandbox_of(request)
    offset, limit = OFFSET.whole(request), LIMIT.whole(request)
    job, outcome = JOB.text(request), OUTCOME.text(request)
    found = await chosen(
        list(sandbox.state.deliveries.values()),
        lambda one: job in (None, one.created.job) and outcome in (None, one.outcome),
    )
    page = [(one, *_beside(sandbox, one)) for one in found[offset : offset + limit]]
    return await listed("deliveries", page, lambda each: delivery(*each), total=len(found))


async def show(request: Request) -> Response:
    """`GET …/webhooks/<delivery>`: return one webhook with its attempts."""
    sandbox = sandbox_of(request)
    return _shown(sandbox, _delivery(sandbox, request))


async def resend(request: Request) -> Response:
    """`POST …/webhooks/<delivery>/resend`: send once more now, in addition to the schedule."""
    sandbox = sandbox_of(request)
    found = _delivery(sandbox, request)
    begin(request, sandbox)
    await deliverer_of(request).deliver(sandbox, sandbox.webhooks.again(found))
    return _shown(sandbox, sandbox.state.deliveries.get(found.id, found))


async def messages(request: Request) -> Response:
    """`GET …/inbox/<name>/messages`: list the requests to an inbox, oldest first."""
    sandbox = sandbox_of(request)
    found = sandbox.inbox.messages(request.path_params["name"])
    since, limit = SINCE.whole(request), LIMIT.whole(request)
    fresh = [one for one in found if one.number > since]
    return await listed("messages", fresh[:limit], message, total=len(found))


class Receiver:
    """`ANY …/inbox/<name>`: the built-in receiver, which accepts requests from any client.

    It responds with 200, or with the status in its URL (`?status=`).
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the request."""
        self._request = Request(scope, receive)
        self._send = send

    def __await__(self) -> object:
        """Respond to the request."""
        return self._answer().__await__()

    async def _answer(self) -> None:
        request = self._request
        response = await receive_message(request)
        await response(request.scope, request.receive, self._send)


async def receive_message(request: Request) -> Response:
    """`ANY …/inbox/<name>`: store a request to an inbox, and respond with 200 or `?status=`."""
    registry = registry_of(request)
    sandbox = registry.sandboxes.get(request.path_params["id"])
    if sandbox is None or not INBOX.match(request.url.path):
        return problem(404, "not_found", "there is no such inbox")
    status = _status(request)
    parts: list[bytes] = []
    size = 0
    with registry.room.share() as share:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                return problem(413, "too_large", f"an inbox accepts at most {MAX_BODY} bytes")
            share.hold(size)
            parts.append(part)
    if sandbox.abandoned:
        return problem(404, "not_found", "there is no such inbox")
    body = b"".join(parts)
    _keep(sandbox, request, body, status)
    reply = Response(ANSWER, status, media_type="application/json")
    if not is_own_posting():  # the log has those as outcomes
        note(request, sandbox, body, reply)
    return reply


def _keep(sandbox: Sandbox, request: Request, body: bytes, status: int) -> None:
    path, query = request.url.path, request.url.query
    target = f"{path}?{query}" if query else path
    headers = tuple(request.headers.items())[:MAX_HEADERS]
    at = sandbox.run_due()
    message = InboxMessage(
        number=0,
        at=at,
        inbox=request.path_params["name"],
        method=request.method,
        target=target,
        headers=headers,
        body=body,
        size=len(body),
    )
    sandbox.inbox.put(message)
    response = request_records.Response(status, ANSWER)
    sandbox.records.append(
        Record(
            number=sandbox.records.count + 1,
            version=sandbox.version,
            at=at,
            request=noted_request(at, request.method, target, body=body, response=response),
            kind=NOTE,
            provider="",
            operation="inbox",
            path=target,
        )
    )


def _status(request: Request) -> int:
    """Return the status in the URL.

    Raises AdminError if `status` is invalid, repeated or misspelt.

    All other parameters belong to the client, for example a number in its webhook URL.
    """
    for name in request.query_params:
        if name != STATUS.name and closest(name.lower(), (STATUS.name,)):
            message = f"unknown query parameter {shown(name)}; did you mean {STATUS.name}?"
            raise AdminError(400, "invalid", message)
    asked = request.query_params.getlist(STATUS.name) or ["200"]
    if len(asked) > 1:
        raise AdminError(400, "invalid", f"query parameter {STATUS.name!r} came twice")
    (text,) = asked
    number = int(text) if text.isascii() and text.isdecimal() and len(text) == len("200") else 0
    if number not in ANSWERS:
        message = f"{STATUS.name}={shown(text)} is not a status from {ANSWERS[0]} to {ANSWERS[-1]}"
        raise AdminError(400, "invalid", message)
    return number


def _shown(sandbox: Sandbox, found: Delivery) -> Response:
    return answer(delivery(found, *_beside(sandbox, found)))


def _beside(sandbox: Sandbox, found: Delivery) -> tuple[Secrets, Instant | None]:
    """Return the secrets to hide and the delay to show in the view of a delivery."""
    return secrets_of_webhook(sandbox, found), sandbox.webhooks.held_until(found)


def _delivery(sandbox: Sandbox, request: Request) -> Delivery:
    name = request.path_params["delivery"]
    found = sandbox.state.deliveries.get(name)
    if found is None:
        message = f"there is no delivery {shown(name)} in sandbox {sandbox.id!r}"
        raise AdminError(404, "unknown_delivery", message)
    return found
