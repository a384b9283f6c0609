"""The money of a sandbox: charges, refunds and all other ledger entries."""

from __future__ import annotations

from decimal import Decimal

from upsim.core.events import JobAccepted, JobMarked
from upsim.core.job_spec import JobSpec
from upsim.core.jobs import RESTORED, Job
from upsim.core.ledger import Account, Entry, EntryKind
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.timeline import Timeline


class Money:
    """Posts the entries of one sandbox's ledger."""

    __slots__ = ("_rules", "_timeline")

    def __init__(self, timeline: Timeline, rules: RuleVersions) -> None:
        """Refund by the rules that each job was accepted under."""
        self._timeline = timeline
        self._rules = rules

    def post(
        self,
        account: Account,
        kind: EntryKind,
        amount: Decimal,
        *,
        job: str | None = None,
        formula: str = "",
    ) -> Entry:
        """Append an entry to the ledger."""
        entry = Entry(
            at=self._timeline.now,
            number=self._timeline.state.entry_count + 1,
            account=account.number,
            kind=kind,
            amount=amount,
            unit=account.unit,
            job=job,
            formula=formula,
        )
        self._timeline.commit(entry)
        return entry

    def charge(self, accepted: JobAccepted, spec: JobSpec) -> Entry:
        """Return the charge of a job, to be committed together with it."""
        quote = spec.quote
        return Entry(
            at=accepted.at,
            number=self._timeline.state.entry_count + 1,
            account=accepted.account,
            kind="charge",
            amount=spec.debit,
            unit=quote.unit,
            job=accepted.job,
            formula=quote.formula,
            inputs=quote.inputs,
        )

    def refund(self, job: Job) -> None:
        """Refund the charge of a job, at most once."""
        state = self._timeline.state
        charge = state.charge_of(job.id)
        if charge is not None and state.refund_of(job.id) is None:
            account = state.accounts[job.accepted.account]
            self.post(account, "refund", -charge.amount, job=job.id, formula=charge.formula)
            if RESTORED in state.jobs[job.id].marks:
                why = f"the charge of job {job.id} was given back by a reset"
                self.post(account, "adjustment", charge.amount, formula=why)

    def refund_owed(self, job: Job) -> None:
        """Refund a job now although its refund was planned for later.

        A forgotten job has no deadlines.
        """
        states = self._rules.bound_of(job.accepted).ending.refunded
        if any(move.state in states for move in job.moves):
            self.refund(job)

    def set_balance(self, account: Account, balance: Decimal, *, why: str) -> None:
        """Set the balance of an account by one adjustment, unless it has this balance already."""
        missing = balance - account.balance
        if missing:
            self.post(account, "adjustment", missing, formula=why)

    def restore_balances(self) -> None:
        """Reset every account to its opening balance by one adjustment.

        The adjustment includes the charges of unfinished jobs, so their later refunds add
        nothing.
        """
        timeline = self._timeline
        for job in list(timeline.state.jobs.values()):
            if RESTORED not in job.marks and self._may_be_refunded(job):
                timeline.commit(JobMarked(timeline.now, job.id, RESTORED))
        for account in list(timeline.state.accounts.values()):
            self.set_balance(account, account.opening, why="reset to the opening balance")

    def _may_be_refunded(self, job: Job) -> bool:
        """Return whether a refund is still possible: the job runs, or its refund is due later."""
        state = self._timeline.state
        unrefunded = state.charge_of(job.id) and state.refund_of(job.id) is None
        refunded = self._rules.bound(job.accepted.provider).ending.refunded
        due = not job.ended or any(move.state in refunded for move in job.moves)
        return bool(unrefunded) and due
