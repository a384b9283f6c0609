"""Send requests as one account of a provider: requests, their clips, budget and balance."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx

from upsim.client.hidden_texts import path_segment
from upsim.client.http.bounded_responses import FILE
from upsim_contracts.amounts import amount_of
from upsim_contracts.clip_properties import AVI, GONE, GONE_PATH, ClipProperties, clip
from upsim_contracts.documents.openapi import default_dialect
from upsim_contracts.documents.response_checks import check_response, operation_of
from upsim_contracts.expected_responses import ABSENT, Mismatch, at, shown
from upsim_contracts.facts.fact_files import SHORTER, Book, CallForm, filled
from upsim_contracts.facts.webhook_messages import message_parts
from upsim_contracts.findings import Finding
from upsim_contracts.spending_guard import RESERVED
from upsim_contracts.target import Target, TargetAccount
from upsim_contracts.video_probe import as_avi

Pricer = Callable[[str, ClipProperties | None, Mapping[str, Any]], Decimal | None]
"""Returns the published price of a request with a clip and a body; None if it is unknown.

Without a clip, it returns the highest price of any such request.
"""
CONTENT_TYPES = {
    "mp4": "mp4",
    "mov": "quicktime",
    "mkv": "x-matroska",
    "webm": "webm",
    AVI: "x-msvideo",
}


IN_PROCESS = "sim"
"""The name of a target in this process, to which no socket leads."""
MAX_LENGTH = 300
"""Characters of an answer that a report quotes."""
MAX_KEPT = 2**20
"""Bytes of an answer whose document is kept until the end of a run."""


class NotRunError(Exception):
    """A fact that this target cannot show; the message says why."""


class UnjudgedError(Exception):
    """A fact whose result would take longer than this run waits; the message says what was seen."""


class BrokenError(Exception):
    """A step whose result differs from the fact."""

    def __init__(self, found: list[Mismatch]) -> None:
        """Store the differences."""
        super().__init__("; ".join(map(str, found)))
        self.found = tuple(found)


@dataclass(frozen=True, slots=True)
class FactResponse:
    """A response with its JSON document, or `ABSENT` if the body is no JSON."""

    response: httpx.Response

    @property
    def document(self) -> object:
        """The JSON body; numbers with a point are Decimals."""
        try:
            return json.loads(self.response.content, parse_float=Decimal)
        except (ValueError, RecursionError):
            return ABSENT

    @property
    def text(self) -> str:
        """Return the body as UTF-8, and ignore the charset of the server."""
        return self.response.content.decode("utf-8", "replace")

    @property
    def as_seen(self) -> dict[str, object]:
        """The parts of a response that a fact can check."""
        return {
            "status": self.response.status_code,
            "headers": {name.lower(): value for name, value in self.response.headers.items()},
            "json": self.document,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Exchanged:
    """An API request and its response.

    `findings` are its differences from the OpenAPI document.

    `form` is the request in the book, and `operation` its name in the document. `body` is what was
    sent, and `text` is the beginning of the response.
    """

    form: CallForm
    operation: str
    body: object
    status: int
    document: object
    text: str
    findings: tuple[Finding, ...]


class AccountClient:
    """One account of a provider. `names` holds the values of `$job`, `$video` and other names.

    `exchanges` are the API requests so far. Downloads, and uploads to other hosts, are not counted.
    """

    def __init__(
        self, book: Book, target: Target, *, world: TargetAccount, price: Pricer, dialect: str = ""
    ) -> None:
        """Prepare the account without sending a request."""
        self.book = book
        self.target = target
        self.dialect = dialect or target.dialect or default_dialect(book.provider)
        self.exchanges: list[Exchanged] = []
        self.world = world
        self.price = price
        self.names: dict[str, Any] = {"key": world.key, "base": world.base_url}
        if world.controls is not None:
            self.names["inbox"] = world.controls.inbox
        self.last = ""
        self._keys: dict[str, str] = {}
        self._content = b""
        self.answer: FactResponse | None = None

    def call(self, step: Mapping[str, Any]) -> FactResponse:
        """Send the request that a step describes, and remember the new job's id."""
        form = self.book.calls[step["call"]]
        measured = self._take_video(step.get("video"))
        body = filled(body_of(form, step), self.names)
        answer = self._send(form, body, measured, step)
        if form.job is not None and answer.response.is_success:
            found = at(answer.document, form.job)
            if isinstance(found, str | int):
                self.names["job"] = found
        return answer

    def balance(self) -> Decimal:
        """Return the account's balance, as the provider reports it."""
        if self.book.balance is None:
            raise NotRunError("the provider documents no balance")
        name, place = self.book.balance
        form = self.book.calls[name]
        answer = self._send(form, filled(body_of(form, {}), self.names), None, {})
        seen = at(answer.as_seen, place)
        found = amount_of(seen)
        if found is None:
            raise BrokenError([Mismatch(place, "a balance", shown(seen))])
        return found

    def messages(self) -> list[dict[str, object]]:
        """Return the messages in the inbox, oldest first, in the form that facts describe."""
        if self.world.controls is None:
            raise NotRunError("needs a receiver for webhooks that the provider can reach")
        how, secret = self.book.telling, ""
        if how.secret is not None:
            asked = self._send(self.book.calls[how.secret["call"]], None, None, {})
            secret = str(at(asked.as_seen, how.secret["read"]))
        return [message_parts(one, how, secret) for one in self.world.controls.messages()]

    def _take_video(self, wanted: object) -> ClipProperties | None:
        """Set `$video` to a clip, as a link or as a data URL.

        For a data URL, `$base64` is the part after the comma, and `$bytes` the length of the file.
        """
        if wanted is None:
            return None
        text = wanted["data"] if isinstance(wanted, Mapping) else str(wanted)
        if "://" in text:
            self.names["video"] = text
            return None
        if self.world.media is None:
            raise NotRunError(f"needs a clip at a public address ({text}); see --media")
        if text == GONE:
            self.names["video"] = f"{self.world.media}{GONE_PATH}"
            return None
        measured = clip(text)
        address = f"{self.world.media}{measured.path}"
        if isinstance(wanted, Mapping):
            content = self._file_at(address).raise_for_status().content
            self._content = as_avi(content) if measured.container == AVI else content
            kind = CONTENT_TYPES[wanted.get("label", measured.container)]
            encoded = base64.b64encode(self._content).decode()
            address = f"data:video/{kind};base64,{encoded}"
            self.names |= {"base64": encoded, "bytes": len(self._content)}
        self.names["video"] = address
        return measured

    def _send(
        self, form: CallForm, body: object, measured: ClipProperties | None, step: Mapping[str, Any]
    ) -> FactResponse:
        given = {**self.book.auth, **form.headers, **step.get("headers", {})}
        headers = given | self._length(step)
        names = {**self.names, "key": self._key(step.get("as"))}
        sent = {k: str(filled(v, names)) for k, v in headers.items() if v is not None}
        path = _path(form.path, self.names)
        base = self.target.hosts.get(form.path, self.world.base_url)
        is_path = path.startswith("/")
        address = f"{base}{path}" if is_path else path
        extensions = {} if form.paid else {RESERVED: True}
        request = self._request(
            form.method,
            address,
            params=filled({**form.query, **step.get("query", {})}, self.names) or None,
            headers=sent,
            json=body,
            content=self._content if step.get("file") else _raw(step),
            extensions=extensions,
        )
        if body is not None:
            request.headers.setdefault("content-type", "application/json")
        if any(names["key"] in value for value in sent.values()):
            _check_origin(request, base)
        self.last = f"{form.method} {path}"
        response = self._paid(form, request, body, measured) if form.paid else self._plain(request)
        self.answer = FactResponse(response)
        text = self.answer.text[:MAX_LENGTH]
        self.last = f"{self.last} → {response.status_code} {text}"
        if is_path or address.startswith(f"{self.world.base_url}/"):
            document = ABSENT if len(response.content) > MAX_KEPT else self.answer.document
            self.exchanges.append(
                Exchanged(
                    form,
                    self._operation(request),
                    body=body,
                    status=response.status_code,
                    document=document,
                    text=text,
                    findings=self._findings(request, response),
                )
            )
        return self.answer

    def _findings(self, request: httpx.Request, response: httpx.Response) -> tuple[Finding, ...]:
        """Check a response against the OpenAPI document.

        Some facts send undocumented requests on purpose; their responses have no finding for that.
        """
        found = check_response(
            self.book.provider,
            self.dialect,
            method=request.method,
            path=self._path(request),
            status=response.status_code,
            headers=response.headers,
            body=response.content,
        )
        return tuple(one for one in found if one.where != "request")

    def _operation(self, request: httpx.Request) -> str:
        """Return method and path as the document writes them, else as they were sent."""
        path = self._path(request)
        place = operation_of(self.book.provider, self.dialect, request.method, path)
        return place[1].name if place else f"{request.method} {path.partition('?')[0]}"

    def _path(self, request: httpx.Request) -> str:
        """Return the provider's own path, without prefix or sandbox."""
        path = request.url.raw_path.decode("ascii")
        return path.removeprefix(urlsplit(self.world.base_url).path)

    def _length(self, step: Mapping[str, Any]) -> dict[str, str]:
        """Return the header of a body whose `announced` length is more than its real length."""
        if "announced" not in step:
            return {}
        if self.target.name != IN_PROCESS:
            raise NotRunError(SHORTER)
        return {"Content-Length": str(step["announced"])}

    def _key(self, owner: str | None) -> str:
        """Return the key of this sandbox's account, or of another account, created on first use."""
        if owner is None:
            return self.world.key
        if self.world.controls is None:
            raise NotRunError("needs a second account")
        if owner not in self._keys:
            self._keys[owner] = self.world.controls.further_key(owner)
        return self._keys[owner]

    def _request(self, method: str, address: str, **parts: Any) -> httpx.Request:  # noqa: ANN401 - of httpx
        """Build a request, some parts of which may come from earlier responses.

        Raises BrokenError if such a part is not valid in a request.
        """
        try:
            request = self.world.http.build_request(method, address, **parts)
        except (httpx.InvalidURL, TypeError, ValueError) as error:  # text, numbers, no URL
            seen = f"{type(error).__name__}: {error}"[:MAX_LENGTH]
            raise BrokenError([Mismatch("request", "values that can be sent", seen)]) from error
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise BrokenError([Mismatch("link", "an http or https URL", shown(address))])
        return request

    def _file_at(self, address: str) -> httpx.Response:
        """Download a file without sending the API key."""
        return self._plain(self._request("GET", address, extensions={FILE: True}))

    def _plain(self, request: httpx.Request) -> httpx.Response:
        return self.world.http.send(request)

    def _paid(
        self, form: CallForm, request: httpx.Request, body: object, measured: ClipProperties | None
    ) -> httpx.Response:
        """Reserve the price of a paid request, send the request, then settle its actual cost.

        If no document gives the price of the request, the highest possible cost is reserved. Then
        the cost of an accepted request is never reported as a difference.
        """
        purse = self.target.purse
        if purse.cap is None:
            return self._plain(request)
        document = body if isinstance(body, Mapping) else {}
        priced = None if measured is None else self.price(form.name, measured, document)
        worst = self.price(form.name, None, document) if priced is None else priced
        what, before = self.last, self.balance()
        self.last = what
        with purse.reservation(worst, what):
            request.extensions[RESERVED] = True
            documented = lost = worst or Decimal(0)
            try:
                response = self._plain(request)
                documented = lost if response.is_success else Decimal(0)
                lost = before - self.balance()
                if response.is_success and priced is None:
                    documented = lost
            finally:  # when the balance cannot be read any more, all that was set aside is gone
                purse.settle(what, documented, lost)
        return response


def body_of(form: CallForm, step: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return the request body of a step: the usual body, with the changes of the step."""
    if step.get("file") or not step.keys().isdisjoint(("raw", "size")):
        return None
    body = copy.deepcopy(step.get("body", form.body))
    for path in step.get("drop", ()):
        _drop(body, path)
    for path, value in step.get("set", {}).items():
        _set(body, path, value)
    return body


def _path(form: str, names: Mapping[str, Any]) -> str:
    """Return the path of a request with each id inside its own segment, or the URL of a link."""
    if not form.startswith("/"):
        return str(filled(form, names))
    steps = ((step, str(filled(step, names))) for step in form.split("/"))
    return "/".join(step if step == found else path_segment(found) for step, found in steps)


def _check_origin(request: httpx.Request, base: str) -> None:
    """Check the host of a request, since a link in a response may name any host.

    Raises BrokenError instead of sending the API key to another server.
    """
    own, url = httpx.URL(base), request.url
    if (url.scheme, url.host, url.port) != (own.scheme, own.host, own.port):
        raise BrokenError([Mismatch("link", f"an address at {own.host}", shown(str(url)))])


def _raw(step: Mapping[str, Any]) -> str | None:
    """Return the literal body of a step; for a step with only a `size`, that many spaces."""
    text: str | None = " " * step["size"] if "size" in step else step.get("raw")
    return text


def _drop(body: Any, path: str) -> None:  # noqa: ANN401 - JSON
    *parents, last = path.split(".")
    for name in parents:
        body = body[name]
    del body[last]


def _set(body: Any, path: str, value: object) -> None:  # noqa: ANN401 - JSON
    *parents, last = path.split(".")
    for name in parents:
        body = body.setdefault(name, {})
    body[last] = value
