"""Replacements for parts that use network or disk; in a replay they return recorded results."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from starlette.types import ASGIApp

from upsim.core.baseline import BaselineError
from upsim.core.call import Call, Pending
from upsim.core.media import Measured, Unmeasurable
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.clock import ClockError, PlayedClock
from upsim.engine.command_log import CURRENT, resumed
from upsim.engine.exceptions import SandboxRefusedError
from upsim.engine.media_lookup import MediaLookup
from upsim.engine.planned_changes import followed
from upsim.engine.registry import DEFAULT, Registry
from upsim.engine.replay_command_log import ReplayCommandLog, ReplayedCommand
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import Recorded, SandboxRequest
from upsim.engine.settings import ServerSettings
from upsim.engine.webhooks import Posting
from upsim.media.data_urls import is_data_url
from upsim.scenario.loader import ScenarioError, UnknownScenarioError
from upsim.scenario.model import Scenario
from upsim.web.admin.amounts import money
from upsim.web.admin.problems import AdminError
from upsim.web.clock_driver import ClockDriver
from upsim.web.deliverer import Deliverer
from upsim.web.dispatch import Dispatch
from upsim.web.media_service import MediaService
from upsim.web.replay.export_document import Document, ExportError, instant_of
from upsim.web.replay.scenario_values import held

TOKEN = "replay"  # noqa: S105 - no other process can reach this server
INBOX_SECONDS = 10.0
KeyHeaders = dict[str, list[tuple[bytes, bytes]]]
"""The header for a key, by the key's name."""
NO_SCENARIO = "baseline"


class Application(Protocol):
    """The parts of the application that a replay uses."""

    registry: Registry
    dispatch: Dispatch
    deliverer: Deliverer
    state: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Respond to one request."""


class PlayedSources(MediaLookup):
    """A media lookup that treats a video as unknown if it had to be measured when recorded."""

    def known(self, scenario: Scenario, call: Call, source: str) -> Measured | None:
        """Return a known video; None if the recording had to measure it."""
        command = CURRENT.get()
        if isinstance(command, ReplayedCommand) and command.waits("measure"):
            return None
        return super().known(scenario, call, source)


class PlayedDesk(MediaService):
    """A media service that measures only sent files and own files; other results are recorded."""

    async def measure(self, sandbox: Sandbox, call: Call, wanted: Pending) -> Measured:
        """Return the recorded measurement."""
        command = CURRENT.get()
        recorded = command.upcoming("measure") if isinstance(command, ReplayedCommand) else None
        ours = self._registry.media_lookup.own(wanted.source, call.urls.base) is not None
        if recorded is None and not ours and wanted.source.startswith(("http://", "https://")):
            return Unmeasurable("unreachable", "a replay fetches nothing")
        if recorded is None or is_data_url(wanted.source):
            found = await super().measure(sandbox, call, wanted)
            return recorded or found
        return recorded

    async def _fetch(self, source: str, limit: int) -> Path | Unmeasurable:
        del source, limit
        return Unmeasurable("unreachable", "a replay fetches nothing")


class PlayedClockDriver(ClockDriver):
    """A clock driver that never waits for an earlier advance; recorded entries set the order."""

    async def _has_turn(self, sandbox: Sandbox) -> bool:
        return not self.is_advancing(sandbox)


class PlayedDeliverer(Deliverer):
    """A deliverer that delivers nothing: the log has an entry for the result of each attempt."""

    def __init__(self, registry: Registry, app: ASGIApp) -> None:
        """Deliver for the sandboxes of a registry."""
        super().__init__(registry, app)
        self.clock_driver = PlayedClockDriver(self)

    def rouse(self, sandbox: Sandbox) -> None:
        """Do nothing: a replay has no background deliveries."""

    async def flush(self, sandbox: Sandbox) -> None:
        """Do nothing: the log contains the responses and their times."""

    async def deliver(self, sandbox: Sandbox, posting: Posting) -> None:
        """Wait for the entry with the result of the attempt."""
        sandbox.webhooks.outbox.append(posting)
        await resumed("resent")

    async def tell(self, sandbox: Sandbox, posting: Posting, outcome: AttemptOutcome) -> None:
        """Record the result of an attempt; if the target is an inbox, post to the inbox again."""
        if self._receivers.is_own(posting.url):
            await self._receivers.post(posting, INBOX_SECONDS)
        sandbox.webhooks.record(posting, outcome)


def settings_of(document: Document) -> ServerSettings:
    """Return the settings of a server on which the document can be replayed."""
    made, server = document.sandbox, document.server
    return ServerSettings(
        hosts=tuple(server.hosts),
        loopback=server.loopback,
        fetch=server.fetch,
        public_url=server.public_url,
        clock="manual",
        pace=1,
        admin_token=TOKEN,
        dialect=made.dialect,
        jobs_max=made.jobs_max,
        commands_max=0,
    )


def prepare(app: Application, document: Document) -> Sandbox:
    """Create the sandbox of a document in an application. Raises ExportError."""
    registry, made = app.registry, document.sandbox
    known = registry.media_lookup
    registry.media_lookup = PlayedSources(known.hosts, known.fetch_loopback, known.fetch_public)
    try:
        if document.values is not None:
            _remember(registry, made.scenario, document.values)
        start = instant_of(made.clock.start)
        order = SandboxRequest(
            id=made.id,
            scenario=None if made.scenario == NO_SCENARIO else made.scenario,
            seed=made.seed,
            dialects=made.dialects,
            knobs=made.knobs,
            balances={name: money(text, name) for name, text in made.balances.items()},
            strict_keys=made.strict_keys,
            render=made.render,
            webhook_timestamp=made.webhook_timestamp,
        )
        recorded = Recorded(
            clock=PlayedClock(made.clock.mode, start=start, pace=made.clock.pace),
            commands=partial(ReplayCommandLog, stamps=document.stamps),
        )
        sandbox = registry.replay(made.id or DEFAULT, order, recorded)
    except (
        AdminError,
        BaselineError,
        ClockError,
        ScenarioError,
        UnknownScenarioError,
        SandboxRefusedError,
    ) as error:
        raise ExportError(f"the sandbox cannot be recreated: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        text = f"the values of scenario {made.scenario!r} are broken: {error}"
        raise ExportError(text) from error
    app.dispatch.media_service = app.dispatch.media.media_service = PlayedDesk(registry)
    registry.unsubscribe(app.deliverer.rouse)
    app.deliverer = app.state.deliverer = PlayedDeliverer(registry, app)
    return sandbox


def reread(registry: Registry, sandbox: Sandbox, scenarios: Mapping[str, Any]) -> None:
    """Repeat a reload of scenario files. Raises ExportError for invalid values."""
    library = registry.library
    try:
        for name, values in scenarios.items():
            _remember(registry, name, values)
        follow = followed(sandbox, library, registry.main_of(sandbox))
        registry.use_library(library)
    except (BaselineError, ScenarioError, UnknownScenarioError) as error:
        raise ExportError(f"the reloaded scenario cannot be used here: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise ExportError(f"the reloaded scenario is broken: {error}") from error
    follow.apply()


def _remember(registry: Registry, name: str, values: object) -> None:
    """Store a scenario with the values of an export under this name."""
    scenario = held(registry.library, registry.providers, name, values)
    _check_provider(registry, scenario.baseline.provider, "provider")
    registry.library.remember(scenario)


def changed_rules(sandbox: Sandbox, document: Document) -> list[str]:
    """Return the providers whose rules differ from those of the recording."""
    return [
        provider
        for provider in {key.provider: None for key in document.keys}
        if sandbox.scenario_for(provider).baseline.digest != document.rules.get(provider)
    ]


def issue(registry: Registry, sandbox: Sandbox, document: Document) -> KeyHeaders:
    """Return the header of each named key; the keys are new, but have the same owners."""
    headers: KeyHeaders = {}
    for number, key in enumerate(document.keys, 1):
        _check_provider(registry, key.provider, f"$.keys[{number - 1}].provider")
        auth = sandbox.scenario_for(key.provider).baseline.auth
        text = f"{key.prefix}replay-{number}"
        if key.credential == "known":
            try:
                registry.issue_key(sandbox, key.provider, owner=key.owner, key=text)
            except SandboxRefusedError as error:
                raise ExportError(f"{error} - at `$.keys[{number - 1}]`") from error
        else:
            registry.retire(key.provider, text)
        value = f"{auth.scheme} {text}" if auth.scheme else text
        if key.credential == "malformed":
            value = "Nothing known"
        headers[key.name] = [(auth.header.lower().encode(), value.encode())]
    return headers


def _check_provider(registry: Registry, name: str, place: str) -> None:
    if name not in registry.providers:
        raise ExportError(f"there is no provider {name[:80]!r} here - at `{place}`")
