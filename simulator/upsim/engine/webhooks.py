"""The webhooks of a sandbox: what to send, when to send it, and the results.

Everything here is synchronous. Due attempts go to the `outbox`. The deliverer takes them
from the outbox without delaying a command, and calls `record` with the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from upsim.core.call import Call, SandboxApi
from upsim.core.events import (
    DELIVERIES,
    AnnouncementPlanned,
    AttemptMade,
    AttemptPostponed,
    DeliveryCreated,
    DeliveryEnded,
    JobMoved,
)
from upsim.core.instants import SECOND, Instant, iso
from upsim.core.jobs import Job
from upsim.core.provider import Attempt
from upsim.core.states import TERMINAL, JobState
from upsim.core.webhooks import AttemptOutcome, Delivery, WebhookFault, WebhookRule, stamp
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.clock import wall_clock
from upsim.engine.command_log import CommandLog
from upsim.engine.deadlines import Deadline
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.timeline import Timeline

MAX_ANSWER_KEPT = 4096
"""Bytes of a receiver's answer that are kept."""
STALE = 600 * SECOND
LATE = 60 * SECOND
WITHHELD = 1000
"""Attempts that were not sent and that are kept until somebody reports them."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Posting(msgspec.Struct, frozen=True):
    """A webhook request that is due now; `number` is 0 outside of the provider's schedule."""

    delivery: str
    job: str
    number: int
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stamp: int
    timeout: float
    fault: str = ""


class Webhooks:
    """The webhooks of one sandbox.

    `withheld` are the attempts that a fault delayed or suppressed, for the log.
    """

    def __init__(
        self,
        timeline: Timeline,
        rules: RuleVersions,
        *,
        commands: CommandLog,
        view: Callable[[str, str | None], tuple[BoundProvider, SandboxApi]],
        fault: Callable[[Delivery, int], WebhookFault | None],
        early: Callable[[Job, JobState], WebhookFault | None],
        on_due: Callable[[], None],
    ) -> None:
        """Start without deliveries.

        `view` returns the rules and the sandbox for a provider under a dialect. `fault` returns
        the fault for an attempt, and `early` the fault that reports a job's end before it
        happens. `on_due` is called when there may be something to deliver, now or later.
        """
        self.fault = fault
        self.early = early
        self.outbox: deque[Posting] = deque()
        self.withheld: deque[tuple[Posting, AttemptOutcome]] = deque(maxlen=WITHHELD)
        self._timeline = timeline
        self._rules = rules
        self._commands = commands
        self._view = view
        self._on_due = on_due
        self._watched: dict[str, None] = {}
        self._in_flight: set[tuple[str, int]] = set()

    @property
    def pending(self) -> bool:
        """Whether a webhook is due now, or may be due after a job has ended."""
        state = self._timeline.state
        if state.open_deliveries or self.outbox:
            return True
        for name in list(self._watched):
            if name in state.jobs and not state.jobs[name].ended:
                return True
            del self._watched[name]
        return False

    # -- notifications of the sandbox

    def watch(self, job: Job) -> None:
        """Record a job with a new plan, whose client may want webhooks."""
        rule = self._rule(job)
        if rule is None:
            return
        self._watched[job.id] = None
        self._plan_early(job, rule)
        self._on_due()

    def on_move(self, job: Job) -> None:
        """Start a delivery if a job entered a state for which its client wants a webhook."""
        rule = self._rule(job)
        wanted = rule is not None and job.state in rule.states
        if wanted and not self._timeline.state.is_reported(job.id, job.state):
            self._create(job)
        self._on_due()

    def close(self) -> None:
        """Close the webhooks of a removed sandbox: nothing more is sent."""
        self.outbox.clear()
        self.withheld.clear()
        self._watched.clear()
        self._on_due()

    def resume(self) -> None:
        """Look after the jobs and deliveries of a state that another sandbox began."""
        for job in self._timeline.state.jobs.values():
            if job.accepted.webhook is not None and not job.ended and self._rule(job):
                self._watched[job.id] = None
        self._on_due()

    def plan_unanswered(self, state: SandboxState) -> None:
        """Plan the attempts without a result again, in a copy of the state: at least once."""
        for delivery, number in self._in_flight:
            if number and delivery in state.open_deliveries:
                state.deadlines.add(self._timeline.now, "deliver", delivery, number)

    def held_until(self, delivery: Delivery) -> Instant | None:
        """Return the time of the next attempt if a fault delays it; None otherwise."""
        attempt = (delivery.id, delivery.tries + 1)
        postponed = self._timeline.state.postponed.get(attempt)
        return None if postponed is None or attempt in self._in_flight else postponed.until

    # -- deadlines

    def is_in_flight(self, deadline: Deadline) -> bool:
        """Return whether the attempt of a deadline was already made, and has no result yet."""
        return (deadline.key, deadline.step) in self._in_flight

    def run(self, deadline: Deadline) -> None:
        """Handle a due deadline."""
        if deadline.kind == "announce":
            self._announce(self._timeline.state.jobs[deadline.key])
        else:
            self._try(self._timeline.state.deliveries[deadline.key], deadline.step)

    # -- commands

    def is_wanted(self, posting: Posting) -> bool:
        """Return whether a request must still be sent; its job may have been forgotten."""
        if not self._timeline.abandoned and posting.delivery in self._timeline.state.deliveries:
            return True
        self._in_flight.discard((posting.delivery, posting.number))
        return False

    def record(self, posting: Posting, outcome: AttemptOutcome) -> None:
        """Record the result of an attempt, and plan the next attempt if one is due."""
        self._in_flight.discard((posting.delivery, posting.number))
        if self._timeline.abandoned:
            return
        self._timeline.run_due()
        found = self._timeline.state.deliveries.get(posting.delivery)
        self._commands.told(posting.delivery, posting.number, outcome)
        if found is None:
            return  # its job was forgotten, and with it all its webhooks
        self._note(found, posting, outcome)
        self._release(posting.delivery)
        self._on_due()

    def again(self, delivery: Delivery) -> Posting:
        """Return a request that sends a delivery again, outside of the provider's schedule."""
        return self._posting(delivery, 0)

    # -- inside

    def _rule(self, job: Job) -> WebhookRule | None:
        """Return the provider's webhook rule for a job; None if its client gave no URL."""
        webhook = job.accepted.webhook
        if webhook is None or not webhook.url:
            return None
        bound = self._bound(job)
        rule = bound.rules.baseline.webhooks
        if rule is None or bound.provider.notice is None:
            return None
        return rule.under(bound.rules.knobs)

    def _bound(self, job: Job) -> BoundProvider:
        return self._rules.bound_of(job.accepted, _dialect(job))

    def _create(self, job: Job, *, body_of: Job | None = None) -> None:
        timeline = self._timeline
        notice = self._bound(job).provider.notice
        webhook = job.accepted.webhook
        if notice is None or webhook is None:
            return
        shown = body_of or job
        seconds = self._stamp()
        draw = timeline.seeds.draw(DELIVERIES, timeline.state.drawn.get(DELIVERIES, 0))
        created = DeliveryCreated(
            at=timeline.now,
            delivery=f"{draw.getrandbits(96):024x}",
            job=job.id,
            state=shown.state,
            url=webhook.url,
            stamp=seconds,
            body=_ENCODER.encode(notice.body(self._call(shown), shown, seconds)),
        )
        timeline.commit(created)

    def _call(self, job: Job) -> Call:
        """Return a call without client request, with the rules, sandbox and URLs of a job."""
        accepted = job.accepted
        _, sandbox = self._view(accepted.provider, _dialect(job))
        return Call(
            operation="webhook",
            kind="webhook",
            rules=self._bound(job).rules,
            sandbox=sandbox,
            urls=accepted.origin,
            method="POST",
            path="",
            params={},
            query_string=b"",
            headers={},
            body=b"",
            credential="known",
            account=self._timeline.state.accounts[accepted.account],
            now=self._timeline.now,
            job=job,
        )

    def _stamp(self) -> int:
        if self._timeline.choices.webhook_timestamp == "virtual":
            return stamp(self._timeline.now)
        return self._commands.stamp(stamp(wall_clock()))

    def _posting(
        self, delivery: Delivery, number: int, fault: WebhookFault | None = None
    ) -> Posting:
        job = self._timeline.state.jobs[delivery.created.job]
        bound = self._bound(job)
        kind = fault.kind if fault else ""
        secret = job.accepted.webhook.secret if job.accepted.webhook else ""
        seconds = self._stamp()
        if fault is not None and kind == "stale_signature":
            seconds -= stamp(fault.after or STALE)
        attempt = Attempt(
            delivery=delivery.id,
            secret=_another(secret) if kind == "bad_signature" else secret,
            seconds=seconds,
            content=delivery.created.body,
        )
        notice, rule = bound.provider.notice, self._rule(job)
        headers = notice.headers(self._call(job), job, attempt) if notice else {}
        return Posting(
            delivery=delivery.id,
            job=job.id,
            number=number,
            url=delivery.created.url,
            headers=(("content-type", "application/json"), *headers.items()),
            body=delivery.created.body,
            stamp=seconds,
            timeout=(rule.timeout if rule else SECOND) / SECOND,
            fault=kind,
        )

    def _try(self, delivery: Delivery, number: int) -> None:
        excused = (delivery.id, number) in self._timeline.state.postponed
        fault = None if excused else self.fault(delivery, number)
        if fault is not None and fault.kind in ("late", "reorder"):
            self._postpone(delivery, number, fault)
            return
        posting = self._posting(delivery, number, fault)
        if fault is not None and fault.kind in ("lose", "respond"):
            status = fault.status if fault.kind == "respond" else None
            self._note(delivery, posting, AttemptOutcome(status), unsent=True)
            ending = f"as if the answer were {status}" if status else "and there is no retry"
            self.withheld.append((posting, AttemptOutcome(None, f"not sent, {ending}")))
            return
        self._send(posting)
        if fault is not None and fault.kind == "duplicate":
            self.outbox.append(replace(posting, number=0))

    def _send(self, posting: Posting) -> None:
        self._in_flight.add((posting.delivery, posting.number))
        self.outbox.append(posting)
        self._on_due()

    def _postpone(self, delivery: Delivery, number: int, fault: WebhookFault) -> None:
        """Postpone an attempt; `reorder` waits for another delivery.

        Faults are not checked again for this attempt.
        """
        timeline, job, reorder = self._timeline, delivery.created.job, fault.kind == "reorder"
        until = timeline.now + (fault.after or LATE)
        timeline.commit(AttemptPostponed(timeline.now, job, delivery.id, number, until, reorder))
        posting = self._posting(delivery, number, fault)
        after = " or another webhook" if reorder else ""
        self.withheld.append((posting, AttemptOutcome(None, f"held until {iso(until)}{after}")))

    def _release(self, after: str) -> None:
        """Send the attempts that a fault holds back until another delivery was attempted."""
        state = self._timeline.state
        for attempt, postponed in list(state.postponed.items()):
            if not postponed.reorder or postponed.delivery == after or attempt in self._in_flight:
                continue
            found = state.deliveries[postponed.delivery]
            if found.ended is None:
                self._send(replace(self._posting(found, postponed.number), fault="reorder"))

    def _note(
        self, delivery: Delivery, posting: Posting, outcome: AttemptOutcome, *, unsent: bool = False
    ) -> None:
        timeline = self._timeline
        ending = self._ending(delivery, posting, outcome)
        next_at = None
        if not ending and posting.number and delivery.ended is None:
            next_at = timeline.now + (self._pause(posting) or 0)
        timeline.commit(
            AttemptMade(
                at=timeline.now,
                job=posting.job,
                delivery=posting.delivery,
                number=posting.number,
                stamp=posting.stamp,
                headers=posting.headers,
                status=outcome.status,
                error=outcome.error,
                answer=outcome.answer[:MAX_ANSWER_KEPT],
                next_at=next_at,
                fault=posting.fault,
                unsent=unsent or outcome.refused,
            )
        )
        if ending and delivery.ended is None:
            timeline.commit(DeliveryEnded(timeline.now, posting.job, posting.delivery, ending))

    def _ending(self, delivery: Delivery, posting: Posting, outcome: AttemptOutcome) -> str:
        """Return the final outcome of the delivery after this attempt; empty if it continues."""
        if outcome.good:
            return "delivered"
        if posting.fault == "lose":
            return "lost"
        if outcome.refused:
            return "refused"
        if posting.number and delivery.ended is None and self._pause(posting) is None:
            return "given_up"
        return ""

    def _pause(self, posting: Posting) -> int | None:
        rule = self._rule(self._timeline.state.jobs[posting.job])
        return rule.pause_after(posting.number) if rule else None

    def _plan_early(self, job: Job, rule: WebhookRule) -> None:
        """Plan to report the end of a job before it happens, by `after` or else by one second."""
        following = job.next_phase
        if not job.started or following is None:
            return  # a job that a command moved has left its plan
        lasts = job.accepted.phases[job.step].lasts
        if lasts is None:
            return
        if following.state not in TERMINAL or following.state not in rule.states:
            return
        fault = self.early(job, following.state)
        if fault is not None:
            now = self._timeline.now
            due = now + max(0, lasts - (fault.after or SECOND))
            self._timeline.commit(AnnouncementPlanned(now, job.id, job.step, due))

    def _announce(self, job: Job) -> None:
        """Send a webhook for the planned end of a job, as if the job had ended."""
        following, rule = job.next_phase, self._rule(job)
        if following is None or rule is None or following.state not in rule.states:
            return
        if self._timeline.state.is_reported(job.id, following.state):
            return
        coming = JobMoved(self._timeline.now, job.id, following.state, following.failure)
        self._create(job, body_of=msgspec.structs.replace(job, moves=(*job.moves, coming)))


def _dialect(job: Job) -> str | None:
    """Return the dialect in the path of the submit, or None."""
    _, _, dialect = job.accepted.origin.prefix.lstrip("/").partition("/")
    return dialect or None


def _another(secret: str) -> str:
    """Return a wrong secret of the same form."""
    last = "B" if secret[-2:-1] == "A" else "A"
    return f"{secret[:-2]}{last}{secret[-1:]}" if len(secret) > 1 else f"{secret}?"
