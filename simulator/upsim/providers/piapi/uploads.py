"""`POST /api/ephemeral_resource` of the upload host: its checks and its operation.

Every invalid request gets the same error. This includes a file that is too large, which
the create endpoint refuses with 413.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from upsim.core import causes
from upsim.core.call import Call, Carried, Content, Reply, SentFile
from upsim.core.checks import Violation, size_flaw
from upsim.core.json_bodies import Malformed
from upsim.providers.piapi import wire
from upsim.providers.piapi.base64_files import decoded, encoded

_Types = Mapping[str, tuple[str, ...]]


def plan_has_uploads(call: Call) -> Violation | None:
    """The plan includes uploads; the free one does not."""
    facts = call.rules.baseline.plans[call.who.plan].facts
    allowed = "uploads" not in facts or facts["uploads"].value
    if allowed:
        return None
    cause = f"account: its plan {call.who.plan} has no uploads"
    return Violation("plan_without_uploads", cause=cause)


def upload_request(call: Call) -> Violation | None:
    """The body is within the limit of an upload."""
    if not call.oversized:
        return None
    return _bad(size_flaw(call, call.rules.wholes["body_bytes"]))


def upload_object(call: Call) -> Violation | None:
    """The body is a JSON object; `file_name` and `file_data` are strings that are not empty."""
    document = call.json()
    if isinstance(document, Malformed):
        return _bad(f"body: {document.detail}")
    if not isinstance(document, dict):
        return _bad(causes.wrong("body", document, "a JSON object"))
    for field in ("file_name", "file_data"):
        value = document.get(field)
        if not isinstance(value, str) or not value:
            return _bad(causes.of(field, document, "a text"))
    call.inputs = document
    return None


def uploadable(call: Call) -> Violation | None:
    """The name is short and has a known extension; the decoded file fits its type and the limit."""
    name = str(call.inputs["file_name"])
    most = call.rules.wholes["upload_name_length"]
    if len(name) > most:
        return _bad(f"file_name: found {len(name)} characters, expected at most {most}")
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    types = cast("_Types", call.rules.fact("upload_types")).get(extension)
    if types is None:
        known = ", ".join(cast("_Types", call.rules.fact("upload_types")))
        return _bad(causes.wrong("file_name", name, f"an ending out of {known}"))
    file = call.file
    if file is None:
        source = str(call.inputs["file_data"])
        flaw = causes.base64_flaw(source)
        return _bad(f"file_data: {causes.described(source)}: {flaw}")
    if file.content_type and file.content_type not in types:
        expected = f"{' or '.join(types)} for a file_name that ends in .{extension}"
        return _bad(f"file_data: {causes.header('its media type', file.content_type, expected)}")
    limit = call.rules.wholes["upload_bytes"]
    if file.size > limit:
        return _bad(f"file_data: found {file.size} bytes when decoded, expected at most {limit}")
    call.inputs = {"extension": extension, "content_type": types[0]}
    return None


def _bad(cause: str) -> Violation:
    return Violation("bad_upload", cause=cause)


def carried(call: Call, _content: Content) -> Carried | None:
    """Return the file in `file_data`; None if there is no valid file."""
    document = call.json()
    text = document.get("file_data") if isinstance(document, dict) else None
    file = encoded(text) if isinstance(text, str) else None
    data = decoded(file) if file else None
    return Carried("", file.media_type, (data,)) if file and data else None


def upload(call: Call) -> Reply:
    """Store the file, which is available at once and expires after a day."""
    file = cast("SentFile", call.file)  # the check `uploadable` saw that there is one
    url = stored_file(call, file, str(call.inputs["extension"]), str(call.inputs["content_type"]))
    if url is None:
        return wire.problem(call, Violation("internal"))
    beside = {"url": url} if call.rules.knobs["upload_form"] == "superset" else {}
    return wire.success(call, {"url": url}, **beside)


def stored_file(call: Call, file: SentFile, extension: str, content_type: str) -> str | None:
    """Return the link under which a file is served for a day; None if the cache removed it."""
    ticket = call.sandbox.issue_upload(
        call, file_name=f"file.{extension}", content_type=content_type, size=file.size
    )
    kept = call.sandbox.store_upload(ticket, file)
    return call.urls.media(f"uploads/{ticket.upload}") if kept else None
