"""The jobs of a sandbox: accepted, moved, finished, and queued while all slots are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upsim.core.call import Call
from upsim.core.events import JobAccepted, JobMarked, JobMoved, JobPolled, JobStarted, WebhookTarget
from upsim.core.instants import Instant
from upsim.core.job_spec import JobSpec
from upsim.core.jobs import Job, check_move
from upsim.core.ledger import Account
from upsim.core.states import TERMINAL, Failure, JobState, Phase
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.kept_inputs import MAX_TEXT_KEPT, SharedInputs, bounded_webhook, without_bulk
from upsim.engine.money import Money
from upsim.engine.retention import Retention
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.timeline import Timeline
from upsim.engine.webhooks import Webhooks

BLOB = "blob:"


class Jobs:
    """Accepts, moves and finishes the jobs of one sandbox."""

    __slots__ = ("_inputs", "_money", "_retention", "_rules", "_timeline", "_webhooks")

    def __init__(
        self,
        timeline: Timeline,
        rules: RuleVersions,
        *,
        money: Money,
        retention: Retention,
        webhooks: Webhooks,
    ) -> None:
        """Finish each job by the rules that it was accepted under."""
        self._timeline = timeline
        self._rules = rules
        self._money = money
        self._retention = retention
        self._webhooks = webhooks
        self._inputs = SharedInputs()

    def accept(
        self,
        call: Call,
        bound: BoundProvider,
        *,
        spec: JobSpec,
        name: str,
        inputs: Mapping[str, object],
        webhook: WebhookTarget | None,
    ) -> Job:
        """Create the job of a call, charge for it, and start it if a slot is free."""
        timeline, account, baseline = self._timeline, call.who, bound.rules.baseline
        slots, known = baseline.plans[account.plan].concurrency, bound.scenario.body_fields
        queued = slots is not None and account.running >= slots
        source = f"{BLOB}{call.blob}" if call.blob else call.source
        if len(call.body) <= MAX_TEXT_KEPT:
            inputs, source = self._inputs.share(call.body, inputs, source)
        else:
            inputs = without_bulk(inputs, known)
        accepted = JobAccepted(  # by position: keywords cost 0.7 µs more a submit
            timeline.now,
            name,
            account.number,
            bound.provider.name,
            call.model.id if call.model else "",
            call.operation,
            inputs,
            spec.options,
            call.media,
            spec.output,
            spec.quote,
            spec.phases,
            call.urls,
            baseline.digest,
            source,
            queued,
            webhook and bounded_webhook(webhook),
            None if queued else self._end_of_phase(spec.phases, 0),
        )
        timeline.commit(accepted, self._money.charge(accepted, spec))
        job = timeline.state.jobs[name]
        if webhook is not None:
            self._webhooks.watch(job)
        return job

    def move(self, job: Job, state: JobState, failure: Failure | None = None) -> Job:
        """Change the state of a job by command. Raises IllegalMoveError."""
        check_move(job, state)
        return self._move(job, state, failure, planned=False)

    def mark(self, job: Job, mark: str) -> Job:
        """Add a provider's own note to a job."""
        if mark not in job.marks:
            self._timeline.commit(JobMarked(self._timeline.now, job.id, mark))
        return self._timeline.state.jobs[job.id]

    def next_step(self, job: Job) -> None:
        """Move a job to the next phase of its plan."""
        accepted, following = job.accepted, job.step + 1
        if following < len(accepted.phases):
            phase = accepted.phases[following]
            self._move(job, phase.state, phase.failure, planned=True)

    def count_poll(self, name: str) -> None:
        """Count a poll of a job whose phase ends after a number of polls."""
        timeline = self._timeline
        job = timeline.state.jobs.get(name)
        if job is None or job.next_phase is None or not job.started:
            return
        needed = job.accepted.phases[job.step].polls
        if needed is None:
            return
        timeline.commit(JobPolled(timeline.now, name))
        if job.polls + 1 >= needed:
            self.next_step(timeline.state.jobs[name])

    def start_queued(self, account: Account) -> None:
        """Start the account's queued jobs, as far as its plan has free slots."""
        timeline = self._timeline
        plans = self._rules.scenario(account.provider).baseline.plans
        slots = plans[account.plan].concurrency
        while account.queue and (slots is None or account.running < slots):
            name = next(iter(account.queue))
            queued = timeline.state.jobs[name]  # a command may have moved the job while it waited
            due = self._end_of_phase(queued.accepted.phases, queued.step)
            timeline.commit(JobStarted(timeline.now, name, due))
            if (job := timeline.state.jobs[name]).accepted.webhook is not None:
                self._webhooks.watch(job)

    # -- inside

    def _end_of_phase(self, phases: Sequence[Phase], step: int) -> Instant | None:
        """Return when a phase that begins now ends by time, on a whole tick of the clock."""
        lasts = phases[step].lasts if step + 1 < len(phases) else None
        if lasts is None:
            return None
        timeline = self._timeline
        due = timeline.now + lasts
        return max(timeline.now, due - due % timeline.clock.tick)

    def _move(self, before: Job, state: JobState, failure: Failure | None, *, planned: bool) -> Job:
        timeline, accepted = self._timeline, before.accepted
        if state not in TERMINAL:
            due = self._end_of_phase(accepted.phases, before.step + 1) if planned else None
            timeline.commit(JobMoved(timeline.now, accepted.job, state, failure, planned, due))
            job = timeline.state.jobs[accepted.job]
            if accepted.webhook is not None:
                self._webhooks.watch(job)
        elif before.ended:
            timeline.commit(JobMoved(timeline.now, accepted.job, state, failure, planned))
            job = timeline.state.jobs[accepted.job]
        else:
            job = self._finish(before, state, failure, planned=planned)
        if accepted.webhook is not None:
            self._webhooks.on_move(job)
        return job

    def _finish(
        self, before: Job, state: JobState, failure: Failure | None, *, planned: bool
    ) -> Job:
        """End a job: refund it, set its expiry, and give its slot to the next one."""
        timeline, accepted = self._timeline, before.accepted
        now, ending = timeline.now, self._rules.ending_of(accepted)
        refunded = state in ending.refunded
        refund_at = now + ending.refund_after if refunded and ending.refund_after else None
        kept = ending.kept_for
        until = None if kept is None else max(accepted.at + kept, now)
        ends = {"refund_at": refund_at, "kept_until": until}
        timeline.commit(JobMoved(now, accepted.job, state, failure, planned, **ends))
        job = timeline.state.jobs[accepted.job]
        if refunded and refund_at is None:
            self._money.refund(job)
        account = timeline.state.accounts[accepted.account]
        if account.queue:
            self.start_queued(account)
        self._retention.on_end(accepted.job)
        return job
