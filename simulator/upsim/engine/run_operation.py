"""Run one call in its sandbox: the checks in order, the operation, then its effects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import msgspec

from upsim.core import unread_fields
from upsim.core.baseline import ErrorRule
from upsim.core.call import Call, FileReply, Hold, NoRoomError, Pending, Reply
from upsim.core.checks import Violation, first_violation
from upsim.core.instants import Instant
from upsim.core.ledger import Account, Entry
from upsim.core.provider import Operation
from upsim.engine import rate_limits
from upsim.engine.auto_clock import jump_past_full_windows, jump_to_next
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.request_notes import notes
from upsim.engine.sandbox import Sandbox

TOO_MANY_REQUESTS = 429
SHOWN = 1_000
"""Characters of a value of the caller's that a refusal may show."""


class Decision(msgspec.Struct, frozen=True):
    """The result of a request, and the catalogue entry if the request was refused."""

    reply: Reply | FileReply | Hold
    rule: ErrorRule | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return self.reply.status if isinstance(self.reply, Reply) else 200


def decide(
    sandbox: Sandbox,
    bound: BoundProvider,
    operation: Operation,
    call: Call,
    now: Instant | None = None,
) -> Decision | Pending:
    """Run all due deadlines, then decide on the call at this time, in one step.

    If `now` is given, it is the current time and all due deadlines have already run.
    """
    call.now = sandbox.run_due() if now is None else now
    if bound.generation != sandbox.rules.generation:
        bound = _renewed(sandbox, call)
    lines = sandbox.state.entry_count
    outcome = first_violation(call, bound.checks[operation.name])
    if isinstance(outcome, Pending):
        return outcome
    if outcome is not None:
        decision = refuse(bound, call, outcome)
    else:
        try:
            decision = Decision(operation.handle(call))
        except NoRoomError as error:
            full = Violation("no_room", {"detail": str(error)}, cause=f"disk: {error}")
            decision = refuse(bound, call, full)
        last = sandbox.state.entry_count
        if last != lines:
            call.posted = _posted(call.who, lines, last)
    if operation.reads and call.document is not None:
        _name_unread(operation, call)
    if call.query_string and not operation.refuses:
        names: unread_fields.Reads = {(): operation.query}
        found = unread_fields.hint(names, (), call.query(), call.cause, " in the query")
        call.cause = "; ".join(filter(None, (call.cause, found)))
    for note in notes(call):
        call.cause = "; ".join(filter(None, (call.cause, note)))
    if call.uses:
        rate_limits.use(sandbox, call.who, call.uses)
    return decision


def _name_unread(operation: Operation, call: Call) -> None:
    """Add the fields of the body that have no effect to the cause."""
    reads, at = operation.reads, operation.options_at
    options: Collection[str] = ()
    if operation.reads_options:
        options = call.model.options if call.model else _options_of_all_models(call)
    if at:
        reads, options = {**reads, at: reads[at].union(options)}, ()
    if unread_fields.has_unread(reads, options, call.document):
        said, idle = call.cause, operation.idle(call)
        found = unread_fields.hint(
            reads, options, call.document, said, query=operation.query, idle=idle
        )
        call.cause = "; ".join(filter(None, (said, found)))


def _options_of_all_models(call: Call) -> Collection[str]:
    """Return the options of every model: a body without a known model may mean any of them."""
    return {name for model in call.rules.baseline.models.values() for name in model.options}


def _posted(account: Account, before: int, last: int) -> tuple[Entry, ...]:
    """Return the account's own ledger entries since `before`, except those of forgotten jobs.

    Nearly always there is exactly one.
    """
    entries = account.entries
    if last == before + 1 and last in entries:
        return (entries[last],)
    return tuple([entries[n] for n in range(before + 1, last + 1) if n in entries])


def _renewed(sandbox: Sandbox, call: Call) -> BoundProvider:
    """Return the current rules, if they changed after the call was received."""
    _, _, dialect = call.urls.prefix.lstrip("/").partition("/")
    provider = call.rules.baseline.provider
    bound, call.sandbox = sandbox.view(provider, dialect or None)
    call.rules = bound.rules
    return bound


def refuse(bound: BoundProvider, call: Call, violation: Violation) -> Decision:
    """Return the provider's response to a broken rule."""
    if any(isinstance(value, str) and len(value) > SHOWN for value in violation.values.values()):
        violation = replace(violation, values=_shortened(violation.values))
    call.refused_by, call.compared = violation.check, violation.values
    call.cause = violation.cause
    reply = bound.provider.problem(call, violation)
    return Decision(reply, bound.rules.errors[violation.name])


def _shortened(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return the values with long texts cut, as messages show them."""
    return {
        name: f"{value[:SHOWN]}..." if isinstance(value, str) and len(value) > SHOWN else value
        for name, value in values.items()
    }


def after_reply(sandbox: Sandbox, call: Call, decision: Decision) -> None:
    """Handle the effects of a response: progress by polls, and the jumps of an `auto` clock."""
    polled = call.job if call.kind == "poll" else None
    if polled is not None:
        sandbox.jobs.count_poll(polled.id)
    if sandbox.clock.mode != "auto":
        return
    if decision.status == TOO_MANY_REQUESTS:
        jump_past_full_windows(sandbox, call)
    elif polled is not None:
        jump_to_next(sandbox)
