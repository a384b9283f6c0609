"""The target of `upscale`: a simulator in this process, a running simulator, or the provider."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import httpx

from upsim.client.adapter_discovery import library as client_library
from upsim.client.adapter_discovery import providers
from upsim.client.callbacks import Watch
from upsim.client.clients import Client, connect
from upsim.client.exceptions import AuthenticationError, UnsafeTargetError, UnsupportedError
from upsim.client.models import ModelInfo
from upsim.client.polling_and_retries import Polling
from upsim.client.sandbox_sleepers import sandbox_sleeper
from upsim.core.baseline import BaselineError
from upsim.core.knobs_and_dialects import check_dialect
from upsim.core.nearest_names import closest
from upsim.core.url_flaws import port_flaw
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError
from upsim.untrusted_connections import NoCookies

if TYPE_CHECKING:
    from upsim.engine.sandbox import Sandbox

LOCAL = "http://127.0.0.1"
ANY_KEY = "sk-upsim"
SIM, LIVE = "sim", "live"


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A target with its key, its cap and the time allowed for a job.

    `scenario` and `render` apply only to a simulator in this process.
    """

    name: str
    key: str | None = None
    cap: Decimal | None = None
    timeout: float = 3600.0
    scenario: str | None = None
    render: str = "synthetic"

    @property
    def stays(self) -> bool:
        """Whether jobs of the target still exist after this command."""
        return self.name != SIM


@dataclass(frozen=True, slots=True)
class ConnectedTarget:
    """A client of a target, with its sandbox if the target is in this process."""

    client: Client
    sandbox: Sandbox | None = None


@contextmanager
def client_for(target: CommandTarget, known: ModelInfo, watch: Watch) -> Iterator[ConnectedTarget]:
    """Yield a client of the model at the target. Raises UsageError for an invalid target."""
    polling = Polling(timeout=target.timeout)
    try:
        if target.name == SIM:
            with _simulated(target, known, polling, watch) as reached:
                yield reached
            return
        client = connect(
            known.name,
            api_key=_key(target, known),
            base_url=_base_url(target, known),
            cap=target.cap,
            live=target.name == LIVE,
            polling=polling,
            progress=watch,
        )
    except UnsafeTargetError as error:
        text = str(error).replace("give live=True and a cap", "use --target live and --cap")
        raise click.UsageError(text) from error
    except AuthenticationError as error:
        raise click.UsageError(f"--api-key: {error}") from error
    except UnsupportedError as error:
        raise click.UsageError(str(error)) from error
    with client:
        yield ConnectedTarget(client)


def cause_of_refusal(sandbox: Sandbox) -> str | None:
    """Return the journal's reason for the latest refusal; None if there is no reason."""
    from upsim.web.admin.exchange_views import cause_of

    refused = [exchange for exchange in sandbox.records if exchange.rule]
    return cause_of(refused[-1]) if refused else None


@contextmanager
def _simulated(
    target: CommandTarget, known: ModelInfo, polling: Polling, watch: Watch
) -> Iterator[ConnectedTarget]:
    from upsim.app import Simulator

    try:
        simulator = Simulator(target.scenario, clock="auto", render=target.render)
    except (UnknownScenarioError, BaselineError) as error:
        raise click.UsageError(str(error)) from error
    except ScenarioError as error:
        raise click.UsageError(f"{target.scenario} has mistakes:\n{error}") from error
    with (
        simulator,
        httpx.Client(transport=simulator.transport(), cookies=NoCookies()) as http,
    ):
        _must_speak_of(target, known, simulator.registry.library)
        client = connect(
            known.name,
            api_key=target.key or ANY_KEY,
            base_url=f"{LOCAL}/{known.adapter.provider}",
            cap=target.cap,
            polling=polling,
            progress=watch,
            http=http,
            sleeper=sandbox_sleeper(LOCAL, http=http),
        )
        with client:
            yield ConnectedTarget(client, simulator.sandbox)


def _must_speak_of(target: CommandTarget, known: ModelInfo, library: Library) -> None:
    """Check that the scenario applies to the model's provider.

    Raises UsageError if it does not.
    """
    if target.scenario is None:
        return
    provider = library.load(target.scenario).baseline.provider
    if provider != known.adapter.provider:
        raise click.UsageError(
            f"--scenario {target.scenario} belongs to {provider}, not to {known.name}"
        )


def _base_url(target: CommandTarget, known: ModelInfo) -> str:
    """Return the URL prefix of the provider's own paths: at the simulator, or the provider's host.

    `live` ignores base URLs in environment variables, which `upsim env` may have set.
    """
    if target.name == LIVE:
        return f"https://{known.host}"
    url = target.name.rstrip("/")
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname)
        sound = named and not port_flaw(url)
    except ValueError:
        sound = False
    if not sound:
        raise click.UsageError(
            f"--target {target.name[:200]!r} is neither sim, server nor live, nor the URL of a "
            "simulator such as http://127.0.0.1:4747"
        )
    return _of_provider(url, known.adapter.provider)


def _of_provider(url: str, provider: str) -> str:
    """Return a provider's base URL at a server; a URL that names the provider stays unchanged.

    Raises UsageError for the base URL of another provider.
    """
    steps = [step for step in urlsplit(url).path.split("/") if step]
    at = next((n for n, step in enumerate(steps) if step in providers()), None)
    if at is None:
        _must_not_be_meant(url, steps, provider)
        return f"{url}/{provider}"
    if steps[at] != provider:
        raise click.UsageError(
            f"--target {url[:200]!r} is the URL of {steps[at]}, not of {provider}"
        )
    root, rest = url.removesuffix("/".join(steps[at:])) + provider, steps[at + 1 :]
    if len(rest) > 1:
        raise click.UsageError(
            f"--target {url[:200]!r} has more than a dialect after {provider}: give {root}"
        )
    for dialect in rest:
        _check_dialect(url, provider, dialect)
    return url


def _must_not_be_meant(url: str, steps: Sequence[str], provider: str) -> None:
    """Check the path of a base URL.

    Raises UsageError for a misspelt provider or the admin API.
    """
    root = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    if "__sim" in steps:
        raise click.UsageError(f"--target {url[:200]!r} is the admin API: give {root}/{provider}")
    named = steps[2:] if steps[:1] == ["sandbox"] else steps
    meant = next((near for step in named if (near := closest(step, providers()))), "")
    if meant:
        raise click.UsageError(
            f"--target {url[:200]!r} names no provider; did you mean {root}/{meant}?"
        )


def _check_dialect(url: str, provider: str, dialect: str) -> None:
    """Check that the provider has this dialect, since other dialects get a 404.

    Raises UsageError.
    """
    try:
        check_dialect(client_library().baseline(provider).baseline, dialect)
    except BaselineError as error:
        raise click.UsageError(f"--target {url[:200]!r}: {error}") from error


def _key(target: CommandTarget, known: ModelInfo) -> str:
    """Return the key from the option or a variable; a simulator accepts any key."""
    variable = f"{known.adapter.provider.upper().replace('-', '_')}_API_KEY"
    found = target.key or os.environ.get(variable)
    if found is None and target.name == LIVE:
        raise click.UsageError(f"a live API needs a key: use --api-key, or set {variable}")
    return found or ANY_KEY
