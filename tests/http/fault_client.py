"""A caller of one provider in a simulator where something goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from tests.samples import ModelCall, Place, model_calls, path_of
from upsim import Simulator
from upsim_contracts.documents.openapi import providers
from upsim_contracts.facts.fact_files import filled

LOCAL = "http://127.0.0.1:4747"
VIDEO = "https://clips.example/8.mp4"
PROVIDERS = providers()


@dataclass(frozen=True, slots=True)
class Patient:
    """A simulator, and a client of one provider in it."""

    sim: Simulator
    provider: str
    http: httpx.Client

    def submit(self, **inputs: object) -> httpx.Response:
        """Ask for an upscale."""
        made = self._made
        body = {**filled(made.body, {"video": VIDEO}), **inputs}
        return self.http.request(made.call.method, made.call.path, json=body)

    def job(self) -> str:
        """Return the id of a job that must be accepted."""
        found: str = at(self.submit().json(), path_of(str(self._made.call.job)))
        return found

    def poll(self, job: str) -> httpx.Response:
        """Ask how a job is."""
        form = self._made.poll
        body = filled(form.body, {"job": job})
        return self.http.request(form.method, form.path.replace("$job", job), json=body)

    def status(self, job: str) -> str:
        """Return the word that a poll shows."""
        found: str = at(self.poll(job).json(), path_of(self._made.table.book.lifecycle.read))
        return found

    def output(self, job: str) -> Any:  # noqa: ANN401 - JSON
        """Return the address of the output that a poll shows, or what stands there."""
        return at(self.poll(job).json(), self._made.output_at)

    @property
    def _made(self) -> ModelCall:
        return next(made for made in model_calls() if made.provider == self.provider)

    def arm(self, **fault: object) -> dict[str, Any]:
        """Arm a fault of the provider by the admin API."""
        answer = self.admin("POST", "faults", {"provider": self.provider, **fault})
        assert 201 == answer.status_code, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call the admin API on the default sandbox."""
        with httpx.Client(transport=self.sim.transport(), base_url=LOCAL) as http:
            return http.request(method, f"/__sim/sandboxes/default/{path}", json=body)

    def faults_of_exchanges(self) -> list[str | None]:
        """Return what the journal says went wrong, answer by answer."""
        exchanges = self.admin("GET", "journal").json()["exchanges"]
        return [exchange["fault"] for exchange in exchanges]

    def charges(self) -> list[Decimal]:
        """Return what was charged, oldest first."""
        accounts = self.sim.sandbox.state.accounts.values()
        entries = [entry for account in accounts for entry in account.entries.values()]
        return [-entry.amount for entry in entries if entry.kind == "charge"]


def at(document: Any, path: Place) -> Any:  # noqa: ANN401 - JSON
    """Return what is at a path of a document."""
    for step in path:
        document = document[step]
    return document


def headers_of(sim: Simulator, provider: str) -> Mapping[str, str]:
    """Return the headers of a call with some key."""
    auth = sim.registry.library.baseline(provider).baseline.auth
    return {auth.header: f"{auth.scheme} sk-any" if auth.scheme else "sk-any"}


def patient(sim: Simulator, provider: str = "vicsee") -> Patient:
    """Return a client of a provider in a simulator."""
    client = httpx.Client(
        transport=sim.transport(),
        base_url=sim.base_url(provider),
        headers=headers_of(sim, provider),
    )
    return Patient(sim, provider, client)
