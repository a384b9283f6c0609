"""The rules: what callers, operators and time may do to two sandboxes, in any order."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from tests.stateful import invariants
from tests.stateful.asgi_client import Answer, Request
from tests.stateful.eager_counts import compare_counts
from tests.stateful.provider_calls import FACES, TOPAZ, V1, V3, Face
from tests.stateful.strategies import videos
from tests.stateful.strategies.balances import balances
from tests.stateful.strategies.clock_advances import advances
from tests.stateful.strategies.flaws import Flaw, any_flaw
from tests.stateful.two_sandboxes import OWNERS, Box, Ticket, Worlds
from upsim import Simulator
from upsim.core.instants import DAY, SECOND

OK = 200
REFUSALS = {400, 401, 402, 403, 404, 405, 413, 415, 422, 429}
OTHER = {"main": "other", "other": "main"}
SMALL_ENOUGH = 1280 * 1280
LINKS_LIVE = {"venice": DAY, "wavespeed": 7 * DAY}
"""How long the link to an output works, where it ends at all."""

places = st.sampled_from([0, 1])
faces = st.sampled_from(list(FACES.values()))
owners = st.sampled_from(OWNERS)
states = st.sampled_from(
    ["processing", "completed", "failed", "cancelled", "timeout", "deleted", "waiting"]
)


class EngineMachine(RuleBasedStateMachine):
    """Two sandboxes under fire. `simulator` is shared: each run makes sandboxes of its own."""

    simulator: ClassVar[Simulator]
    steps: ClassVar[int] = 0
    jobs: Bundle[Ticket] = Bundle("jobs")

    @initialize(target=jobs, clocks=st.sampled_from([("manual", "auto"), ("manual", "manual")]))
    def begin(self, clocks: tuple[str, str]) -> MultipleResults[Ticket]:
        """Make the sandboxes, with one job of each provider in both."""
        self.worlds = self.make_worlds(clocks)
        return multiple(*(self._first(place, face) for place in (0, 1) for face in FACES.values()))

    def make_worlds(self, clocks: tuple[str, str]) -> Worlds:
        """Return two sandboxes with these clocks."""
        return Worlds(self.simulator, clocks)

    def teardown(self) -> None:
        """Compare the counters of the sandboxes, and remove the sandboxes."""
        if hasattr(self, "worlds"):
            for box in self.worlds.boxes:
                compare_counts(box.sandbox)
            self.worlds.close()

    # -- what a caller does

    @rule(
        target=jobs,
        place=places,
        face=faces,
        owner=owners,
        video=videos.usable,
        choice=st.integers(0, 3),
    )
    def submit(
        self, place: int, face: Face, owner: str, video: str, choice: int
    ) -> Ticket | MultipleResults[Ticket]:
        """A valid request is accepted, unless the plan or the balance forbids it."""
        option = face.options[choice % len(face.options)]
        price = self._quote(place, face, owner, video=video, option=option)
        box = self.worlds.boxes[place]
        funds = box.account(face.name, owner).balance
        with self._either(box) as outcome:
            outcome.append(self.worlds.ask(place, face, owner, face.submit(video, option)))
        answer = outcome[0]
        if answer.status != OK:
            event(f"{face.name} refuses with {answer.status}")
            return multiple()
        ticket = Ticket(place, face.name, owner, face.job_of(answer.json()))
        charged = self._charge(ticket)
        assert charged <= funds
        assert price in (None, charged)
        if face.charged is not None:
            assert face.charged(answer.json()) == charged
        event(f"{face.name} accepts")
        return ticket

    @rule(target=jobs, place=places, face=faces, owner=owners)
    def submit_unreachable(
        self, place: int, face: Face, owner: str
    ) -> Ticket | MultipleResults[Ticket]:
        """A video that is nowhere is refused, or gives a task that will fail."""
        box = self.worlds.boxes[place]
        with self._either(box) as outcome:
            request = face.submit(videos.NOWHERE, face.options[0])
            outcome.append(self.worlds.ask(place, face, owner, request))
        if outcome[0].status != OK:
            return multiple()
        assert face.accepts_unreachable
        return Ticket(place, face.name, owner, face.job_of(outcome[0].json()))

    @rule(place=places, face=faces, owner=owners, flaw=any_flaw)
    def submit_wrong(self, place: int, face: Face, owner: str, flaw: Flaw) -> None:
        """A wrong request is refused and leaves nothing."""
        with self._refused(self.worlds.boxes[place]) as outcome:
            outcome.append(self.worlds.ask(place, face, owner, flaw(face)))

    @rule(place=places, face=faces, key=st.sampled_from([None, "", "sk-nobody's"]))
    def submit_without_a_key(self, place: int, face: Face, key: str | None) -> None:
        """A key that was not issued opens no account here."""
        sandbox = self.worlds.boxes[place].sandbox
        request = face.submit(videos.SMALL, face.options[0])
        path = f"/sandbox/{sandbox.id}{request.path}"
        with self._refused(self.worlds.boxes[place]) as outcome:
            self.worlds.boxes[place].sent += 1
            named = Request(request.method, path, request.body)
            outcome.append(self.worlds.caller.send(named, face.headers(key)))
        assert len(sandbox.state.accounts) == len(FACES) * len(OWNERS)

    @rule(place=places, face=faces, owner=owners, enough=st.booleans())
    def submit_unaffordable(self, place: int, face: Face, owner: str, *, enough: bool) -> None:
        """Money for a bit less than the price buys nothing; the exact price is enough."""
        box = self.worlds.boxes[place]
        account = box.account(face.name, owner)
        self.admin_account(place, face, owner, plan=face.plans[0], balance="1000000000")
        option = face.options[0]
        first = self.worlds.ask(place, face, owner, face.submit(videos.SMALL, option))
        assert first.status == OK
        price = self._charge(Ticket(place, face.name, owner, face.job_of(first.json())))
        box.accepted += 1
        smallest = Decimal("0.000001" if account.unit == "USD" else 1)
        funds = price if enough else price - smallest
        self.admin_account(place, face, owner, balance=str(funds))
        answer = self.worlds.ask(place, face, owner, face.submit(videos.SMALL, option))
        assert (answer.status == OK) == enough
        assert account.balance == (0 if enough else funds)
        box.accepted += enough

    @rule(target=jobs, place=places, face=faces, owner=owners, count=st.integers(2, 12))
    def submit_burst(
        self, place: int, face: Face, owner: str, count: int
    ) -> MultipleResults[Ticket]:
        """On a tight plan some calls are refused or made to wait; none leaves half a job."""
        self.admin_account(place, face, owner, plan=face.plans[1], balance="1000000000")
        made = []
        for _ in range(count):
            with self._either(self.worlds.boxes[place]) as outcome:
                request = face.submit(videos.SMALL, face.options[0])
                outcome.append(self.worlds.ask(place, face, owner, request))
            if outcome[0].status == OK:
                made.append(Ticket(place, face.name, owner, face.job_of(outcome[0].json())))
        event(f"burst at {face.name}: {len(made)} of {count}")
        return multiple(*made)

    @rule(ticket=jobs)
    def poll(self, ticket: Ticket) -> None:
        """A poll shows the result exactly when there is one."""
        box, face = self.worlds.boxes[ticket.place], FACES[ticket.provider]
        there = self._result_is_there(ticket)
        answer = self._look(ticket, face.poll(ticket.job))
        if answer.status == OK:
            assert (face.url_of(answer.json()) is not None) == there
            event(f"{face.name} shows {box.sandbox.clock.mode}")

    @rule(ticket=jobs, video=videos.usable)
    def poll_foreign(self, ticket: Ticket, video: str) -> None:
        """A job is known to no other account and to no other sandbox."""
        face = FACES[ticket.provider]
        for place, owner in ((ticket.place, OTHER[ticket.owner]), (1 - ticket.place, ticket.owner)):
            answer = self.worlds.ask(place, face, owner, face.poll(ticket.job))
            assert answer.status in REFUSALS, video

    @rule(ticket=jobs)
    def cancel(self, ticket: Ticket) -> None:
        """PiAPI cancels what is pending and nothing else."""
        if ticket.provider != "piapi":
            return
        request = Request("DELETE", f"/piapi/api/v1/task/{ticket.job}")
        before = self._state(ticket)
        answer = self.worlds.ask(ticket.place, FACES["piapi"], ticket.owner, request)
        if answer.status == OK:
            assert (before, self._state(ticket)) == ("waiting", "cancelled")

    @rule(place=places, owner=owners)
    def cancel_all(self, place: int, owner: str) -> None:
        """PiAPI's bulk cancel leaves only what is at work."""
        face = FACES["piapi"]
        request = Request("DELETE", "/piapi/api/v1/tasks?model=all&created_before=99999999999")
        account = self.worlds.boxes[place].account(face.name, owner)
        jobs = self.worlds.boxes[place].sandbox.state.jobs
        if self.worlds.ask(place, face, owner, request).status == OK:
            left = [jobs[name] for name in account.jobs if not jobs[name].ended]
            assert all(invariants.path_of(job)[-1] == "processing" for job in left)

    @rule(ticket=jobs)
    def delete(self, ticket: Ticket) -> None:
        """WaveSpeed deletes each job of the account once."""
        if ticket.provider != "wavespeed":
            return
        request = Request("POST", f"{V3}/predictions/delete", {"ids": [ticket.job]})
        before = self._state(ticket)
        answer = self.worlds.ask(ticket.place, FACES["wavespeed"], ticket.owner, request)
        if answer.status == OK:
            present = before not in (None, "deleted")
            assert answer.json()["data"] == {"deleted_count": int(present)}

    @rule(ticket=jobs, media=st.booleans())
    def complete(self, ticket: Ticket, *, media: bool) -> None:
        """Venice finalises a finished job, or takes its file away after a download."""
        if ticket.provider != "venice":
            return
        body = {"model": TOPAZ, "queue_id": ticket.job}
        if media:
            request = Request(
                "POST", f"{V1}/retrieve", {**body, "delete_media_on_completion": True}
            )
        else:
            request = Request("POST", f"{V1}/complete", body)
        self._look(ticket, request)

    @rule(ticket=jobs)
    def download(self, ticket: Ticket) -> None:
        """The output can be fetched exactly while it is there."""
        box = self.worlds.boxes[ticket.place]
        job, there = box.job(ticket.job), self._result_is_there(ticket)
        output = job.accepted.output if job else None
        there = there and output is not None  # an operator may complete what was never measured
        if output is not None and output.width * output.height > SMALL_ENOUGH:
            return
        path = f"/sandbox/{box.sandbox.id}/media/outputs/{ticket.job}.mp4"
        answer = self.worlds.caller.send(Request("GET", path), {})
        assert (answer.status == OK) == there
        event(f"download of {ticket.provider}: {answer.status}")

    @rule(ticket=jobs, late=st.booleans())
    def download_late(self, ticket: Ticket, *, late: bool) -> None:
        """A finished output is there until its link ends, and not a second longer."""
        if self._state(ticket) in invariants.UNFINISHED:
            self.force(ticket, "completed")
        lives = LINKS_LIVE.get(ticket.provider, DAY) // SECOND
        self.advance(ticket.place, {"seconds": lives - (not late)})
        self.download(ticket)
        self.poll(ticket)

    # -- what an operator and time do

    @rule(place=places, amount=advances)
    def advance(self, place: int, amount: dict[str, Any]) -> None:
        """Time goes on, and everything due runs in order."""
        answer = self.worlds.admin(place, "POST", "clock/advance", amount)
        assert answer.status == OK, answer
        fired = [deadline["at"] for deadline in answer.json()["fired"]]
        assert sorted(fired) == fired

    @rule(ticket=jobs, state=states)
    def force(self, ticket: Ticket, state: str) -> None:
        """An operator moves a job along a legal edge, or is refused."""
        box, before = self.worlds.boxes[ticket.place], self._state(ticket)
        answer = self.worlds.admin(
            ticket.place, "PUT", f"jobs/{ticket.job}/state", {"state": state}
        )
        if before is None:
            assert answer.status == 404
            return
        measured = box.sandbox.state.jobs[ticket.job].accepted.media is not None
        legal = state in invariants.MAY_FOLLOW[before] and (measured or state != "completed")
        assert answer.status == (OK if legal else 409)
        assert self._state(ticket) == (state if legal else before)
        event(f"forced in {box.sandbox.clock.mode}")

    @rule(place=places, face=faces, owner=owners, balance=balances)
    def set_balance(self, place: int, face: Face, owner: str, balance: str) -> None:
        """An operator brings a balance to an amount, by one line of the ledger."""
        account = self.worlds.boxes[place].account(face.name, owner)
        before, wanted = account.balance, Decimal(balance)
        whole = account.unit == "USD" or wanted == wanted.to_integral_value()
        self.admin_account(place, face, owner, status=OK if whole else 400, balance=balance)
        assert account.balance == (wanted if whole else before)

    @rule(place=places, face=faces, owner=owners, choice=st.integers(0, 3))
    def set_plan(self, place: int, face: Face, owner: str, choice: int) -> None:
        """An operator puts an account on another plan."""
        self.admin_account(place, face, owner, plan=face.plans[choice % len(face.plans)])

    def admin_account(
        self, place: int, face: Face, owner: str, *, status: int = OK, **change: str
    ) -> None:
        """Change an account as an operator does."""
        number = self.worlds.boxes[place].account(face.name, owner).number
        body = {**change, "account": number}
        answer = self.worlds.admin(place, "PUT", f"accounts/{face.name}", body)
        assert answer.status == status, answer

    # -- what always holds

    @invariant()
    def every_sandbox_holds(self) -> None:
        """All that must hold of a sandbox holds of both."""
        type(self).steps += 1
        for box in self.worlds.boxes:
            for holds in invariants.ALL:
                holds(box.sandbox)

    @invariant()
    def history_only_grows(self) -> None:
        """The history of a job only grows: terminal states stay, and no move is rewritten."""
        for box in self.worlds.boxes:
            for job in box.sandbox.state.jobs.values():
                before = box.seen.get(job.id, ())
                assert job.moves[: len(before)] == before
                box.seen[job.id] = job.moves

    @invariant()
    def everything_is_counted(self) -> None:
        """The journal counts the requests, the state counts the accepted jobs."""
        for box in self.worlds.boxes:
            assert box.sandbox.records.count == box.sent
            assert box.sandbox.state.accepted_count == box.accepted

    @invariant()
    def sandboxes_share_nothing(self) -> None:
        """No job is in both sandboxes."""
        first, second = self.worlds.boxes
        assert not first.sandbox.state.jobs.keys() & second.sandbox.state.jobs.keys()

    # -- help

    def _first(self, place: int, face: Face) -> Ticket:
        request = face.submit(videos.SMALL, face.options[0])
        answer = self.worlds.ask(place, face, "main", request)
        self.worlds.boxes[place].accepted += 1
        return Ticket(place, face.name, "main", face.job_of(answer.json()))

    @contextmanager
    def _either(self, box: Box) -> Iterator[list[Answer]]:
        """Check that a submit did all or nothing."""
        accepted, charges = box.sandbox.state.accepted_count, box.charges
        outcome: list[Answer] = []
        yield outcome
        done = outcome[0].status == OK
        assert done or outcome[0].status in REFUSALS, outcome
        assert box.sandbox.state.accepted_count == accepted + done
        new = box.charges - charges  # a clock that jumps may forget old ones at the same time
        assert len(new) == done
        box.accepted += done

    @contextmanager
    def _refused(self, box: Box) -> Iterator[list[Answer]]:
        """Check that a request was refused and left nothing."""
        with self._either(box) as outcome:
            yield outcome
        assert outcome[0].status in REFUSALS, outcome

    def _quote(
        self, place: int, face: Face, owner: str, *, video: str, option: object
    ) -> Decimal | None:
        if face.quote is None or face.quoted is None:
            return None
        answer = self.worlds.ask(place, face, owner, face.quote(video, option))
        return face.quoted(answer.json()) if answer.status == OK else None

    def _look(self, ticket: Ticket, request: Request) -> Answer:
        """Look at a job. Venice answers for a failed one with the status of its failure, a 500."""
        failed = self._state(ticket) in invariants.REFUNDED
        worst = 500 if failed and ticket.provider == "venice" else 499
        face = FACES[ticket.provider]
        return self.worlds.ask(ticket.place, face, ticket.owner, request, worst=worst)

    def _charge(self, ticket: Ticket) -> Decimal:
        entry = self.worlds.boxes[ticket.place].sandbox.state.charge_of(ticket.job)
        assert entry is not None
        return -entry.amount

    def _state(self, ticket: Ticket) -> str | None:
        box = self.worlds.boxes[ticket.place]
        box.sandbox.run_due()
        job = box.job(ticket.job)
        return None if job is None else invariants.path_of(job)[-1]

    def _result_is_there(self, ticket: Ticket) -> bool:
        box = self.worlds.boxes[ticket.place]
        if self._state(ticket) != "completed":
            return False
        job = box.job(ticket.job)
        lives = LINKS_LIVE.get(ticket.provider)
        if job is None or job.ended_at is None or "revoked" in job.marks:
            return False
        return lives is None or box.sandbox.now < job.ended_at + lives
