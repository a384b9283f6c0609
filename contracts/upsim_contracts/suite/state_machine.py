"""One state machine for all providers: clients, an operator, the clock and a receiver.

The provider's table contains the differences between providers. The model checks the rules that
hold for all providers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, ClassVar

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.exceptions import UnpricedRequestError
from upsim_contracts.expected_responses import at, mismatches
from upsim_contracts.suite.account_model import AccountModel, ModelJob
from upsim_contracts.suite.checked_account import expect
from upsim_contracts.suite.expected_output_size import size_of_output
from upsim_contracts.suite.generate_table import Action, Flaw, Generation, Submit, WebhookForm
from upsim_contracts.suite.property_runs import AMPLE, Explorer
from upsim_contracts.suite.strategies.bodies import Options, options
from upsim_contracts.suite.strategies.clips import clips, short
from upsim_contracts.suite.strategies.ids import beside
from upsim_contracts.target import START
from upsim_contracts.video_probe import probe_video

MINE, OTHER = "mine", "other"
MAX_PIXELS = 1_300_000


def _of_machine(make: Callable[[Machine], st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Return a strategy that depends on the provider of the running machine."""
    return st.runner().flatmap(make)


class Machine(RuleBasedStateMachine):
    """The life of several jobs at one target."""

    explorer: ClassVar[Explorer]
    call: ClassVar[Submit]
    short_clip: ClassVar[st.SearchStrategy[ClipProperties]]
    any_options: ClassVar[st.SearchStrategy[Options]]
    jobs: Bundle[str] = Bundle("jobs")

    @initialize(target=jobs, clip=_of_machine(lambda self: self.short_clip))
    def begin(self, clip: ClipProperties) -> str:
        """Open a sandbox, with a second account if the target allows it, and create a first job."""
        self._stack = ExitStack()
        mine = self._stack.enter_context(self.explorer.account())
        self.exact = mine.world.controls is not None
        self.accounts = {MINE: mine}
        if self.exact:
            self.accounts[OTHER] = mine.other()
        self.model = AccountModel(self.table, datetime.fromisoformat(START), exact=self.exact)
        for owner, account in self.accounts.items():
            self.model.opens(owner, account.balance())
        self.clips: dict[str, tuple[ClipProperties, Options]] = {}
        self.settled = True
        self.read: set[str] = set()
        self.posts = 0
        self.told: list[str] = []
        return self._make(MINE, clip, self.call.defaults, hook=True)

    def teardown(self) -> None:
        """Close the sandbox."""
        if hasattr(self, "_stack"):
            self._stack.close()

    @property
    def table(self) -> Generation:
        """The provider's table."""
        return self.explorer.table

    @property
    def obeys(self) -> bool:
        """Whether the clock and the jobs of the target can be controlled."""
        return getattr(self, "exact", False)

    # -- callers

    @rule(
        target=jobs,
        owner=st.sampled_from([MINE, MINE, OTHER]),
        clip=_of_machine(lambda self: self.short_clip),
        chosen=_of_machine(lambda self: self.any_options),
        hook=st.booleans(),
    )
    def submit(self, owner: str, clip: ClipProperties, chosen: Options, *, hook: bool) -> str:
        """Check that a valid request creates a job and charges its price."""
        return self._make(owner if self.obeys else MINE, clip, chosen, hook=hook)

    @rule(
        clip=_of_machine(lambda self: self.short_clip),
        flaw=_of_machine(
            lambda self: st.sampled_from([one for one in self.call.flaws if one.balance is None])
        ),
    )
    def submit_wrong(self, clip: ClipProperties, flaw: Flaw) -> None:
        """Check that an invalid request, or one above a limit, is refused as documented."""
        try:
            answer = self.accounts[MINE].wrong(self.call, clip, flaw)
        except UnpricedRequestError:
            event("not sent where it may cost")
            return
        expect(answer, flaw.expect, flaw.name)
        event("refused over a limit" if flaw.limit else "refused")

    @precondition(lambda self: self.obeys)
    @rule(
        clip=_of_machine(lambda self: self.short_clip),
        chosen=_of_machine(lambda self: self.any_options),
    )
    def submit_without_funds(self, clip: ClipProperties, chosen: Options) -> None:
        """Check that a submit is refused if the balance is slightly below the price."""
        account = self.accounts[MINE]
        price = self.explorer.oracle(self.call, clip, account.body(self.call, clip, chosen))
        self._fund(self.table.funds(price, enough=False))
        flaw = next(one for one in self.call.flaws if one.balance is not None)
        expect(account.submit(self.call, clip, chosen), flaw.expect, account.last)
        self._check_balance(MINE)
        self._fund(AMPLE)
        event("refused for want of funds")

    @rule(job=jobs)
    def poll(self, job: str) -> None:
        """Check that a poll shows a possible status, and a link exactly when the job is done."""
        known = self.model.jobs[job]
        account = self.accounts[known.owner]
        answer = account.poll(job)
        word = account.word(answer)
        self.model.observe(known, word, answer.response.content)
        links = [at(answer.document, place) for place in account.life.output]
        done = word in self.table.ended("completed")
        assert done == any(isinstance(link, str) for link in links), account.last
        event(f"polled: {word}")

    @precondition(lambda self: self.obeys)
    @rule(job=jobs, place=st.integers(0, 7))
    def poll_foreign(self, job: str, place: int) -> None:
        """Check the documented response for another account's job and for an unknown id."""
        stranger = self.accounts[OTHER if self.model.jobs[job].owner == MINE else MINE]
        nowhere = beside(job, place, 1)
        unknown = stranger.poll(nowhere).response
        foreign = stranger.poll(job)
        assert not unknown.is_success, stranger.last
        if self.table.foreign is not None:
            expect(foreign, self.table.foreign, stranger.last)
        else:
            assert unknown.status_code == foreign.response.status_code, stranger.last
            assert unknown.text.replace(nowhere, job) == foreign.response.text

    @precondition(lambda self: self.obeys and self.table.jobs is not None)
    @rule(owner=st.sampled_from([MINE, OTHER]))
    def list_jobs(self, owner: str) -> None:
        """Check that a job list contains the account's jobs, each with a possible status."""
        how = self.table.jobs
        assert how is not None
        items = at(self.accounts[owner].call({"call": how.call}).as_seen, how.read)
        assert isinstance(items, list)
        found = {str(at(item, how.id)): at(item, how.status) for item in items}
        assert self.model.listed(owner) == set(found)
        for job, word in found.items():
            self.model.observe(self.model.jobs[job], word)

    @precondition(lambda self: bool(self.table.actions))
    @rule(
        job=jobs,
        action=_of_machine(lambda self: st.sampled_from(list(self.table.actions.values()))),
    )
    def act(self, job: str, action: Action) -> None:
        """Check that an action such as a cancel succeeds only in its documented states."""
        known = self.model.jobs[job]
        account = self.accounts[known.owner]
        account.names["job"] = job
        answer = account.call({"call": action.call})
        done = not list(mismatches(action.done, answer.as_seen))
        if not done:
            expect(answer, action.otherwise, account.last)
        self.model.acts(known, action, done=done)
        self.settled = False
        event(f"{action.name} {'done' if done else 'refused'}")

    @rule(job=jobs)
    def download(self, job: str) -> None:
        """Check that the output of a finished job is a file of the promised size."""
        known = self.model.jobs[job]
        clip, chosen = self.clips[job]
        width, height = size_of_output(self.call, clip, chosen)
        if not self.model.has_output(known) or width * height > MAX_PIXELS:
            return
        account = self.accounts[known.owner]
        link = account.link(account.poll(job))
        found = probe_video(account.world.http.get(link).content)
        assert (found["width"], found["height"], found["frames"]) == (width, height, clip.frames)
        event("downloaded")

    # -- an operator, and time

    @precondition(lambda self: self.obeys)
    @rule(how=st.sampled_from(["next", "next", "next", "idle", 0, 1, 30, 59, 60, 61, 600]))
    def advance(self, how: str | int) -> None:
        """Advance the clock: by seconds, to the next event, or until no job is in progress."""
        if how == "next" and not self._under_way():
            how = "idle"  # the next event would be the end of a link, or of a job's record
        step: Mapping[str, Any] = {"to": how} if isinstance(how, str) else {"seconds": how}
        now = self.accounts[MINE].controls.advance(**step)
        self.model.time_passes(now, idle=how == "idle")
        self.settled = how == "idle"

    @precondition(lambda self: self.obeys)
    @rule(job=jobs)
    def fail(self, job: str) -> None:
        """Make a job in progress fail, as an operator."""
        known = self.model.jobs[job]
        self.poll(job)
        if known.possible <= set(self.table.unfinished):
            self.accounts[MINE].controls.force(job, "failed", None)
            self.model.fails(known)
            self.settled = False
            event("failed")

    # -- what always holds

    @invariant()
    def balances_are_explained(self) -> None:
        """Check that every balance fell by the cost of accepted jobs, minus refunds."""
        for owner in self.accounts:
            self._check_balance(owner)

    @invariant()
    def receiver_gets_each_end_once(self) -> None:
        """Check that each webhook reports a possible end, is sent once, and proves its sender."""
        hook = self.table.webhook
        wanted = {job.id for job in self.model.jobs.values() if job.wants_post}
        if hook is None or not wanted:
            return
        posts = len(self.accounts[MINE].controls.messages())
        if posts != self.posts:
            self.posts, self.told = posts, list(self._told(hook))
        assert len(set(self.told)) == len(self.told), "notified twice"
        assert set(self.told) <= wanted, "notified without a receiver in the submit"
        if self.settled:
            owed = {job for job in wanted if self._ended_by_itself(self.model.jobs[job])}
            assert owed <= set(self.told), "not told"

    def _told(self, hook: WebhookForm) -> Iterator[str]:
        """Read the webhooks of both accounts, and yield the job of each."""
        for owner, account in self.accounts.items():
            for message in account.messages():  # each account has a secret of its own
                job = self.model.jobs[str(at(message["json"], hook.job))]
                if job.owner == owner:
                    self._read(hook, job, message)
                    yield job.id

    def _read(self, hook: WebhookForm, job: ModelJob, message: Mapping[str, object]) -> None:
        """Check that a new webhook proves its sender, and has the same fields as a poll."""
        if job.id in self.read:
            return
        self.read.add(job.id)
        document = message["json"]
        assert [str(one) for one in mismatches(hook.shows, message)] == []
        status = at(document, hook.status)
        assert status in job.posts, f"notified of {status!r}, possible: {sorted(job.posts)}"
        if self.model.is_gone(job):
            return
        self.poll(job.id)
        answer = self.accounts[job.owner].answer
        assert answer is not None
        posted = at(document, hook.post) if hook.post else document
        assert isinstance(posted, dict)
        shown = {name: value for name, value in posted.items() if name not in hook.more}
        assert at(answer.document, hook.poll) == shown
        event("told")

    def _ended_by_itself(self, job: ModelJob) -> bool:
        return job.possible <= self.table.ended("completed") | self.table.ended("failed")

    def _under_way(self) -> bool:
        """Return whether a poll of some job shows that it has not ended."""
        for job in self.model.jobs.values():
            if job.final is None:
                self.poll(job.id)
        unfinished = set(self.table.unfinished)
        return any(job.possible <= unfinished for job in self.model.jobs.values())

    def _make(self, owner: str, clip: ClipProperties, chosen: Options, *, hook: bool) -> str:
        account = self.accounts[owner]
        more = self._receiver() if hook and self.obeys else {}
        price = self.explorer.oracle(self.call, clip, account.body(self.call, clip, chosen))
        job = account.accepted(self.call, clip, chosen, **more)
        self.model.accepts(job, owner, price, wants_post=bool(more))
        self.clips[job] = clip, {**self.call.defaults, **chosen}
        event("accepted, with a webhook" if more else "accepted")
        return job

    def _receiver(self) -> dict[str, Any]:
        """Return the fields that name a receiver, for a provider that sends webhooks."""
        hook = self.table.webhook
        return {} if hook is None else {"set": hook.set, "query": hook.query}

    def _fund(self, funds: str) -> None:
        self.accounts[MINE].controls.account({"balance": funds})
        self.model.opens(MINE, self.accounts[MINE].balance())

    def _check_balance(self, owner: str) -> None:
        seen, possible = self.accounts[owner].balance(), self.model.balances(owner)
        shown = ", ".join(map(str, sorted(possible)[:5]))
        assert seen in possible, f"the balance of {owner} is {seen}, possible is {shown}"


def machine_of(explorer: Explorer, submit: Submit) -> type[Machine]:
    """Return the state machine of one submit at one target."""
    parts = {
        "explorer": explorer,
        "call": submit,
        "short_clip": clips(short(submit.clips)),
        "any_options": options(submit),
    }
    return type("ProviderMachine", (Machine,), parts)
