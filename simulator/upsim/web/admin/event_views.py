"""Names and views of the events of a sandbox, for the event stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from upsim.core.events import (
    AccountChanged,
    AccountOpened,
    AnnouncementPlanned,
    AttemptMade,
    AttemptPostponed,
    ChangeApplied,
    ChangesPlanned,
    ClockMoved,
    DeliveryCreated,
    DeliveryEnded,
    FaultArmed,
    FaultDisarmed,
    FaultMatched,
    JobAccepted,
    JobMarked,
    JobMoved,
    JobPolled,
    JobsForgotten,
    JobStarted,
    QuotaUsed,
    RulesChanged,
    UploadIssued,
    UploadsForgotten,
    UploadStored,
)
from upsim.core.instants import iso
from upsim.core.ledger import Entry
from upsim.core.secrets import NONE, hidden_url
from upsim.engine.live_events import Happening
from upsim.engine.request_records import Record
from upsim.engine.sandbox import Sandbox
from upsim.web.admin import exchange_views, job_shapes, webhook_views
from upsim.web.admin.shape_fields import exact, show

Shown = Mapping[str, object]
NAMES: Mapping[type, str] = {
    AccountOpened: "account.opened",
    AccountChanged: "account.changed",
    JobAccepted: "job.accepted",
    JobStarted: "job.started",
    JobMoved: "job.moved",
    JobPolled: "job.polled",
    JobMarked: "job.marked",
    JobsForgotten: "job.forgotten",
    Entry: "ledger.entry",
    RulesChanged: "rules.changed",
    ChangesPlanned: "rules.planned",
    ChangeApplied: "rules.change",
    QuotaUsed: "quota.used",
    UploadIssued: "upload.issued",
    UploadStored: "upload.stored",
    UploadsForgotten: "upload.forgotten",
    FaultArmed: "fault.armed",
    FaultMatched: "fault.matched",
    FaultDisarmed: "fault.disarmed",
    DeliveryCreated: "webhook.created",
    AttemptMade: "webhook.attempt",
    AttemptPostponed: "webhook.postponed",
    AnnouncementPlanned: "webhook.planned",
    DeliveryEnded: "webhook.ended",
    Record: "exchange",
    ClockMoved: "clock.moved",
}
"""Values of the event field of a stream; the part before the dot is the family."""
FAMILIES = tuple(dict.fromkeys(name.partition(".")[0] for name in NAMES.values()))
OTHER = "other"


def name_of(happening: Happening) -> str:
    """Return the name of an event."""
    return NAMES.get(type(happening), OTHER)


def view(box: Sandbox, happening: Happening) -> dict[str, object]:
    """Return an event as the stream shows it, with secrets hidden."""
    show = _VIEWS.get(type(happening))
    shown = _fields(box, happening) if show is None else show(box, happening)
    return {"type": name_of(happening), "at": iso(happening.at, 6), **shown}


def _fields(_box: Sandbox, happening: Any) -> Shown:  # noqa: ANN401 - one of many
    """Return the fields of a simple event, which are texts or numbers."""
    names = getattr(happening, "_fields", None) or happening.__struct_fields__
    found = {name: getattr(happening, name) for name in names if name != "at"}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items() if _plain(v)}


def _plain(value: object) -> bool:
    texts = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    return texts or value is None or isinstance(value, str | int)


def _opened(_box: Sandbox, event: AccountOpened) -> Shown:
    return {
        "account": event.account,
        "provider": event.provider,
        "name": event.name,
        "opening": exact(event.opening),
        "unit": event.unit,
        "plan": event.plan,
    }


def _accepted(_box: Sandbox, event: JobAccepted) -> Shown:
    return {
        "job": event.job,
        "account": event.account,
        "provider": event.provider,
        "model": event.model,
        "operation": event.operation,
        "state": event.phases[0].state.value,
        "queued": event.queued,
        "options": dict(event.options),
        "media": show(job_shapes.Media, event.media) if event.media else None,
        "charged": exact(event.quote.amount),
        "unit": event.quote.unit,
        "formula": event.quote.formula,
    }


def _moved(_box: Sandbox, event: JobMoved) -> Shown:
    return {
        "job": event.job,
        "state": event.state.value,
        "failure": show(job_shapes.Failure, event.failure) if event.failure else None,
        "planned": event.planned,
    }


def _entry(_box: Sandbox, event: Entry) -> Shown:
    return {**show(job_shapes.Entry, event)}


def _issued(_box: Sandbox, event: UploadIssued) -> Shown:
    return {
        "upload": event.upload,
        "provider": event.provider,
        "account": event.account,
        "content_type": event.content_type,
        "size": event.size,
        "expires_at": iso(event.expires_at, 6),
    }


def _armed(_box: Sandbox, event: FaultArmed) -> Shown:
    rule = event.rule
    shown = {"fault": rule.id, "provider": rule.provider, "stage": rule.at, "on": rule.on}
    return {**shown, "do": rule.written}


def _matched(box: Sandbox, event: FaultMatched) -> Shown:
    armed = box.state.faults.get(event.fault)
    shown = exchange_views.acted(box, armed.rule) if armed else None
    return {"fault": event.fault, "fired": event.fired, "rule": shown}


def _created(_box: Sandbox, event: DeliveryCreated) -> Shown:
    shown = {"delivery": event.delivery, "job": event.job, "state": event.state.value}
    return {**shown, "url": hidden_url(event.url)}


def _attempted(box: Sandbox, event: AttemptMade) -> Shown:
    found = box.state.deliveries.get(event.delivery)
    secrets = webhook_views.secrets_of_webhook(box, found) if found else NONE
    shown = webhook_views.attempt(event, secrets)
    return {"delivery": event.delivery, "job": event.job, **shown}


def _exchanged(box: Sandbox, exchange: Record) -> Shown:
    return {**exchange_views.exchange(exchange_views.seen(box, exchange))}


def _clock(_box: Sandbox, event: ClockMoved) -> Shown:
    pace = event.pace if event.mode == "real" else None
    return {"before": iso(event.before, 6), "mode": event.mode, "pace": pace}


_VIEWS: Mapping[type, Callable[[Sandbox, Any], Shown]] = {
    AccountOpened: _opened,
    JobAccepted: _accepted,
    JobMoved: _moved,
    Entry: _entry,
    UploadIssued: _issued,
    FaultArmed: _armed,
    FaultMatched: _matched,
    DeliveryCreated: _created,
    AttemptMade: _attempted,
    Record: _exchanged,
    ClockMoved: _clock,
}
