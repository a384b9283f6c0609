"""`/media/`: synthetic clips, uploads and outputs, served without a key."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from upsim.core.baseline import ErrorRule
from upsim.core.call import FileReply
from upsim.core.faults import Stage
from upsim.core.instants import http_date
from upsim.core.media import Unmeasurable
from upsim.core.states import State
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.state import Upload
from upsim.engine.world import REVOKED
from upsim.media.clip import CONTENT_TYPES, ClipNameError
from upsim.web.bodies import ClientGoneError, announced_length, read_body
from upsim.web.faults import Faulty, media_occasion
from upsim.web.files import send_file
from upsim.web.measuring import Gone, MediaDesk, clip_of

Headers = tuple[tuple[bytes, bytes], ...]
DELETE_AFTER_DOWNLOAD = "delete_after_download"
TEXT = b"text/plain; charset=utf-8"


class MediaApp:
    """Serves and takes files. `sandbox` is the one that the path names, or `default`."""

    def __init__(self, registry: Registry, desk: MediaDesk) -> None:
        """Serve the files of a registry."""
        self._registry = registry
        self._desk = desk

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, path: str, sandbox: Sandbox
    ) -> None:
        """Answer one request below `/media/`."""
        kind, _, name = path.partition("/")
        if sandbox.state.faults:
            await self._with_faults(scope, receive, send, kind, name, sandbox)
        else:
            await self._serve(scope, receive, send, kind, name, sandbox)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        kind: str,
        name: str,
        sandbox: Sandbox,
    ) -> None:
        method = scope["method"]
        if method in ("GET", "HEAD"):
            await self._get(scope, send, kind, name, sandbox)
        elif method == "PUT" and kind == "uploads":
            await self._put(scope, receive, send, name, sandbox)
        elif method == "DELETE" and kind == "outputs":
            await self._delete(send, name, sandbox)
        else:
            await _text(send, 405, "This file cannot be changed so.", ((b"allow", b"GET, HEAD"),))

    async def _with_faults(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        kind: str,
        name: str,
        sandbox: Sandbox,
    ) -> None:
        """The same where faults are armed; a file that was cut does not count as sent."""
        settings = self._registry.settings
        sandbox.settle()
        faulty = Faulty(scope, receive, send, sandbox, settings.hold_seconds, settings.in_process)
        occasion = media_occasion(sandbox, scope["method"], kind, name)
        stage: Stage = "upload" if scope["method"] == "PUT" else "download"
        with suppress(ClientGoneError):
            if occasion is not None:
                bound = sandbox.bound(occasion.provider)
                if await faulty.file(stage, occasion, bound):
                    return
            await self._serve(scope, receive, faulty.send, kind, name, sandbox)

    async def send_output(
        self, scope: Scope, send: Send, sandbox: Sandbox, reply: FileReply, headers: Headers
    ) -> None:
        """Send the finished file of a job as the body of an API answer."""
        content = await self._desk.output(sandbox, f"{reply.job}.mp4")
        if isinstance(content, Gone):
            await self._gone(send, sandbox, content)
            return
        unranged = {**scope, "method": "GET", "headers": []}
        await self._file(unranged, send, sandbox, content, CONTENT_TYPES["mp4"], headers)
        if reply.mark is not None:
            self._mark(sandbox, reply.job, reply.mark)

    async def _get(self, scope: Scope, send: Send, kind: str, name: str, sandbox: Sandbox) -> None:
        if kind == "synthetic":
            await self._synthetic(scope, send, sandbox, name)
        elif kind == "uploads":
            content = self._desk.upload(sandbox, name)
            if isinstance(content, Gone):
                await self._gone(send, sandbox, content)
                return
            content_type = sandbox.state.uploads[name].issued.content_type
            await self._file(scope, send, sandbox, content, content_type)
        elif kind == "outputs":
            await self._output(scope, send, sandbox, name)
        else:
            await _text(send, 404, "There is no such file.")

    async def _synthetic(self, scope: Scope, send: Send, sandbox: Sandbox, name: str) -> None:
        query = scope["query_string"].decode("latin-1")
        try:
            clip = clip_of(name, query)
            content = await self._desk.make(clip)
        except ClipNameError as error:
            await _text(send, 404, str(error))
            return
        await self._file(scope, send, sandbox, content, clip.content_type)

    async def _output(self, scope: Scope, send: Send, sandbox: Sandbox, name: str) -> None:
        content = await self._desk.output(sandbox, name)
        if isinstance(content, Gone):
            await self._gone(send, sandbox, content)
            return
        await self._file(scope, send, sandbox, content, CONTENT_TYPES["mp4"])
        job = sandbox.state.jobs.get(name.removesuffix(".mp4"))
        whole = scope["method"] == "GET" and not any(h == b"range" for h, _ in scope["headers"])
        if job is not None and whole and DELETE_AFTER_DOWNLOAD in job.marks:
            self._mark(sandbox, job.id, REVOKED)

    async def _put(
        self, scope: Scope, receive: Receive, send: Send, name: str, sandbox: Sandbox
    ) -> None:
        sandbox.settle()
        upload = sandbox.state.uploads.get(name)
        if upload is None:
            await _text(send, 404, "There is no such upload.")
            return
        refusal = self._refusal(sandbox, upload, scope)
        rules = sandbox.bound(upload.issued.provider).rules
        limit = upload.issued.size
        if limit is None:
            limit = rules.whole("video_bytes")
        if refusal is None:
            try:
                body, oversized = await read_body(receive, scope["headers"], limit)
            except ClientGoneError:
                return
            expected = upload.issued.size
            if oversized or (expected is not None and len(body) != expected):
                refusal = rules.errors["upload_wrong_size"]
        if refusal is not None:
            found = announced_length(scope["headers"])
            values = {"found": found, "expected": upload.issued.size}
            await _text(send, refusal.status, refusal.message.format_map(values))
            return
        await self._store(send, sandbox, upload, body)

    async def _store(self, send: Send, sandbox: Sandbox, upload: Upload, body: bytes) -> None:
        digest = await asyncio.to_thread(self._registry.blobs.put, body)
        if isinstance(digest, Unmeasurable):
            await _text(send, 507, digest.detail)
            return
        present = sandbox.state.uploads.get(upload.issued.upload)
        if present is None or present.stored is not None:  # another came first meanwhile
            rule = sandbox.bound(upload.issued.provider).rules.errors["upload_taken"]
            await _text(send, rule.status, rule.message)
            return
        _, world = self._registry.world(sandbox, upload.issued.provider, None)
        world.stored(upload.issued, digest, len(body))
        etag = f'"{digest[:32]}"'.encode()
        await _send(send, 200, b"", TEXT, ((b"etag", etag),))

    def _refusal(self, sandbox: Sandbox, upload: Upload, scope: Scope) -> ErrorRule | None:
        errors = sandbox.bound(upload.issued.provider).rules.errors
        given = parse_qs(scope["query_string"].decode("latin-1")).get("sig", [""])[0]
        if given != upload.issued.signature:
            return errors["upload_bad_signature"]
        if sandbox.now >= upload.issued.expires_at:
            return errors["upload_expired"]
        return errors["upload_taken"] if upload.stored is not None else None

    async def _delete(self, send: Send, name: str, sandbox: Sandbox) -> None:
        sandbox.settle()
        job = sandbox.state.jobs.get(name.removesuffix(".mp4"))
        if job is None or job.state is not State.COMPLETED:
            await self._gone(send, sandbox, Gone(job.accepted.provider if job else None))
            return
        retention = sandbox.bound(job.accepted.provider).rules.baseline.facts
        if "output_revocable" not in retention:
            await _text(send, 405, "This file cannot be deleted.", ((b"allow", b"GET, HEAD"),))
            return
        self._mark(sandbox, job.id, REVOKED)
        await _send(send, 204, b"", TEXT)

    async def _file(
        self,
        scope: Scope,
        send: Send,
        sandbox: Sandbox,
        content: bytes | Path,
        content_type: str,
        headers: Headers = (),
    ) -> None:
        await send_file(
            scope,
            send,
            body=content,
            content_type=content_type,
            etag=etag_of(content),
            date=http_date(sandbox.settle()),
            extra_headers=headers,
        )

    async def _gone(self, send: Send, sandbox: Sandbox, gone: Gone) -> None:
        if gone.provider is None:
            await _text(send, 404, "There is no such file.")
            return
        rule = sandbox.bound(gone.provider).rules.errors[gone.error]
        await _text(send, rule.status, rule.message)

    def _mark(self, sandbox: Sandbox, name: str, mark: str) -> None:
        job = sandbox.state.jobs.get(name)
        if job is not None:
            _, world = self._registry.world(sandbox, job.accepted.provider, None)
            world.mark(job, mark)


def etag_of(content: bytes | Path) -> str:
    """A strong validator; files of the store are named by their digest."""
    if isinstance(content, Path):
        return content.name[:32]
    return hashlib.blake2b(content, digest_size=16).hexdigest()


async def _text(send: Send, status: int, text: str, headers: Headers = ()) -> None:
    await _send(send, status, text.encode(), TEXT, headers)


async def _send(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Headers = ()
) -> None:
    length = (b"content-length", b"%d" % len(body))
    start = [(b"content-type", content_type), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
