"""Faults of one response: before it is decided, after it is decided, and while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal

import msgspec
from anyio.lowlevel import checkpoint
from starlette.types import Message, Receive, Scope, Send

from upsim.core.call import JSON, Call, FileReply, Reply
from upsim.core.checks import Violation
from upsim.core.faults import (
    Action,
    Corrupt,
    Delay,
    FaultRule,
    Headers,
    Occasion,
    Patch,
    Respond,
    Stage,
    Trickle,
    Truncate,
    Wait,
    Word,
    corrupted,
)
from upsim.core.instants import SECOND
from upsim.core.json_patches import ABSENT, is_patched, near_path, patched
from upsim.core.states import JobState
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.faults import account_names, match, occasion_of
from upsim.engine.run_operation import Decision, refuse
from upsim.engine.sandbox import Sandbox
from upsim.web.connection_cutting import EXTENSION, connection_of
from upsim.web.delay_faults import pass_time
from upsim.web.request_bodies import ClientGoneError, drain, encode, headers_of

NOTHING_SENT = 0
"""Status in the journal of a request that was cut off before its decision."""
CLOSING_SECONDS = 10.0
"""Seconds within which a cut connection must be gone."""
DRAINED_BYTES = 64 << 20
MAX_UNFIRED, MAX_PATHS = 10, 5
"""Number of unfired faults that the journal lists for a request, and of paths for each."""
BEFORE: Mapping[str, tuple[Stage, ...]] = {
    "submit": ("before_accept",),
    "write": ("before_accept",),
    "upload": ("before_accept", "upload"),
}
AFTER: Mapping[str, tuple[Stage, ...]] = {
    "submit": ("after_accept",),
    "write": ("after_accept",),
    "upload": ("after_accept",),
    "poll": ("poll",),
    "read": ("poll",),
}
_HALF = Truncate(50, percent=True)
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_FLUSHES = 3


def stages_after(kind: str, decision: Decision) -> tuple[Stage, ...]:
    """Return the stages of a decided request; a refused one has only the last."""
    stages = AFTER.get(kind, ()) if decision.rule is None else ()
    if isinstance(decision.reply, FileReply):
        stages = (*stages, "download")
    return (*stages, "mid_body")


class Faulty(msgspec.Struct):
    """One request to a sandbox with armed faults; its response is sent through `send`."""

    scope: Scope
    receive: Receive
    out: Send
    sandbox: Sandbox
    manual_seconds: float
    in_process: bool
    fired: list[FaultRule] = msgspec.field(default_factory=list)
    unfired: list[str] = msgspec.field(default_factory=list)
    cut: bool = False
    _limit: Truncate | None = None
    _ends_by: Word = Word.DROP
    _corrupt: int = 0
    _trickle: Trickle | None = None
    _headers: tuple[tuple[str, str], ...] = ()
    _length: int = 0
    _offset: int = 0

    # -- calls of an operation

    async def before(self, bound: BoundProvider, call: Call) -> Decision | None:
        """Return the response that replaces the decision, if any; a cut request gets none."""
        for stage in BEFORE.get(call.kind, ()):
            rule = self._match(stage, occasion_of(self.sandbox, call))
            if rule is None:
                continue
            if isinstance(rule.do, Respond):
                self.sandbox.run_due()
                call.now = self.sandbox.now
                return _answered(bound, call, rule.do)
            await self._act(rule.do)
            if self.cut:
                call.now = self.sandbox.run_due()
                return Decision(Reply(NOTHING_SENT, b""))
        return None

    async def after(self, bound: BoundProvider, call: Call, decision: Decision) -> Decision:
        """Return the decision to send.

        If the provider itself refused the request, only `mid_body` faults apply.
        """
        for stage in stages_after(call.kind, decision):
            occasion = occasion_of(self.sandbox, call)
            if stage == "download":
                occasion = _as_file(occasion)
            rule = self._match(stage, occasion, decision)
            if rule is None or self.cut:
                continue
            if isinstance(rule.do, Respond):
                decision = _answered(bound, call, rule.do)
            elif isinstance(rule.do, Patch) and isinstance(decision.reply, Reply):
                decision = _patched(decision, decision.reply, rule.do)
            elif stage == "mid_body" and isinstance(rule.do, Word):
                self._limit, self._ends_by = _HALF, rule.do
            else:
                await self._act(rule.do)
        return decision

    # -- files of ours

    async def file(self, stage: Stage, occasion: Occasion, bound: BoundProvider) -> bool:
        """Return whether a fault ended a download or an upload, by a response or by a cut."""
        rule = self._match(stage, occasion)
        if rule is None:
            return False
        if isinstance(rule.do, Respond):
            await self._drain(stage)
            await self._plain(bound, rule.do)
            return True
        if stage == "upload" and isinstance(rule.do, Word):
            await self._drain(stage)
        await self._act(rule.do)
        return self.cut

    async def _drain(self, stage: Stage) -> None:
        if stage == "upload":  # a socket with unread bytes would be reset
            try:
                await drain(self.receive, headers_of(self.scope), DRAINED_BYTES)
            except ClientGoneError:
                self.cut = True

    async def _plain(self, bound: BoundProvider, do: Respond) -> None:
        """Refuse a file in plain text, even if the provider's API uses another format."""
        if do.error:
            rule = bound.rules.errors[do.error]
            values = {"url": self.scope["path"], **do.values}
            status, body = rule.status, rule.message.format_map(values).encode()
            headers: tuple[tuple[str, str], ...] = (("content-type", "text/plain; charset=utf-8"),)
        else:
            status, body, headers = do.status, _bytes(do.body), do.headers
        length = (b"content-length", b"%d" % len(body))
        raw = [length, *_raw(headers)]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    # -- actions

    def _match(
        self, stage: Stage, occasion: Occasion, decision: Decision | None = None
    ) -> FaultRule | None:
        documents: list[object] = []

        def can(rule: FaultRule) -> bool:
            """Return whether the response has a field that a patch changes."""
            if decision is None or not isinstance(rule.do, Patch):
                return True
            if not documents:
                documents.append(_document(decision))
            if is_patched(documents[0], rule.do.fields):
                return True
            if len(self.unfired) < MAX_UNFIRED:
                self.unfired.append(_unfired(rule.id, rule.do, documents[0]))
            return False

        rule = match(self.sandbox, stage, occasion, can=can)
        if rule is not None:
            self.fired.append(rule)
        return rule

    async def _act(self, do: Action) -> None:
        """Cut or wait now; keep changes of the body for `send`."""
        if isinstance(do, Delay):
            await self._wait(do.wait)
        elif isinstance(do, Word):
            await self._cut(do)
        elif isinstance(do, Truncate):
            self._limit, self._ends_by = do, Word.DROP
        elif isinstance(do, Corrupt):
            self._corrupt = do.count
        elif isinstance(do, Trickle):
            self._trickle = do
        elif isinstance(do, Headers):
            self._headers = (*self._headers, *do.headers)

    async def _wait(self, wait: Wait) -> None:
        await pass_time(
            self.sandbox,
            wait,
            in_process=self.in_process,
            manual_seconds=self.manual_seconds,
        )
        if EXTENSION in (self.scope.get("extensions") or {}):
            connection_of(self.scope).waited(wait.micros / SECOND)

    async def _cut(self, how: Word) -> None:
        connection = connection_of(self.scope)
        self.cut = True
        if how is Word.RESET:
            for _ in range(_FLUSHES):  # pending output leaves first
                await checkpoint()
            connection.reset()
        else:
            connection.drop()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone(), CLOSING_SECONDS)

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    # -- the way out

    async def send(self, message: Message) -> None:
        """Send a part of the response, as the fired faults have changed it.

        Raises ClientGoneError after a cut, because the remaining parts are not needed.
        """
        if self.cut:
            raise ClientGoneError
        if message["type"] == "http.response.start":
            await self.out(self._head(message))
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self._corrupt:
            body = corrupted(body, offset=self._offset, total=self._length, count=self._corrupt)
        limit = self._bytes_allowed()
        if limit is not None and self._offset + len(body) > limit:
            body = body[: max(0, limit - self._offset)]
            await self._body(body, more=True)
            await self._cut(self._ends_by)
            raise ClientGoneError
        await self._body(body, more=more)

    def _head(self, message: Message) -> Message:
        replaced = {name.encode() for name, _ in self._headers}
        headers = [pair for pair in message["headers"] if pair[0].lower() not in replaced]
        self._length = next((int(v) for k, v in headers if k == b"content-length"), 0)
        return {**message, "headers": [*headers, *_raw(self._headers)]}

    def _bytes_allowed(self) -> int | None:
        limit = self._limit
        if limit is None or not limit.percent:
            return None if limit is None else limit.amount
        return self._length * limit.amount // 100

    async def _body(self, body: bytes, *, more: bool) -> None:
        start = self._offset
        self._offset += len(body)
        if self._trickle is None:
            await self.out({"type": "http.response.body", "body": body, "more_body": more})
            return
        chunk = self._trickle.chunk
        for at in range(0, len(body), chunk):
            if start + at:
                await self._wait(self._trickle.pause)
            piece = body[at : at + chunk]
            last = not more and at + chunk >= len(body)
            await self.out({"type": "http.response.body", "body": piece, "more_body": not last})
            await checkpoint()
        if not body and not more:
            await self.out({"type": "http.response.body", "body": b"", "more_body": False})


def _as_file(found: Occasion) -> Occasion:
    """Return a request whose response is a file, in the form that download rules match."""
    return Occasion(found.provider, "outputs", "file", found.account, found.state)


def media_occasion(sandbox: Sandbox, method: str, folder: str, name: str) -> Occasion | None:
    """Return a request for a file in the form that rules match; None for other files."""
    if method not in ("GET", "HEAD", "PUT"):
        return None
    if folder == "outputs":
        job = sandbox.state.jobs.get(name.removesuffix(".mp4"))
        if job is None:
            return None
        owner, provider, state = job.accepted.account, job.accepted.provider, job.state
    elif folder == "uploads" and name in sandbox.state.uploads:
        issued = sandbox.state.uploads[name].issued
        owner, provider, state = issued.account, issued.provider, JobState.COMPLETED
    else:
        return None
    kind = "upload" if method == "PUT" else "file"
    return Occasion(provider, folder, kind, account_names(sandbox, owner), state)


def _answered(bound: BoundProvider, call: Call, do: Respond) -> Decision:
    """Return a catalogue entry in the provider's own format, or the response in the fault."""
    if do.error:
        return refuse(bound, call, Violation(do.error, {"url": "", **do.values}))
    headers = dict(do.headers)
    kind = headers.pop("content-type", "")
    return Decision(Reply(do.status, _bytes(do.body), _raw(tuple(headers.items())), kind.encode()))


def _document(decision: Decision) -> object:
    """Return the JSON of a response; `ABSENT` if it is not JSON."""
    reply = decision.reply
    if not isinstance(reply, Reply) or reply.content_type != JSON:
        return ABSENT
    return _DECODER.decode(reply.body) if isinstance(reply.body, bytes) else reply.body


def _unfired(name: str, do: Patch, document: object) -> str:
    paths = [path for path, _ in do.fields[:MAX_PATHS]]
    beyond = len(do.fields) - len(paths)
    others = f" and {beyond} more" if beyond > 0 else ""
    said = f"fault {name} did not fire: this answer has no {', '.join(paths)}{others}"
    near = ", ".join(filter(None, (near_path(document, path) for path in paths)))
    return f"{said}; did you mean {near}?" if near else said


def _patched(decision: Decision, reply: Reply, do: Patch) -> Decision:
    document = patched(_document(decision), do.fields)
    changed = Reply(reply.status, document, reply.headers, reply.content_type)
    return Decision(changed, decision.rule)


def _bytes(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else encode(body)


def _raw(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), text.encode("latin-1")) for name, text in headers)
