"""Believing a webhook: checked against its secret in constant time, then read.

    # Starlette and FastAPI
    event = receive_webhook("wavespeed", request.headers, await request.body(), SECRET)
    # Flask
    event = receive_webhook("wavespeed", request.headers, request.get_data(), SECRET)

Give the raw body, as it came: a signature holds for these bytes and no others. Both raise
WebhookError; answer 400 then, and 2xx otherwise. Deliveries may come twice: know them by
`event.job`.
"""

from __future__ import annotations

from collections.abc import Mapping

from upsim.client import clocks
from upsim.client.adapter import ReceivedWebhook
from upsim.client.arguments import (
    SECONDS,
    Numbers,
    check_kind,
    check_number,
    check_secret,
)
from upsim.client.discovery import adapter
from upsim.client.exceptions import ArgumentError, ClientError, UnsupportedError, WebhookError
from upsim.client.values import WebhookEvent

TOLERANCE = 300.0
"""Seconds by which a signed timestamp may be off."""
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
    """The event, if it was sent by somebody who knows the secret. Raises WebhookError.

    `now` are Unix seconds, by default those of this machine; `tolerance` counts where the provider
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
        raise WebhookError("there is no secret to check the webhook against")
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
        problem = f"the body is no event of {provider}: {error}"
    raise WebhookError(problem)


def receive_webhook(
    provider: str, headers: Mapping[str, str], body: bytes | bytearray | memoryview, secret: str
) -> WebhookEvent:
    """As `verify_webhook`, for a handler of any framework: a mapping of headers, the raw body."""
    return verify_webhook(provider, headers, body, secret)
