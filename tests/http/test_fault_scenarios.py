"""Every shipped scenario of a fault, run through real HTTP in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.http.fault_client import PROVIDERS, Patient, patient
from upsim import Simulator
from upsim.core.states import JobState
from upsim.engine.auto_clock import jump_to_next
from upsim.scenario.loader import Library

Run = Callable[[str, str], Patient]


@pytest.fixture
def run() -> Iterator[Run]:
    """Return a function that starts one of a provider's scenarios and a client in it."""
    with ExitStack() as stack:

        def start(provider: str, scenario: str) -> Patient:
            name = f"{provider}/{scenario}"
            sim = stack.enter_context(Simulator(name, clock="auto", seed=1))
            return patient(sim, provider)

        yield start


def completed(client: Patient) -> str:
    """Return the id of a job that has ended well, without a poll."""
    job = client.job()
    sandbox = client.sim.sandbox
    while not sandbox.idle:
        jump_to_next(sandbox)
    assert JobState.COMPLETED is sandbox.state.jobs[job].state
    return job


def answer_lost_after_acceptance(client: Patient) -> None:
    """The caller sees a reset, sends again, and is charged twice."""
    with pytest.raises(httpx.ReadError):
        client.submit()
    client.job()
    first, second = client.charges()
    assert first == second > 0


def answer_lost_before_acceptance(client: Patient) -> None:
    """The caller sees a closed connection; only the second submit is charged."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.submit()
    client.job()
    assert 1 == len(client.charges())


def bad_gateway_502(client: Patient) -> None:
    """Two polls are 502, the third is well."""
    job = client.job()
    found = [client.poll(job) for _ in range(3)]
    assert [502, 502, 200] == [answer.status_code for answer in found]


def unavailable_503(client: Patient) -> None:
    """Two submits are 503, the third is accepted and charged."""
    *refused, accepted = [client.submit() for _ in range(3)]
    assert [503, 503] == [answer.status_code for answer in refused]
    assert accepted.is_success
    assert 1 == len(client.charges())


def gateway_timeout_504(client: Patient) -> None:
    """The answer is a page, and the job is charged."""
    answer = client.submit()
    assert (504, 1) == (answer.status_code, len(client.charges()))
    assert answer.headers["content-type"].startswith("text/html")


def slow_first_byte(client: Patient) -> None:
    """The client gives up; the job is charged."""
    with pytest.raises(httpx.ReadTimeout):
        client.submit()
    assert 1 == len(client.charges())


def trickled_body(client: Patient) -> None:
    """A poll takes as long as its pauses."""
    job, before = client.job(), client.sim.sandbox.now
    answer = client.poll(job)
    pieces = -(-len(answer.content) // 16)
    assert (pieces - 1) * 250_000 <= client.sim.sandbox.now - before


def malformed_json(client: Patient) -> None:
    """A poll cannot be read; the third one can."""
    job = client.job()
    answer = client.poll(job)
    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    client.poll(job)
    assert client.status(job)


def wrong_content_type(client: Patient) -> None:
    """Two polls call themselves pages."""
    job = client.job()
    found = [client.poll(job).headers["content-type"] for _ in range(3)]
    assert ["text/html", "text/html", "application/json"] == found


def output_truncated(client: Patient) -> None:
    """The first download breaks off, the second is whole."""
    url = client.output(completed(client))
    with pytest.raises(httpx.RemoteProtocolError):
        client.http.get(url)
    answer = client.http.get(url)
    assert int(answer.headers["content-length"]) == len(answer.content)


def unknown_status_word(client: Patient) -> None:
    """The poll shows a word that no page documents, and the job goes on."""
    job = client.job()
    while client.sim.sandbox.state.jobs[job].state is JobState.WAITING:
        jump_to_next(client.sim.sandbox)
    assert "reviewing" == client.status(job)
    assert JobState.COMPLETED is client.sim.sandbox.state.jobs[job].state


def completed_without_url(client: Patient) -> None:
    """Two polls hold no address, the third does."""
    job = completed(client)
    shown = [client.poll(job).json() for _ in range(2)]
    assert shown[0] == shown[1]
    assert "/media/outputs/" not in str(shown)
    assert "/media/outputs/" in str(client.output(job))


def failure_under_200(client: Patient) -> None:
    """The status is 200, the body tells of a failure, and nothing is paid."""
    answer = client.submit()
    if client.provider == "venice":
        job = answer.json()["queue_id"]
        while client.status(job) == "PROCESSING":
            pass
        answer = client.poll(job)
        (account,) = client.sim.sandbox.state.accounts.values()
        assert account.opening == account.balance
    else:
        assert [] == client.charges()
    assert 200 == answer.status_code
    assert "error" in answer.text.lower()


SCENARIOS: dict[str, Callable[[Patient], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        answer_lost_after_acceptance,
        answer_lost_before_acceptance,
        bad_gateway_502,
        unavailable_503,
        gateway_timeout_504,
        slow_first_byte,
        trickled_body,
        malformed_json,
        wrong_content_type,
        output_truncated,
        unknown_status_word,
        completed_without_url,
        failure_under_200,
    )
}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_shipped_fault_does_what_its_name_says(run: Run, provider: str, scenario: str) -> None:
    """A client meets what the summary of the scenario promises, and the ledger agrees."""
    SCENARIOS[scenario](run(provider, scenario))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_shipped_fault_is_tested(provider: str) -> None:
    """Each row is a scenario of every provider, and arms a fault or sets a knob for it."""
    loaded = {name: Library().load(f"{provider}/{name}") for name in SCENARIOS}
    armed = {name for name, one in loaded.items() if one.faults or one.knobs}
    assert set(SCENARIOS) == armed
