"""Provider paths: from an ASGI request to an answer. This is the hot path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from upsim.core.call import JSON, Call, FileReply, Hold, Pending, Reply
from upsim.core.checks import Violation
from upsim.core.provider import Operation
from upsim.engine.bound import Bound
from upsim.engine.execute import Decision, after_reply, decide, refuse
from upsim.engine.journal import KEPT_BODY, Exchange
from upsim.engine.registry import Registry, UnknownSandboxError
from upsim.engine.sandbox import Sandbox
from upsim.web.bodies import ClientGoneError, decode, encode, read_body
from upsim.web.holds import Holds
from upsim.web.measuring import MediaDesk
from upsim.web.media import MediaApp
from upsim.web.places import Place, Places
from upsim.web.routes import Miss, Routes

BODY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
UNROUTED = Operation("unknown", "", "", handle=lambda _call: Reply(500, None))
Observer = Callable[[Sandbox, Exchange], None]


@dataclass(slots=True)
class Dispatch:
    """Answers every request below a provider's prefix, or by a provider's host name."""

    registry: Registry
    places: Places
    desk: MediaDesk
    holds: Holds
    media: MediaApp
    observers: list[Observer] = field(default_factory=list)
    _routes: dict[str, Routes] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, place: Place) -> None:
        """Answer one request."""
        registry = self.registry
        provider = place.provider
        routes = self._routes.get(provider)
        if routes is None:
            routes = self._routes[provider] = Routes(registry.providers[provider])
        found = routes.find(scope["method"], place.path)
        try:
            resolved = registry.resolve(provider, scope["headers"], place.sandbox)
        except UnknownSandboxError:
            message = f"there is no sandbox {(place.sandbox or '')[:80]!r}"
            error = {"code": "unknown_sandbox", "message": message}
            await send_reply(send, Reply(404, {"error": error}))
            return
        sandbox = resolved.sandbox
        bound, world = registry.world(sandbox, provider, place.dialect)
        operation, params = (UNROUTED, {}) if isinstance(found, Miss) else found
        call = Call(
            operation=operation.name,
            kind=operation.kind,
            rules=bound.rules,
            world=world,
            origin=self.places.origin(scope, place, sandbox, registry.default),
            method=scope["method"],
            path=place.path,
            params=params,
            query_string=scope["query_string"],
            headers=scope["headers"],
            body=b"",
            decode=decode,
            credential=resolved.credential,
            account=resolved.account,
            in_process=registry.settings.in_process,
        )
        exchange = new_exchange(sandbox, call)
        if isinstance(found, Miss):
            call.now = sandbox.settle()
            name = "wrong_method" if found.allowed else "no_route"
            decision = refuse(bound, call, Violation(name, {"allowed": ", ".join(found.allowed)}))
            await self._answer(scope, send, sandbox, bound, operation, call, exchange, decision)
            return
        if call.method in BODY_METHODS:
            try:
                limit = body_limit(bound, operation)
                call.body, call.oversized = await read_body(receive, call.headers, limit)
            except ClientGoneError:
                return
            exchange.body, exchange.body_size = call.body[:KEPT_BODY], len(call.body)
        decision = await self._decide(sandbox, bound, operation, call)
        await self._answer(scope, send, sandbox, bound, operation, call, exchange, decision)

    async def _decide(
        self, sandbox: Sandbox, bound: Bound, operation: Operation, call: Call
    ) -> Decision:
        decision = decide(sandbox, bound, operation, call)
        while isinstance(decision, Pending):
            call.measured = await self.desk.measure(sandbox, call, decision)
            call.uses.clear()
            call.terms = None
            decision = decide(sandbox, bound, operation, call)
        if isinstance(decision.reply, Hold):
            decision.reply = await self.holds.wait(sandbox, call, decision.reply)
        return decision

    async def _answer(
        self,
        scope: Scope,
        send: Send,
        sandbox: Sandbox,
        bound: Bound,
        operation: Operation,
        call: Call,
        exchange: Exchange,
        decision: Decision,
    ) -> None:
        reply = decision.reply
        exchange.rule = decision.rule
        exchange.job = call.job.id if call.job else None
        exchange.assumed = call.media if call.assumed else None
        if isinstance(reply, FileReply):
            exchange.job = reply.job
            exchange.status = 200
            self._record(sandbox, exchange)
            extra = response_headers(bound, call, Reply(200, None))
            await self.media.send_output(scope, send, sandbox, reply, extra)
        elif isinstance(reply, Reply):
            body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
            headers = reply.headers + response_headers(bound, call, reply)
            exchange.status = reply.status
            exchange.reply, exchange.reply_size = body[:KEPT_BODY], len(body)
            self._record(sandbox, exchange)
            await send_body(send, reply.status, body, reply.content_type, headers)
        after_reply(sandbox, operation, call, exchange.status)

    def _record(self, sandbox: Sandbox, exchange: Exchange) -> None:
        sandbox.journal.add(exchange)
        for observer in self.observers:
            observer(sandbox, exchange)


def new_exchange(sandbox: Sandbox, call: Call) -> Exchange:
    """The journal's record of a request, before it is answered."""
    query = call.query_string
    return Exchange(
        number=0,
        at=sandbox.clock.now(),
        provider=call.rules.baseline.provider,
        operation=call.operation,
        method=call.method,
        target=f"{call.path}?{query.decode('latin-1')}" if query else call.path,
        body=b"",
        body_size=0,
        account=call.account.number if call.account else None,
        dialect=call.rules.dialect,
        rules=call.rules.baseline.digest,
    )


def body_limit(bound: Bound, operation: Operation) -> int:
    """How many bytes a body may have; a kind of operation may have a limit of its own."""
    limits = bound.rules.baseline.limits
    own = f"{operation.kind}_body_bytes"
    return bound.rules.whole(own if own in limits else "body_bytes")


def response_headers(bound: Bound, call: Call, reply: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that the provider sends with every answer."""
    headers = bound.provider.headers
    return headers(call, reply) if headers is not None else ()


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer that needs no provider."""
    body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
    await send_body(send, reply.status, body, reply.content_type, reply.headers)


async def send_body(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = JSON,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send a whole body at once."""
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *headers,
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
