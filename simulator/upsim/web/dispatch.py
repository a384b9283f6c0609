"""Provider paths: from an ASGI request to an answer. This is the hot path."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from upsim.core.call import JSON, Call, FileReply, Hold, Pending, Reply
from upsim.core.checks import Violation
from upsim.core.provider import Operation
from upsim.engine.bound import BODY_METHODS, Bound
from upsim.engine.execute import Decision, after_reply, decide, refuse
from upsim.engine.journal import Exchange
from upsim.engine.registry import Registry, UnknownSandboxError
from upsim.engine.sandbox import Sandbox
from upsim.web.bodies import ClientGoneError, decode, encode, headers_of, read_body
from upsim.web.crashes import crashed
from upsim.web.documents import Documents, is_document
from upsim.web.faults import Faulty
from upsim.web.holds import Holds
from upsim.web.measuring import MediaDesk
from upsim.web.media import MediaApp
from upsim.web.places import Place, Places, host_of
from upsim.web.routes import Miss, Routes

UNROUTED = Operation("unknown", "", "", handle=lambda _call: Reply(500, None))
ASKS_TO_WAIT = 429
"""From this status on an answer may say `Retry-After`."""
Observer = Callable[[Sandbox, Exchange], None]


@dataclass(slots=True)
class Dispatch:
    """Answers every request below a provider's prefix, or by a provider's host name."""

    registry: Registry
    places: Places
    desk: MediaDesk
    holds: Holds
    media: MediaApp
    documents: Documents = field(default_factory=Documents)
    observers: list[Observer] = field(default_factory=list)
    _routes: dict[str, Routes] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, place: Place) -> None:
        """Answer one request."""
        provider, method, headers = place.provider, scope["method"], headers_of(scope)
        routes = self._routes.get(provider) or self._routes_of(provider)
        found = routes.find(method, place.path)
        registry = self.registry
        try:
            resolved = registry.resolve(provider, headers, place.sandbox)
        except UnknownSandboxError:
            await send_reply(send, unknown_sandbox(place))
            return
        sandbox, credential, account, faces = resolved
        face = faces.get(place.dialect) or registry.world(sandbox, provider, place.dialect)
        bound, world = face
        operation, params = (UNROUTED, {}) if isinstance(found, Miss) else found
        call = Call(  # by position, which takes half the time
            operation.name,
            operation.kind,
            bound.rules,
            world,
            self.places.origin(scope, headers, place, sandbox),
            method,
            place.path,
            params,
            scope["query_string"],
            headers,
            b"",
            decode,
            credential,
            account,
        )
        if isinstance(found, Miss):
            decision = self._missed(scope, sandbox, bound, call, found)
        else:
            if method in BODY_METHODS:
                try:
                    limit = bound.body_limits[operation.name]
                    call.body, call.oversized = await read_body(receive, headers, limit)
                except ClientGoneError:
                    return
            if sandbox.state.faults or sandbox.changes_wait:
                await self._with_faults(scope, receive, send, sandbox, bound, operation, call)
                return
            try:
                outcome = decide(sandbox, bound, operation, call)
                if isinstance(outcome, Pending) or isinstance(outcome.reply, Hold):
                    outcome = await self._wait(sandbox, bound, operation, call, outcome)
                decision = outcome
            except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
                decision = Decision(*crashed(registry, sandbox, bound, call, error))
        reply = decision.reply
        if isinstance(reply, Reply):
            start, body = self._written(sandbox, bound, call, decision, reply)
            await send(start)
            await send({"type": "http.response.body", "body": body})
        elif isinstance(reply, FileReply):
            await self._send_file(scope, receive, send, sandbox, bound, call, reply)
        after_reply(sandbox, call, decision)

    async def _with_faults(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        sandbox: Sandbox,
        bound: Bound,
        operation: Operation,
        call: Call,
    ) -> None:
        """The same, where faults may act before the decision, on it, and on its way out.

        They come and go with the changes that a scenario plans, so what is due happens first.
        """
        if sandbox.changes_wait:
            sandbox.settle()
        settings = self.registry.settings
        faulty = Faulty(scope, receive, send, sandbox, settings.hold_seconds, settings.in_process)
        try:
            decision = await faulty.before(bound, call)
            if decision is None:
                outcome = decide(sandbox, bound, operation, call)
                decision = await self._wait(sandbox, bound, operation, call, outcome)
                decision = await faulty.after(bound, call, decision)
        except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
            decision = Decision(*crashed(self.registry, sandbox, bound, call, error))
        reply = decision.reply
        if isinstance(reply, Reply):
            start, body = self._written(sandbox, bound, call, decision, reply, faulty.name)
            with suppress(ClientGoneError):
                await faulty.send(start)
                await faulty.send({"type": "http.response.body", "body": body})
        elif isinstance(reply, FileReply):
            with suppress(ClientGoneError):
                await self._send_file(
                    scope, receive, faulty.send, sandbox, bound, call, reply, faulty.name
                )
        after_reply(sandbox, call, decision)

    def _written(
        self,
        sandbox: Sandbox,
        bound: Bound,
        call: Call,
        decision: Decision,
        reply: Reply,
        fault: str | None = None,
    ) -> tuple[Message, bytes]:
        """Head and body of an answer, which the journal has from now on."""
        rule = decision.rule
        try:
            body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
            start = start_message(bound, call, reply, len(body))
        except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
            reply, rule = crashed(self.registry, sandbox, bound, call, error)
            body = encode(reply.body)
            start = start_message(bound, call, reply, len(body))
        job = call.job.accepted.job if call.job else None
        exchange = sandbox.journal.add(call, body, reply.status, rule, job, fault)
        if reply.status >= ASKS_TO_WAIT:
            sandbox.conduct.told_to_wait(call, exchange, start["headers"])
        for observer in self.observers:
            observer(sandbox, exchange)
        return start, body

    def _missed(
        self, scope: Scope, sandbox: Sandbox, bound: Bound, call: Call, miss: Miss
    ) -> Decision:
        """The OpenAPI document, if that is asked for; else the provider's own 404 or 405."""
        if not is_document(call.method, call.path):
            return missed(sandbox, bound, call, miss)
        call.now = sandbox.settle()
        return Decision(
            self.documents.reply(
                bound.provider.name,
                call.path,
                dialect=bound.rules.dialect,
                origin=call.origin,
                host=host_of(scope),
            )
        )

    def _routes_of(self, provider: str) -> Routes:
        found = self._routes[provider] = Routes(self.registry.providers[provider])
        return found

    async def _wait(
        self,
        sandbox: Sandbox,
        bound: Bound,
        operation: Operation,
        call: Call,
        outcome: Decision | Pending,
    ) -> Decision:
        """Measure what the decision needs, or hold the request until its job ends."""
        while isinstance(outcome, Pending):
            call.measured = await self.desk.measure(sandbox, call, outcome)
            call.uses.clear()
            call.terms = None
            outcome = decide(sandbox, bound, operation, call)
        if isinstance(outcome.reply, Hold):
            return Decision(await self.holds.wait(sandbox, call, outcome.reply))
        return outcome

    async def _send_file(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        sandbox: Sandbox,
        bound: Bound,
        call: Call,
        reply: FileReply,
        fault: str | None = None,
    ) -> None:
        exchange = sandbox.journal.add(call, b"", 200, None, reply.job, fault)
        for observer in self.observers:
            observer(sandbox, exchange)
        extra = response_headers(bound, call, Reply(200, None))
        await self.media.send_output(scope, receive, send, sandbox, reply, extra)


def missed(sandbox: Sandbox, bound: Bound, call: Call, miss: Miss) -> Decision:
    """The provider's own 404 or 405."""
    call.now = sandbox.settle()
    name = "wrong_method" if miss.allowed else "no_route"
    return refuse(bound, call, Violation(name, {"allowed": ", ".join(miss.allowed)}))


def unknown_sandbox(place: Place) -> Reply:
    """The answer to a path that names a sandbox which is not there."""
    message = f"there is no sandbox {(place.sandbox or '')[:80]!r}"
    return Reply(404, {"error": {"code": "unknown_sandbox", "message": message}})


def response_headers(bound: Bound, call: Call, reply: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that the provider sends with every answer."""
    headers = bound.provider.headers
    return headers(call, reply) if headers is not None else ()


def start_message(bound: Bound, call: Call, reply: Reply, size: int) -> Message:
    """The head of an answer whose body has so many bytes."""
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % size),
        *reply.headers,
        *response_headers(bound, call, reply),
    ]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer that needs no provider."""
    body = encode(reply.body)
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
