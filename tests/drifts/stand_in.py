"""A stand-in for a provider's live API: one account, strict keys, no control, and one alteration.

An alteration is data, as in `drifts.yaml`. Parts that name an operation apply to its answers:

* `on` (a name of `operations`, or a pattern of method and path), `status` and `where` (paths and
  their values) choose the answers; without them all are chosen.
* `set`, `rename`, `text`, `times`, `cut` and `sub` alter fields: a value, a name, a number as
  text, a number by a factor, no field, and a text by a pattern and its replacement.
* `headers` sets or removes (null) headers; `becomes` is another status; `answer` is given instead.
* `twice` sends the request twice. `output` gives a file with other properties.
* `takes` takes an amount from the account, in the provider's own unit; with `first` only so often.

`ids` makes the ids of jobs that have a form longer by a suffix, in answers and back in requests.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.receivers import Hosts
from upsim import Simulator
from upsim.transport import Transport
from upsim_contracts.spending_guard import GuardedTransport, SpendingBudget
from upsim_contracts.target import Patience, Target
from upsim_contracts.verify.run import book_of
from upsim_contracts.video_probe import probe_video

ROOT = "http://upsim.test"
OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "wavespeed": {
        "submit": r"POST .*/(video-upscaler|upscale-v1)",
        "poll": r"GET .*/predictions/.*",
        "balance": r"GET .*/balance",
        "upload": r"POST .*/media/uploads",
    },
    "venice": {
        "submit": r"POST .*/video/queue",
        "poll": r"POST .*/video/retrieve",
        "balance": r"GET .*/billing/balance",
        "quote": r"POST .*/video/quote",
    },
    "piapi": {
        "submit": r"POST .*/api/v1/task",
        "poll": r"GET .*/api/v1/task/.*",
        "balance": r"GET .*/account/info",
        "upload": r"POST .*/ephemeral_resource",
    },
    "vicsee": {
        "submit": r"POST .*/(tools/upscale-video|generate)",
        "poll": r"GET .*/tasks/.*",
        "balance": r"GET .*/credits",
        "upload": r"POST .*/upload",
    },
}
OUTPUT = r"GET /media/outputs/.*"


@dataclass(slots=True)
class Answer:
    """An answer that may still be altered."""

    status: int
    headers: dict[str, str]
    body: bytes


class StandIn:
    """An ASGI application that answers one provider as a simulator does, but for a drift."""

    def __init__(
        self, app: ASGIApp, provider: str, alterations: Sequence[Mapping[str, Any]]
    ) -> None:
        """Alter what `app` answers."""
        self._app = app
        self._provider = provider
        self._alterations = alterations
        self._taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; there is no admin API, and no other provider."""
        call = f"{scope['method']} {scope['path']}"
        if not scope["path"].startswith((f"/{self._provider}/", "/media/")):
            await _send(Answer(404, {"content-type": "text/plain"}, b"not found"), send)
            return
        body = await _read(receive)
        for one in self._alterations:
            if "ids" in one:
                scope, body = _without_suffix(scope, body, one["ids"])
        refusal = next((one for one in self._alterations if self._refuses(one, call)), None)
        if refusal is not None:
            await _send(await self._altered(refusal, Answer(0, {}, b""), scope), send)
            return
        answer = await self._ask(scope, body)
        for one in self._alterations:
            if self._is_meant(one, call, answer):
                if one.get("twice"):
                    await self._ask(scope, body)
                if "takes" in one and self._taken < one.get("first", self._taken + 1):
                    self._taken += 1
                    await self._take(Decimal(one["takes"]))
                answer = await self._altered(one, answer, scope)
        await _send(answer, send)

    async def _ask(self, scope: Scope, body: bytes) -> Answer:
        """Let the simulator answer."""
        answer = Answer(500, {}, b"")
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        over = asyncio.Event()

        async def receive() -> Message:
            if not incoming:
                await over.wait()  # the caller stays until it has its answer
                return {"type": "http.disconnect"}
            return incoming.pop()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                pairs = message.get("headers", ())
                answer.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in pairs}
            else:
                answer.body += message.get("body", b"")

        headers = [(k, v) for k, v in scope["headers"] if k != b"content-length"]
        length = [(b"content-length", str(len(body)).encode())]
        await self._app({**scope, "headers": headers + length}, receive, send)
        over.set()
        return answer

    async def _take(self, amount: Decimal) -> None:
        """Take an amount from the account, as other use of the key would."""
        headers = {"Authorization": "Bearer in-process"}
        http = httpx.AsyncClient(transport=httpx.ASGITransport(self._app), headers=headers)
        url = f"{ROOT}/__sim/sandboxes/default/accounts"
        async with http:
            accounts = (await http.get(url)).json()["accounts"]
            (own,) = (one for one in accounts if one["provider"] == self._provider)
            left = Decimal(str(own["balance"])) - amount
            answer = await http.put(
                f"{url}/{self._provider}", json={"balance": f"{left:f}", "account": own["account"]}
            )
            answer.raise_for_status()

    def _refuses(self, one: Mapping[str, Any], call: str) -> bool:
        """Whether a request gets its response without the simulator, which never sees it."""
        chosen = "answer" in one and not {"status", "where"} & set(one)
        return chosen and self._is_meant(one, call, Answer(0, {}, b""))

    def _is_meant(self, one: Mapping[str, Any], call: str, answer: Answer) -> bool:
        name = one.get("on", OUTPUT if "output" in one else ".*")
        pattern = OPERATIONS[self._provider].get(name, name)
        wanted = one.get("where", {})
        document = _document(answer) if wanted else {}
        return (
            re.fullmatch(pattern, call) is not None
            and one.get("status", answer.status) == answer.status
            and document is not None
            and all(_at(document, path) == value for path, value in wanted.items())
        )

    async def _altered(self, one: Mapping[str, Any], answer: Answer, scope: Scope) -> Answer:
        if "output" in one and answer.headers.get("content-type") == "video/mp4":
            return await self._other_file(one["output"], answer, scope)
        if "answer" in one:
            headers = {"content-type": "application/json", **one["answer"].get("headers", {})}
            body = json.dumps(one["answer"]["json"]).encode()
            return Answer(one["answer"].get("status", 200), headers, body)
        if "ids" in one:
            form, suffix = one["ids"]["form"], one["ids"]["suffix"]
            text = re.sub(form, lambda found: found[0] + suffix, answer.body.decode("latin-1"))
            return Answer(answer.status, answer.headers, text.encode("latin-1"))
        document = _document(answer)
        if document is not None and {*FIELDS, "set"} & set(one):
            alter(document, one)
            answer.body = json.dumps(document).encode()
        for name, value in one.get("headers", {}).items():
            answer.headers = {k: v for k, v in answer.headers.items() if k.lower() != name.lower()}
            if value is not None:
                answer.headers[name] = value
        answer.status = one.get("becomes", answer.status)
        return answer

    async def _other_file(self, other: Mapping[str, Any], answer: Answer, scope: Scope) -> Answer:
        """A clip as the output is, but for what is altered: more pixels, another rate, no audio."""
        seen = probe_video(answer.body)
        width, height = int(str(seen["width"])), int(str(seen["height"]))
        fps = str(other.get("fps", seen["fps"])).replace("/", "-")
        rate = Fraction(fps.replace("-", "/"))
        frames = max(1, round(Fraction(str(seen["seconds"])) * rate))
        seconds = f"{float(frames / rate):.6f}".rstrip("0").rstrip(".")
        silent = "" if other.get("audio", seen["audio"]) else "_silent"
        size = f"{width + other.get('wider', 0)}x{height + other.get('higher', 0)}"
        path = f"/media/synthetic/{size}_{fps}fps_{seconds}s{silent}.mp4"
        got = {"path": path, "raw_path": path.encode(), "query_string": b"", "method": "GET"}
        kept = [(k, v) for k, v in scope["headers"] if k == b"host"]
        return await self._ask({**scope, **got, "headers": kept}, b"")


def _rename(parent: dict[str, Any], last: str, new: str) -> None:
    parent[new] = parent.pop(last)


def _replace(parent: dict[str, Any], last: str, how: Sequence[str]) -> None:
    parent[last] = re.sub(how[0], how[1], parent[last])


FIELDS: Mapping[str, Callable[[dict[str, Any], str, Any], object]] = {
    "rename": _rename,
    "text": lambda parent, last, _: parent.update({last: str(parent[last])}),
    "times": lambda parent, last, factor: parent.update({last: parent[last] * factor}),
    "cut": lambda parent, last, _: parent.pop(last),
    "sub": _replace,
}


def alter(document: Any, one: Mapping[str, Any]) -> None:  # noqa: ANN401 - JSON
    """Change the fields that an alteration names, where they are; `set` also makes new ones."""
    for path, value in one.get("set", {}).items():
        parents, _, last = path.rpartition(".")
        _at(document, parents)[last] = value
    for kind, change in FIELDS.items():
        named = one.get(kind, {})
        for path in named:
            how = named[path] if isinstance(named, Mapping) else None
            for parent, last in _place(document, path):
                change(parent, last, how)


@dataclass(frozen=True, slots=True)
class Made:
    """A stand-in that runs: the way to it, its one account, and what this really was charged.

    `posts` has the applications that its webhooks reach, by their host.
    """

    provider: str
    dialect: str
    simulator: Simulator
    transport: Transport
    key: str
    posts: Hosts = field(default_factory=Hosts)

    def target(self, cap: Decimal, http: httpx.Client | None = None) -> Target:
        """Return it as `verify` sees a stranger."""
        purse = SpendingBudget(cap, book_of(self.provider).unit)
        guarded = GuardedTransport(self.transport, purse)
        return Target(
            "stand-in",
            self.provider,
            f"{ROOT}/{self.provider}",
            http or httpx.Client(transport=guarded),
            purse,
            simulator=False,
            key=self.key,
            media=ROOT,
            dialect=self.dialect,
            patience=Patience(refund=3 * 3600),  # virtual time
        )

    def now(self) -> float:
        """Return the time of the stand-in, in seconds: a recording of it has the same clock."""
        return self.simulator.sandbox.run_due() / 1_000_000

    def spent(self) -> Decimal:
        """Return what the ledger says that all jobs cost, refunds taken off, in the facts' unit."""
        found = _admin(self.simulator, "GET", f"ledger?provider={self.provider}")["entries"]
        moved = [one for one in found if one["kind"] in ("charge", "refund")]
        per = 10_000_000 if self.provider == "piapi" else 1
        return -sum((Decimal(one["amount"]) for one in moved), Decimal(0)) / per


@contextmanager
def stand_in(
    provider: str,
    alterations: Sequence[Mapping[str, Any]] = (),
    *,
    scenario: Mapping[str, object] | None = None,
    dialect: str = "",
    webhooks: Mapping[str, str] | None = None,
) -> Iterator[Made]:
    """Yield a stand-in; its clock jumps to what polls wait for.

    `webhooks` are headers that replace those of what it posts to webhooks.
    """

    def posted(request: httpx.Request) -> httpx.Request:
        request.headers.update(webhooks or {})
        return request

    posts = Hosts(posted=posted)
    with Simulator(
        scenario, strict_keys=True, dialect=dialect or None, webhook_transport=posts
    ) as simulator:
        made = _admin(simulator, "POST", f"accounts/{provider}/keys", {"account": "main"})
        application = StandIn(simulator.app, provider, alterations)
        transport = Transport(application, simulator._run)
        yield Made(provider, dialect, simulator, transport, made["key"], posts)


def _admin(simulator: Simulator, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": "Bearer in-process"}
    url = f"{ROOT}/__sim/sandboxes/default/{path}"
    with httpx.Client(transport=simulator.transport(), headers=headers) as http:
        return http.request(method, url, json=body).raise_for_status().json()


async def _read(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def _send(answer: Answer, send: Send) -> None:
    kept = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    pairs = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in kept.items()]
    length = (b"content-length", str(len(answer.body)).encode())
    start = {"type": "http.response.start", "status": answer.status, "headers": [*pairs, length]}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _document(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _at(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    for name in filter(None, path.split(".")):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _place(document: Any, path: str) -> Iterator[tuple[dict[str, Any], str]]:  # noqa: ANN401 - JSON
    """The object that holds a field, where both are there and the field is not null."""
    parents, _, last = path.rpartition(".")
    parent = _at(document, parents)
    if isinstance(parent, dict) and parent.get(last) is not None:
        yield parent, last


def _without_suffix(scope: Scope, body: bytes, ids: Mapping[str, str]) -> tuple[Scope, bytes]:
    """The request with the ids that the simulator gave."""
    pattern = re.compile(f"({ids['form']}){re.escape(ids['suffix'])}")
    path = pattern.sub(r"\1", scope["path"])
    own = {**scope, "path": path, "raw_path": path.encode()}
    return own, pattern.sub(r"\1", body.decode("latin-1")).encode("latin-1")
