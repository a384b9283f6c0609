"""Webhooks of WaveSpeedAI: the signature rule in numbers, and what a delivery would hold."""

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from upsim.core.call import Call
from upsim.core.events import WebhookTarget
from upsim.core.jobs import Job
from upsim.core.knobs_and_dialects import rules
from upsim.core.provider import Attempt
from upsim.core.states import JobState, Phase
from upsim.core.url_builder import UrlBuilder
from upsim.providers.wavespeed import webhooks
from upsim.scenario.loader import Library

EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/wavespeed/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
SAMPLE = PUBLISHED["webhook"]
SECRET = SAMPLE["secret"]
INPUT = {"video": "https://media.example/a.mp4", "copy_audio": True}


def call(query: str = "", *, inputs: dict[str, object] | None = None, **knobs: str) -> Call:
    """Return as much of a call as webhooks look at."""
    world = SimpleNamespace(secret=lambda _account, _name, size: bytes(size))
    return Call(
        operation="submit",
        kind="submit",
        rules=rules(Library().baseline("wavespeed").baseline, "guide", knobs),
        sandbox=cast("Any", world),
        urls=UrlBuilder("https://sim.example"),
        method="POST",
        path="/api/v3/runwayml/upscale-v1",
        params={},
        query_string=query.encode(),
        headers={},
        body=b"",
        credential="known",
        account=cast("Any", SimpleNamespace(number=1, name="wavespeed-1")),
        inputs=inputs or {},
    )


def job(webhook: WebhookTarget | None = None) -> Job:
    """Return a task that was just accepted."""
    accepted = SimpleNamespace(
        job=SAMPLE["id"],
        at=1_767_225_600_123_000,
        model="runwayml/upscale-v1",
        inputs=INPUT,
        phases=(Phase(JobState.WAITING),),
        webhook=webhook,
    )
    return Job(cast("Any", accepted))


@pytest.mark.parametrize("vector", SAMPLE["vectors"], ids=lambda vector: vector["bytes"])
def test_the_signature_follows_the_published_rule(vector: dict[str, Any]) -> None:
    """The WaveSpeed signature covers id, second and raw body, joined by dots.

    The key is the text of the secret without its prefix.
    """
    body = vector["body"].encode()
    attempt = Attempt("d", SECRET, SAMPLE["timestamp"], body)
    found = webhooks.headers(call(), job(WebhookTarget("https://h", SECRET)), attempt)

    assert vector["bytes"] == len(body)
    assert found == {
        "webhook-id": SAMPLE["id"],
        "webhook-timestamp": "1767225600",
        "webhook-signature": vector["signature"],
    }


@pytest.mark.parametrize(
    ("key", "beginning"),
    [(SECRET, "61c043c442664ea4"), (None, "5926ff741dca007c")],
    ids=["prefix kept", "base64 decoded"],
)
def test_wrong_keys_give_other_signatures(key: str | None, beginning: str) -> None:
    """A signature with the prefixed or the decoded secret as key is different."""
    decoded = base64.b64decode(SECRET.removeprefix("whsec_")).decode()
    found = webhooks.signature(
        key or decoded, name=SAMPLE["id"], seconds=SAMPLE["timestamp"],
        content=SAMPLE["vectors"][0]["body"].encode(),
    )  # fmt: skip

    assert found.startswith(beginning)


def test_a_delivery_may_have_its_own_id() -> None:
    """With the knob `webhook_id`, the webhook has and signs the delivery id, not the task id."""
    found = webhooks.headers(call(webhook_id="delivery"), job(), Attempt("d1", SECRET, 1, b"{}"))

    assert found["webhook-id"] == "d1"


def test_the_secret_has_the_documented_form() -> None:
    """A secret is `whsec_` and 44 characters of standard base64, here of 32 zero bytes."""
    found = webhooks.secret(call())

    assert found == "whsec_" + "A" * 43 + "="


def test_the_body_is_the_bare_record_with_its_input() -> None:
    """A WaveSpeed webhook is the record without an envelope, with the submit body as `input`."""
    found = webhooks.body(call(), job(), 1)

    assert found["id"] == SAMPLE["id"]
    assert found["input"] == INPUT
    assert {"code", "message", "data"}.isdisjoint(found)


def test_the_input_may_be_omitted() -> None:
    """With the knob `webhook_input`, the webhook omits the submitted body."""
    assert "input" not in webhooks.body(call(webhook_input="absent"), job(), 1)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("webhook=", None),
        ("webhook=https%3A%2F%2Fh%2Fp%3Fa%3D1%26b%3D2", "https://h/p?a=1&b=2"),
        ("webhook=http://h/p?a=1&b=2", "http://h/p?a=1"),
        ("webhook=http://h/1&webhook=http://h/2", "http://h/1"),
    ],
)
def test_the_query_names_the_webhook(query: str, expected: str | None) -> None:
    """The webhook URL in the query may be encoded or raw; a raw URL ends at the next `&`."""
    found = webhooks.requested(call(query))

    assert expected == (found.url if found else None)


@pytest.mark.parametrize(
    ("query", "knob", "expected"),
    [
        ("", "query", None),
        ("", "body", "http://body"),
        ("webhook=http://query", "body", "http://query"),
    ],
)
def test_the_body_key_is_a_knob(query: str, knob: str, expected: str | None) -> None:
    """`webhook_url` in the body counts only with the knob `webhook_key`; the query wins over it."""
    asked = call(query, inputs={"webhook_url": "http://body"}, webhook_key=knob)
    found = webhooks.requested(asked)

    assert expected == (found.url if found else None)
