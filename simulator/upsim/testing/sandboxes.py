"""The sandbox of a test: URLs, keys, clients and handles, for any target."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Self

import httpx
import msgspec

from upsim.client.adapter_discovery import adapter
from upsim.client.argument_checks import check_kind, check_text, check_true
from upsim.client.exceptions import ProtocolError
from upsim.client.hidden_texts import path_segment
from upsim.client.http.admin import exchange
from upsim.core.suggestions import unknown_value
from upsim.interception.intercept import intercept
from upsim.media.clip_names import ClipNameError, Rate, Seconds, clip_name
from upsim.testing.admin_responses import (
    NO_ANSWER,
    AdminCallError,
    check_sandbox,
    checked,
    document,
    strange,
)
from upsim.testing.handles import ClockHandle, InboxHandle, Json, LedgerHandle
from upsim.testing.report_card import ReportCard
from upsim.testing.sandbox_requests import dialects_of
from upsim.testing.simulator_targets import SimulatorTarget, SimulatorTransport
from upsim.untrusted_connections import NoCookies
from upsim.web.admin.server_shapes import ErrorText

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
SECONDS = 60.0
"""Seconds that the clients of a sandbox wait for a response."""
MAX_LENGTH = 300.0
"""Seconds that a response of the admin API may take in total."""
MAX_BYTES = 256 * 2**20
"""Maximum bytes of an admin API response; an export may be long."""
NOT_FOUND = 404


class SandboxHandle:
    """An isolated sandbox with its own keys, clock, accounts, jobs, faults and journal."""

    def __init__(self, target: SimulatorTarget, order: Mapping[str, object] | None = None) -> None:
        """Create a sandbox at a target. Raises AdminCallError."""
        self.target = target
        self._closed = False
        self._ordered: Any = (order or {}).get("scenario")
        self._clients: list[httpx.Client] = []
        self._own = self._client(f"{target.base_url}/__sim", _bearer(target.token))
        made = self._created(order or {})
        self.id: str = made["id"]
        self.scenario: str = made["scenario"]
        self.seed: int = made["seed"]
        self.strict_keys: bool = made["strict_keys"]
        self._keys: dict[str, str] = made["keys"]
        self._issued: set[str] = set(self._keys.values())
        self.clock = ClockHandle(self.admin)
        self.ledger = LedgerHandle(self.admin)
        here = f"{target.base_url}/__sim/sandboxes/{self.id}"
        self.inbox = InboxHandle(self.admin, self.clock, here)

    def __repr__(self) -> str:
        """Show the sandbox's id, URL and scenario, without its keys."""
        return f"<upsim sandbox {self.id} at {self.target.base_url}, scenario {self.scenario}>"

    # -- where and with what code under test calls

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers."""
        return tuple(self._keys)

    @property
    def wire(self) -> SimulatorTransport:
        """The transport of requests to the simulator."""
        return self.target.wire

    def base_url(self, provider: str, dialect: str = "") -> str:
        """Return the URL prefix of a provider's own paths.

        Raises LookupError for an unknown dialect.
        """
        return self.base_url_at(self.target.base_url, provider, dialect)

    def base_url_at(self, server: str, provider: str, dialect: str = "") -> str:
        """Return the URL prefix of a provider's own paths at another URL of the server."""
        self.key(provider)
        known = self._dialects(provider) if dialect else ()
        if known and dialect not in known:
            raise LookupError(f"{provider}: {unknown_value('dialect', dialect, known)}")
        return "/".join(part for part in (server, provider, dialect) if part)

    def key(self, provider: str) -> str:
        """Return the key of this sandbox. Raises LookupError for an unknown provider."""
        if provider not in tuple(self._keys):
            raise LookupError(unknown_value("provider", provider, self._keys))
        return self._keys[provider]

    def holds(self, key: str) -> bool:
        """Return whether a key belongs to this sandbox."""
        check_kind("key", key, str, "a text")
        return key in self._issued

    def new_key(self, provider: str, account: str = "main") -> str:
        """Issue another key, for the same account or for a different account."""
        key: str = self.admin("POST", f"accounts/{provider}/keys", {"account": account})["key"]
        self._issued.add(key)
        return key

    def http(self, provider: str, dialect: str = "", *, keyed: bool = True) -> httpx.Client:
        """Return an httpx client for a provider's own paths, with the key of this sandbox."""
        return self._client(self.base_url(provider, dialect), self._headers(provider, keyed=keyed))

    def ahttp(self, provider: str, dialect: str = "", *, keyed: bool = True) -> httpx.AsyncClient:
        """Return an async httpx client for a provider's own paths, with the key of this sandbox."""
        return httpx.AsyncClient(
            transport=self.wire,
            base_url=self.base_url(provider, dialect),
            headers=self._headers(provider, keyed=keyed),
            timeout=SECONDS,
            trust_env=False,
            cookies=NoCookies(),
        )

    def clip(self, size: str = "640x360", fps: Rate = "30", seconds: Seconds = "4") -> str:
        """Return the URL of a playable clip with exactly these properties.

        Raises ValueError if no such clip can exist, for example with half a frame.
        The message names the nearest possible clip.
        """
        try:
            name = clip_name(size, fps, seconds)
        except ClipNameError as error:
            raise ClipNameError(str(error)) from None  # the test's own traceback line is enough
        return f"{self.target.base_url}/media/synthetic/{name}"

    def intercept(self) -> AbstractContextManager[Self]:
        """Redirect requests for the providers' own hosts to this sandbox until the block ends.

        The redirection works for httpx, requests and aiohttp, sync and async, in any thread.
        """
        return intercept(self)

    # -- what happened, and what is to happen

    @property
    def jobs(self) -> list[Json]:
        """Return every job with its timeline, oldest first."""
        found: list[Json] = self.admin("GET", "jobs?limit=1000")["jobs"]
        return found

    @property
    def journal(self) -> list[Json]:
        """Return the newest requests and responses, oldest first, each with the applied rules."""
        found: list[Json] = self.admin("GET", "journal?limit=1000")["exchanges"]
        return found

    @property
    def report_card(self) -> ReportCard:
        """Return the client mistakes so far: `assert upsim.report_card.clean`."""
        return self.read_report_card()

    def read_report_card(self, *, all_pauses: bool = False) -> ReportCard:
        """Return the report card; `all_pauses` also counts pauses between polls on an auto clock.

        Use it if the code under test waits by advancing the clock (`upsim.clock.advance`).
        """
        query = "?pauses=all" if all_pauses else ""
        return ReportCard.read(self.admin("GET", f"report-card{query}"))

    def arm(self, fault: Mapping[str, object]) -> Json:
        """Arm a fault, in the format of a scenario file."""
        return self.admin("POST", "faults", fault)

    def set_state(self, job: str, state: str, error: str | None = None) -> Json:
        """Force a job into another state."""
        check_text("job", job, "'task_x'")
        asked = {"state": state} if error is None else {"state": state, "error": error}
        return self.admin("PUT", f"jobs/{path_segment(job)}/state", asked)

    def set_balance(self, provider: str, balance: Decimal | str | int) -> Json:
        """Set the balance of the account of this sandbox's key."""
        return self.admin("PUT", f"accounts/{provider}", {"balance": str(balance)})

    def export(self) -> bytes:
        """Return the file that reproduces this sandbox. Raises AdminCallError."""
        return self._answer("GET", f"sandboxes/{self.id}/export").content

    def fetch(self, method: str, path: str) -> httpx.Response:
        """Return a file that the simulator serves, by its path (`/media/…`)."""
        check_text("method", method, "'GET'")
        is_path = str(path).startswith("/")
        check_true("path", path, "a path such as '/media/outputs/x.mp4'", valid=is_path)
        return self._own.request(method, f"{self.target.base_url}{path}")

    def admin(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """Send an admin request for this sandbox. Raises AdminCallError."""
        check_text("method", method, "'GET'")
        check_text("path", path, "'jobs'")
        return self._call(method, f"sandboxes/{self.id}/{path}", body)

    @property
    def closed(self) -> bool:
        """Return whether the sandbox was removed."""
        return self._closed

    def close(self) -> None:
        """Remove the sandbox and close its clients; if it was removed before, that is no error."""
        if self._closed:
            return
        self._closed = True
        try:
            self._call("DELETE", f"sandboxes/{self.id}")
        except AdminCallError as error:
            if error.status != NOT_FOUND:
                raise
        finally:
            for client in self._clients:
                client.close()

    def __enter__(self) -> Self:
        """Return the sandbox itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the sandbox."""
        self.close()

    def _dialects(self, provider: str) -> tuple[str, ...]:
        """Return the known dialects of a provider; a shared server may have more."""
        return () if self.target.shared else dialects_of(provider, self._ordered)

    def _headers(self, provider: str, *, keyed: bool) -> Mapping[str, str]:
        return adapter(provider).authorise(self.key(provider)) if keyed else {}

    def _client(self, base_url: str, headers: Mapping[str, str]) -> httpx.Client:
        client = httpx.Client(
            transport=self.wire,
            base_url=base_url,
            headers=headers,
            timeout=SECONDS,
            trust_env=False,
            cookies=NoCookies(),
        )
        self._clients.append(client)
        return client

    def _created(self, order: Mapping[str, object]) -> Json:
        answer = self._answer("POST", "sandboxes", order)
        made = checked(answer, "sandboxes")
        check_sandbox(made, answer)
        return made

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        return checked(self._answer(method, path, body), path)

    def _answer(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> httpx.Response:
        answer = ask(self._own, method, path, body)
        if not answer.is_success:
            raise _refused(answer)
        return answer


def ask(
    http: httpx.Client,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    seconds: float = MAX_LENGTH,
) -> httpx.Response:
    """Send an admin request; return its response.

    Raises AdminCallError if no complete response arrives.
    """
    headers = {"accept-encoding": "identity"}
    request = http.build_request(method, path, json=body, headers=headers)
    try:
        answer, content = exchange(http, request, seconds=seconds, most=MAX_BYTES)
    except httpx.ConnectError:
        raise
    except (httpx.TransportError, ProtocolError) as error:
        text = f"no complete response to {method} {request.url}: {error}"
        raise AdminCallError(NO_ANSWER, "no_answer", text) from error
    return httpx.Response(
        answer.status_code, headers=answer.headers, content=content, request=request
    )


def _refused(answer: httpx.Response) -> AdminCallError:
    try:
        told = msgspec.convert(document(answer).get("error"), ErrorText)
    except msgspec.ValidationError:
        return strange(answer, "it names no error")
    return AdminCallError(answer.status_code, told["code"], told["message"])


def _bearer(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}
