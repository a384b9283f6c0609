"""Targets of the checks: a simulator with a controlled clock and balance, or another server.

A simulator gives each fact its own sandbox; at another server all facts share one account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import httpx
import msgspec

from upsim.client.exceptions import ProtocolError
from upsim.client.hidden_texts import path_segment
from upsim.client.http.admin import AdminAnswer, ask_admin
from upsim_contracts.exceptions import TargetError
from upsim_contracts.spending_guard import RESERVED, SpendingBudget

T = TypeVar("T")
ADMIN = "/__sim"
PATIENCE = 900
"""Seconds of real time that a job of a target without controls may take."""
REFUND_PATIENCE = 60
"""Seconds of real time to wait for a refund that is documented to come within hours."""
FOREVER = float("inf")
SOON, LATE, GROWTH = 0.05, 1.0, 1.5
"""Seconds between polls of a stand-in: the first and the longest, and how they grow."""
START = "2026-01-15T12:00:00Z"


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """The sandbox that a fact needs; any non-default value needs a simulator.

    `key` is the API key of its account; by default the simulator chooses a random one.
    """

    scenario: str | None = None
    key: str | None = None
    balance: str | None = None
    plan: str | None = None
    knobs: Mapping[str, str] | None = None
    dialect: str = ""
    seed: int = 0

    @property
    def special(self) -> bool:
        """Whether these settings need a simulator."""
        return any((self.scenario, self.key, self.balance, self.plan, self.knobs))


@dataclass(frozen=True, slots=True)
class Controls:
    """The admin API of one sandbox."""

    http: httpx.Client
    url: str
    headers: Mapping[str, str]
    provider: str
    sandbox: str

    def advance(self, **how: object) -> datetime:
        """Advance the clock by `seconds=61` or `to="next"` (event), and return the new time."""
        return _part(self._call("POST", "/clock/advance", how), "now", datetime)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Advance the clock automatically during this block, whenever a request waits for it."""
        self._call("PATCH", "/clock", {"mode": "auto"})
        try:
            yield
        finally:
            self._call("PATCH", "/clock", {"mode": "manual"})

    def force(self, job: str, state: str, error: str | None) -> None:
        """Move a job to another state."""
        body = {"state": state} if error is None else {"state": state, "error": error}
        self._call("PUT", f"/jobs/{path_segment(job)}/state", body)

    def fault(self, fault: Mapping[str, object]) -> None:
        """Add a fault in the form of the admin API."""
        self._call("POST", "/faults", {"provider": self.provider, **fault})

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs of the sandbox, oldest first."""
        found = self._call("GET", f"/jobs?provider={self.provider}")
        return _part(found, "jobs", list[dict[str, Any]])

    def baseline(self) -> dict[str, Any]:
        """Return the provider's baseline, each value with its path."""
        url = f"{self.url}{ADMIN}/scenarios/{self.provider}/baseline"
        return dict(_answer(self.http, "GET", url, self.headers).document)

    def account(self, change: Mapping[str, object]) -> None:
        """Change the balance or the plan of the account."""
        self._call("PUT", f"/accounts/{self.provider}", change)

    def balance(self) -> str | None:
        """Return the account's balance in the simulator's own unit; None before its first use."""
        found = _part(self._call("GET", "/accounts"), "accounts", list[dict[str, Any]])
        own = (one for one in found if one.get("provider") == self.provider)
        return next((str(one.get("balance")) for one in own), None)

    def further_key(self, owner: str) -> str:
        """Return the key of another account; `main` is this sandbox's own account."""
        path = f"/accounts/{self.provider}/keys"
        return _part(self._call("POST", path, {"account": owner}), "key", str)

    @property
    def inbox(self) -> str:
        """Return the URL of a webhook receiver; `?status=500` makes it refuse deliveries."""
        return f"{self.url}{ADMIN}/sandboxes/{path_segment(self.sandbox)}/inbox/facts"

    def messages(self) -> list[dict[str, Any]]:
        """Return the webhooks in the inbox, oldest first."""
        found = self._call("GET", "/inbox/facts/messages")
        return _part(found, "messages", list[dict[str, Any]])

    def delete(self) -> None:
        """Remove the sandbox."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: object = None) -> AdminAnswer:
        url = f"{self.url}{ADMIN}/sandboxes/{path_segment(self.sandbox)}{path}"
        return _answer(self.http, method, url, self.headers, body)


class TargetAccount:
    """One account of one provider; on a simulator also its clock and its jobs."""

    def __init__(
        self,
        http: httpx.Client,
        *,
        base_url: str,
        key: str,
        media: str | None,
        controls: Controls | None = None,
    ) -> None:
        """Use the provider at `base_url`; clips are served at `media`."""
        self.http = http
        self.base_url = base_url
        self.key = key
        self.media = media
        self.controls = controls


@dataclass(slots=True)
class Patience:
    """How long a run waits for jobs of a target without controls.

    `seconds` is the longest time for one job. `outlasted` is the fact whose job took longer; after
    it, the run waits for no further job. A provider is polled at its advised interval. A local
    stand-in (`local`) may be faster, and is polled sooner. `refund` is the longest wait for one
    refund.
    """

    seconds: float = PATIENCE
    refund: float = REFUND_PATIENCE
    local: bool = False
    outlasted: str = ""

    def refund_pauses(self, advised: float, within: float) -> Iterator[float]:
        """Yield growing pauses between reads of a balance, until the wait for a refund is over."""
        left, pause = min(self.refund, within), next(self.pauses(advised))
        while left > 0:
            pause = min(pause, left)
            yield pause
            left, pause = left - pause, pause * GROWTH

    def pauses(self, advised: float) -> Iterator[float]:
        """Yield the pauses between polls of one job, without end."""
        pause = SOON if self.local else advised
        while True:
            yield pause
            pause = min(pause * GROWTH, LATE if self.local else advised)


@dataclass(frozen=True, slots=True)
class Target:
    """A server to check. For a simulator `url` is its root, else the provider's base URL."""

    name: str
    provider: str
    url: str
    http: httpx.Client
    purse: SpendingBudget
    simulator: bool
    key: str = ""
    admin_token: str = ""
    media: str | None = None
    dialect: str = ""
    scenario: str | None = None
    patience: Patience = field(default_factory=Patience)
    clock: Controls | None = None
    """The clock of a simulator that is checked like a live API: a pause advances it."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """The servers of paths that are not at `url`, as the provider itself has them."""

    @contextmanager
    def world(self, given: TargetSettings) -> Iterator[TargetAccount]:
        """Yield the sandbox that a fact needs, and delete it afterwards. Raises TargetError."""
        if not self.simulator:
            yield TargetAccount(self.http, base_url=self.url, key=self.key, media=self.media)
            return
        headers = self._headers
        made = _answer(
            self.http, "POST", f"{self.url}{ADMIN}/sandboxes", headers, self._order(given)
        )
        sandbox, key = self._made(made)
        controls = Controls(self.http, self.url, headers, self.provider, sandbox)
        dialect = given.dialect or self.dialect
        parts = (self.url, "sandbox", path_segment(sandbox), self.provider, dialect)
        base = "/".join(filter(None, parts))
        try:
            if given.plan is not None:
                controls.account({"plan": given.plan})
            yield TargetAccount(
                self.http,
                base_url=base,
                key=key,
                media=self.media or self.url,
                controls=controls,
            )
        finally:
            controls.delete()

    def as_stranger(self) -> Target:
        """Return one account of this simulator as a target without controls, with strict keys.

        Its own clock advances with polls and pauses. Raises TargetError.
        """
        headers = self._headers
        order: dict[str, object] = {"clock": {"mode": "auto"}, "strict_keys": True}
        if self.scenario is not None:
            order["scenario"] = self.scenario
        made = _answer(self.http, "POST", f"{self.url}{ADMIN}/sandboxes", headers, order)
        sandbox, key = self._made(made)
        parts = (self.url, "sandbox", path_segment(sandbox), self.provider, self.dialect)
        return replace(
            self,
            url="/".join(filter(None, parts)),
            simulator=False,
            key=key,
            media=self.media or self.url,
            clock=Controls(self.http, self.url, headers, self.provider, sandbox),
            patience=replace(self.patience, refund=FOREVER),
        )

    def _made(self, answer: AdminAnswer) -> tuple[str, str]:
        """Return the new sandbox and the key of its account. Raises TargetError."""
        keys = _part(answer, "keys", dict[str, str])
        if self.provider not in keys:
            raise TargetError(f"{self.url} gave no key for {self.provider}")
        return _part(answer, "id", str), keys[self.provider]

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_token}"} if self.admin_token else {}

    def _order(self, given: TargetSettings) -> dict[str, object]:
        order: dict[str, object] = {
            "clock": {"mode": "manual", "now": START},
            "seed": given.seed,
            "strict_keys": True,
            "webhook_timestamp": "virtual",
        }
        scenario = given.scenario or self.scenario
        if scenario is not None:
            order["scenario"] = scenario
        if given.balance is not None:
            order["balances"] = {self.provider: given.balance}
        if given.key is not None:
            order["keys"] = {self.provider: given.key}
        if given.knobs is not None:
            order["knobs"] = {self.provider: dict(given.knobs)}
        return order


def is_simulator(http: httpx.Client, root: str, token: str = "") -> bool:
    """Return whether a simulator's admin API responds at this URL. Raises TargetError."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = ask_admin(http, "GET", f"{root}{ADMIN}/health", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise TargetError(f"{root} does not answer: {error}") from error
    except ProtocolError:
        return False
    return answer.is_success and "scenarios" in answer.document


def _answer(
    http: httpx.Client, method: str, url: str, headers: Mapping[str, str], body: object = None
) -> AdminAnswer:
    extensions = {RESERVED: True}  # the admin API costs nothing
    try:
        answer = ask_admin(http, method, url, body=body, headers=headers, extensions=extensions)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ProtocolError) as error:
        raise TargetError(f"{method} {url}: {error}") from error
    if not answer.is_success:
        raise TargetError(f"{method} {url}: {answer.status} {answer.message}")
    return answer


def _part(answer: AdminAnswer, name: str, kind: type[T]) -> T:
    """Return one part of an admin API response. Raises TargetError if it is missing or wrong."""
    try:
        return msgspec.convert(answer.document.get(name), kind)
    except msgspec.ValidationError as error:
        raise TargetError(f"the admin API gave no {name}: {error}") from error
