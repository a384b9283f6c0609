"""Both ways to upload a file: a ticket and a PUT, or one form with the bytes in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import cast

from upsim.core import causes
from upsim.core.call import Call, Carried, Content, Reply, SentFile
from upsim.core.checks import Check, Violation, named, size_flaw
from upsim.core.events import UploadIssued
from upsim.core.instants import iso
from upsim.core.upload_headers import upload_headers
from upsim.providers.wavespeed import wire
from upsim.providers.wavespeed.multipart import file_part, part_names
from upsim.providers.wavespeed.parameters import text, whole

_CONTENT_TYPE = re.compile(r"([a-z]+)/[a-z0-9][a-z0-9.+-]*")
_ANY_BYTES = "application/octet-stream"


def upload_within_limit(call: Call) -> Violation | None:
    """The announced size is within the limit of an upload."""
    limit = call.rules.wholes["upload_bytes"]
    size = whole(call, "size")
    if size <= limit:
        return None
    cause = causes.wrong("size", size, f"at most {limit} bytes")
    return Violation("upload_too_large", {"max": limit, "found": size}, cause=cause)


def upload_body_within_limit(call: Call) -> Violation | None:
    """The form is within the size limit of a form upload."""
    if not call.oversized:
        return None
    limit = call.rules.wholes["upload_body_bytes"]
    return Violation("upload_too_large", {"max": limit}, cause=size_flaw(call, limit))


def multipart_file(call: Call) -> Violation | None:
    """The body is a form with a part `file` that is not empty."""
    file = call.file
    if file is None or not file.size:
        return Violation("bad_upload", cause=_form_flaw(call))
    call.inputs = {"filename": file.file_name, "content_type": file.content_type}
    return None


def carried(call: Call, content: Content) -> Carried | None:
    """Return the part `file` of the form; None if the body has no such part or is no form."""
    content_type = call.header(b"content-type") or ""
    found = file_part(content_type, content, "file")
    if found is None:
        call.options["parts"] = ", ".join(map(causes.quoted, part_names(content_type, content)))
    return found


def upload_supported(call: Call) -> Violation | None:
    """The file is image, video or audio, by its content type or, failing that, its extension."""
    found = _kind_and_type(call, _base_name(call), text(call, "content_type") or "")
    if found is None:
        return Violation("unsupported_upload", cause=_type_flaw(call))
    call.options["kind"], call.options["content_type"] = found
    return None


def _form_flaw(call: Call) -> str:
    given = call.headers.get(b"content-type")
    if given is None or not given.lower().startswith(b"multipart/form-data"):
        return causes.header("Content-Type", given, "multipart/form-data; boundary=…")
    if b"boundary=" not in given.lower():
        return causes.header("Content-Type", given, "a boundary=…")
    if call.file is not None:
        return "form: the part named file is empty"
    if call.options.get("parts"):
        return f"form: found parts named {call.options['parts']}, expected a part named file"
    return "form: there is no part named file between the boundaries that Content-Type names"


def _type_flaw(call: Call) -> str:
    name, given = _base_name(call), text(call, "content_type") or ""
    kinds = call.rules.fact("upload_kinds")
    expected = " or ".join(f"{kind}/…" for kind in kinds) if isinstance(kinds, tuple) else "another"
    found = f"content type {causes.quoted(given)} and name {causes.quoted(name)}"
    field = "file" if call.file is not None else "filename"
    return f"{field}: found {found}, expected {expected}"


def request_upload(call: Call) -> Reply:
    """`POST /media/uploads`: return a ticket; the client then PUTs the bytes to `upload.url`."""
    size = whole(call, "size")
    ticket = _issue(call, size)
    upload = {
        "method": "PUT",
        "url": f"{_url(call, ticket)}?sig={ticket.signature}",
        "headers": upload_headers(call.rules, ticket),
        "expires_at": iso(ticket.expires_at, 0),
    }
    return wire.success(call, {**_shown(call, ticket, size), "upload": upload})


def upload_binary(call: Call) -> Reply:
    """`POST /media/upload/binary`: the request itself contains the file."""
    file = cast("SentFile", call.file)  # the check `multipart_file` saw that there is one
    ticket = _issue(call, file.size)
    if not call.sandbox.store_upload(ticket, file):
        return wire.problem(call, Violation("unavailable"))
    return wire.success(call, _shown(call, ticket, file.size))


def _issue(call: Call, size: int) -> UploadIssued:
    return call.sandbox.issue_upload(
        call,
        file_name=_base_name(call),
        content_type=call.options["content_type"],
        size=size,
    )


def _shown(call: Call, ticket: UploadIssued, size: int) -> dict[str, object]:
    return {
        "type": call.options["kind"],
        "download_url": _url(call, ticket),
        "filename": ticket.file_name,
        "size": size,
    }


def _url(call: Call, ticket: UploadIssued) -> str:
    return call.urls.media(f"uploads/{ticket.upload}")


def _base_name(call: Call) -> str:
    return PurePosixPath((text(call, "filename") or "").replace("\\", "/")).name or "upload"


def _kind_and_type(call: Call, name: str, given: str) -> tuple[str, str] | None:
    """Return kind and content type; None if neither the type nor the extension is supported."""
    given = given.partition(";")[0].strip().lower()
    if given and given != _ANY_BYTES:
        return _kind_of(call, given)
    ending = PurePosixPath(name).suffix.removeprefix(".").lower()
    if not ending:
        unnamed = wire.words(call, "upload_unnamed")
        return (unnamed["kind"], unnamed["content_type"])
    types = {**wire.words(call, "upload_types"), **wire.words(call, "other_upload_types")}
    return _kind_of(call, types.get(ending, ""))


def _kind_of(call: Call, content_type: str) -> tuple[str, str] | None:
    match = _CONTENT_TYPE.fullmatch(content_type)
    kinds = call.rules.fact("upload_kinds")
    if match is None or not isinstance(kinds, tuple) or match[1] not in kinds:
        return None
    return (match[1], content_type)


CHECKS: Mapping[str, Check] = named(
    upload_within_limit,
    upload_body_within_limit,
    multipart_file,
    upload_supported,
)
