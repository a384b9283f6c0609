"""A reverse proxy that forwards one provider's requests, checks responses, writes a cassette.

Two kinds of requests go to the upstream; all other requests are refused:

- requests below the provider's own paths
- links at the same host in its responses (uploads, outputs)

A request that could cost money is sent only after its price was reserved below the cap. Secrets
are removed in memory: the cassette is the only file that is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from urllib.parse import quote

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from upsim_contracts.cassettes.bodies import MAX_VIDEO_LENGTH, Tee, as_file, recorded_body
from upsim_contracts.cassettes.cassette import RecordedMessage, Writer
from upsim_contracts.cassettes.cassette_lines import MAX_PATH_LENGTH
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.documents.wrong_options import wrong_options
from upsim_contracts.documents.wrong_paths import near_path
from upsim_contracts.exceptions import SpendingError
from upsim_contracts.record.body_memory import (
    MAX_READ,
    BodyMemory,
    BodyShare,
    TooLargeError,
    read_beginning,
    weight,
)
from upsim_contracts.record.cassette_log import MAX_LINES, CassetteLog
from upsim_contracts.record.link_rewriting import Links
from upsim_contracts.record.machine_limits import shortage
from upsim_contracts.record.request_bodies import (
    MAX_TEXT,
    beginning,
    decoded,
    in_turns,
    is_plain,
    joined,
    read_within,
    unread,
    with_copy,
)
from upsim_contracts.record.reservations import PaidCall, Reservations
from upsim_contracts.record.response_findings import PassingRequest, ResponseFindings
from upsim_contracts.record.upstream import Upstream, is_named
from upsim_contracts.record.upstream_responses import (
    FORWARDED,
    HOP,
    DocumentResponse,
    FileResponse,
    own_response,
    passable,
    status_of,
    texts_of,
)
from upsim_contracts.record.video_measuring import NOTHING, VideoMeasuring
from upsim_contracts.record.webhook_relay import WebhookRelay
from upsim_contracts.record.webhook_urls import OutgoingRequest, WebhookUrls, is_delivery
from upsim_contracts.request_costs import UNDOCUMENTED_PATH, RequestCost
from upsim_contracts.spending_guard import FREE_METHODS

UPLOAD_SECONDS = 1_800
"""Seconds that a caller may take for a file that is sent to a link of an answer."""
MAX_NAME_SHOWN = 80
"""Characters of a Host or an Origin that a refusal shows."""
MAX_HEADERS = 200
"""Headers of a request."""
PRINTED = "".join(map(chr, range(0x21, 0x7F)))
"""What of a path stays as the caller wrote it; any other byte is sent as %XX."""
BODILESS = (204, 304)
BUFFERED = ("application/json", "text/", "application/problem+json")


class Recording:
    """The ASGI application of a recording. `seconds` is a monotonic clock."""

    def __init__(  # noqa: PLR0913 - the parts of a recording
        self,
        target: Upstream,
        writer: Writer,
        charging: Reservations,
        measuring: VideoMeasuring,
        http: httpx.AsyncClient,
        *,
        redactor: Redactor,
        say: Callable[[str], None],
        seconds: Callable[[], float],
        names: frozenset[str] | None = None,
        hooks: WebhookUrls,
        key: Mapping[str, str] | None = None,
        held: float,
    ) -> None:
        """Record into `writer`; `names` are the host names that clients may use for the recorder.

        The upstream has `held` seconds for the head of a response, and for a complete document.
        """
        self.target = target
        self.links = Links(target)
        self.refused = 0
        self._charging = charging
        self._measuring = measuring
        self._http = http
        self._redactor = redactor
        self._of_caller = redactor.of_caller()
        self._say = say
        self._seconds = seconds
        self._names = names
        self._key = dict(key or {})
        self._held = held
        self._room = BodyMemory()
        self._turns = measuring.turns
        start = seconds()
        judge = ResponseFindings(target, charging.costs, redactor)
        self.logbook = CassetteLog(
            writer,
            judge,
            redactor=self._of_caller,
            auth=charging.auth,
            say=say,
            seconds=seconds,
            start=start,
        )
        self._hooks = hooks
        self.relay = WebhookRelay(
            hooks,
            http,
            turns=self._turns,
            redactor=redactor,
            seconds=seconds,
            write=self.logbook.write,
            start=start,
        )
        self._roots = {path.split("/")[1] for path in measuring.paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        with self._room.share() as share, suppress(ClientDisconnect):
            answer = await self._answer(request, share)
            await answer(scope, receive, send)

    # -- what comes in

    async def _answer(self, request: Request, share: BodyShare) -> ASGIApp:
        if len(request.scope["headers"]) > MAX_HEADERS:
            text = f"a request with more than {MAX_HEADERS} headers is not recorded"
            return own_response(431, "too_many_headers", text)
        if is_delivery(request.scope["path"]):
            return await self.relay.answer(request, share)
        return await self._call(request, share)

    async def _call(self, request: Request, share: BodyShare) -> ASGIApp:
        stranger = self._stranger(request)
        if stranger:
            text = f"only callers on this machine may use this recording: {stranger}"
            return own_response(403, "foreign", text)
        raw = request.scope.get("raw_path", request.scope["path"].encode())
        prefix, path = self._split(quote(raw.partition(b"?")[0], safe=PRINTED))
        is_file = not prefix and path in self.links.files
        steps = request.scope["path"].split("/")
        root = path.partition("/")[2].partition("/")[0]
        if ".." in steps or not (is_file or root in self._roots):
            text = f"{path} is no path of {self.target.provider}: nothing was forwarded"
            return own_response(404, "no_such_path", text)
        query = quote(request.scope["query_string"], safe=PRINTED)
        whole = f"{path}?{query}" if query else path
        host = request.headers.get("host", self.target.host)
        proxy = f"{request.scope['scheme']}://{host}{prefix}"
        try:
            if is_file:
                return await self._file(request, whole, proxy, share)
            passing = await self._read(request, whole, proxy, share)
            return await self._paid_or_free(passing)
        except ClientDisconnect:
            return own_response(400, "gone", "the caller went away")
        except TooLargeError as error:
            return own_response(error.status, error.code, str(error))

    def _stranger(self, request: Request) -> str:
        """Return why a client may not send requests; an empty text for a client on this machine.

        A web page may not spend money through any name of this host. A client that uses the webhook
        URL may not either.
        """
        host = request.headers.get("host", "")
        if "host" in request.headers and not is_named(host, self._names):
            return f"the Host {host[:MAX_NAME_SHOWN]!r} is no name of this recorder"
        if self._names is None:
            return ""
        site, origin = (request.headers.get(name, "") for name in ("sec-fetch-site", "origin"))
        if origin and origin.partition("://")[2] != host:
            return f"the request comes from a web page of {origin[:MAX_NAME_SHOWN]!r}"
        if site not in ("", "none", "same-origin"):
            return "the request comes from a web page of another site"
        if self._hooks.public and not FORWARDED.isdisjoint(request.headers):
            return "the request was forwarded, as webhooks are"
        return ""

    def _split(self, path: str) -> tuple[str, str]:
        """Return the optional prefix, as in a simulator's URL, and the provider's own path."""
        provider, dialect = self.target.provider, self.target.dialect
        for prefix in (f"/{provider}/{dialect}", f"/{provider}"):
            if path.startswith(f"{prefix}/"):
                return prefix, path.removeprefix(prefix)
        return "", path

    async def _read(
        self, request: Request, path: str, proxy: str, share: BodyShare
    ) -> PassingRequest:
        """Read a request to the provider's own paths. Raises TooLargeError, BusyError."""
        kind = request.headers.get("content-type", "")
        most = MAX_VIDEO_LENGTH if kind.startswith("multipart/") else MAX_READ
        pieces = request.stream()
        found, is_whole = await read_beginning(pieces, share, most)
        if not is_whole:
            return await self._unread(request, path, proxy, share, found, pieces)
        headers = {k: v for k, v in request.headers.items() if k not in HOP} | self._key
        async with self._turns.of(sum(map(len, found))):
            body = b"".join(found) if len(found) == 1 else await asyncio.to_thread(b"".join, found)
            del found
            if "json" in kind:
                body = await asyncio.to_thread(self.links.meant, body, proxy)
            await asyncio.to_thread(self._check_length, headers, path)
            sent = await asyncio.to_thread(recorded_body, body, kind, self._of_caller)
            share.claim(await asyncio.to_thread(weight, sent))
        sighted = await self._measuring.measure(body, kind, self.links.sent)
        path = self._meant(path, proxy)
        began = self._seconds()
        return PassingRequest(
            request.method,
            path,
            part="api",
            proxy=proxy,
            headers=headers,
            body=body,
            sent=sent,
            sighted=sighted,
            began=began,
            share=share,
        )

    async def _unread(
        self,
        request: Request,
        path: str,
        proxy: str,
        share: BodyShare,
        found: list[bytes],
        pieces: AsyncIterator[bytes],
    ) -> PassingRequest:
        """Prepare a request that is longer than any document allows; its body is streamed."""
        headers = self._of_stream(request) | self._key
        await asyncio.to_thread(self._check_length, headers, path)
        path, began, tee = self._meant(path, proxy), self._seconds(), Tee(is_whole=False)
        passing = PassingRequest(
            request.method,
            path,
            part="api",
            proxy=proxy,
            headers=headers,
            body=b"",
            sent={},
            sighted=NOTHING,
            began=began,
            share=share,
        )
        passing.tee = tee
        passing.upload = unread(found, pieces, tee, share)
        return passing

    def _meant(self, path: str, proxy: str) -> str:
        """Return a path in which links to the recorder are links of the upstream again."""
        return self.links.meant(path.encode(), proxy).decode()

    def _of_stream(self, request: Request) -> dict[str, str]:
        """Return the headers of a request whose body is streamed."""
        kept_too = {"content-length"} if "content-length" in request.headers else set()
        dropped = HOP - kept_too
        return {k: v for k, v in request.headers.items() if k not in dropped}

    async def _file(self, request: Request, path: str, proxy: str, share: BodyShare) -> ASGIApp:
        """Forward a request to a link from a response; its body is streamed."""
        headers = self._of_stream(request)
        await asyncio.to_thread(self._check_length, headers, path)
        passing = PassingRequest(
            request.method,
            path,
            part="file",
            proxy=proxy,
            headers=headers,
            body=b"",
            sent={},
            sighted=NOTHING,
            began=self._seconds(),
            share=share,
        )
        if request.method not in FREE_METHODS:
            passing.tee = Tee()
            passing.upload = with_copy(request, passing.tee)
        return await self._forward(passing, None)

    def _check_length(self, headers: Mapping[str, str], path: str) -> None:
        """Learn the secrets in headers and path. Raises TooLargeError if the path is too long."""
        self._of_caller.headers(headers)
        if len(self._of_caller.path(path)) > MAX_PATH_LENGTH:
            raise TooLargeError(f"a path of more than {MAX_PATH_LENGTH} bytes is not recorded")

    # -- money

    async def _paid_or_free(self, passing: PassingRequest) -> ASGIApp:
        if passing.upload is not None:
            text = self._charging.unread(passing.method, passing.path)
            if not text:
                return await self._forward(passing, None)
            async for _ in passing.upload:  # what is left would else meet a closed connection
                pass
            return self._refused(text)
        async with self._turns.of(len(passing.body)):
            toll = await asyncio.to_thread(
                self._charging.toll, passing.method, passing.path, passing.sighted, passing.body
            )
        if toll is None:
            return await self._forward(passing, None)
        auth = {k: v for k, v in passing.headers.items() if k in self._charging.auth}
        async with self._charging.turn:
            try:
                async with self._charging.charged(toll, passing.method, passing.path, auth) as paid:
                    return await self._forward(passing, paid)
            except SpendingError as error:
                async with self._turns.of(len(passing.body)):
                    text = await asyncio.to_thread(self._refusal, passing, toll, error)
                return self._refused(text)

    def _refused(self, text: str) -> ASGIApp:
        """Refuse a request that could exceed the cap."""
        self.refused += 1
        self._say(f"not sent: {text}")
        return own_response(402, "cap", text)

    def _refusal(self, passing: PassingRequest, toll: RequestCost, error: SpendingError) -> str:
        """Return why a request is not sent, and which parts of it may be mistyped."""
        target, method, path = self.target, passing.method, passing.path
        if toll.why == UNDOCUMENTED_PATH:
            near = near_path(self._charging.costs, target.dialect, method, path)
            return self._redactor.text(f"{error}{near}")
        if toll.worst is None and toll.why:  # names the model; its options are its own
            return self._redactor.text(str(error))
        found = wrong_options(
            target.provider, target.dialect, method=method, path=path, body=passing.body
        )
        return self._redactor.text("; ".join((str(error), *found)))

    # -- there and back

    async def _forward(self, passing: PassingRequest, paid: PaidCall | None) -> ASGIApp:
        is_file = passing.part == "file"
        try:
            request = await self._request(passing)
        except TooLargeError:
            if paid is not None:
                paid.cancel()
            raise
        self.logbook.begin(passing, paid)
        try:
            async with read_within(self._held + (UPLOAD_SECONDS if passing.upload else 0)):
                answer = await self._http.send(request, stream=True)
            await self._uploaded(passing)
        except (httpx.HTTPError, OSError) as error:
            why = shortage(error)
            if why is not None:
                return self._unsent(passing, paid, why)
            if isinstance(error, OSError):
                self.logbook.forget(passing)
                raise
            reason = await self._failed(passing, paid, error)
            return own_response(502, "upstream", f"{self.target.host} gave no answer: {reason}")
        kind = answer.headers.get("content-type", "")
        if not is_file and (not kind or kind.startswith(BUFFERED)):
            return await self._whole(passing, paid, answer, kind)
        await self._settle(paid, answer.status_code)
        return self._streamed(passing, paid, answer, kind, in_turns(answer.aiter_raw()))

    async def _request(self, passing: PassingRequest) -> httpx.Request:
        """Return the request for the upstream. Raises TooLargeError, BusyError."""
        is_file = passing.part == "file"
        base = self.target.origin if is_file else self.target.base_of(passing.path)
        headers = {**passing.headers, "accept-encoding": "identity"}
        outgoing = OutgoingRequest(passing.path, passing.body)
        if not is_file and not passing.upload:
            async with self._turns.of(len(passing.body)):
                outgoing = await asyncio.to_thread(
                    self._hooks.outgoing, passing.method, passing.path, passing.body
                )
        if outgoing.body is not passing.body:
            passing.share.claim(len(outgoing.body))
        passing.hook = outgoing.hook
        try:
            url = httpx.URL(base + outgoing.path)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise TooLargeError(f"{self.target.host} cannot be asked for this: {error}") from error
        return self._http.build_request(
            passing.method,
            url,
            headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            content=passing.upload or outgoing.body or None,
        )

    def _unsent(self, passing: PassingRequest, paid: PaidCall | None, why: str) -> ASGIApp:
        """Refuse a request that could not be sent from this machine; it cost nothing."""
        if paid is not None:
            paid.cancel()
        self.logbook.forget(passing)
        self.refused += 1
        name = f"{passing.method} {passing.path.partition('?')[0]}"[:MAX_LINES]
        text = f"this machine cannot connect to {self.target.host}: {why}"
        self._say(self._redactor.text(f"not sent: {name}: {text}"))
        return own_response(503, "short", f"{text}; send it again later")

    async def _uploaded(self, passing: PassingRequest) -> None:
        """Record the body of an upload as size, hash and properties."""
        tee = passing.tee
        if tee is not None and tee.size:
            kind = passing.headers.get("content-type", "")
            async with self._turns.of(tee.size):
                seen = await asyncio.to_thread(tee.kept, kind)
            self._measuring.uploaded(passing.path, seen.get("sees"))
            passing.sent = {"file": seen}

    async def _whole(
        self, passing: PassingRequest, paid: PaidCall | None, answer: httpx.Response, kind: str
    ) -> ASGIApp:
        """Read a document, check and record it, and send it to the client with rewritten links."""
        pieces = in_turns(answer.aiter_raw())
        try:
            async with read_within(self._held):
                sent, is_whole = await beginning(pieces, passing.share)
        except httpx.HTTPError as error:
            await answer.aclose()
            reason = await self._failed(passing, paid, error)
            return own_response(
                502, "upstream", f"the answer of {self.target.host} was cut: {reason}"
            )
        await self._settle(paid, answer.status_code)
        response = None
        if is_whole:
            await answer.aclose()
            is_packed = not is_plain(answer.headers.get("content-encoding", ""))
            size = MAX_TEXT if is_packed else max(len(passing.body), len(sent))
            async with self._turns.of(size):
                response = await self._document(passing, paid, answer, kind, sent)
        if response is None:
            return self._streamed(passing, paid, answer, kind, joined(sent, pieces, passing.share))
        return response

    async def _document(
        self,
        passing: PassingRequest,
        paid: PaidCall | None,
        answer: httpx.Response,
        kind: str,
        sent: bytearray,
    ) -> Response | None:
        """Return a document for the client; None if its encoding is unknown or memory is full."""
        encoding = answer.headers.get("content-encoding", "")
        body = await asyncio.to_thread(decoded, sent, encoding)
        if body is None:
            return None
        if not passing.share.take(len(body) - len(sent)):
            passing.share.give(len(body) - len(sent))
            return None
        body = await asyncio.to_thread(self._hooks.answered, passing.method, passing.path, body)
        headers = texts_of(answer)
        message = await asyncio.to_thread(self._read_answer, passing, headers, body, kind)
        size = await asyncio.to_thread(weight, message.body)
        if not passing.share.take(size):
            message = RecordedMessage(message.headers, await asyncio.to_thread(as_file, body, kind))
        await self.logbook.record(passing, answer.status_code, message, paid, body, headers)
        passing.share.give(size)
        told = await asyncio.to_thread(self.links.told, body, passing.proxy)
        passing.share.take(len(told) - len(body))
        response = DocumentResponse(told)
        length = [pair for pair in response.raw_headers if pair[0] == b"content-length"]
        links = [
            (name, self.links.told(value, passing.proxy))
            for name, value in passable(answer, but=HOP | {"content-encoding"})
        ]
        response.status_code, marks = status_of(answer)
        response.raw_headers = links + length + marks
        return response

    def _read_answer(
        self, passing: PassingRequest, headers: Mapping[str, str], body: bytes, kind: str
    ) -> RecordedMessage:
        """Note the links of a document, and return it in the form of the cassette."""
        self._measuring.answered(passing.sighted.media, body)
        return RecordedMessage(
            self._redactor.headers(headers), recorded_body(body, kind, self._redactor)
        )

    def _streamed(
        self,
        passing: PassingRequest,
        paid: PaidCall | None,
        answer: httpx.Response,
        kind: str,
        sent: AsyncIterator[bytes],
    ) -> ASGIApp:
        """Stream a file to the client, and record its size, hash and properties."""

        async def ended(tee: Tee, why: str) -> None:
            headers = texts_of(answer)
            async with self._turns.of(max(len(passing.body), tee.size)):
                body = {"file": await asyncio.to_thread(tee.kept, kind)} if tee.size else {}
                message = RecordedMessage(
                    await asyncio.to_thread(self._redactor.headers, headers), body
                )
                await self.logbook.record(
                    passing, 0 if why else answer.status_code, message, paid, b"", headers
                )
            if why:
                name = f"{passing.method} {passing.path.partition('?')[0]}"
                line = f"{name}: cut after {tee.size} bytes: {why}"
                self._say(await asyncio.to_thread(self._redactor.text, line))

        dropped = HOP - {"content-length"}
        if answer.status_code in BODILESS or "transfer-encoding" in answer.headers:
            dropped = HOP
        status, marks = status_of(answer)
        return FileResponse(status, passable(answer, but=dropped) + marks, sent, answer, ended)

    async def _failed(
        self, passing: PassingRequest, paid: PaidCall | None, error: httpx.HTTPError
    ) -> str:
        """Record a request without a complete response, and return the reason."""
        await self._settle(paid, 0)
        told = f"{type(error).__name__}: {error}"
        reason = await asyncio.to_thread(self._redactor.text, told)
        message = RecordedMessage({}, {"text": reason})
        async with self._turns.of(len(passing.body)):
            await self.logbook.record(passing, 0, message, paid, b"", {})
        return reason

    async def _settle(self, paid: PaidCall | None, status: int) -> None:
        if paid is not None:
            await paid.settle(status)
