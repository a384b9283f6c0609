"""Verify a webhook with its secret, in constant time, and read it.

    # Starlette and FastAPI
    event = receive_webhook("wavespeed", request.headers, await request.body(), SECRET)
    # Flask
    event = receive_webhook("wavespeed", request.headers, request.get_data(), SECRET)

Pass the raw body exactly as received, because the signature covers these bytes. Both functions
raise WebhookError; respond with 400 then, and 2xx otherwise. A webhook may be delivered twice:
recognise it by `event.job`.
"""

from __future__ import annotations

from collections.abc import Mapping

from upsim.client import clocks
from upsim.client.adapter import ReceivedWebhook
from upsim.client.adapter_discovery import adapter
from upsim.client.argument_checks import SECONDS, Numbers, check_kind, check_number, check_secret
from upsim.client.exceptions import ArgumentError, ClientError, UnsupportedError, WebhookError
from upsim.client.results import WebhookEvent

TOLERANCE = 300.0
"""Maximum difference of a signed timestamp from the present time, in seconds."""
MAX_BYTES = 4 * 1024**2
_UNIX_SECONDS = Numbers("1764500000", maximum=10**11)


def verify_webhook(
    provider: str,
    headers: Mapping[str, str],
    body: bytes | bytearray | memoryview,
    secret: str,
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> WebhookEvent:
    """Return the event if its sender knows the secret. Raises WebhookError.

    `now` is in Unix seconds, by default this machine's clock. `tolerance` applies if the provider
    signs a timestamp.
    """
    valid = hasattr(headers, "items") and all(
        isinstance(part, str) for item in headers.items() for part in item
    )
    if not valid:
        raise ArgumentError(f"headers is a mapping of texts, not this {type(headers).__name__}")
    check_kind("body", body, (bytes, bytearray, memoryview), "the raw bytes of a request")
    check_secret("secret", type(secret))
    check_number("tolerance", tolerance, SECONDS)
    if now is not None:
        check_number("now", now, _UNIX_SECONDS)
    body = bytes(body)
    check = adapter(provider).webhook
    if check is None:
        raise UnsupportedError(f"{provider} sends no webhooks")
    if not secret:
        raise WebhookError("the secret is empty, so the webhook cannot be verified")
    if len(body) > MAX_BYTES:
        raise WebhookError(f"the body has more than {MAX_BYTES} bytes")
    names = {name.lower(): value for name, value in headers.items()}
    try:
        received = ReceivedWebhook(
            names, body, secret, tolerance, clocks.wall() if now is None else now
        )
        return check(received)
    except WebhookError:
        raise
    except ClientError as error:
        problem = f"the body is not a webhook of {provider}: {error}"
    raise WebhookError(problem)


def receive_webhook(
    provider: str, headers: Mapping[str, str], body: bytes | bytearray | memoryview, secret: str
) -> WebhookEvent:
    """Verify a webhook in a request handler, and return its event, like `verify_webhook`."""
    return verify_webhook(provider, headers, body, secret)
