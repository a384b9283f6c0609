"""Views of webhooks and inbox messages in the admin API."""

from __future__ import annotations

from upsim.core.events import AttemptMade
from upsim.core.instants import Instant
from upsim.core.secrets import HIDDEN, NONE, Secrets
from upsim.core.webhooks import Delivery
from upsim.engine.sandbox import Sandbox
from upsim.engine.webhook_inbox import InboxMessage
from upsim.web.admin import exchange_views, webhook_shapes
from upsim.web.admin.shape_fields import moment, show


def delivery(found: Delivery, secrets: Secrets, held: Instant | None) -> webhook_shapes.Delivery:
    """Return a webhook with its attempts, secrets redacted. Slow for long responses.

    `held` is the time of the next attempt if a fault delays it.
    """
    created, ended = found.created, found.ended
    next_at = next((a.next_at for a in reversed(found.attempts) if a.number), created.at)
    next_at = next_at if held is None else held
    return show(
        webhook_shapes.Delivery,
        found,
        ended_at=moment(ended.at) if ended else None,
        next_at=moment(next_at) if next_at is not None and ended is None else None,
        body=exchange_views.body(created.body, len(created.body), secrets),
        attempts=[attempt(made, secrets) for made in found.attempts],
    )


def attempt(made: AttemptMade, secrets: Secrets) -> webhook_shapes.Attempt:
    """Return one attempt to deliver; headers with a secret are hidden."""
    hide = {name.lower() for name in secrets.headers}
    return show(
        webhook_shapes.Attempt,
        made,
        headers={n: HIDDEN if n.lower() in hide or "secret" in n else v for n, v in made.headers},
        sent=not made.unsent,
        answer=exchange_views.body(made.answer, len(made.answer), secrets),
    )


def secrets_of_webhook(box: Sandbox, found: Delivery) -> Secrets:
    """Return the secrets that the job's provider declares; if the job is gone, all secrets."""
    job = box.state.jobs.get(found.created.job)
    notice = box.bound(job.accepted.provider).provider.notice if job else None
    return notice.secrets if notice else NONE


def message(found: InboxMessage) -> webhook_shapes.Message:
    """Return an inbox message unchanged, so that its reader can check the signature."""
    return show(webhook_shapes.Message, found, truncated=found.size > len(found.body))
