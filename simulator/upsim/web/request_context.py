"""The context of a request before its decision, its record, and its entry in the command log."""

from __future__ import annotations

import msgspec
from starlette.types import Scope

from upsim.core.baseline import ErrorRule
from upsim.core.call import Call
from upsim.core.provider import Operation
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.client_activity import requested_wait
from upsim.engine.command_log import KEPT_HEADERS, Command
from upsim.engine.request_records import LoggedRequest, Record, Response
from upsim.engine.sandbox import Sandbox
from upsim.web.routes import Miss

MAY_ASK_TO_WAIT = 429
"""Lowest status of responses that may have a `Retry-After`."""


class RequestContext(msgspec.Struct, frozen=True):
    """A request whose sandbox, account and rules are known, but whose body has not been read.

    `key` is the name of the sent key in the command log.
    """

    sandbox: Sandbox
    bound: BoundProvider
    operation: Operation
    call: Call
    scope: Scope
    miss: Miss | None
    key: str
    digest: str = ""
    """The digest of a body that is longer than the kept part."""

    @property
    def body_limit(self) -> int | None:
        """The maximum size of the body in bytes; None if no body is read."""
        return self.bound.body_limits.get(self.call.operation)


def command_of(begun: RequestContext) -> Command:
    """Return the command log entry of a request that may have to wait."""
    scope, call = begun.scope, begun.call
    headers = call.headers
    command = Command(
        log=begun.sandbox.commands,
        at=call.now,
        scheme=scope["scheme"],
        method=call.method,
        path=scope["path"],
        query=call.query_string,
        headers=[(name, headers[name]) for name in KEPT_HEADERS if name in headers],
        key=begun.key,
        oversized=call.oversized,
    )
    command.keep_body(call.body, call.size, begun.digest)
    return command


def long_command_of(begun: RequestContext, answer: Response) -> Command:
    """Return the command log entry of a finished request whose body is not kept whole."""
    command = command_of(begun)
    command.answered(answer.status, answer.head["headers"], answer.body)
    return command


def record_of(begun: RequestContext, response: Response, rule: ErrorRule | None) -> Record:
    """Return the record of a request that has been decided. `rule` refused the request."""
    scope, call, sandbox = begun.scope, begun.call, begun.sandbox
    headers, rules, account, now = call.headers, call.rules, call.account, call.now
    baseline = rules.baseline
    request = LoggedRequest(  # by position: keywords cost 0.1 µs more a request
        now,
        scope["scheme"],
        call.method,
        scope["path"],
        call.query_string,
        headers.get(b"host"),
        headers.get(b"content-type"),
        begun.key,
        call.body,
        call.oversized,
        response,
    )
    return Record(  # by position: keywords cost 2.1 µs more a request
        sandbox.records.count + 1,
        sandbox.version,
        now,
        request,
        call.kind,
        baseline.provider,
        call.operation,
        call.path,
        call.size,
        account.number if account is not None else None,
        rules.dialect,
        baseline.digest,
        rule,
        call.job,
        call.media,
        call.assumed,
        call.model,
        call.posted,
        call.refused_by,
        call.compared,
        call.cause,
        call.hint,
        tuple(call.faults) if call.faults else (),
        tuple(call.unfired) if call.unfired else (),
        sandbox.clock.mode,
        sandbox.state.jumped,
        requested_wait(response.headers, call.faults)
        if response.status >= MAY_ASK_TO_WAIT
        else None,
    )
