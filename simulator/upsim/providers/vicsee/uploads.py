"""VicSee's upload tickets: the check of type and size, and the operation that issues a ticket."""

from __future__ import annotations

from upsim.core import causes
from upsim.core.call import Call, Reply
from upsim.core.checks import Violation, whole_number
from upsim.core.instants import iso
from upsim.providers.vicsee import wire


def uploadable(call: Call) -> Violation | None:
    """`contentType` is allowed, and `sizeBytes` is within the limit of its kind of file."""
    kind, size = call.inputs.get("contentType"), whole_number(call.inputs.get("sizeBytes"))
    known = call.rules.table("upload_types")
    if not isinstance(kind, str) or kind not in known:
        expected = f"the text {' or '.join(map(causes.quoted, known))}"
        cause = causes.of("contentType", call.inputs, expected)
        return Violation("bad_upload_type", cause=cause)
    name = "upload_video_bytes" if kind.startswith("video/") else "upload_other_bytes"
    most = call.rules.wholes[name]
    if size is not None and 0 < size <= most:
        return None
    cause = causes.of("sizeBytes", call.inputs, f"a whole number from 1 to {most}")
    return Violation("bad_upload_size", {"max": most, "found": size}, cause=cause)


def upload(call: Call) -> Reply:
    """`POST /upload`: return a ticket; then the client PUTs the bytes to `uploadUrl`, keyless."""
    kind, size = str(call.inputs["contentType"]), whole_number(call.inputs["sizeBytes"])
    name = f"upload.{call.rules.table('upload_types')[kind]}"
    ticket = call.sandbox.issue_upload(call, file_name=name, content_type=kind, size=size)
    public = call.urls.media(f"uploads/{ticket.upload}")
    answer = {
        "uploadUrl": f"{public}?sig={ticket.signature}",
        "publicUrl": public,
        "key": f"uploads/{ticket.upload}",
        "expiresAt": iso(ticket.expires_at),
    }
    return wire.success(answer)
