"""A caller of one provider in a simulator where something goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from upsim import Simulator
from upsim_contracts.documents.openapi import providers
from upsim_contracts.facts.fact import Book, CallForm
from upsim_contracts.verify.run import book_of

LOCAL = "http://127.0.0.1:4747"
VIDEO = "https://clips.example/8.mp4"
PROVIDERS = providers()
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """A simulator, and a client of one provider in it."""

    sim: Simulator
    provider: str
    http: httpx.Client

    def submit(self, **inputs: object) -> httpx.Response:
        """Ask for an upscale."""
        call = next(one for one in self._book.calls.values() if one.paid)
        return self.http.request(call.method, call.path, json={**_body(call, VIDEO), **inputs})

    def job(self) -> str:
        """Return the id of a job that must be accepted."""
        call = next(one for one in self._book.calls.values() if one.paid)
        found: str = at(self.submit().json(), _path(str(call.job)))
        return found

    def poll(self, job: str) -> httpx.Response:
        """Ask how a job is."""
        call = self._book.calls[self._book.lifecycle.call]
        path = call.path.replace("$job", job)
        if call.method == "GET":
            return self.http.get(path)
        return self.http.request(call.method, path, json=_body(call, job))

    def status(self, job: str) -> str:
        """Return the word that a poll shows."""
        found: str = at(self.poll(job).json(), _path(self._book.lifecycle.read))
        return found

    def output(self, job: str) -> Any:  # noqa: ANN401 - JSON
        """Return the address of the output that a poll shows, or what stands there."""
        return at(self.poll(job).json(), _path(self._book.lifecycle.output[0]))

    @property
    def _book(self) -> Book:
        return book_of(self.provider)

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


def _body(call: CallForm, value: str) -> dict[str, Any]:
    """Return the body of a call, in which the one word with a `$` becomes this value."""
    found: dict[str, Any] = json.loads(
        re.sub(r'"\$[a-z]+"', json.dumps(value), json.dumps(call.body))
    )
    return found


def _path(dotted: str) -> Path:
    return tuple(int(part) if part.isdigit() else part for part in dotted.split("."))


def at(document: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - JSON
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
