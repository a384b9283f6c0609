"""The providers' own hosts, from their baselines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from upsim.core.baseline import Auth
from upsim.providers import discover, folders, kinds
from upsim.scenario.loader import Library


@cache
def library() -> Library:
    """Return the built-in scenarios and those of outside providers."""
    return Library(folders=folders, kinds=kinds)


@cache
def provider_hosts() -> Mapping[str, str]:
    """Return the provider of each host name."""
    return {
        host: provider
        for provider in discover()
        for host in library().baseline(provider).baseline.hosts
    }


def auth_of(provider: str) -> Auth:
    """Return the header and scheme that carry a provider's key."""
    return library().baseline(provider).baseline.auth
