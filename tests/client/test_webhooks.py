"""Webhooks that the simulator really delivers, checked as a handler would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.client.client_targets import World, clip, hand, in_process
from upsim.client import (
    ArgumentError,
    UnsupportedError,
    WebhookError,
    receive_webhook,
    verify_webhook,
)

INBOX = "http://upsim.test/__sim/sandboxes/default/inbox/mine"
SECRETS = {"piapi/Qubico/video-toolkit": "s3cret & more", "wavespeed/runwayml/upscale-v1": None}
MODELS = list(SECRETS)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return the stack that closes the sandboxes of a test."""
    with ExitStack() as entered:
        yield entered


def delivered(stack: ExitStack, model: str) -> tuple[str, str, Mapping[str, str], bytes]:
    """Return a job's id, its webhook's secret, and the headers and body that came."""
    world = in_process(stack, model)
    client = hand(world, webhook_url=INBOX, webhook_secret=SECRETS[model])
    job = client.submit(clip("64x36_10fps_1s.mp4"))
    world.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    (message,) = world.admin("GET", "sandboxes/default/inbox/mine/messages")["messages"]
    secret = SECRETS[model] or secret_of(world)
    return job.id, secret, message["headers"], message["body"].encode()


def secret_of(world: World) -> str:
    """Return the secret that the provider made for the key."""
    headers = {"Authorization": f"Bearer {world.key}"}
    answer = world.http().get(f"{world.base_url}/api/v3/webhook/secret", headers=headers)
    found: str = answer.json()["data"]["secret"]
    return found


@pytest.mark.parametrize("model", MODELS)
def test_delivered_webhook_is_accepted(stack: ExitStack, model: str) -> None:
    """The client accepts a webhook of the simulator and reads the job's end and its file."""
    job, secret, headers, body = delivered(stack, model)
    event = receive_webhook(model.partition("/")[0], headers, body, secret)

    assert (event.job, event.progress.state, event.progress.has_output) == (job, "completed", True)


@pytest.mark.parametrize("model", MODELS)
def test_any_mapping_of_headers_is_accepted(stack: ExitStack, model: str) -> None:
    """The client accepts webhook headers in any mapping, with names in any letter case."""
    job, secret, headers, body = delivered(stack, model)
    shouted = {name.upper(): value for name, value in headers.items()}
    provider = model.partition("/")[0]

    assert [
        receive_webhook(provider, given, body, secret).job for given in (Headers(headers), shouted)
    ] == [job, job]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("secret", ["", "another", "é"])
def test_webhook_with_another_secret_is_rejected(stack: ExitStack, model: str, secret: str) -> None:
    """The client rejects a webhook if it is checked with another secret."""
    _, _, headers, body = delivered(stack, model)
    with pytest.raises(WebhookError):
        verify_webhook(model.partition("/")[0], headers, body, secret)


def test_changed_body_is_rejected(stack: ExitStack) -> None:
    """The client rejects a webhook whose body has one more blank than the signed body."""
    _, secret, headers, body = delivered(stack, MODELS[1])
    with pytest.raises(WebhookError, match="signature is wrong"):
        verify_webhook("wavespeed", headers, body + b" ", secret)


def test_old_webhook_is_rejected(stack: ExitStack) -> None:
    """The client rejects a webhook with an old signature, because it may be a replay."""
    _, secret, headers, body = delivered(stack, MODELS[1])
    later = float(headers["webhook-timestamp"]) + 301
    with pytest.raises(WebhookError, match="expected a time within 300 s"):
        verify_webhook("wavespeed", headers, body, secret, now=later)


@pytest.mark.parametrize("provider", ["venice", "vicsee"])
def test_provider_without_webhooks(provider: str) -> None:
    """The client rejects a webhook of a provider that sends no webhooks."""
    with pytest.raises(UnsupportedError, match=f"{provider} sends no webhooks"):
        receive_webhook(provider, {}, b"{}", "s")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not a webhook of piapi"),
        (b"[]", "not a webhook of piapi"),
        (b"x" * 5_000_000, "more than"),
    ],
    ids=["broken", "list", "large"],
)
def test_body_that_is_no_event(body: bytes, told: str) -> None:
    """A body that is not an event raises WebhookError, even with the right secret."""
    headers: dict[str, Any] = {"x-webhook-secret": "s"}
    with pytest.raises(WebhookError, match=told):
        receive_webhook("piapi", headers, body, "s")


class FlaskHeaders:
    """Headers as Flask gives them: with items, and no mapping."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Keep the headers."""
        self._headers = headers

    def items(self) -> Iterator[tuple[str, str]]:
        """Names and values, with each name in title case."""
        return ((name.title(), value) for name, value in self._headers.items())


@pytest.mark.parametrize("model", MODELS)
def test_headers_and_body_of_other_types(stack: ExitStack, model: str) -> None:
    """The client accepts headers of any type with `items`, and a body of any bytes type."""
    job, secret, headers, body = delivered(stack, model)
    shown: Any = FlaskHeaders(headers)

    assert {
        receive_webhook(model.partition("/")[0], shown, given, secret).job
        for given in (body, bytearray(body), memoryview(body))
    } == {job}


def test_wrong_arguments_of_a_webhook_handler() -> None:
    """A decoded body or ASGI headers raise an error that says what to pass instead."""
    text: Any = "{}"
    pairs: Any = [(b"webhook-id", b"m")]

    with pytest.raises(ArgumentError, match=r"body is the raw bytes of a request, not '\{\}'"):
        receive_webhook("wavespeed", {}, text, "s")
    with pytest.raises(ArgumentError, match="headers is a mapping of texts, not this list"):
        receive_webhook("wavespeed", pairs, b"{}", "s")


HOSTILE = {
    "signature": {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v3,\udc80"},
    "name": {"webhook-id": "\udc80", "webhook-timestamp": "1", "webhook-signature": "v3,00"},
    "timestamp": {"webhook-id": "m", "webhook-timestamp": "9" * 5000, "webhook-signature": "v3,0"},
    "secret": {"x-webhook-secret": "\udc80"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_invalid_header_values_are_rejected(name: str) -> None:
    """The client rejects a webhook whose headers have invalid text or a far too long number."""
    provider = "piapi" if name == "secret" else "wavespeed"
    with pytest.raises(WebhookError):
        verify_webhook(provider, HOSTILE[name], b"{}", "s", now=1)
