"""`/media/`: synthetic clips, uploads and outputs, served without a key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

from upsim.core.call import FileReply
from upsim.core.faults import Stage
from upsim.core.instants import http_date
from upsim.core.jobs import DELETE_AFTER_DOWNLOAD, REVOKED, SUBSTITUTE, Job
from upsim.core.states import JobState
from upsim.engine.command_log import KEPT_HEADERS, Command, cut, happened, resumed, substituted
from upsim.engine.registry import Registry
from upsim.engine.request_records import NOTE, Record, Response, noted_request
from upsim.engine.sandbox import Sandbox
from upsim.media.clip_names import CONTENT_TYPES, ClipNameError, ClipRoomError, SyntheticClip
from upsim.web import non_provider_log
from upsim.web.clock_driver import catch_up
from upsim.web.faulty_responses import Faulty, media_occasion
from upsim.web.file_responses import send_file
from upsim.web.job_outputs import OutputFile, output_clip
from upsim.web.media_safety_headers import allow, headers_for, is_preflight, safely
from upsim.web.media_service import MediaService, MissingFile, clip_of
from upsim.web.non_provider_log import CAUSE
from upsim.web.received_uploads import Uploads
from upsim.web.request_bodies import ClientGoneError, headers_of
from upsim.web.resource_shortages import AFTER, or_refused
from upsim.web.storage_responses import TEXT, Headers, text_answer, whole_answer

Observer = Callable[[Sandbox, Record], None]
HIDDEN = b"hidden"
"""Placeholder in the command log for a key that came with a PUT and was refused."""


class MediaFile(msgspec.Struct, frozen=True):
    """A file to send: in the store, or in memory and made of `clip`."""

    content: bytes | Path
    content_type: str
    clip: SyntheticClip | None = None

    @property
    def etag(self) -> str:
        """The strong validator: a hash of the clip, because equal clips have equal bytes.

        A stored file has its digest as validator.
        """
        if isinstance(self.content, Path):
            return self.content.name[:32]
        return hashlib.blake2b(repr(self.clip).encode(), digest_size=16).hexdigest()


class MediaRequest(NamedTuple):
    """A request for the file `name` of a kind (`synthetic`, `uploads`, `outputs`)."""

    scope: Scope
    receive: Receive
    send: Send
    sandbox: Sandbox
    kind: str
    name: str


class MediaApp:
    """The application that serves and stores files; `sandbox` is in the path, or `default`."""

    def __init__(self, registry: Registry, media_service: MediaService) -> None:
        """Serve the files of a registry."""
        self._registry = registry
        self.media_service = media_service
        self._uploads = Uploads(registry)
        self.observers: list[Observer] = []
        self.reporters: list[non_provider_log.Observer] = []

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, path: str, sandbox: Sandbox
    ) -> None:
        """Respond to one request below `/media/`."""
        kind, _, name = path.partition("/")
        any_origin = self._any_origin(sandbox, kind, name)
        guards = headers_for(kind, any_origin=any_origin)
        send = non_provider_log.reporting(send, scope, self.reporters, served=True)
        safe = safely(send, guards)
        if any_origin and is_preflight(scope, headers_of(scope)):
            await allow(safe, _methods(kind))
            return
        if kind not in ("uploads", "outputs"):  # a clip never depends on the sandbox
            await self._answer(MediaRequest(scope, receive, safe, sandbox, kind, name))
            return
        await catch_up(sandbox)
        with sandbox.commands.during(begun(sandbox, scope)) as command:
            taped = safely(command.tape(send), guards)
            await self._answer(MediaRequest(scope, receive, taped, sandbox, kind, name))

    def _any_origin(self, sandbox: Sandbox, kind: str, name: str) -> bool:
        """Return whether pages of other origins may use a file: always clips, others by a knob."""
        if kind == "uploads":
            upload = sandbox.state.uploads.get(name)
            provider = upload.issued.provider if upload else ""
        else:
            job = sandbox.state.jobs.get(name.removesuffix(".mp4")) if kind == "outputs" else None
            provider = job.accepted.provider if job else ""
        if not provider:
            return kind == "synthetic"
        return sandbox.bound(provider).rules.knobs.get("storage_cors") == "any_origin"

    async def _answer(self, request: MediaRequest) -> None:
        serve = self._with_faults if request.sandbox.state.faults else self._serve
        await or_refused(request.send, lambda send: serve(request._replace(send=send)))

    async def _serve(self, request: MediaRequest) -> None:
        scope, receive, send, sandbox, kind, name = request
        method = scope["method"]
        if method in ("GET", "HEAD"):
            await self._get(request)
        elif method == "PUT" and kind == "uploads":
            await self._uploads.put(scope, receive, send, name, sandbox)
        elif method == "DELETE" and kind == "outputs":
            await self._delete(send, name, sandbox)
        else:
            allowed = _methods(kind)
            text = f"This method is not allowed; allowed: {allowed.decode()}."
            text += " Upload the file by PUT." if kind == "uploads" else ""
            await text_answer(send, 405, text, ((b"allow", allowed),))

    async def _with_faults(self, request: MediaRequest) -> None:
        """Respond to a request with faults armed; a file that was cut does not count as sent."""
        scope, receive, send, sandbox, kind, name = request
        settings = self._registry.settings
        sandbox.run_due()
        faulty = Faulty(scope, receive, send, sandbox, settings.hold_seconds, settings.in_process)
        occasion = media_occasion(sandbox, scope["method"], kind, name)
        stage: Stage = "upload" if scope["method"] == "PUT" else "download"
        with suppress(ClientGoneError):
            ended = occasion is not None and await faulty.file(
                stage, occasion, sandbox.bound(occasion.provider)
            )
            if not ended:
                await self._serve(request._replace(send=faulty.send))
        cut(faulty.cut)

    async def send_output(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        sandbox: Sandbox,
        reply: FileReply,
        headers: Headers,
    ) -> None:
        """Send the finished file of a job as the body of an API response."""
        unranged = {**scope, "method": "GET", "headers": []}

        async def sending(send: Send) -> None:
            request = MediaRequest(unranged, receive, send, sandbox, "outputs", reply.job)
            sent = await self._finished(request, headers)
            await resumed("sent")
            if sent and reply.mark is not None:
                self._mark(sandbox, reply.job, reply.mark)

        told = non_provider_log.reporting(send, scope, self.reporters)
        await or_refused(told, sending)

    async def _get(self, request: MediaRequest) -> None:
        if request.kind == "synthetic":
            await self._synthetic(request)
        elif request.kind == "uploads":
            await self._upload(request)
        elif request.kind == "outputs":
            await self._output(request)
        else:
            await text_answer(request.send, 404, "There is no such file.")

    async def _synthetic(self, request: MediaRequest) -> None:
        try:
            clip = clip_of(request.name, request.scope["query_string"].decode("latin-1"))
            content = await self.media_service.make(clip)
        except ClipNameError as error:
            status = 507 if isinstance(error, ClipRoomError) else 404
            await text_answer(request.send, status, str(error))
            return
        await self._file(request, MediaFile(content, clip.content_type, clip))

    async def _upload(self, request: MediaRequest) -> None:
        sandbox, name = request.sandbox, request.name
        content = self.media_service.upload(sandbox, name)
        if isinstance(content, MissingFile):
            request.scope[CAUSE] = content.detail
            await self._gone(request.send, sandbox, content)
            return
        kind = sandbox.state.uploads[name].issued.content_type
        await self._file(request, MediaFile(content, kind))

    async def _output(self, request: MediaRequest) -> None:
        sandbox, name = request.sandbox, request.name.removesuffix(".mp4")
        sent = await self._finished(request._replace(name=name))
        await resumed("sent")
        job = sandbox.state.jobs.get(name)
        if sent and job is not None and DELETE_AFTER_DOWNLOAD in job.marks:
            self._mark(sandbox, job.id, REVOKED)

    async def _finished(self, request: MediaRequest, headers: Headers = ()) -> bool:
        """Send the file of the job `name`; return True if the whole file was sent."""
        scope, _, send, sandbox, _, name = request
        job = sandbox.state.jobs.get(name)
        try:
            output = await self.media_service.output(sandbox, f"{name}.mp4")
            await resumed("made")
        except ClipNameError as error:
            await text_answer(send, 507, f"The output cannot be kept here: {error}.")
            return False
        if job is None or isinstance(output, MissingFile):
            await self._gone(
                send, sandbox, output if isinstance(output, MissingFile) else MissingFile()
            )
            return False
        if output.substitutes:
            self._note(sandbox, job, output)
        if scope["method"] == "GET":
            sandbox.activity.record_download(name)
        found = MediaFile(output.content, CONTENT_TYPES["mp4"], output_clip(job))
        return await self._file(request, found, headers)

    async def _delete(self, send: Send, name: str, sandbox: Sandbox) -> None:
        sandbox.run_due()
        job = sandbox.state.jobs.get(name.removesuffix(".mp4"))
        if job is None or job.state is not JobState.COMPLETED:
            await self._gone(send, sandbox, MissingFile(job.accepted.provider if job else None))
            return
        facts = sandbox.bound(job.accepted.provider).rules.baseline.facts
        if "output_revocable" not in facts or not facts["output_revocable"].value:
            await text_answer(
                send, 405, "This file cannot be deleted.", ((b"allow", b"GET, HEAD"),)
            )
            return
        self._mark(sandbox, job.id, REVOKED)
        await whole_answer(send, 204, b"", TEXT)

    async def _file(self, request: MediaRequest, found: MediaFile, headers: Headers = ()) -> bool:
        scope, receive, send, sandbox, *_ = request
        date = http_date(sandbox.run_due())
        happened(sandbox.now)
        try:
            return await send_file(
                scope,
                receive,
                send,
                body=found.content,
                content_type=found.content_type,
                etag=found.etag,
                date=date,
                extra_headers=headers,
            )
        except FileNotFoundError:
            again = ((b"retry-after", AFTER.encode()),)
            await text_answer(
                send, 503, "The file was just removed to make room; try again.", again
            )
            return False

    async def _gone(self, send: Send, sandbox: Sandbox, gone: MissingFile) -> None:
        if gone.provider is None:
            await text_answer(send, 404, "There is no such file.")
            return
        rule = sandbox.bound(gone.provider).rules.errors[gone.error]
        await text_answer(send, rule.status, rule.message)

    def _note(self, sandbox: Sandbox, job: Job, output: OutputFile) -> None:
        """Record generated parts on the job, in the journal and the log, once for each reason."""
        substituted()
        for reason in output.substitutes:
            if reason in job.substitutes or sandbox.abandoned:
                continue
            self._mark(sandbox, job.id, f"{SUBSTITUTE}{reason}")
            record = sandbox.records.append(_substitution(sandbox, job, reason))
            for observer in self.observers:
                observer(sandbox, record)

    def _mark(self, sandbox: Sandbox, name: str, mark: str) -> None:
        job = sandbox.state.jobs.get(name)
        if job is not None:
            _, world = sandbox.view(job.accepted.provider, None)
            world.mark(job, mark)


def _substitution(sandbox: Sandbox, job: Job, reason: str) -> Record:
    """Return the record of an output that is not made of the job's own video."""
    rules = sandbox.bound_of(job.accepted).rules
    path = f"/media/outputs/{job.id}.mp4"
    return Record(
        number=sandbox.records.count + 1,
        version=sandbox.version,
        at=sandbox.now,
        request=noted_request(sandbox.now, "GET", path, response=Response(200, b"")),
        kind=NOTE,
        provider=job.accepted.provider,
        operation="output",
        path=path,
        account=job.accepted.account,
        dialect=rules.dialect,
        rules=rules.baseline.digest,
        read_job=job,
        check="render",
        compared={"substitute": reason},
    )


def begun(sandbox: Sandbox, scope: Scope) -> Command:
    """Return the command log entry of a request for a file."""
    kept = [pair for pair in scope["headers"] if pair[0] in KEPT_HEADERS]
    kept += [(name, HIDDEN) for name, key in scope["headers"] if key and name == b"authorization"]
    at = sandbox.run_due()
    path, query = scope["path"], scope["query_string"]
    log = sandbox.commands
    return Command(
        log=log,
        at=at,
        scheme=scope["scheme"],
        method=scope["method"],
        path=path,
        query=query,
        headers=kept,
    )


def _methods(kind: str) -> bytes:
    """Return the allowed methods for files of a kind, in the form of `Allow`."""
    return b"GET, HEAD, PUT" if kind == "uploads" else b"GET, HEAD"
