"""Requests to providers, from the ASGI request to the response. This is the fast path."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import msgspec
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Receive, Scope, Send

from upsim.core import causes
from upsim.core.baseline import ErrorRule
from upsim.core.call import Call, Carried, Content, FileReply, Hold, Pending, Reply, SentFile
from upsim.core.checks import Violation
from upsim.core.json_bodies import LONG
from upsim.core.media import Unmeasurable
from upsim.core.provider import Operation
from upsim.engine.body_memory import CrowdedError, Share
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.command_log import MAX_BODY_KEPT, Command, happened, resumed
from upsim.engine.dialect_hints import Hints, refusal
from upsim.engine.exceptions import UnknownSandboxError
from upsim.engine.faults import may_match
from upsim.engine.registry import Registry
from upsim.engine.request_records import LoggedRequest, Record, Response
from upsim.engine.run_operation import Decision, after_reply, decide, refuse
from upsim.engine.sandbox import Sandbox
from upsim.web import near_paths
from upsim.web.body_spool import Spool
from upsim.web.clock_driver import catch_up
from upsim.web.crashes import crashed
from upsim.web.faulty_responses import BEFORE, Faulty, stages_after
from upsim.web.held_requests import HeldRequests
from upsim.web.media_files import MediaApp
from upsim.web.media_service import MediaService
from upsim.web.openapi_documents import Documents, is_document
from upsim.web.provider_responses import response_headers, whole
from upsim.web.request_bodies import ClientGoneError, encode, headers_of, read_body
from upsim.web.request_context import RequestContext, command_of, long_command_of, record_of
from upsim.web.resource_shortages import short
from upsim.web.routes import Miss, Routes
from upsim.web.unwritable_store import is_unwritable
from upsim.web.url_parsing import ParsedUrl, UrlParser, host_of
from upsim.web.whole_responses import HttpResponse

UNROUTED = Operation("unknown", "", "", handle=lambda _call: Reply(500, None))
NOT_FOUND = 404
FILE = Response(200, b"")
"""The response in the record of a request that returns a file."""
DECODED_WHOLE = 32 * 1024 * 1024
"""Maximum bytes of a body that contains a file inside a document."""
Observer = Callable[[Sandbox, Record], None]


class Dispatch(msgspec.Struct):
    """The application for all requests below a provider's prefix, or for a provider's host name."""

    registry: Registry
    url_parser: UrlParser
    media_service: MediaService
    held_requests: HeldRequests
    media: MediaApp
    documents: Documents = msgspec.field(default_factory=Documents)
    observers: list[Observer] = msgspec.field(default_factory=list)
    hints: Hints = msgspec.field(default_factory=Hints)
    _routes: dict[str, Routes] = msgspec.field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, place: ParsedUrl) -> None:
        """Respond to one request."""
        begun = self._begin(scope, place)
        if isinstance(begun, HttpResponse):
            await begun(scope, receive, send)
            return
        if begun.operation.file is not None:
            await self._with_file(begun, scope, receive, send)
            return
        limit, call = begun.body_limit, begun.call
        if limit is None:
            await self._answered(begun)(scope, receive, send)
            return
        with self.registry.room.share() as share:
            try:
                call.body, call.oversized = await read_body(receive, call.headers, limit, share)
            except ClientGoneError:
                return
            except CrowdedError as error:
                await self._crowded(begun, error, scope, receive, send)
                return
            if len(call.body) > LONG:  # long bodies are handled outside of the event loop
                digest = await asyncio.to_thread(_read_long, call)
                begun = msgspec.structs.replace(begun, digest=digest)
            await self._answered(begun)(scope, receive, send)

    def fast_path(self, scope: Scope, body: bytes, place: ParsedUrl) -> ASGIApp:
        """Handle a complete request: return its response, or an application that waits for it."""
        begun = self._begin(scope, place)
        if isinstance(begun, HttpResponse):
            return begun
        if begun.operation.file is not None:
            return partial(self._with_file, begun)
        limit, call = begun.body_limit, begun.call
        if limit is not None:
            call.oversized = len(body) > limit
            call.body = b"" if call.oversized else body
        return self._answered(begun)

    def _begin(self, scope: Scope, place: ParsedUrl) -> RequestContext | HttpResponse:
        """Return the context of a request before its body is read, or a refusal.

        The first request imports its provider and reads its rules. If the system is short of files,
        that request is refused.
        """
        try:
            if is_unwritable(self.registry.store, scope):
                return self._unkept(scope, place)
            return self._known(scope, place)
        except OSError as error:
            return short(scope, error)

    def _unkept(self, scope: Scope, place: ParsedUrl) -> HttpResponse:
        """Return the provider's own refusal of a request whose effects could not be kept."""
        provider, headers, home = place.provider, headers_of(scope), self.registry.default
        bound, seen = home.view(provider, place.dialect)
        call = Call(
            operation=UNROUTED.name,
            kind=UNROUTED.kind,
            rules=bound.rules,
            sandbox=seen,
            urls=self.url_parser.origin(scope, headers, place, home),
            method=scope["method"],
            path=place.path,
            params={},
            query_string=scope["query_string"],
            headers=headers,
            body=b"",
            credential="missing",
            account=None,
        )
        call.now = home.now
        detail = f"{self.registry.store.problem}. Try again later."
        full = Violation("no_room", {"detail": detail}, cause=f"store: {detail}")
        return whole(bound, call, bound.provider.problem(call, full))

    def _known(self, scope: Scope, place: ParsedUrl) -> RequestContext | HttpResponse:
        provider, method, headers = place.provider, scope["method"], headers_of(scope)
        routes = self._routes.get(provider) or self._routes_of(provider)
        found = routes.find(method, place.path)
        registry = self.registry
        try:
            resolved = registry.resolve(provider, headers, place.sandbox)
        except UnknownSandboxError:
            return self._unknown_sandbox(scope, place)
        sandbox, credential, account, views, key, key_flaw = resolved
        bound, seen = views.get(place.dialect) or sandbox.view(provider, place.dialect)
        operation, params = (UNROUTED, {}) if isinstance(found, Miss) else found
        call = Call(  # by position: keywords cost 0.6 µs more a request
            operation.name,
            operation.kind,
            bound.rules,
            seen,
            self.url_parser.origin(scope, headers, place, sandbox),
            method,
            place.path,
            params,
            scope["query_string"],
            headers,
            b"",
            credential,
            account,
        )
        if key_flaw:
            call.key_flaw = key_flaw
        miss = found if isinstance(found, Miss) else None
        return RequestContext(
            sandbox, bound, operation=operation, call=call, scope=scope, miss=miss, key=key
        )

    async def _with_file(
        self, begun: RequestContext, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Store the file in a body, and respond; the file of a refused upload is deleted."""
        try:
            with self.registry.room.share() as share:
                await self._answer_file(begun, share, scope, receive, send)
        except CrowdedError as error:
            await self._crowded(begun, error, scope, receive, send)
        finally:
            if begun.call.file is not None:
                self.registry.blobs.end_lease(begun.call.file.digest)

    async def _crowded(
        self, begun: RequestContext, error: CrowdedError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Refuse a body because the bodies of other requests use all memory.

        The command log omits the request: it had no effect, and a replay has more memory.
        """
        call = begun.call
        call.now = begun.sandbox.run_due()
        full = Violation("no_room", {"detail": str(error)}, cause=f"memory: {error}")
        await self._send(scope, receive, send, begun, refuse(begun.bound, call, full))

    async def _answer_file(
        self, begun: RequestContext, share: Share, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Respond to a request whose body has a file; store it only for a known key."""
        call, find = begun.call, begun.operation.file
        limit = begun.body_limit or 0
        with Spool(self.registry.blobs, share, limit, whole=limit <= DECODED_WHOLE) as body:
            try:
                await body.fill(receive, call.headers)
            except ClientGoneError:
                return
            call.body, call.size, call.oversized = body.head, body.size, body.oversized
            problem = body.problem
            if find is not None and problem is None and call.account is not None:
                found = await asyncio.to_thread(self._kept, find, call, body)
                problem = found if isinstance(found, Unmeasurable) else None
                call.file = found if isinstance(found, SentFile) else None
            begun = msgspec.structs.replace(begun, digest=body.digest)
        if problem is None:
            await self._answered(begun)(scope, receive, send)
            return
        call.now = begun.sandbox.run_due()
        refused = refuse(
            begun.bound,
            call,
            Violation("no_room", {"detail": problem.detail}, cause=f"disk: {problem.detail}"),
        )
        with begun.sandbox.commands.during(command_of(begun)) as command:
            await self._send(scope, receive, command.tape(send), begun, refused)

    @staticmethod
    def _kept(
        find: Callable[[Call, Content], Carried | None], call: Call, body: Spool
    ) -> SentFile | Unmeasurable | None:
        carried = find(call, body)
        return None if carried is None else body.keep(carried)

    def _answered(self, begun: RequestContext) -> ASGIApp:
        """Return the response to a request, or an application that waits for the response."""
        sandbox, bound, call, miss = begun.sandbox, begun.bound, begun.call, begun.miss
        try:
            if not sandbox.run_some_due():
                return partial(self._caught_up, begun)
            armed = miss is None and sandbox.state.faults
            early = BEFORE.get(call.kind) if armed else None
            if early and may_match(sandbox, call, early):
                return partial(self._with_faults, begun)
            outcome = (
                decide(sandbox, bound, begun.operation, call, sandbox.now)
                if miss is None
                else self._missed(begun.scope, sandbox, bound, call, miss)
            )
            changed = (
                armed
                and not isinstance(outcome, Pending)
                and may_match(sandbox, call, stages_after(call.kind, outcome))
            )
        except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
            outcome = Decision(*crashed(self.registry, sandbox, bound, call, error))
            changed = False
        if changed or isinstance(outcome, Pending) or not isinstance(outcome.reply, Reply):
            slow = sandbox.commands.enter(command_of(begun))
            return partial(self._later, begun, slow, outcome)
        answer, request = self._written(begun, outcome.reply, outcome.rule)
        if sandbox.commands.open:
            if begun.digest:
                sandbox.commands.append(long_command_of(begun, answer), 0)
            else:
                sandbox.commands.add(request, len(call.body) + len(answer.body))
        after_reply(sandbox, call, outcome)
        return answer

    async def _caught_up(
        self, begun: RequestContext, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Respond to a request after thousands of due deadlines have run."""
        await checkpoint()
        await catch_up(begun.sandbox)
        await self._answered(begun)(scope, receive, send)

    def _written(
        self, begun: RequestContext, reply: Reply, rule: ErrorRule | None
    ) -> tuple[HttpResponse, LoggedRequest]:
        """Return the final response, after adding its record, and the request with it."""
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        if rule is not None and call.cause and is_lost(begun.operation, rule):
            call.cause += self._near(bound, call)
        try:
            answer = whole(bound, call, reply)
        except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
            reply, rule = crashed(self.registry, sandbox, bound, call, error)
            answer = whole(bound, call, reply)
        if rule is not None:
            call.hint = refusal(sandbox, call)
        elif call.kind == "poll":
            call.hint = self.hints.of_poll(sandbox, call, "document")
        record = record_of(begun, answer, rule)
        self._keep(sandbox, record)
        return answer, record.request

    def _keep(self, sandbox: Sandbox, record: Record) -> None:
        """Add a record to the log of its sandbox, and pass it to the observers."""
        kept = sandbox.records.append(record)
        for observer in self.observers:
            observer(sandbox, kept)

    async def _later(
        self,
        begun: RequestContext,
        slow: Command,
        outcome: Decision | Pending,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Respond to a request that must wait, whose response is a file, or that faults match."""
        with begun.sandbox.commands.during(slow) as command:
            if isinstance(outcome, Decision):
                await command.resumed("decided")  # other requests may run before this task
            faulty = self._faulty(begun, scope, receive, command.tape(send))
            await self._finish(begun, command, faulty, self._completed(faulty, begun, outcome))

    async def _with_faults(
        self, begun: RequestContext, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Respond to a request that faults match before it is decided."""
        call = begun.call
        await catch_up(begun.sandbox)
        call.now = begun.sandbox.run_due()
        with begun.sandbox.commands.during(command_of(begun)) as command:
            faulty = self._faulty(begun, scope, receive, command.tape(send))
            await self._finish(begun, command, faulty, self._among(faulty, begun, command))

    def _faulty(self, begun: RequestContext, scope: Scope, receive: Receive, send: Send) -> Faulty:
        settings, call = self.registry.settings, begun.call
        limits = (settings.hold_seconds, settings.in_process)
        faulty = Faulty(scope, receive, send, begun.sandbox, *limits)
        call.faults, call.unfired = faulty.fired, faulty.unfired
        return faulty

    async def _among(self, faulty: Faulty, begun: RequestContext, command: Command) -> Decision:
        """Run the faults before the decision, decide the request, run the faults after it."""
        bound, call = begun.bound, begun.call
        early = await faulty.before(bound, call)
        if early is not None:
            return early
        outcome = decide(begun.sandbox, bound, begun.operation, call)
        command.happened(call.now)
        return await self._completed(faulty, begun, outcome)

    async def _completed(
        self, faulty: Faulty, begun: RequestContext, outcome: Decision | Pending
    ) -> Decision:
        """Wait for what the decision needs; run the faults after it that are armed by then."""
        decision = await self._wait(begun, outcome)
        if not begun.sandbox.state.faults:
            return decision
        return await faulty.after(begun.bound, begun.call, decision)

    async def _finish(
        self,
        begun: RequestContext,
        command: Command,
        faulty: Faulty,
        deciding: Awaitable[Decision],
    ) -> None:
        """Send the response of a request, as the faults that fired change it."""
        decision = await self._decided(begun, deciding)
        send = faulty.send if faulty.fired else faulty.out
        with suppress(ClientGoneError):
            await self._send(faulty.scope, faulty.receive, send, begun, decision)
        command.cut = faulty.cut
        await command.resumed("sent")
        after_reply(begun.sandbox, begun.call, decision)

    async def _decided(self, begun: RequestContext, deciding: Awaitable[Decision]) -> Decision:
        """Wait for a decision; an exception from a bug becomes a response."""
        try:
            return await deciding
        except Exception as error:  # noqa: BLE001 - logged, counted, and raised in process
            of = (begun.sandbox, begun.bound, begun.call)
            return Decision(*crashed(self.registry, *of, error))

    def _missed(
        self, scope: Scope, sandbox: Sandbox, bound: BoundProvider, call: Call, miss: Miss
    ) -> Decision:
        """Return the OpenAPI document if it is requested; else the provider's 404 or 405."""
        if not is_document(call.method, call.path):
            return self._nowhere(sandbox, bound, call, miss)
        call.now = sandbox.run_due()
        return Decision(
            self.documents.reply(
                bound.provider.name,
                call.path,
                dialect=bound.rules.dialect,
                origin=call.urls,
                host=host_of(scope),
                any_key=not (sandbox.choices.strict_keys or call.urls.sandbox),
            )
        )

    def _unknown_sandbox(self, scope: Scope, place: ParsedUrl) -> HttpResponse:
        """Return the response to a path with an unknown sandbox."""
        message = f"there is no sandbox {(place.sandbox or '')[:80]!r}"
        for reporter in self.media.reporters:
            reporter(scope["method"], scope["path"], NOT_FOUND, message)
        return HttpResponse(
            NOT_FOUND, encode({"error": {"code": "unknown_sandbox", "message": message}})
        )

    def _nowhere(self, sandbox: Sandbox, bound: BoundProvider, call: Call, miss: Miss) -> Decision:
        """Return the provider's own 404 or 405, with the path that was probably meant."""
        call.now = sandbox.run_due()
        name = "wrong_method" if miss.allowed else "no_route"
        allowed = ", ".join(miss.allowed)
        found = causes.quoted(call.path)
        if allowed:
            near = near_paths.same_method(
                bound.provider, bound.rules.baseline, call.method, call.path
            )
            method = causes.quoted(call.method)
            cause = f"method: found {method} for {found}, expected {allowed}{near}"
        else:
            cause = f"path: found {found}, where nothing is served{self._near(bound, call)}"
        return refuse(bound, call, Violation(name, {"allowed": allowed}, cause=cause))

    def _near(self, bound: BoundProvider, call: Call) -> str:
        """Return a hint about the path that was probably meant."""
        baseline, others = bound.rules.baseline, self.registry.providers
        return near_paths.hint(
            bound.provider,
            baseline,
            call.method,
            call.path,
            others=others,
            models=self.registry.models_of,
        )

    def _routes_of(self, provider: str) -> Routes:
        found = self._routes[provider] = Routes(self.registry.providers[provider])
        return found

    async def _wait(self, begun: RequestContext, outcome: Decision | Pending) -> Decision:
        """Measure the video that the decision needs, or hold the request until its job ends."""
        sandbox, call = begun.sandbox, begun.call
        try:
            while isinstance(outcome, Pending):
                outcome = await self._measured(begun, outcome)
        finally:
            if call.blob:  # a refused video is deleted
                self.registry.blobs.end_lease(call.blob, keep=call.job is not None)
        if isinstance(outcome.reply, Hold):
            return Decision(await self.held_requests.wait(sandbox, call, outcome.reply))
        return outcome

    async def _measured(self, begun: RequestContext, wanted: Pending) -> Decision | Pending:
        """Decide again, now with the measurement that was missing."""
        sandbox, call = begun.sandbox, begun.call
        found = await self.media_service.measure(sandbox, call, wanted)
        told = None if self.media_service.repeats(sandbox, call, wanted) else found
        call.measured = await resumed("measure", told) or found
        call.uses.clear()
        call.spec = None
        outcome = decide(sandbox, begun.bound, begun.operation, call)
        happened(call.now)
        return outcome

    async def _send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        begun: RequestContext,
        decision: Decision,
    ) -> None:
        """Send the decided response, or the file of a job."""
        sandbox, bound, call = begun.sandbox, begun.bound, begun.call
        reply = decision.reply
        if isinstance(reply, Reply):
            answer, _ = self._written(begun, reply, decision.rule)
            await answer(scope, receive, send)
        elif isinstance(reply, FileReply):
            if call.kind == "poll":
                call.hint = self.hints.of_poll(sandbox, call, "file")
            self._keep(sandbox, record_of(begun, FILE, None))
            extra = response_headers(bound, call, Reply(200, None))
            await self.media.send_output(scope, receive, send, sandbox, reply, extra)


def _read_long(call: Call) -> str:
    """Decode the body of a request; return its digest if the command log may need the digest."""
    call.json()
    return hashlib.sha256(call.body).hexdigest() if len(call.body) > MAX_BODY_KEPT else ""


def is_lost(operation: Operation, rule: ErrorRule) -> bool:
    """Return whether an operation with a variable path responded that the path does not exist."""
    return rule.status == NOT_FOUND and operation.path.endswith("*}")
