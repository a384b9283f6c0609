"""What the shipped scenarios answer is within the contracts, but for those that break them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.http.conftest import SAMPLES, Sample, _at
from upsim import Simulator
from upsim_contracts.documents.response_checks import check_response

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SHIPPED = sorted(
    f"{file.parent.name}/{file.stem}"
    for file in SCENARIOS.glob("*/*.yaml")
    if file.parent.name in {sample.provider for sample in SAMPLES.values()}
)
# Scenarios that show on purpose what no document has, and where it is first found.
OUTSIDE = {
    "piapi/bad-gateway-502": "status",
    "piapi/bare-task-id": "code",
    "piapi/capitalised-statuses": "data.status",
    "piapi/completed-without-url": "data.output.video_url",
    "piapi/failure-under-200": "code",
    "piapi/gateway-timeout-504": "status",
    "piapi/malformed-json": "body",
    "piapi/unavailable-503": "status",
    "piapi/unknown-status-word": "data.status",
    "piapi/wrong-content-type": "header Content-Type",
    "venice/bad-gateway-502": "header Content-Type",
    "venice/completed-without-url": "url",
    "venice/failure-under-200": "status",
    "venice/gateway-timeout-504": "status",
    "venice/malformed-json": "body",
    "venice/unknown-status-word": "status",
    "venice/wrong-content-type": "header Content-Type",
    "vicsee/bad-gateway-502": "status",
    "vicsee/completed-without-url": "data.result.url",
    "vicsee/failure-under-200": "data",
    "vicsee/gateway-timeout-504": "status",
    "vicsee/link-expires-in-a-day": "data.result",
    "vicsee/malformed-json": "body",
    "vicsee/output-expired": "data.result",
    "vicsee/price-change": "data.input.credits_per_second",
    "vicsee/success-for-completed": "data.status",
    "vicsee/unavailable-503": "status",
    "vicsee/unknown-status-word": "data.status",
    "vicsee/wrong-content-type": "header Content-Type",
    "wavespeed/completed-without-url": "data.outputs",
    "wavespeed/failure-under-200": "code",
    "wavespeed/insufficient-funds-402": "status",
    "wavespeed/malformed-json": "body",
    "wavespeed/null-fields": "data.outputs",
    "wavespeed/unknown-status-word": "data.status",
    "wavespeed/wrong-content-type": "header Content-Type",
}


class Judge:
    """Calls a provider and keeps where its answers leave the contract; lost ones say nothing."""

    def __init__(self, sim: Simulator, provider: str) -> None:
        """Judge by the dialect under which the simulator answers."""
        self._provider = provider
        self._dialect = sim.sandbox.bound(provider).rules.dialect
        self.outside: list[str] = []

    def __call__(self, call: Callable[[], httpx.Response]) -> httpx.Response | None:
        """Return what came, judged."""
        try:
            answer = call()
        except httpx.TransportError:
            return None
        found = check_response(
            self._provider,
            self._dialect,
            method=answer.request.method,
            path=answer.request.url.path.removeprefix(f"/{self._provider}"),
            status=answer.status_code,
            headers=answer.headers,
            body=answer.content,
        )
        self.outside += [finding.where for finding in found]
        return answer


@contextmanager
def caller(sim: Simulator, provider: str) -> Iterator[httpx.Client]:
    """Yield a client with a key."""
    auth = sim.registry.library.baseline(provider).baseline.auth
    headers = {auth.header: f"{auth.scheme} sk-any".strip()}
    base = sim.base_url(provider)
    with httpx.Client(transport=sim.transport(), base_url=base, headers=headers) as http:
        yield http


def life_of_a_job(sim: Simulator, sample: Sample) -> list[str]:
    """Submit three times, poll the last job long past its end; where this left the contract."""
    judge = Judge(sim, sample.provider)
    with caller(sim, sample.provider) as http:
        answer = None
        for _ in range(3):
            answer = judge(lambda: sample.submit(http, "https://example.com/a.mp4"))
        if answer is not None and answer.is_success:
            for seconds in (0, 5, 100_000):
                sim.advance(seconds)
                judge(lambda: _polled(sample, http, answer))
    return judge.outside


def _polled(sample: Sample, http: httpx.Client, answer: httpx.Response) -> httpx.Response:
    try:
        job = _at(answer.json(), sample.id_at)
    except (KeyError, ValueError):
        job = "unknown"
    return sample.status(http, str(job))


@pytest.mark.parametrize("name", SHIPPED)
def test_scenarios_respond_within_the_contract(name: str) -> None:
    """Refusals, failures and limits look as documented, in the scenario's own dialect."""
    provider = name.partition("/")[0]
    sample = next(sample for sample in SAMPLES.values() if sample.provider == provider)
    with Simulator(scenario=name, clock="auto", webhook_seconds=0.1) as sim:
        outside = life_of_a_job(sim, sample)

    assert OUTSIDE.get(name) == (outside[0] if outside else None)
