"""WaveSpeedAI's webhooks: the target, the body, and the signature."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping

from upsim.core.call import Call
from upsim.core.events import WebhookTarget
from upsim.core.jobs import Job
from upsim.core.provider import Attempt, Notice
from upsim.core.secrets import Secrets
from upsim.providers.wavespeed import wire
from upsim.providers.wavespeed.checks import WEBHOOK


def requested(call: Call) -> WebhookTarget | None:
    """The URL in the query parameter `webhook`; a knob makes the key in the body effective too.

    One published client does not encode the URL, so all text up to the next `&` belongs to it.
    """
    url: object = call.query_string and call.query().get("webhook")
    if not url and call.rules.knobs["webhook_key"] == "body":
        url = call.inputs.get(WEBHOOK)
    return WebhookTarget(str(url), secret(call)) if url else None


def idle(call: Call) -> Mapping[str, str]:
    """Fields of a submit that are accepted without effect, each with the reason."""
    in_body = call.rules.knobs["webhook_key"] == "body"
    return {
        "enable_base64_output": "the output of a video model is always a URL",
        WEBHOOK: "" if in_body else "give the URL in the query, as ?webhook=…",
    }


def secret(call: Call) -> str:
    """Return the signing secret of the account, the same in every response."""
    form = wire.words(call, "webhook_secret")
    key = call.sandbox.secret(call.who, "webhook", int(form["bytes"]))
    return form["prefix"] + b64encode(key).decode()


def body(call: Call, job: Job, _seconds: int) -> dict[str, object]:
    """Return the bare record, without an envelope, and the submitted input."""
    shown = wire.record(call, job)
    if call.rules.knobs["webhook_input"] == "present":
        shown["input"] = dict(job.accepted.inputs)
    return shown


def headers(call: Call, job: Job, attempt: Attempt) -> Mapping[str, str]:
    """Return the headers of one attempt: each attempt has the same id and a new signature."""
    rule = call.rules.baseline.webhooks
    names = rule.headers if rule else {}
    name = job.id if call.rules.knobs["webhook_id"] == "task" else attempt.delivery
    key = attempt.secret.removeprefix(wire.words(call, "webhook_secret")["prefix"])
    signed = signature(key, name=name, seconds=attempt.seconds, content=attempt.content)
    return {
        names["id"]: name,
        names["timestamp"]: str(attempt.seconds),
        names["signature"]: f"{names['version']},{signed}",
    }


SECRETS = Secrets(urls=("video", "webhook", "webhook_url", "outputs"), query=("webhook",))
NOTICE = Notice(body=body, headers=headers, secrets=SECRETS)


def signature(key: str, *, name: str, seconds: int, content: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 of `id.timestamp.body`.

    The key of the HMAC is the secret as text, without its prefix. It is not decoded from base64.
    """
    signed = f"{name}.{seconds}.".encode() + content
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
