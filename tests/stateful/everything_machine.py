"""A machine of clients, faults, receivers, operators and time, in any order.

A fault may change any answer, so nothing is concluded from what came back: money, jobs, journal
and deliveries are checked against the sandboxes and against what the receiver got.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

import httpx
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.stateful import invariants
from tests.stateful.asgi_client import ADMIN, Request
from tests.stateful.eager_counts import compare_counts
from tests.stateful.provider_calls import FACES, TOPAZ, V1, V3, Face
from tests.stateful.strategies import videos
from tests.stateful.strategies.clock_advances import advances
from tests.stateful.strategies.faults import VIRTUAL, any_fault, faults_at, of_looks, of_submits
from tests.stateful.strategies.flaws import Flaw, any_flaw
from tests.uploads import put_file
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.core.jobs import Job
from upsim.core.states import TERMINAL
from upsim.engine.event_log import MemoryLog
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest

OK = 200
MOST_BOXES = 3
MOST_TRIES = {"wavespeed": 4, "piapi": 3}
PAUSES = {"wavespeed": (1, 2, 4), "piapi": (5, 5)}
PLAIN = (200, 204, 302, 404, 500, "down", "cut")
TOLD_OF = {
    "wavespeed": {"completed", "failed"},
    "piapi": {"completed", "failed", "cancelled", "timeout"},
}
RECEIVER = "http://receiver.example"
HERE = "http://upsim.test"
PATIENT = 1_000_000.0
LISTS = {
    "wavespeed": Request("POST", f"{V3}/predictions", {"page": 1, "page_size": 10}),
    "venice": Request("GET", "/venice/api/v1/models?type=video"),
    "piapi": Request("GET", "/piapi/account/info"),
    "vicsee": Request("GET", "/vicsee/api/v1/credits"),
}

numbers = st.integers(0, 99)
faces = st.sampled_from(list(FACES.values()))
told = st.sampled_from([FACES["wavespeed"], FACES["piapi"]])
answers = st.lists(
    st.sampled_from([200, 204, 302, 404, 500, "down", "cut", "poll", "advance", "resend"]),
    max_size=4,
)


@dataclass
class Box:
    """One incarnation of a sandbox: what it was asked, and what came to the receiver from it."""

    world: int
    sandbox: Sandbox
    keys: dict[str, list[str]]
    sent: int = 0
    hooks: int = 0
    early: set[str] = field(default_factory=set)
    came: Counter[str] = field(default_factory=Counter)
    seen: dict[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        """Return all jobs that are known."""
        return list(self.sandbox.state.jobs.values())

    def who(self, job: Job) -> int:
        """Return whose a job is: of the first account of its provider, or of the other."""
        main = self.sandbox.state.owners[job.accepted.provider, "main"]
        return int(job.accepted.account != main)

    def charges(self) -> int:
        """Return how many jobs were ever accepted."""
        return self.sandbox.state.accepted_count


class WorldMachine(RuleBasedStateMachine):
    """Sandboxes of one simulator, and one receiver that knows them all."""

    steps: ClassVar[int] = 0

    @initialize(clock=st.sampled_from(["manual", "auto"]))
    def begin(self, clock: str) -> None:
        """Start a simulator whose webhooks come here, with one sandbox beside `default`."""
        transport = httpx.MockTransport(self.take)
        self.sim = Simulator(clock=clock, seed=1, strict_keys=True, webhook_transport=transport)
        self.sim.registry._log = MemoryLog(worth_it=16)
        self.sim.app.deliverer.clock_driver.patience = 0.0
        self.inner = httpx.AsyncClient(
            transport=self.sim.transport(), base_url=HERE, timeout=PATIENT
        )
        self.http = httpx.Client(
            transport=self.sim.transport(),
            base_url=HERE,
            timeout=PATIENT,
        )
        self.boxes: list[Box] = []
        self.worlds = 0
        self.scripts: dict[tuple[int, str], list[Any]] = {}
        self.make(clock=clock)

    def teardown(self) -> None:
        """End it; what is pending then never comes."""
        if hasattr(self, "sim"):
            for box in self.boxes:
                compare_counts(box.sandbox)
            came = [box.came.total() for box in self.boxes]
            self.http.close()
            self.sim.close()
            assert came == [box.came.total() for box in self.boxes]

    # -- the receiver

    async def take(self, request: httpx.Request) -> httpx.Response:
        """Take a webhook, which must belong to an existing sandbox and not precede its job."""
        _, world, number = request.url.path.split("/")
        (box,) = [box for box in self.boxes if box.world == int(world)]
        box.came[number] += 1
        (job,) = [job for job in box.jobs if _number(job) == number]
        provider = job.accepted.provider
        assert job.state in TERMINAL or provider in box.early
        script = self.scripts.setdefault((int(world), number), [])
        answer = script.pop(0) if script else OK
        if answer in ("down", "cut"):
            kind = httpx.ConnectError if answer == "down" else httpx.ReadError
            raise kind("gone", request=request)
        if isinstance(answer, str):
            await self._handle(answer, box, job)
            return httpx.Response(OK)
        return httpx.Response(answer)

    async def _handle(self, what: str, box: Box, job: Job) -> None:
        """Call the simulator inside the handler."""
        face = FACES[job.accepted.provider]
        if what == "poll":
            request, box.sent = face.poll(job.id), box.sent + 1
            headers = face.headers(box.keys[face.name][box.who(job)])
            with suppress(httpx.TransportError):
                await self.inner.request(
                    request.method, request.path, json=request.body, headers=headers
                )
            return
        path, body = "clock/advance", dict[str, int](seconds=61)
        if what == "resend" and not self.scripts[box.world, _number(job)]:
            first, *_ = box.sandbox.state.deliveries_of[job.id]
            path, body = f"webhooks/{first}/resend", {}
        url = f"/__sim/sandboxes/{box.sandbox.id}/{path}"
        answer = await self.inner.post(url, json=body, headers=ADMIN)
        assert answer.status_code == OK, answer.text

    # -- what callers do

    @rule(box=numbers, face=faces, who=numbers, video=videos.usable, choice=numbers)
    def submit(self, box: int, face: Face, who: int, video: str, choice: int) -> None:
        """A submit without a webhook does all or nothing."""
        at = self._box(box)
        self._submit(at, face, who, face.submit(video, face.options[choice % len(face.options)]))

    @rule(box=numbers, face=told, who=numbers, script=answers)
    def submit_with_a_hook(self, box: int, face: Face, who: int, script: list[Any]) -> None:
        """A submit with a webhook URL; the receiver answers as the script says."""
        at = self._box(box)
        self._submit(at, face, who, _with_hook(face, self._hook(at, script)))

    @rule(box=numbers, face=told, who=numbers, script=st.lists(st.sampled_from(PLAIN), max_size=4))
    def tell_to_the_end(self, box: int, face: Face, who: int, script: list[Any]) -> None:
        """Every attempt is made at its instant when there is no fault, and none is repeated."""
        at, tries, pauses = self._box(box), MOST_TRIES[face.name], PAUSES[face.name]
        self.scripts.clear()  # no handler of another job moves the clock in between
        self._admin(at, "DELETE", "faults", None, OK)
        self._change(at, face, who, plan=face.plans[0], balance="1000000000")
        hook = self._hook(at, list(script))
        self._submit(at, face, who, _with_hook(face, hook))
        self._admin(at, "POST", "clock/advance", {"to": "idle"}, OK)
        deliveries = at.sandbox.state.deliveries.values()
        (found,) = [found for found in deliveries if found.created.url == hook]
        good = [answer in (OK, 204) for answer in (*script, OK)]
        made = min(good.index(True) + 1, tries)
        planned = [sum(pauses[:number]) * SECOND for number in range(made)]
        assert [attempt.at - found.created.at for attempt in found.attempts] == planned
        assert found.outcome == ("delivered" if True in good[:tries] else "given_up")

    @rule(box=numbers, face=faces, who=numbers, fault=of_submits)
    def submit_goes_wrong(self, box: int, face: Face, who: int, fault: dict[str, Any]) -> None:
        """Something goes wrong with a submit, before or after it is accepted."""
        self.arm(box, face, fault)
        at = self._box(box)
        self._submit(at, face, who, face.submit(videos.SMALL, face.options[0]))

    @rule(box=numbers, job=numbers, fault=of_looks)
    def look_goes_wrong(self, box: int, job: int, fault: dict[str, Any]) -> None:
        """Something goes wrong with a poll or a download."""
        at = self._box(box)
        if at.jobs:
            self.arm(box, FACES[at.jobs[job % len(at.jobs)].accepted.provider], fault)
            self.poll(box, job)
            self.download(box, job)

    @rule(box=numbers, face=told, who=numbers, fault=faults_at("webhook"), script=answers)
    def telling_goes_wrong(
        self, box: int, face: Face, who: int, fault: dict[str, Any], script: list[Any]
    ) -> None:
        """Something goes wrong with the webhook of a job that is then brought to its end."""
        self.arm(box, face, fault)
        self.submit_with_a_hook(box, face, who, script)
        self.advance(box, {"to": "idle"})

    @rule(box=numbers, face=told, who=numbers, where=st.sampled_from(["inbox", "ftp", "string"]))
    def submit_with_an_odd_hook(self, box: int, face: Face, who: int, where: str) -> None:
        """The server's own inbox, and addresses to which nothing can be sent."""
        at = self._box(box)
        inbox = f"http://upsim.test/__sim/sandboxes/{at.sandbox.id}/inbox/mine"
        self._submit(at, face, who, _with_hook(face, inbox if where == "inbox" else where))

    @rule(box=numbers, face=faces, who=numbers, flaw=any_flaw)
    def submit_wrong(self, box: int, face: Face, who: int, flaw: Flaw) -> None:
        """A wrong request, also one above a limit, leaves nothing."""
        at = self._box(box)
        before = at.charges()
        self._ask(at, face, who, flaw(face))
        assert at.charges() == before

    @rule(box=numbers, face=faces, who=numbers)
    def submit_without_money(self, box: int, face: Face, who: int) -> None:
        """A submit without funds is refused."""
        at = self._box(box)
        before = at.charges()
        self._fund(at, face, who, "0")
        self._ask(at, face, who, face.submit(videos.SMALL, face.options[0]))
        assert at.charges() == before
        self._fund(at, face, who, "1000000000")

    @rule(box=numbers, job=numbers)
    def poll(self, box: int, job: int) -> None:
        """A poll of any job."""
        self._about(box, job, lambda face, found: face.poll(found.id))

    @rule(box=numbers, face=faces, who=numbers)
    def listing(self, box: int, face: Face, who: int) -> None:
        """A call that is about no job."""
        self._ask(self._box(box), face, who, LISTS[face.name])

    @rule(box=numbers, job=numbers)
    def cancel_or_delete(self, box: int, job: int) -> None:
        """The providers' calls that cancel or delete a job."""
        self._about(box, job, _done_with)

    @rule(box=numbers, job=numbers)
    def download(self, box: int, job: int) -> None:
        """An output is fetched, or its placeholder."""
        at = self._box(box)
        small = [found for found in at.jobs if found.accepted.source == videos.SMALL]
        if small:
            name = small[job % len(small)].id
            with suppress(httpx.TransportError):
                self.http.get(f"/sandbox/{at.sandbox.id}/media/outputs/{name}.mp4")

    @rule(box=numbers, size=st.sampled_from([4, 5]))
    def upload(self, box: int, size: int) -> None:
        """A ticket, and bytes for it, of the right or of a wrong size."""
        at, face = self._box(box), FACES["vicsee"]
        ticket = {"contentType": "video/mp4", "sizeBytes": 4}
        self._ask(at, face, 0, Request("POST", "/vicsee/api/v1/upload", ticket))
        for upload in list(at.sandbox.state.uploads.values())[-1:]:
            name, signature = upload.issued.upload, upload.issued.signature
            path = f"/sandbox/{at.sandbox.id}/media/uploads/{name}?sig={signature}"
            with suppress(httpx.TransportError):
                put_file(self.http, path, b"x" * size)

    # -- what goes wrong

    @rule(box=numbers, face=faces, fault=any_fault)
    def arm(self, box: int, face: Face, fault: dict[str, Any]) -> None:
        """Something goes wrong from now on. Virtual waits need a clock that jumps."""
        at = self._box(box)
        if at.sandbox.clock.mode != "auto" and fault["do"] in VIRTUAL:
            return
        found = self._admin(at, "POST", "faults", {"provider": face.name, **fault}, 201, 400)
        if found is not None and fault["do"] == "early":
            at.early.add(face.name)

    @rule(box=numbers, which=numbers)
    def disarm(self, box: int, which: int) -> None:
        """One thing goes wrong no more."""
        at = self._box(box)
        names = list(at.sandbox.state.faults)
        if names:
            self._admin(at, "DELETE", f"faults/{names[which % len(names)]}", None, OK)

    @rule(box=numbers)
    def disarm_all(self, box: int) -> None:
        """Nothing goes wrong any more."""
        self._admin(self._box(box), "DELETE", "faults", None, OK)

    # -- what operators and time do

    @rule(box=numbers, amount=advances)
    def advance(self, box: int, amount: dict[str, Any]) -> None:
        """Time goes on, and what fell due was delivered."""
        at = self._box(box)
        found = self._admin(at, "POST", "clock/advance", amount, OK)
        fired = [deadline["at"] for deadline in found["fired"]]
        assert fired == sorted(fired)
        assert not at.sandbox.webhooks.outbox
        if amount == {"to": "idle"}:
            assert not at.sandbox.state.open_deliveries

    @rule(box=numbers, mode=st.sampled_from(["manual", "auto"]))
    def change_clock(self, box: int, mode: str) -> None:
        """The clock gets another mode; one that does not move suits only clients without waits."""
        at = self._box(box)
        if mode == "manual":
            self._admin(at, "DELETE", "faults", None, OK)
        self._admin(at, "PATCH", "clock", {"mode": mode, "pace": 3}, OK)

    @rule(
        box=numbers,
        job=numbers,
        state=st.sampled_from(["processing", "completed", "failed", "cancelled", "deleted"]),
    )
    def force(self, box: int, job: int, state: str) -> None:
        """An operator moves a job, or is refused."""
        at = self._box(box)
        if at.jobs:
            found = at.jobs[job % len(at.jobs)]
            legal = state in invariants.MAY_FOLLOW[invariants.path_of(found)[-1]]
            legal = legal and (found.accepted.media is not None or state != "completed")
            self._admin(at, "PUT", f"jobs/{found.id}/state", {"state": state}, OK if legal else 409)

    @rule(box=numbers, which=numbers)
    def resend(self, box: int, which: int) -> None:
        """A delivery is sent again, which makes one more attempt."""
        at = self._box(box)
        found = list(at.sandbox.state.deliveries.values())
        if found:
            before = found[which % len(found)]
            self.scripts.clear()
            self._admin(at, "POST", f"webhooks/{before.id}/resend", None, OK)
            after = at.sandbox.state.deliveries[before.id]
            assert len(after.attempts) == len(before.attempts) + 1

    @rule(box=numbers, face=faces, who=numbers, balance=st.sampled_from(["0", "1", "1000000000"]))
    def top_up(self, box: int, face: Face, who: int, balance: str) -> None:
        """An operator sets a balance."""
        self._fund(self._box(box), face, who, balance)

    @rule(box=numbers, face=faces, who=numbers, choice=numbers)
    def change_plan(self, box: int, face: Face, who: int, choice: int) -> None:
        """An operator puts an account on another plan."""
        self._change(self._box(box), face, who, plan=face.plans[choice % len(face.plans)])

    @rule(box=numbers, face=faces)
    def issue_key(self, box: int, face: Face) -> None:
        """A further key of the first account leads to the same money."""
        at = self._box(box)
        body = {"account": "main"}
        found = self._admin(at, "POST", f"accounts/{face.name}/keys", body, 201)
        accounts = len(at.sandbox.state.accounts)
        old, at.keys[face.name][0] = at.keys[face.name][0], found["key"]
        self._ask(at, face, 0, LISTS[face.name])
        assert old != at.keys[face.name][0]
        assert len(at.sandbox.state.accounts) == accounts

    @rule(box=numbers, what=st.sampled_from(["all", "jobs", "ledger", "faults", "journal"]))
    def reset(self, box: int, what: str) -> None:
        """A reset clears a part of a sandbox, or all of it; its keys stay."""
        at = self._box(box)
        self._admin(at, "POST", f"reset?what={what}", {}, OK)
        if what == "all":
            self.boxes.remove(at)
            self._enter(self.sim.registry.get(at.sandbox.id), at.keys)

    @rule(box=numbers)
    def delete(self, box: int) -> None:
        """A deleted sandbox has no valid keys, and its jobs are unknown."""
        at = self._box(box)
        self.boxes.remove(at)
        answer = self.http.delete(f"/__sim/sandboxes/{at.sandbox.id}", headers=ADMIN)
        assert answer.status_code == OK
        for face in FACES.values():
            request = face.submit(videos.SMALL, face.options[0])
            headers = face.headers(at.keys[face.name][0])
            refused = self.http.post(request.path, json=request.body, headers=headers)
            assert refused.status_code in (401, 403)
        if not self.boxes:
            self.make(clock="auto")

    @rule(clock=st.sampled_from(["manual", "auto"]))
    def make(self, clock: str) -> None:
        """A new sandbox starts with two accounts of each provider."""
        if len(self.boxes) >= MOST_BOXES:
            return
        registry = self.sim.registry
        sandbox, first = registry.create(SandboxRequest(clock=clock, strict_keys=True))
        keys = {n: [first[n], registry.issue_key(sandbox, n, owner="other")] for n in FACES}
        self._enter(sandbox, keys)

    # -- what always holds

    @invariant()
    def every_sandbox_holds(self) -> None:
        """All that must hold of a sandbox holds of each, faults in the replay included."""
        type(self).steps += 1
        for box in self._living():
            for holds in invariants.ALL:
                holds(box.sandbox)
            replay = invariants.replayed(box.sandbox)
            assert replay.faults == box.sandbox.state.faults

    @invariant()
    def history_only_grows(self) -> None:
        """No move is rewritten: terminal states are final."""
        for box in self._living():
            for job in box.jobs:
                before = box.seen.get(job.id, ())
                assert job.moves[: len(before)] == before
                box.seen[job.id] = job.moves

    @invariant()
    def the_journal_counts_requests(self) -> None:
        """The journal counts each request: answered, refused, cut, or posted to the inbox."""
        for box in self._living():
            inbox = len(box.sandbox.inbox.messages("mine"))
            assert box.sandbox.records.count == box.sent + inbox

    @invariant()
    def every_attempt_is_logged(self) -> None:
        """The receiver got exactly the attempts in the log, for each job that is still known."""
        for box in self._living():
            sent: Counter[str] = Counter()
            for delivery in box.sandbox.state.deliveries.values():
                if delivery.created.url.startswith(RECEIVER):
                    number = delivery.created.url.rpartition("/")[2]
                    sent[number] += sum(not attempt.unsent for attempt in delivery.attempts)
            known = {_number(job) for job in box.jobs}
            assert +sent == Counter({n: c for n, c in box.came.items() if n in known})

    @invariant()
    def no_notification_is_lost(self) -> None:
        """A job that came to its end has a delivery, tried as the provider does."""
        for box in self._living():
            state = box.sandbox.state
            for job in box.jobs:
                if job.accepted.webhook is None or not job.accepted.webhook.url:
                    continue
                provider = job.accepted.provider
                deliveries = [state.deliveries[n] for n in state.deliveries_of.get(job.id, ())]
                due = TOLD_OF[provider] & {move.state.value for move in job.moves}
                told_of = Counter(delivery.created.state.value for delivery in deliveries)
                assert due <= told_of.keys()
                assert max(told_of.values(), default=1) == 1
                assert all(delivery.tries <= MOST_TRIES[provider] for delivery in deliveries)

    @invariant()
    def faults_are_bounded(self) -> None:
        """Nothing fires without a match, or more often than it may."""
        for box in self._living():
            for armed in box.sandbox.state.faults.values():
                assert armed.fired <= armed.matched
                assert armed.remaining is None or armed.remaining >= 0

    @invariant()
    def sandboxes_share_nothing(self) -> None:
        """No job is in two sandboxes."""
        names = [job.id for box in self._living() for job in box.jobs]
        assert len(set(names)) == len(names)

    # -- help

    def _living(self) -> list[Box]:
        return getattr(self, "boxes", [])

    def _hook(self, box: Box, script: list[Any]) -> str:
        """Return a new address whose receiver answers as the script says."""
        box.hooks += 1
        self.scripts[box.world, str(box.hooks)] = script
        return f"{RECEIVER}/{box.world}/{box.hooks}"

    def _box(self, number: int) -> Box:
        return self.boxes[number % len(self.boxes)]

    def _enter(self, sandbox: Sandbox, keys: dict[str, list[str]]) -> None:
        self.worlds += 1
        for name in FACES:
            for owner in ("main", "other"):
                sandbox.accounts.of(name, owner)
        self.boxes.append(Box(self.worlds, sandbox, keys))

    def _ask(self, box: Box, face: Face, who: int, request: Request) -> int:
        """Call a provider; return 0 if no response came."""
        headers, body = face.headers(box.keys[face.name][who % 2]), request.body
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        box.sent += 1
        try:
            answer = self.http.request(request.method, request.path, headers=headers, **content)
        except httpx.TransportError as error:
            event(f"no answer: {type(error).__name__}")
            return 0
        return answer.status_code

    def _submit(self, box: Box, face: Face, who: int, request: Request) -> None:
        with self._all_or_nothing(box):
            status = self._ask(box, face, who, request)
        event(f"{face.name} submit: {status}")

    @contextmanager
    def _all_or_nothing(self, box: Box) -> Iterator[None]:
        before, state = box.charges(), box.sandbox.state
        known = {job.id for job in box.jobs}
        yield
        new = [job for job in box.jobs if job.id not in known]
        assert len(new) <= box.charges() - before <= 1
        assert all(state.charge_of(job.id) for job in new)

    def _about(self, box: int, job: int, make: Any) -> None:  # noqa: ANN401 - a request of both
        at = self._box(box)
        if at.jobs:
            found = at.jobs[job % len(at.jobs)]
            face = FACES[found.accepted.provider]
            request = make(face, found)
            if request is not None:
                self._ask(at, face, at.who(found), request)

    def _fund(self, box: Box, face: Face, who: int, balance: str) -> None:
        self._change(box, face, who, balance=balance)
        account = box.sandbox.state.owners[face.name, ("main", "other")[who % 2]]
        assert box.sandbox.state.accounts[account].balance == Decimal(balance)

    def _change(self, box: Box, face: Face, who: int, **change: object) -> None:
        account = box.sandbox.state.owners[face.name, ("main", "other")[who % 2]]
        self._admin(box, "PUT", f"accounts/{face.name}", {**change, "account": account}, OK)

    def _admin(self, box: Box, method: str, path: str, body: object, *allowed: int) -> Any:  # noqa: ANN401
        url = f"/__sim/sandboxes/{box.sandbox.id}/{path}"
        answer = self.http.request(method, url, json=body, headers=ADMIN)
        assert answer.status_code in allowed, answer.text
        return answer.json() if answer.is_success else None


def _number(job: Job) -> str:
    webhook = job.accepted.webhook
    return webhook.url.rpartition("/")[2] if webhook else ""


def _with_hook(face: Face, hook: str) -> Request:
    request = face.submit(videos.SMALL, face.options[0])
    if face.name == "wavespeed":
        return Request(request.method, f"{request.path}?webhook={hook}", request.body)
    assert isinstance(request.body, dict)
    config = {"webhook_config": {"endpoint": hook, "secret": "s"}}
    return Request(request.method, request.path, {**request.body, "config": config})


def _done_with(face: Face, job: Job) -> Request | None:
    if face.name == "piapi":
        return Request("DELETE", f"/piapi/api/v1/task/{job.id}")
    if face.name == "wavespeed":
        return Request("POST", f"{V3}/predictions/delete", {"ids": [job.id]})
    if face.name == "venice":
        return Request("POST", f"{V1}/complete", {"model": TOPAZ, "queue_id": job.id})
    return None
