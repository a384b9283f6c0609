"""Reference clients for tests: for a sandbox, or for the real API with the live target."""

from __future__ import annotations

import os
from typing import Any

import httpx

from upsim.client import AsyncClient, Client, connect, connect_async, sandbox_sleeper
from upsim.client.models import find_model
from upsim.testing.sandboxes import SandboxHandle
from upsim.untrusted_connections import NoCookies


def client_of(sandbox: SandboxHandle, model: str, settings: dict[str, Any]) -> Client:
    """Return a client of a model with the sandbox's key; it waits on the sandbox's clock."""
    http = httpx.Client(transport=sandbox.wire, trust_env=False, cookies=NoCookies())
    return connect(model, http=http, **{**_settings(sandbox, model, http), **settings})


def async_client_of(sandbox: SandboxHandle, model: str, settings: dict[str, Any]) -> AsyncClient:
    """Return an async client of a model with the sandbox's key."""
    http = httpx.AsyncClient(transport=sandbox.wire, trust_env=False, cookies=NoCookies())
    return connect_async(model, http=http, **{**_settings(sandbox, model, http), **settings})


def live_client(model: str, cap: str, settings: dict[str, Any]) -> Client:
    """Return a client of the real API that uses the environment's key and stops at the cap."""
    return connect(model, **{**settings, "live": True, "cap": cap})


def missing_key(model: str) -> str:
    """Return the name of the provider's key variable if it is not set; otherwise ""."""
    variable = f"{provider_of(model).upper().replace('-', '_')}_API_KEY"
    return "" if os.environ.get(variable) else variable


def provider_of(model: str) -> str:
    """Return the provider of a model. Raises UnknownModelError."""
    return find_model(model).adapter.provider


def _settings(
    sandbox: SandboxHandle, model: str, http: httpx.Client | httpx.AsyncClient
) -> dict[str, Any]:
    provider, target = provider_of(model), sandbox.target
    return {
        "api_key": sandbox.key(provider),
        "base_url": sandbox.base_url(provider),
        "sleeper": sandbox_sleeper(target.base_url, sandbox.id, token=target.token, http=http),
        "seed": sandbox.seed,
    }
