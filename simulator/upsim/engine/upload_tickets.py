"""Upload tickets: signed URLs, each for the upload of one file until it expires."""

from __future__ import annotations

from upsim.core.baseline import ErrorRule
from upsim.core.events import UploadIssued
from upsim.core.instants import DAY
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import Upload
from upsim.engine.seeds import Draw

MAX_FILE_NAME_KEPT = 1_000


def issue_ticket(
    sandbox: Sandbox,
    bound: BoundProvider,
    draw: Draw,
    *,
    account: int,
    file_name: str,
    content_type: str,
    size: int | None,
) -> UploadIssued:
    """Issue a ticket for one upload; it expires after `retention.upload_tickets`."""
    sandbox.retention.make_room_for_upload()
    expires_at = sandbox.now + (bound.rules.baseline.lifetime("upload_tickets") or DAY)
    upload = f"{draw.getrandbits(64):016x}/{_safe_name(file_name)}"
    signed = f"{sandbox.id}/{upload}/{draw.getrandbits(128):032x}"
    ticket = UploadIssued(
        at=sandbox.now,
        upload=upload,
        provider=bound.provider.name,
        account=account,
        file_name=file_name[:MAX_FILE_NAME_KEPT],
        content_type=content_type[:MAX_FILE_NAME_KEPT],
        size=size,
        signature=sandbox.seeds.secret(signed, 16).hex(),
        expires_at=expires_at,
        kept_until=expires_at + DAY,
    )
    sandbox.commit(ticket)
    return ticket


def ticket_refusal(sandbox: Sandbox, upload: Upload, signature: str) -> ErrorRule | None:
    """Return the error of a ticket that is used, expired or has another signature, else None."""
    errors = sandbox.bound(upload.issued.provider).rules.errors
    if signature != upload.issued.signature:
        return errors["upload_bad_signature"]
    if sandbox.now >= upload.issued.expires_at:
        return errors["upload_expired"]
    return errors["upload_taken"] if upload.stored is not None else None


def _safe_name(name: str) -> str:
    """Return a file name that is valid as one segment of a URL."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept.lstrip(".")[-128:] or "upload"
