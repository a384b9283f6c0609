"""The interface of a sandbox for one provider: the `SandboxApi` of `core/call.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from operator import attrgetter

from upsim.core.call import Call, SentFile, Window
from upsim.core.events import UploadIssued, UploadStored, WebhookTarget, ids_of, uploads_of
from upsim.core.instants import Instant
from upsim.core.job_spec import JobSpec, terms
from upsim.core.jobs import REVOKED, Job
from upsim.core.ledger import Account, Entry
from upsim.core.lifecycle import PhaseRule
from upsim.core.media import Measured
from upsim.core.states import Failure, JobState
from upsim.engine import rate_limits
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.media_lookup import MediaLookup
from upsim.engine.sandbox import Sandbox
from upsim.engine.seeds import Draw
from upsim.engine.upload_tickets import issue_ticket
from upsim.media.blob_store import BlobStore


class BoundSandbox:
    """The commands and queries of one sandbox for one provider under one dialect."""

    __slots__ = ("_blobs", "_bound", "_sandbox", "_sources")

    def __init__(
        self, sandbox: Sandbox, bound: BoundProvider, *, sources: MediaLookup, blobs: BlobStore
    ) -> None:
        """Use a sandbox with the rules of `bound`."""
        self._sandbox = sandbox
        self._bound = bound
        self._sources = sources
        self._blobs = blobs

    @property
    def now(self) -> Instant:
        """The current virtual time."""
        return self._sandbox.now

    @property
    def pace(self) -> int:
        """The factor by which work durations, and announcements of them, are divided."""
        return self._sandbox.clock.work_pace

    def measured(self, call: Call, source: str) -> Measured | None:
        """Return the known properties of a video; None if it must be measured first."""
        return self._sources.known(self._bound.scenario, call, source)

    def terms(self, call: Call) -> JobSpec:
        """Return the price, output and plan for the call's model, media and options."""
        model = call.model
        if model is None:
            msg = f"{call.operation} asks for terms before a check set the model"
            raise LookupError(msg)
        pace, steps = self.pace, model.lifecycle.phases
        if self._bound.scenario.jobs:
            steps = self._steps(call, steps)
        key = (model.id, id(call.media), call.failure, pace, id(steps), *call.options.values())
        known = self._bound.known_terms
        media, found = known.get(key, (None, None))
        if found is None or media is not call.media:
            found = terms(
                model,
                media=call.media,
                options=call.options,
                steps=steps,
                pace=Decimal(pace),
                failures=self._bound.failures,
                failure=call.failure,
            )
            known[key] = (call.media, found)  # the media is kept, so its id stays its own
        return found

    def find_job(self, job: str) -> Job | None:
        """Return a job of any account of this sandbox; None if it is unknown or forgotten."""
        return self._sandbox.state.jobs.get(job)

    def jobs_of(self, account: Account) -> Iterable[Job]:
        """Return the account's jobs, oldest first."""
        jobs = self._sandbox.state.jobs
        return [jobs[name] for name in account.jobs]

    def entries_of(self, account: Account) -> Iterable[Entry]:
        """Return the account's ledger entries, oldest first."""
        return sorted(account.entries.values(), key=attrgetter("number"))

    def window(self, account: Account, limit: str) -> Window | None:
        """Return the state of one of the account's rate limits."""
        plan = self._bound.rules.baseline.plans[account.plan]
        return rate_limits.window(self._sandbox, account, plan.rates, limit)

    def accept(
        self, call: Call, *, inputs: Mapping[str, object], webhook: WebhookTarget | None = None
    ) -> Job:
        """Charge and create the job of `call` in one step."""
        job = call.job = self._sandbox.jobs.accept(
            call,
            self._bound,
            spec=call.spec or self.terms(call),
            name=self._new_id(),
            inputs=inputs,
            webhook=webhook,
        )
        return job

    def move(self, job: Job, state: JobState, failure: Failure | None = None) -> Job:
        """Change the state of a job by command, and refund the charge as the baseline specifies."""
        return self._sandbox.jobs.move(job, state, failure)

    def mark(self, job: Job, mark: str) -> Job:
        """Add a provider's own note to a job."""
        return self._sandbox.jobs.mark(job, mark)

    def output_gone(self, job: Job) -> bool:
        """Whether the finished file was revoked or its link has expired."""
        if REVOKED in job.marks:
            return True
        kept = self._sandbox.bound_of(job.accepted).rules.baseline.lifetime("outputs")
        return kept is not None and job.ended_at is not None and job.ended_at + kept <= self.now

    def refunded(self, job: Job) -> Decimal:
        """Return the amount refunded for the job, in the account's unit."""
        refund = self._sandbox.state.refund_of(job.id)
        return refund.amount if refund else Decimal(0)

    def issue_upload(
        self, call: Call, *, file_name: str, content_type: str, size: int | None
    ) -> UploadIssued:
        """Issue a ticket for one upload; it expires after `retention.upload_tickets`."""
        draw = self._draw(uploads_of(self._bound.provider.name))
        return issue_ticket(
            self._sandbox,
            self._bound,
            draw,
            account=call.who.number,
            file_name=file_name,
            content_type=content_type,
            size=size,
        )

    def store_upload(self, upload: UploadIssued, file: SentFile) -> bool:
        """Store the file of an upload; return False if the file was removed in the meantime."""
        if not self._blobs.hold(file.digest):
            return False
        kept = self._bound.rules.baseline.lifetime("uploads")
        expiry = None if kept is None else self.now + kept
        self._sandbox.commit(UploadStored(self.now, upload.upload, file.digest, file.size, expiry))
        return True

    def secret(self, account: Account, name: str, size: int) -> bytes:
        """Return a secret of the account, which is the same at every call."""
        return self._sandbox.seeds.secret(f"{account.name}/{name}", size)

    def _steps(self, call: Call, default: tuple[PhaseRule, ...]) -> tuple[PhaseRule, ...]:
        named = {"model": call.model.id} if call.model else {}
        values = {**call.inputs, **call.options, **named}
        rules = self._bound.scenario.jobs
        found = next((rule for rule in rules if rule.matches(values)), None)
        return default if found is None else found.phases

    def _new_id(self) -> str:
        provider, jobs = self._bound.provider, self._sandbox.state.jobs
        purpose, retry = ids_of(provider.name), 0
        while (name := provider.draw_id(self._draw(purpose, retry))) in jobs:
            retry += 1  # short ids can repeat
        return name

    def _draw(self, purpose: str, retry: int = 0) -> Draw:
        sandbox = self._sandbox
        return sandbox.seeds.draw(purpose, sandbox.state.drawn.get(purpose, 0), retry)
