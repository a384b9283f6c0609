"""Provider paths: from an ASGI request to an answer. This is the hot path."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from upsim.core.baseline import ErrorRule
from upsim.core.call import Call, FileReply, Hold, Pending, Reply
from upsim.core.checks import Violation
from upsim.core.provider import Operation
from upsim.engine.bound import Bound
from upsim.engine.commands import KEPT_HEADERS, Command, happened, resumed
from upsim.engine.execute import Decision, after_reply, decide, refuse
from upsim.engine.journal import Exchange
from upsim.engine.registry import Registry, UnknownSandboxError
from upsim.engine.sandbox import Sandbox
from upsim.web.answers import Answer, Headers
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


class Begun(msgspec.Struct, frozen=True):
    """A call whose sandbox, account and rules are known; its body is still to come.

    `key` is the name under which the command log knows the key that was sent.
    """

    sandbox: Sandbox
    bound: Bound
    operation: Operation
    call: Call
    scope: Scope
    miss: Miss | None
    key: str

    @property
    def body_limit(self) -> int | None:
        """How many bytes the body may have; None when none is read."""
        return self.bound.body_limits.get(self.call.operation)


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
        begun = self._begin(scope, place)
        if isinstance(begun, Answer):
            await begun(scope, receive, send)
            return
        limit, call = begun.body_limit, begun.call
        if limit is not None:
            try:
                call.body, call.oversized = await read_body(receive, call.headers, limit)
            except ClientGoneError:
                return
        await self._answered(begun)(scope, receive, send)

    def at_once(self, scope: Scope, body: bytes, place: Place) -> ASGIApp:
        """Decide a request that came whole: its answer, or what answers it after some waiting."""
        begun = self._begin(scope, place)
        if isinstance(begun, Answer):
            return begun
        call = begun.call
        limit = begun.bound.body_limits.get(call.operation)
        if limit is not None:
            call.oversized = len(body) > limit
            call.body = b"" if call.oversized else body
        return self._answered(begun)

    def _begin(self, scope: Scope, place: Place) -> Begun | Answer:
        """What is known of a request before its body is read."""
        provider, method, headers = place.provider, scope["method"], headers_of(scope)
        routes = self._routes.get(provider) or self._routes_of(provider)
        found = routes.find(method, place.path)
        registry = self.registry
        try:
            resolved = registry.resolve(provider, headers, place.sandbox)
        except UnknownSandboxError:
            return unknown_sandbox(place)
        sandbox, credential, account, faces, key = resolved
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
        miss = found if isinstance(found, Miss) else None
        return Begun(sandbox, bound, operation, call, scope, miss, key)

    def _answered(self, begun: Begun) -> ASGIApp:
        """The answer to a call, or the application that gives it where that takes some waiting."""
        sandbox, bound, call, miss = begun.sandbox, begun.bound, begun.call, begun.miss
        if miss is None:
            if sandbox.state.faults or sandbox.changes_wait:
                return partial(self._with_faults, begun)
            try:
                outcome = decide(sandbox, bound, begun.operation, call)
            except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
                outcome = Decision(*crashed(self.registry, sandbox, bound, call, error))
        else:
            outcome = self._missed(begun.scope, sandbox, bound, call, miss)
        if isinstance(outcome, Pending) or not isinstance(outcome.reply, Reply):
            slow = sandbox.commands.enter(entry_of(begun))
            return partial(self._later, begun, slow, outcome)
        answer = self._written(begun, outcome.reply, outcome.rule)
        if sandbox.commands.open:
            sandbox.commands.add(line_of(begun, answer), len(call.body) + len(answer.body))
        after_reply(sandbox, call, outcome)
        return answer

    def _written(
        self, begun: Begun, reply: Reply, rule: ErrorRule | None, fault: str | None = None
    ) -> Answer:
        """The answer as it goes out, with its line in the journal."""
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        try:
            answer = whole(bound, call, reply)
        except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
            reply, rule = crashed(self.registry, sandbox, bound, call, error)
            answer = whole(bound, call, reply)
        job = call.job.accepted.job if call.job else None
        exchange = sandbox.journal.add(call, answer.body, answer.status, rule, job, fault)
        if reply.status >= ASKS_TO_WAIT:
            sandbox.conduct.told_to_wait(call, exchange, answer.headers)
        for observer in self.observers:
            observer(sandbox, exchange)
        return answer

    async def _later(
        self,
        begun: Begun,
        slow: Command,
        outcome: Decision | Pending,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a call that must wait, or whose answer is a file."""
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        with sandbox.commands.during(slow) as command:
            try:
                decision = await self._wait(begun, outcome)
            except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
                decision = Decision(*crashed(self.registry, sandbox, bound, call, error))
            await self._send(scope, receive, command.tape(send), begun, decision)
            await command.resumed("sent")
            after_reply(sandbox, call, decision)

    async def _with_faults(self, begun: Begun, scope: Scope, receive: Receive, send: Send) -> None:
        """The same, where faults may act before the decision, on it, and on its way out.

        They come and go with the changes that a scenario plans, so what is due happens first.
        """
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        if sandbox.changes_wait:
            sandbox.settle()
        settings = self.registry.settings
        call.now = sandbox.settle()
        with sandbox.commands.during(entry_of(begun)) as command:
            limits = (settings.hold_seconds, settings.in_process)
            faulty = Faulty(scope, receive, command.tape(send), sandbox, *limits)
            try:
                decision = await faulty.before(bound, call)
                if decision is None:
                    outcome = decide(sandbox, bound, begun.operation, call)
                    command.happened(call.now)
                    decision = await faulty.after(bound, call, await self._wait(begun, outcome))
            except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
                decision = Decision(*crashed(self.registry, sandbox, bound, call, error))
            with suppress(ClientGoneError):
                await self._send(scope, receive, faulty.send, begun, decision, faulty.name)
            command.cut = faulty.cut
            await command.resumed("sent")
            after_reply(sandbox, call, decision)

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

    async def _wait(self, begun: Begun, outcome: Decision | Pending) -> Decision:
        """Measure what the decision needs, or hold the request until its job ends."""
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        while isinstance(outcome, Pending):
            found = await self.desk.measure(sandbox, call, outcome)
            told = None if self.desk.repeats(sandbox, call, outcome) else found
            call.measured = await resumed("measure", told) or found
            call.uses.clear()
            call.terms = None
            outcome = decide(sandbox, bound, begun.operation, call)
            happened(call.now)
        if isinstance(outcome.reply, Hold):
            return Decision(await self.holds.wait(sandbox, call, outcome.reply))
        return outcome

    async def _send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        begun: Begun,
        decision: Decision,
        fault: str | None = None,
    ) -> None:
        """Send what was decided: an answer, or the file of a job."""
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        reply = decision.reply
        if isinstance(reply, Reply):
            answer = self._written(begun, reply, decision.rule, fault)
            await answer(scope, receive, send)
        elif isinstance(reply, FileReply):
            exchange = sandbox.journal.add(call, b"", 200, None, reply.job, fault)
            for observer in self.observers:
                observer(sandbox, exchange)
            extra = response_headers(bound, call, Reply(200, None))
            await self.media.send_output(scope, receive, send, sandbox, reply, extra)


def entry_of(begun: Begun) -> Command:
    """The line of the command log for a call that may have to wait."""
    scope, call = begun.scope, begun.call
    headers = call.headers
    command = Command(
        begun.sandbox.commands,
        call.now,
        scope["scheme"],
        call.method,
        scope["path"],
        call.query_string,
        [(name, headers[name]) for name in KEPT_HEADERS if name in headers],
        begun.key,
        oversized=call.oversized,
    )
    command.take(call.body)
    return command


def line_of(begun: Begun, answer: Answer) -> tuple[object, ...]:
    """The line of the command log for a call that was answered at once: a `Request`."""
    scope, call = begun.scope, begun.call
    headers = call.headers
    return (
        call.now,
        scope["scheme"],
        call.method,
        scope["path"],
        call.query_string,
        headers.get(b"host"),
        headers.get(b"content-type"),
        begun.key,
        call.body,
        call.oversized,
        answer,
    )


def missed(sandbox: Sandbox, bound: Bound, call: Call, miss: Miss) -> Decision:
    """The provider's own 404 or 405."""
    call.now = sandbox.settle()
    name = "wrong_method" if miss.allowed else "no_route"
    return refuse(bound, call, Violation(name, {"allowed": ", ".join(miss.allowed)}))


def unknown_sandbox(place: Place) -> Answer:
    """The answer to a path that names a sandbox which is not there."""
    message = f"there is no sandbox {(place.sandbox or '')[:80]!r}"
    return Answer(404, encode({"error": {"code": "unknown_sandbox", "message": message}}))


def whole(bound: Bound, call: Call, reply: Reply) -> Answer:
    """The answer to a call, encoded, with the headers that the provider sends with every one."""
    body = reply.body if isinstance(reply.body, bytes) else encode(reply.body)
    of_all = bound.provider.headers
    headers = reply.headers if of_all is None else reply.headers + of_all(call, reply)
    return Answer(reply.status, body, headers, reply.content_type)


def response_headers(bound: Bound, call: Call, reply: Reply) -> Headers:
    """The headers that the provider sends with every answer."""
    headers = bound.provider.headers
    return headers(call, reply) if headers is not None else ()
