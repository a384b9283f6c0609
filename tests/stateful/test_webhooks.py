"""Webhooks under a rule-based machine: any order of jobs, time, faults, resends and resets."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, ClassVar, get_args

import httpx
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.stateful import invariants
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.core.jobs import Job
from upsim.core.states import TERMINAL
from upsim.core.webhooks import Delivery, FaultKind, WebhookFault
from upsim.engine.event_log import MemoryLog
from upsim.engine.sandbox import Sandbox

RUNS = int(os.environ.get("UPSIM_STATEFUL_RUNS", "50"))
VIDEO = "https://clips.example/12.mp4"
UNSENT = {"lose", "respond"}
MOST_TRIES = {"wavespeed": 4, "piapi": 3}

faults = st.builds(
    WebhookFault,
    kind=st.sampled_from([kind for kind in get_args(FaultKind) if kind != "early"]),
    after=st.sampled_from([0, SECOND, 90 * SECOND]),
    status=st.sampled_from([200, 404, 500]),
)
statuses = st.lists(st.sampled_from([200, 204, 302, 404, 500]), max_size=4)


class WebhookMachine(RuleBasedStateMachine):
    """One sandbox, and a receiver that knows the generation of the sandbox behind each URL."""

    steps: ClassVar[int] = 0

    @initialize(clock=st.sampled_from(["manual", "auto"]))
    def begin(self, clock: str) -> None:
        """Start a simulator whose webhooks come here."""
        transport = httpx.MockTransport(self.take)
        self.sim = Simulator(clock=clock, seed=1, webhook_transport=transport)
        self.sim.registry._log = MemoryLog(worth_it=16)
        self.sim.registry.reset("default")
        self.http = httpx.Client(transport=self.sim.transport(), base_url="http://localhost")
        self.world = 1
        self.made = 0
        self.answers: list[int] = []
        self.faults: list[WebhookFault] = []
        self.early: set[str] = set()
        self.came: Counter[str] = Counter()
        self._arm()

    def teardown(self) -> None:
        """End it; what is pending then never comes."""
        if hasattr(self, "sim"):
            came = self.came.total()
            self.http.close()
            self.sim.close()
            assert came == self.came.total()

    @property
    def box(self) -> Sandbox:
        """The sandbox as it now is."""
        return self.sim.sandbox

    async def take(self, request: httpx.Request) -> httpx.Response:
        """Take a webhook, which must belong to this generation and not precede its job."""
        _, world, number = request.url.path.split("/")
        assert int(world) == self.world
        self.came[number] += 1
        (job,) = [job for job in self.box.state.jobs.values() if _number(job) == number]
        assert job.state in TERMINAL or job.id in self.early
        return httpx.Response(self.answers.pop(0) if self.answers else 200)

    # -- what happens

    @rule(provider=st.sampled_from(["wavespeed", "piapi"]), answers=statuses)
    def submit(self, provider: str, answers: list[int]) -> None:
        """A job with an address of its own is accepted."""
        self.made += 1
        self.answers += answers
        hook = f"http://receiver.example/{self.world}/{self.made}"
        body: dict[str, Any] = {"video": VIDEO}
        path = f"/wavespeed/api/v3/runwayml/upscale-v1?webhook={hook}"
        if provider == "piapi":
            path = "/piapi/api/v1/task"
            config = {"webhook_config": {"endpoint": hook, "secret": "s"}}
            body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": body}
            body["config"] = config
        headers = {"authorization": "Bearer mine", "x-api-key": "mine"}
        assert self.http.post(path, json=body, headers=headers).status_code == 200

    @rule(number=st.integers(0, 50))
    def poll(self, number: int) -> None:
        """A poll of WaveSpeed, after which an `auto` clock jumps."""
        job = self._job(number)
        if job is not None and job.accepted.provider == "wavespeed":
            path = f"/wavespeed/api/v3/predictions/{job.id}/result"
            answer = self.http.get(path, headers={"authorization": "Bearer mine"})
            assert answer.status_code in (200, 404)

    @rule(number=st.integers(0, 50), state=st.sampled_from(["failed", "cancelled", "deleted"]))
    def force(self, number: int, state: str) -> None:
        """An operator ends a job."""
        job = self._job(number)
        if job is not None:
            self._admin("PUT", f"jobs/{job.id}/state", {"state": state}, 200, 409)

    @rule(seconds=st.sampled_from([0, 1, 2, 5, 30, 90, 3600, 8 * 86_400]))
    def advance(self, seconds: int) -> None:
        """Time goes on."""
        self._admin("POST", "clock/advance", {"seconds": seconds}, 200)

    @rule()
    def idle(self) -> None:
        """Time goes on until nothing is left to do, and then nothing is pending."""
        self._admin("POST", "clock/advance", {"to": "idle"}, 200)
        assert not self.box.state.open_deliveries

    @rule(number=st.integers(0, 50))
    def resend(self, number: int) -> None:
        """A delivery is sent again, which makes one more attempt."""
        found = list(self.box.state.deliveries.values())
        if found:
            before = found[number % len(found)]
            self._admin("POST", f"webhooks/{before.id}/resend", None, 200)
            after = self.box.state.deliveries[before.id]
            assert len(after.attempts) == len(before.attempts) + 1

    @rule(fault=faults)
    def arm(self, fault: WebhookFault) -> None:
        """The next attempt goes wrong."""
        self.faults.append(fault)

    @rule(what=st.sampled_from(["all", "jobs", "delete"]))
    def reset(self, what: str) -> None:
        """A reset starts a new generation, and drops all webhooks of the old one."""
        if what == "delete":
            assert self.http.delete("/__sim/sandboxes/default").status_code == 200
        else:
            self._admin("POST", f"reset?what={what}", None, 200)
        self.world += 1
        self.came.clear()
        self._arm()

    # -- what holds

    @invariant()
    def the_sandbox_holds(self) -> None:
        """Everything that must hold of a sandbox does, deliveries included in the replay."""
        type(self).steps += 1
        if hasattr(self, "sim"):
            for holds in invariants.ALL:
                holds(self.box)

    @invariant()
    def every_attempt_is_logged(self) -> None:
        """The receiver got exactly the attempts in the log, for each job that is still known."""
        if not hasattr(self, "sim"):
            return
        sent: Counter[str] = Counter()
        for delivery in self.box.state.deliveries.values():
            number = delivery.created.url.rpartition("/")[2]
            sent[number] += sum(not attempt.unsent for attempt in delivery.attempts)
        known = {_number(job) for job in self.box.state.jobs.values()}
        assert +sent == Counter({n: c for n, c in self.came.items() if n in known})

    @invariant()
    def the_schedule_is_kept(self) -> None:
        """No delivery is tried more often than the provider does, nor after it was taken."""
        if not hasattr(self, "sim"):
            return
        for delivery in self.box.state.deliveries.values():
            job = self.box.state.jobs[delivery.created.job]
            assert delivery.tries <= MOST_TRIES[job.accepted.provider]
            taken = [
                a.number for a in delivery.attempts if a.number and a.status in range(200, 300)
            ]
            assert len(taken) <= 1
            event(delivery.outcome)

    def _arm(self) -> None:
        self.box.webhooks.fault = self._fault

    def _fault(self, _delivery: Delivery, _number: int) -> WebhookFault | None:
        return self.faults.pop(0) if self.faults else None

    def _job(self, number: int) -> Job | None:
        jobs = list(self.box.state.jobs.values())
        return jobs[number % len(jobs)] if jobs else None

    def _admin(self, method: str, path: str, body: object, *allowed: int) -> None:
        answer = self.http.request(method, f"/__sim/sandboxes/default/{path}", json=body or {})
        assert answer.status_code in allowed, answer.text


def _number(job: Job) -> str:
    webhook = job.accepted.webhook
    return webhook.url.rpartition("/")[2] if webhook else ""


def test_webhooks_keep_their_invariants() -> None:
    """Every attempt is in the log, none comes before its job's end or after its sandbox's end."""
    WebhookMachine.steps = 0
    run_state_machine_as_test(
        WebhookMachine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    assert WebhookMachine.steps >= RUNS
