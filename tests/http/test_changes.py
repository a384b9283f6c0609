"""Rules that change while a sandbox runs: what new jobs get, and what older ones keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.fault_client import LOCAL, Patient, patient
from tests.http.webhooks.conftest import HOOK, Receiver
from upsim import Simulator
from upsim.core.baseline import BaselineError
from upsim.core.call import Call, Pending
from upsim.core.events import RulesChanged
from upsim.core.media import Measured
from upsim.engine.reload import reload
from upsim.engine.reload_diff import ScenarioDiff
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
DEAR = 'models: {topaz-video-upscale: {billing: {rate: {table: {"2": "%s"}}}}}'
Begin = Callable[..., Patient]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Return a function that starts a simulator in a scenario of these lines, and a client."""
    with ExitStack() as stack:

        def start(*lines: str, provider: str = "vicsee", **options: Any) -> Patient:  # noqa: ANN401
            path = tmp_path / "mine.yaml"
            path.write_text("\n".join((f"extends: {provider}/baseline", *lines)), "utf-8")
            chosen = {"clock": "manual", "seed": 1, **options}
            return patient(stack.enter_context(Simulator(str(path), **chosen)), provider)

        yield start


def change(after: str, text: str) -> str:
    """Return a change in the section `changes`."""
    return f"  - {{after: {after}, set: {{{text}}}}}"


def charge(client: Patient) -> Decimal:
    """Return what a submit is charged."""
    job = client.job()
    entry = client.sim.sandbox.state.charge_of(job)
    assert entry is not None
    return -entry.amount


def reread(client: Patient) -> list[ScenarioDiff]:
    """Let the file hold as it is now; what that changes."""
    registry = client.sim.registry
    return reload(registry, registry.library.renewed())


def admin(client: Patient, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
    """Post to the admin API."""
    with httpx.Client(transport=client.sim.transport(), base_url=LOCAL) as http:
        answer = http.post(f"/__sim/sandboxes/default/{path}", json=body)
    return answer.raise_for_status().json()


def test_the_price_changes_at_its_instant(begin: Begin) -> None:
    """A price changes exactly at its instant, and each change builds on the changes above it."""
    client = begin("changes:", change("30s", DEAR % 20), change("1m", DEAR % 30))
    prices = [charge(client)]
    for seconds in (29.999_999, 0.000_001, 29.999_999, 0.000_001):
        client.sim.advance(seconds)
        prices.append(charge(client))

    assert [144, 144, 180, 180, 270] == prices


def test_a_change_at_a_date(begin: Begin) -> None:
    """A change can have an instant of the sandbox clock."""
    text = f'  - {{at: "2026-01-02T00:00:00Z", set: {{{DEAR % 20}}}}}'
    client = begin("changes:", text, start=START)
    found = admin(client, "clock/advance", {"to": "2026-01-02T00:00:00Z"})

    assert ["change"] == [fired["kind"] for fired in found["fired"]]
    assert 180 == charge(client)


def test_a_change_at_a_past_date_applies_from_the_start(begin: Begin) -> None:
    """A change with an instant before the start of the sandbox applies from the start."""
    text = f'  - {{at: "2025-01-01T00:00:00Z", set: {{{DEAR % 20}}}}}'

    assert 180 == charge(begin("changes:", text, start=START))


def test_an_older_job_keeps_its_refund(begin: Begin) -> None:
    """An older job gets its refund by the rules it was accepted under; a newer one gets none."""
    fails = "jobs: [{lifecycle: [{waiting: 1m}, {failed: generation_failed}]}]"
    client = begin(
        fails, 'refund: {after: "60"}', "changes:", change("30s", "refund: {states: []}")
    )
    old = client.job()
    client.sim.advance(30)
    new = client.job()
    client.sim.advance(600)
    state = client.sim.sandbox.state
    refund = state.refund_of(old)

    assert refund is not None
    assert refund.amount == 144
    assert 120 * SECOND == refund.at - state.jobs[old].accepted.at
    assert state.refund_of(new) is None


def test_an_older_job_keeps_its_link(begin: Begin) -> None:
    """The lifetime of an output is that of the rules its job was accepted under."""
    done = "jobs: [{lifecycle: [{waiting: 1s}, {completed: }]}]"
    text = 'retention: {outputs: {value: "10"}}'
    client = begin(done, "changes:", change("5s", text))
    old = client.job()
    client.sim.advance(5)
    new = client.job()
    client.sim.advance(20)
    base = client.sim.base_url("vicsee").removesuffix("/vicsee")
    found = [client.http.get(f"{base}/media/outputs/{job}.mp4").status_code for job in (old, new)]

    assert [200, 404] == found


def test_an_older_job_keeps_its_webhooks(begin: Begin) -> None:
    """Newer rules do not change how often the webhook of an older job is retried."""
    receiver = Receiver([500] * 10)
    text = "webhooks: {attempts: {value: 1}}"
    client = begin(
        "jobs: [{lifecycle: [{waiting: 1m}, {completed: }]}]",
        "changes:",
        change("30s", text),
        provider="piapi",
        webhook_transport=receiver,
    )
    config = {"config": {"webhook_config": {"endpoint": HOOK, "secret": "s"}}}
    client.submit(**config)
    client.sim.advance(30)
    client.submit(**config)
    client.sim.advance(600)
    attempts = [len(d.attempts) for d in client.sim.sandbox.state.deliveries.values()]

    assert [3, 1] == attempts


def test_an_account_without_its_plan_gets_the_new_plan(begin: Begin, tmp_path: Path) -> None:
    """If a plan is removed, its accounts get the plan of the new rules, and queued jobs start."""
    one = "{concurrency: 1, evidence: {grade: assumed, source: test}}"
    client = begin(f"plans: {{one: {one}}}", "account: {plan: one}")
    jobs = [client.job() for _ in range(2)]
    (tmp_path / "mine.yaml").write_text("extends: vicsee/baseline\nsummary: Free again.\n", "utf-8")
    before = client.sim.sandbox.state.jobs[jobs[1]].started
    (edit,) = reread(client)
    (account,) = client.sim.sandbox.state.accounts.values()

    assert (False, True) == (before, client.sim.sandbox.state.jobs[jobs[1]].started)
    assert (["vicsee"], "unlimited") == (list(edit.changed), account.plan)


def test_a_change_arms_and_disarms_faults(begin: Begin) -> None:
    """A fault that stays in the scenario keeps its counts; faults armed by hand stay armed."""
    busy = "{id: busy, at: before_accept, first: 2, do: {respond: 503}}"
    slow = "{id: slow, at: poll, first: 1, do: {respond: 502}}"
    client = begin(f"faults: [{busy}]", "changes:", change("10s", f"faults: [{busy}, {slow}]"))
    first = client.submit().status_code
    client.arm(id="mine", at="download", do={"respond": 500})
    client.sim.advance(10)
    statuses = [first, client.submit().status_code, client.submit().status_code]
    client.sim.advance(0)

    assert [503, 503, 200] == statuses
    assert {"busy", "slow", "mine"} == set(client.sim.sandbox.state.faults)


def test_a_fault_ends_at_an_instant(begin: Begin) -> None:
    """Requests succeed from the instant on at which the scenario removes a fault."""
    down = "faults: [{at: before_accept, do: {respond: 503}}]"
    client = begin(down, "changes:", change("10s", "faults: []"))
    before = client.submit().status_code
    client.sim.advance(10)

    assert (503, 200) == (before, client.submit().status_code)


def test_log_and_journal_show_the_change(begin: Begin) -> None:
    """A change is an event, and every journal entry names the rules that decided."""
    client = begin("changes:", change("10s", DEAR % 20))
    client.submit()
    client.sim.advance(10)
    client.submit()
    sandbox = client.sim.sandbox
    (changed,) = [event for event in sandbox.events() if isinstance(event, RulesChanged)]
    before, after = [exchange.rules for exchange in sandbox.records]

    assert before != after == changed.rules == sandbox.state.rules["vicsee"]
    assert ("change", 10 * SECOND) == (changed.cause, changed.at - sandbox.began)


def test_a_reset_plans_the_change_again(begin: Begin) -> None:
    """After a reset, the change comes after the same time as after the start."""
    client = begin("changes:", change("10s", DEAR % 20))
    client.sim.advance(10)
    client.sim.registry.reset("default")
    early = charge(client)
    client.sim.advance(10)

    assert [144, 180] == [early, charge(client)]


def test_an_auto_clock_does_not_jump_to_a_change(begin: Begin) -> None:
    """Polls move an `auto` clock to the end of a job, and not further to a change."""
    client = begin("changes:", change("30d", DEAR % 20), clock="auto")
    job = client.job()
    for _ in range(20):
        client.poll(job)

    assert 144 == charge(client)


def test_a_request_at_the_instant_itself(begin: Begin) -> None:
    """The first request at the instant of a change is decided by the new rules."""
    client = begin("changes:", change("1s", DEAR % 20))
    client.submit()
    client.sim.sandbox.clock.jump(client.sim.sandbox.now + SECOND)

    assert 180 == charge(client)


def test_a_fault_at_the_instant_itself(begin: Begin) -> None:
    """The first request at the instant of a change meets the new faults."""
    client = begin("changes:", change("1s", "faults: [{at: before_accept, do: {respond: 503}}]"))
    client.submit()
    client.sim.sandbox.clock.jump(client.sim.sandbox.now + SECOND)

    assert 503 == client.submit().status_code
    assert 1 == client.sim.sandbox.state.changes_applied


def test_a_change_while_a_video_is_measured(begin: Begin, tmp_path: Path) -> None:
    """A request that is decided after the instant gets the new rules, even if it came before."""
    client = begin("media: [{url: '*', file: clip.mp4}]", "changes:", change("1s", DEAR % 20))
    clip = client.http.get("http://upsim.test/media/synthetic/64x36_30fps_2s.mp4").content
    (tmp_path / "clip.mp4").write_bytes(clip)
    measure = client.sim.app.dispatch.media_service.measure

    async def slowly(sandbox: Sandbox, call: Call, wanted: Pending) -> Measured:
        found = await measure(sandbox, call, wanted)
        sandbox.clock.jump(sandbox.now + SECOND)
        return found

    client.sim.app.dispatch.media_service.measure = slowly  # type: ignore[method-assign]

    assert [40, 40] == [charge(client), charge(client)]


def test_an_impossible_change_is_refused(begin: Begin) -> None:
    """A change that the code does not know is refused when the sandbox is made."""
    with pytest.raises(BaselineError, match="unknown check 'has_kee'; did you mean has_key"):
        begin("changes:", change("1s", "checks: {credits: [has_kee]}"))


def test_a_reload_brings_its_own_changes(begin: Begin, tmp_path: Path) -> None:
    """A reloaded file brings its own changes, counted from the start of the sandbox."""
    client = begin("changes:", change("10s", DEAR % 20), change("20s", DEAR % 30))
    client.sim.advance(10)
    changes = ["changes:", change("5s", DEAR % 40), change("15s", DEAR % 50)]
    text = "\n".join(["extends: vicsee/baseline", *changes])
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    reread(client)
    prices = [charge(client)]
    for _ in range(2):
        client.sim.advance(5)
        prices.append(charge(client))

    assert [360, 450, 450] == prices


def test_a_reload_without_changes_does_nothing(begin: Begin) -> None:
    """A reload of unchanged files causes no event and no other rules."""
    client = begin("summary: As ever.")
    client.submit()
    events = len(client.sim.sandbox.events())

    assert [] == reread(client)
    assert events == len(client.sim.sandbox.events())


@pytest.mark.parametrize("used", [True, False])
def test_accounts_change_before_and_after_first_use_alike(begin: Begin, *, used: bool) -> None:
    """A change gives an account its balance and plan, whether or not the account was used."""
    client = begin("changes:", change("30s", 'accounts: {vicsee: {balance: "5", plan: free}}'))
    if used:
        client.job()
    client.sim.advance(30)
    refused = client.submit()
    account = client.sim.sandbox.state.accounts[1]

    assert (Decimal(5), "free", 403) == (account.balance, account.plan, refused.status_code)
    assert account.balance == account.opening + sum(e.amount for e in account.entries.values())


def test_a_change_leaves_the_balance_of_the_sandbox(begin: Begin) -> None:
    """The sandbox's own balance beats the scenario's at a change, as it does at the start."""
    client = begin("changes:", change("30s", 'accounts: {vicsee: {balance: "5"}}'))
    made = client.sim.registry.create(
        SandboxRequest(
            scenario=client.sim.sandbox.scenario, clock="manual", balances={"vicsee": Decimal(7)}
        )
    )[0]
    account = made.accounts.of("vicsee", "main")
    for _ in made.advance(made.run_due() + 30 * SECOND):
        pass

    assert (Decimal(7), account.plan) == (account.balance, "unlimited")
    assert made.state.changes_applied == 1


def test_a_change_without_accounts_leaves_the_accounts(begin: Begin) -> None:
    """An account that was changed by hand keeps its funds when other rules change."""
    client = begin('accounts: {vicsee: {balance: "1000"}}', "changes:", change("30s", DEAR % 20))
    client.job()
    client.sim.advance(30)

    assert Decimal(856) == client.sim.sandbox.state.accounts[1].balance
