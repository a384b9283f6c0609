"""Handle a PUT to the URL of an upload ticket, with the checks of the real storage."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from upsim.core.baseline import ErrorRule
from upsim.core.call import SentFile
from upsim.core.media import Unmeasurable
from upsim.core.upload_headers import upload_headers
from upsim.engine.command_log import resumed, taken
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import Upload
from upsim.engine.upload_tickets import ticket_refusal
from upsim.web.body_spool import Spool
from upsim.web.non_provider_log import CAUSE
from upsim.web.request_bodies import ClientGoneError, announced_length, headers_of
from upsim.web.storage_responses import TEXT, refusal_answer, text_answer, whole_answer

SHOWN = 100
"""Maximum characters of a client's header that a refusal repeats."""
UNSIGNED = (
    "the URL has no signature; PUT to the upload URL of the ticket (uploadUrl or upload.url), "
    "not to its publicUrl or download_url"
)
FORGED = "sig in the URL is wrong; PUT to the upload URL of the ticket without any change"
TAKEN = "a file is already uploaded to this URL; request another ticket for another upload"


class Uploads(msgspec.Struct, frozen=True):
    """The handler that stores the files of upload tickets."""

    _registry: Registry

    async def put(
        self, scope: Scope, receive: Receive, send: Send, name: str, sandbox: Sandbox
    ) -> None:
        """Respond to a PUT to an upload URL: store its body, or refuse the request."""
        sandbox.run_due()
        upload = sandbox.state.uploads.get(name)
        if upload is None:
            await text_answer(send, 404, "There is no such upload.")
            return
        rules = sandbox.bound(upload.issued.provider).rules
        refusal = _refusal(sandbox, upload, scope)
        if refusal is not rules.errors["upload_bad_signature"]:  # which storage checks first
            differs = _differing(sandbox, upload, headers_of(scope))
            if differs is not None:
                scope.pop(CAUSE, None)
                await refusal_answer(send, *differs)
                return
        limit = upload.issued.size
        if limit is None:
            limit = rules.wholes["video_bytes"]
        found: object = announced_length(headers_of(scope))
        if refusal is None:
            with (
                self._registry.room.share() as share,
                Spool(self._registry.blobs, share, limit) as body,
            ):
                try:
                    await body.fill(receive, headers_of(scope))
                except ClientGoneError:
                    return
                taken(body.head, body.size, body.digest, oversized=body.oversized)
                await resumed("body")
                expected = upload.issued.size
                wrong = body.oversized or (expected is not None and body.size != expected)
                if body.problem is not None or not wrong:  # without room it was not read whole
                    await self._store(scope, send, sandbox, upload, body)
                    return
                refusal = rules.errors["upload_wrong_size"]
                # An export does not hold how long a body was that was not read.
                found = f"more than {limit}" if body.oversized else found or body.size
        values = {"found": found, "expected": limit}
        await refusal_answer(send, refusal, values)

    async def _store(
        self, scope: Scope, send: Send, sandbox: Sandbox, upload: Upload, body: Spool
    ) -> None:
        digest = await asyncio.to_thread(body.stored)
        if isinstance(digest, Unmeasurable):
            await resumed("stored")
            await text_answer(send, 507, digest.detail)
            return
        try:
            await resumed("stored")
            await self._take(scope, send, sandbox, upload, SentFile("", "", body.size, digest))
        finally:
            self._registry.blobs.end_lease(digest)

    async def _take(
        self, scope: Scope, send: Send, sandbox: Sandbox, upload: Upload, file: SentFile
    ) -> None:
        """Attach a stored file to its ticket, or refuse the file."""
        if sandbox.abandoned:
            await text_answer(send, 404, "There is no such upload.")
            return
        present = sandbox.state.uploads.get(upload.issued.upload)
        if present is None or present.stored is not None:  # another PUT came first
            rule = sandbox.bound(upload.issued.provider).rules.errors["upload_taken"]
            scope[CAUSE] = TAKEN
            await text_answer(send, rule.status, rule.message)
            return
        _, world = sandbox.view(upload.issued.provider, None)
        if not world.store_upload(upload.issued, file):
            await text_answer(send, 507, "The file was removed at once to make room for others.")
            return
        etag = f'"{file.digest[:32]}"'.encode()
        await whole_answer(send, 200, b"", TEXT, ((b"etag", etag),))


def _refusal(sandbox: Sandbox, upload: Upload, scope: Scope) -> ErrorRule | None:
    """Return the error of a ticket, and note its cause for the log."""
    given = parse_qs(scope["query_string"].decode("latin-1")).get("sig", [""])[0]
    refusal = ticket_refusal(sandbox, upload, given)
    if given != upload.issued.signature:
        scope[CAUSE] = FORGED if given else UNSIGNED
    elif refusal is sandbox.bound(upload.issued.provider).rules.errors["upload_taken"]:
        scope[CAUSE] = TAKEN
    return refusal


def _differing(
    sandbox: Sandbox, upload: Upload, headers: Mapping[bytes, bytes]
) -> tuple[ErrorRule, Mapping[str, object]] | None:
    """Return why the headers of a PUT differ from the headers for which its URL was signed.

    Returns None if they do not differ.
    """
    rules = sandbox.bound(upload.issued.provider).rules
    if rules.knobs.get("upload_headers") != "signed":
        return None
    if headers.get(b"authorization"):
        return rules.errors["upload_with_key"], {}
    for name, expected in upload_headers(rules, upload.issued).items():
        found = headers.get(name.lower().encode(), b"").decode("latin-1")
        if found != expected:
            values = {"header": name, "expected": escape(expected)}
            shown = escape(repr(found[:SHOWN])) if found else "none"
            return rules.errors["upload_wrong_headers"], {**values, "found": shown}
    return None
