"""The reference client: one interface for every provider's way to upscale a video.

    from upsim.client import connect

    with connect("venice", api_key=…, base_url=…) as client:
        done = client.upscale("clip.mp4", "large.mp4", factor=2)

The logic is generators that yield effects (`effects`), so it is written once for sync and async
clients. The package `http` executes the effects. An adapter (`providers/<name>/client.py`)
defines the requests of a provider and reads its responses. A diagram of the exceptions is in
`exceptions`. Names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upsim.client.clients import AsyncClient, Client, connect, connect_async
    from upsim.client.exceptions import (
        ArgumentError,
        AuthenticationError,
        BalanceError,
        CapReachedError,
        ClientError,
        DestinationError,
        InvalidInputError,
        JobFailedError,
        MediaRefusedError,
        MoneyGuardError,
        NotFoundError,
        OutcomeUnknownError,
        OverchargedError,
        OverchargedWarning,
        ProtocolError,
        RateLimitError,
        RefusedError,
        SourceError,
        TransientError,
        UnknownModelError,
        UnpricedError,
        UnsafeTargetError,
        UnsupportedError,
        WaitTimeoutError,
        WebhookError,
    )
    from upsim.client.models import model_names
    from upsim.client.polling_and_retries import Polling, Retries, Timeouts
    from upsim.client.results import (
        Billed,
        Download,
        Job,
        Money,
        Progress,
        Quote,
        Size,
        Upscaled,
        WebhookEvent,
    )
    from upsim.client.sandbox_sleepers import SandboxSleeper, sandbox_sleeper
    from upsim.client.webhooks import receive_webhook, verify_webhook

__all__ = [
    "ArgumentError",
    "AsyncClient",
    "AuthenticationError",
    "BalanceError",
    "Billed",
    "CapReachedError",
    "Client",
    "ClientError",
    "DestinationError",
    "Download",
    "InvalidInputError",
    "Job",
    "JobFailedError",
    "MediaRefusedError",
    "Money",
    "MoneyGuardError",
    "NotFoundError",
    "OutcomeUnknownError",
    "OverchargedError",
    "OverchargedWarning",
    "Polling",
    "Progress",
    "ProtocolError",
    "Quote",
    "RateLimitError",
    "RefusedError",
    "Retries",
    "SandboxSleeper",
    "Size",
    "SourceError",
    "Timeouts",
    "TransientError",
    "UnknownModelError",
    "UnpricedError",
    "UnsafeTargetError",
    "UnsupportedError",
    "Upscaled",
    "WaitTimeoutError",
    "WebhookError",
    "WebhookEvent",
    "connect",
    "connect_async",
    "model_names",
    "receive_webhook",
    "sandbox_sleeper",
    "verify_webhook",
]

_HOME = {
    "clients": ("AsyncClient", "Client", "connect", "connect_async"),
    "models": ("model_names",),
    "polling_and_retries": ("Polling", "Retries", "Timeouts"),
    "sandbox_sleepers": ("SandboxSleeper", "sandbox_sleeper"),
    "results": (
        "Billed",
        "Download",
        "Job",
        "Money",
        "Progress",
        "Quote",
        "Size",
        "Upscaled",
        "WebhookEvent",
    ),
    "webhooks": ("receive_webhook", "verify_webhook"),
}
"""Maps each name to its module; all other names are exceptions."""


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing the package is cheap."""
    if name in __all__:
        home = next((module for module, names in _HOME.items() if name in names), "exceptions")
        return getattr(import_module(f"upsim.client.{home}"), name)
    msg = f"module 'upsim.client' has no attribute {name!r}"
    raise AttributeError(msg)
