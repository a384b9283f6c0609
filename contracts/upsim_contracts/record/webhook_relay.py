"""Receive webhooks for the clients of a recording: record, check, and forward them.

A delivery is forwarded only to the URL in a recorded request. The provider gets the response of
the client's receiver, so its further attempts are recorded too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from upsim_contracts.cassettes.bodies import as_file, recorded_body
from upsim_contracts.cassettes.cassette import RecordedExchange, RecordedMessage
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.documents.webhook_checks import check_delivery
from upsim_contracts.facts.webhook_messages import Checked
from upsim_contracts.record.body_memory import BodyShare, TooLargeError, read_whole
from upsim_contracts.record.machine_limits import shortage, trouble
from upsim_contracts.record.one_at_a_time import OneAtATime
from upsim_contracts.record.request_bodies import (
    MAX_TEXT,
    beginning,
    decoded,
    in_turns,
    is_plain,
    read_within,
)
from upsim_contracts.record.response_findings import MAX_FINDINGS
from upsim_contracts.record.upstream_responses import (
    HOP,
    DocumentResponse,
    own_response,
    passable,
    status_of,
    texts_of,
)
from upsim_contracts.record.webhook_urls import WebhookUrl, WebhookUrls

SECONDS = 60
"""Seconds that a receiver has for its whole response."""
MAX_ANSWERED = 256 * 2**10
"""Bytes of a receiver's response; one that is longer counts by its status and headers alone."""
MAX_AT_ONCE = 50
MAX_PER_WEBHOOK = 100
"""Deliveries for one webhook: more than the attempts of any provider."""
_LONG = re.compile(r"[\w+/=-]{16,}")
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(slots=True)
class RelayedDelivery:
    """One attempt of a provider. `body` is the body for the client's receiver.

    The headers contain only the format of a signature, not its value.
    """

    hook: WebhookUrl
    headers: Mapping[str, str]
    body: bytes
    checked: Checked
    began: float


@dataclass(slots=True)
class WebhookRelay:
    """Forwards deliveries. `write` gets an exchange, the number of findings, and their lines."""

    hooks: WebhookUrls
    http: httpx.AsyncClient
    turns: OneAtATime
    redactor: Redactor
    seconds: Callable[[], float]
    write: Callable[[RecordedExchange, int, list[str]], Awaitable[None]]
    start: float
    undelivered: int = 0
    """Deliveries that got no response of the client's receiver."""
    _under_way: int = field(default=0)

    async def answer(self, request: Request, share: BodyShare) -> Response:
        """Receive one delivery; an unknown delivery is refused and not recorded."""
        hook = self.hooks.find(request.scope["path"])
        if hook is None:
            return own_response(404, "no_such_webhook", "no recorded request named this webhook")
        if request.method != "POST":
            return own_response(405, "no_delivery", "a webhook is delivered by POST")
        refusal = self._refusal(hook)
        if refusal is not None:
            return self._not_delivered(hook, *refusal)
        hook.taken += 1
        self._under_way += 1
        try:
            sent = await read_whole(request, share, MAX_TEXT)
            return await self._pass_on(hook, request, sent, share)
        except ClientDisconnect:
            return self._not_delivered(hook, 400, "gone", "the provider went away")
        except TooLargeError as error:
            return self._not_delivered(hook, error.status, error.code, str(error))
        finally:
            self._under_way -= 1

    def _not_delivered(
        self, hook: WebhookUrl, status: int, code: str, reason: str, text: str = ""
    ) -> Response:
        """Report once that a delivery did not reach its receiver; `text` is for the provider."""
        self.undelivered += 1
        url, why = self.redactor.text(hook.url), self.redactor.text(reason)
        self.hooks.note(f"webhook not delivered to {url}: {why}")
        return own_response(status, code, text or reason)

    def _refusal(self, hook: WebhookUrl) -> tuple[int, str, str] | None:
        if self._under_way >= MAX_AT_ONCE:
            return 503, "busy", f"{MAX_AT_ONCE} deliveries are under way"
        if hook.taken >= MAX_PER_WEBHOOK:
            text = f"{MAX_PER_WEBHOOK} deliveries for this webhook were taken"
            return 429, "too_many_deliveries", text
        return None

    async def _pass_on(
        self, hook: WebhookUrl, request: Request, sent: bytes, share: BodyShare
    ) -> Response:
        began = self.seconds()
        headers = {name: value for name, value in request.headers.items() if name not in HOP}
        signed = bool(self.hooks.telling.signature)  # by its bytes, which must stay as they are
        async with self.turns.of(len(sent)):
            checked = await asyncio.to_thread(self.hooks.checked, hook, headers, sent)
            body = sent if signed else await asyncio.to_thread(self.hooks.restored, sent)
        proof = self.hooks.telling.signature
        if proof in headers:
            headers[proof] = signature_shape(headers[proof])
        delivery = RelayedDelivery(hook, headers, body, checked, began)
        raw = [(k, v) for k, v in request.headers.raw if k.decode("latin-1") not in HOP]
        try:
            passed = self.http.build_request("POST", hook.url, headers=raw, content=body)
            passed.headers["accept-encoding"] = "identity"
            async with read_within(SECONDS):
                answer = await self.http.send(passed, stream=True, follow_redirects=False)
                try:
                    pieces = in_turns(answer.aiter_raw())
                    content, is_whole = await beginning(pieces, share, MAX_ANSWERED)
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
            if isinstance(error, OSError) and shortage(error) is None:
                raise
            reason = self.redactor.text(f"{type(error).__name__}: {error}")
            async with self.turns.of(len(sent)):
                await self._record(delivery, 0, RecordedMessage({}, {"text": reason}))
            text = f"the receiver gave no answer: {reason}"
            return self._not_delivered(delivery.hook, 502, "receiver", trouble(error), text)
        encoding = answer.headers.get("content-encoding", "")
        kind = answer.headers.get("content-type", "")
        size = max(len(sent), len(content)) if is_plain(encoding) else MAX_TEXT
        told = bytes(content) if is_whole else b""
        async with self.turns.of(size):
            message = await asyncio.to_thread(self._read, texts_of(answer), told, encoding, kind)
            await self._record(delivery, answer.status_code, message)
        response = DocumentResponse(told)
        response.status_code, marks = status_of(answer)
        length = [pair for pair in response.raw_headers if pair[0] == b"content-length"]
        response.raw_headers = passable(answer, but=HOP) + length + marks
        return response

    def _read(
        self, headers: Mapping[str, str], body: bytes, encoding: str, kind: str
    ) -> RecordedMessage:
        """Return a receiver's response in the form of the cassette; packed data as its hash."""
        plain = decoded(body, encoding) if body else b""
        if plain is None:
            return RecordedMessage(self.redactor.headers(headers), as_file(body, kind))
        return self._message(headers, plain, kind)

    def _message(self, headers: Mapping[str, str], body: bytes, kind: str) -> RecordedMessage:
        return RecordedMessage(
            self.redactor.headers(headers), recorded_body(body, kind, self.redactor)
        )

    async def _record(
        self, delivery: RelayedDelivery, status: int, answer: RecordedMessage
    ) -> None:
        """Record a delivery with its differences from the document."""
        count, lines = await asyncio.to_thread(self._judged, delivery)
        kind = delivery.headers.get("content-type", "")
        sent = await asyncio.to_thread(self._message, delivery.headers, delivery.body, kind)
        proof = self.hooks.telling.signature
        form = {proof: delivery.headers[proof]} if proof in delivery.headers else {}
        took = Decimal(str(round(self.seconds() - delivery.began, 3)))
        exchange = RecordedExchange(
            number=0,
            at=Decimal(str(round(delivery.began - self.start, 3))),
            took=took,
            method="POST",
            path=delivery.hook.path,
            request=RecordedMessage({**sent.headers, **form}, sent.body),
            status=status,
            answer=answer,
            part="webhook",
            hook=delivery.hook.number,
            signature=delivery.checked or None,
            findings=tuple(lines),
        )
        await self.write(exchange, count, lines)

    def _judged(self, delivery: RelayedDelivery) -> tuple[int, list[str]]:
        how, callback = self.hooks.telling, delivery.hook.callback
        found = check_delivery(
            callback, delivery.headers, delivery.body, how.proof, delivery.checked
        )
        lines = [self.redactor.text(str(one)) for one in found[:MAX_FINDINGS]]
        if len(found) > MAX_FINDINGS:
            lines.append(f"{callback.name}: {len(found) - MAX_FINDINGS} more findings")
        return len(found), lines


def signature_shape(signature: str) -> str:
    """Return a signature without its value: long hexadecimal parts become 0, other long parts x."""
    return _LONG.sub(
        lambda found: ("0" if _HEX.fullmatch(found[0]) else "x") * len(found[0]), signature
    )
