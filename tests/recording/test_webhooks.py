"""Webhooks that a recording takes: recorded, judged, and passed on to the client's receiver."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.receivers import Receiver
from tests.recording.conftest import Studio, entries
from upsim_contracts.cassettes.cassette import read_cassette
from upsim_contracts.exceptions import ContractFileError, UsageError
from upsim_contracts.record import request_bodies, webhook_relay
from upsim_contracts.record.command import RecordingSession, recording
from upsim_contracts.record.webhook_urls import STEP

SUBMITS = {
    "wavespeed": "/api/v3/wavespeed-ai/video-upscaler",
    "piapi": "/api/v1/task",
}
POLLS = {"wavespeed": "/api/v3/predictions/$/result", "piapi": "/api/v1/task/$"}
VIDEO = "/media/synthetic/320x240_10fps_1s.mp4"
HOOK = "http://127.0.0.1:9/hook/of-the-client?a=1&token=private-word"
SECRET = "a-secret-of-the-client"
SIGNATURE = "webhook-signature"


def order(provider: str, base: str, hook: str = HOOK) -> dict[str, Any]:
    """Return the query and the body of a submit that names a webhook."""
    video = f"{base}{VIDEO}"
    if provider == "wavespeed":
        return {"params": {"webhook": hook}, "json": {"video": video}}
    body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": video}}
    config = {"webhook_config": {"endpoint": hook, "secret": SECRET}}
    return {"json": {**body, "config": config}}


def told(
    studio: Studio,
    provider: str,
    receiver: Receiver,
    **options: Any,  # noqa: ANN401 - those of a recording
) -> tuple[Path, list[str]]:
    """Record one job whose end a receiver is told, and return the cassette and all bodies."""
    bodies: list[str] = []

    async def caller(http: httpx.AsyncClient) -> None:
        if provider == "wavespeed":
            await http.get("/api/v3/webhook/secret")
        made = await http.post(SUBMITS[provider], **order(provider, "http://upsim.test"))
        found = made.json()["data"]
        path = POLLS[provider].replace("$", found.get("id") or found["task_id"])
        bodies.append(made.text)
        assert studio.simulator is not None
        await studio.simulator.advance_async("1h")
        bodies.append((await http.get(path)).text)

    return studio.record(provider, caller, receiver=receiver, **options), bodies


@pytest.mark.parametrize("provider", SUBMITS)
def test_delivery_is_recorded_and_forwarded(studio: Studio, provider: str) -> None:
    """Each webhook attempt is one cassette line and is forwarded to the receiver.

    The provider gets the receiver's response.
    """
    receiver = Receiver((500, 200))
    cassette, bodies = told(studio, provider, receiver)
    lines = entries(cassette)
    submit = next(one for one in lines[1:] if one.get("charge"))
    attempts = [one for one in lines if one.get("part") == "webhook"]

    assert [] == studio.said
    assert [(500, "valid"), (200, "valid")] == [(a["status"], a["signature"]) for a in attempts]
    assert {submit["hook"]} == {one["hook"] for one in attempts}
    assert [{"text": "taken with 500"}, {"text": "taken with 200"}] == [
        one["answer"]["body"] for one in attempts
    ]
    for (headers, body), one in zip(receiver.got, attempts, strict=True):
        assert HOOK == headers["url"]
        assert is_genuine(provider, headers, body, json.dumps(lines), bodies)
        assert json.loads(body).keys() == one["request"]["body"]["json"].keys()
    text = cassette.read_text("utf-8")
    assert [] == [word for word in ("of-the-client", "private-word", SECRET) if word in text]
    assert not any("upsim-webhooks" in one for one in (text, *bodies, str(receiver.got)))
    assert 2 == lines[0]["version"]
    drift = studio.drift(cassette)
    assert [True] == ["no differences" in one and "and 2 webhooks" in one for one in drift]


def is_genuine(
    provider: str, headers: Mapping[str, str], body: bytes, cassette: str, bodies: list[str]
) -> bool:
    """Whether a client's receiver believes a delivery, and the client reads its own webhook."""
    if provider == "piapi":
        endpoint = json.loads(body)["data"]["config"]["webhook_config"]["endpoint"]
        echoed = [json.loads(one)["data"]["config"]["webhook_config"] for one in bodies]
        return headers["x-webhook-secret"] == SECRET and {HOOK} == {
            endpoint,
            *(one["endpoint"] for one in echoed),
        }
    return len(headers[SIGNATURE]) == 67 and headers[SIGNATURE] not in cassette


def signed_anew(request: httpx.Request, body: bytes) -> httpx.Request:
    """Return a delivery with another body; what is said of its length and kind stays true."""
    headers = [(k, v) for k, v in request.headers.multi_items() if k != "content-length"]
    return httpx.Request("POST", request.url, headers=headers, content=body)


def with_header(name: str, value: str | None, other: str = "") -> Callable[[Any], Any]:
    """Return what gives a delivery another value of a header, or the value under another name."""

    def posted(request: httpx.Request) -> httpx.Request:
        before = request.headers.pop(name)
        if value is not None:
            request.headers[name] = value
        if other:
            request.headers[other] = before
        return request

    return posted


def with_field(name: str, value: object) -> Callable[[Any], Any]:
    """Return what gives a delivery another value of a field, None for none."""

    def posted(request: httpx.Request) -> httpx.Request:
        document = json.loads(request.content)
        inner = document.get("data", document)
        inner.pop(name) if value is None else inner.update({name: value})
        return signed_anew(request, json.dumps(document).encode())

    return posted


ALTERED: dict[str, tuple[str, Callable[[Any], Any], list[str]]] = {
    "another version": (
        "wavespeed",
        with_header(SIGNATURE, "v4,0000"),
        [SIGNATURE, '"v4,0000"', "verify-webhooks"],
    ),
    "base64": ("wavespeed", with_header(SIGNATURE, f"v3,{'qR+/' * 11}"), [SIGNATURE, '"v3,xxx']),
    "none": ("wavespeed", with_header(SIGNATURE, None), [SIGNATURE, "this header, seen none"]),
    "another name": (
        "wavespeed",
        with_header(SIGNATURE, None, "x-ws-signature"),
        [SIGNATURE, "seen x-ws-signature instead"],
    ),
    "another key": (
        "wavespeed",
        with_header(SIGNATURE, f"v3,{'0a' * 32}"),
        [SIGNATURE, "made with the secret, seen another one"],
    ),
    "no timestamp": ("wavespeed", with_header("webhook-timestamp", "soon"), ["webhook-timestamp"]),
    "no secret": ("piapi", with_header("x-webhook-secret", None), ["x-webhook-secret", "none"]),
    "another secret": (
        "piapi",
        with_header("x-webhook-secret", "another"),
        ["x-webhook-secret", "another one"],
    ),
    "status word": ("piapi", with_field("status", "done"), ["webhook of", "data.status", '"done"']),
    "field gone": ("piapi", with_field("meta", None), ["webhook of", "data.meta", "seen none"]),
}


@pytest.mark.parametrize("name", ALTERED)
def test_altered_delivery_is_one_line(studio: Studio, name: str) -> None:
    """A change in a provider's webhooks is printed and is one line of the drift report."""
    provider, posted, words = ALTERED[name]
    cassette, _ = told(studio, provider, Receiver(), posted=posted)
    line, headline = studio.drift(cassette)

    assert [] == [word for word in words if word not in line or word not in studio.said[-1]]
    assert "1 difference in" in headline


def test_given_webhook_secret_is_used(studio: Studio) -> None:
    """Signatures are checked with the secret that the user gives, which is never written."""
    cassette, _ = told(studio, "wavespeed", Receiver(), webhook_secret="whsec_of-somebody-else")

    assert "invalid" == entries(cassette)[-2]["signature"]
    assert "somebody-else" not in cassette.read_text("utf-8")


def answer(content: bytes = b"", status: int = 200) -> httpx.Response:
    """Return a response as a connection gives it."""
    kind = {"content-type": "application/json"}
    return httpx.Response(status, headers=kind, stream=httpx.ByteStream(content))


class Fake:
    """A provider that keeps the submits that reached it, and a receiver that a test chooses."""

    def __init__(self, receiver: Callable[[httpx.Request], httpx.Response]) -> None:
        """Answer every submit with an empty object."""
        self.got: list[httpx.Request] = []
        self._receiver = receiver

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if "/hook" in request.url.path:
            return self._receiver(request)
        if request.method == "POST":  # and no look at a video
            self.got.append(request)
        return answer(b"{}")


def at_fake(
    tmp_path: Path,
    fake: Fake,
    caller: Callable[[httpx.AsyncClient], Any],
    upstream: str = "http://127.0.0.1:1/piapi",
    **options: object,
) -> tuple[RecordingSession, list[str]]:
    """Record what a caller does at a fake provider."""
    said: list[str] = []
    asked = {"upstream": upstream, "to": tmp_path / "cassette.jsonl", "balances": False, **options}
    if "address" not in options:
        asked["address"] = "http://127.0.0.1:2"
    names = frozenset({"127.0.0.1:2"})
    with recording(asked, names, said.append, httpx.MockTransport(fake)) as session:

        async def call() -> None:
            transport = httpx.ASGITransport(session.application)
            base = "http://127.0.0.1:2"
            async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                await caller(http)

        asyncio.run(call())
    return session, said


async def submit(http: httpx.AsyncClient, fake: Fake) -> str:
    """Name a webhook, and return the URL that the provider was given in its place."""
    await http.post(SUBMITS["piapi"], **order("piapi", "http://127.0.0.1:1"))
    found: str = json.loads(fake.got[-1].content)["config"]["webhook_config"]["endpoint"]
    return found


def test_only_the_provider_can_deliver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown tokens, other methods and too many attempts are refused and not recorded."""
    monkeypatch.setattr(webhook_relay, "MAX_PER_WEBHOOK", 2)
    statuses: list[int] = []
    fake = Fake(lambda _: answer(status=204))

    async def caller(http: httpx.AsyncClient) -> None:
        url = await submit(http, fake)
        assert url.startswith("http://127.0.0.1:2/upsim-webhooks/")
        for method, where in (
            ("POST", f"{url[:-1]}_"),
            ("POST", "http://127.0.0.1:2/upsim-webhooks/"),
            ("GET", url),
            *[("POST", url)] * 3,
        ):
            statuses.append((await http.request(method, where, json={})).status_code)

    session, _ = at_fake(tmp_path, fake, caller)

    assert [404, 404, 405, 204, 204, 429] == statuses
    assert 3 == session.writer.count


class Endless(httpx.AsyncByteStream):
    """A response that does not end, and whoever reads much of it fails."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give 64 KiB again and again."""
        for _ in range(5):
            yield bytes(64 * 2**10)
        raise AssertionError("more than 256 KiB and a piece are read")


def test_bounds_of_a_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder limits missing receivers, long responses, long webhooks and many webhooks."""
    statuses: list[int] = []

    def receiver(request: httpx.Request) -> httpx.Response:
        if b"gone" in request.content:
            system = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")
            raise httpx.ConnectError("All connection attempts failed") from system
        return httpx.Response(200, stream=Endless())

    fake = Fake(receiver)

    async def caller(http: httpx.AsyncClient) -> None:
        url = await submit(http, fake)
        answers = [await http.post(url, json={"gone": True}), await http.post(url, json={})]
        await http.post(url, json={"gone": True})
        assert b"" == answers[1].content
        monkeypatch.setattr(webhook_relay, "MAX_TEXT", 10)
        answers.append(await http.post(url, content=b"x" * 11))
        monkeypatch.setattr(webhook_relay, "MAX_AT_ONCE", 0)
        answers.append(await http.post(url, json={}))
        statuses.extend(one.status_code for one in answers)

    session, said = at_fake(tmp_path, fake, caller)

    assert [502, 200, 413, 503] == statuses
    lines = entries(tmp_path / "cassette.jsonl")[2:]
    assert [0, 200, 0] == [one["status"] for one in lines]
    assert "connection attempts failed" in lines[0]["answer"]["body"]["text"]
    assert 4 == session.writer.count
    shown = "webhook not delivered to http://127.0.0.1:9/hook/of-the-client?a=(redacted)"
    lost = [one for one in said if one.startswith("webhook not")]
    assert all(one.startswith(f"{shown}&token=(redacted): ") for one in lost)
    reasons = [one.partition("&token=(redacted): ")[2] for one in lost]
    assert ["connection refused", "0 deliveries are under way"] == [reasons[0], reasons[2]]
    assert "more than 10 bytes" in reasons[1]
    assert 3 == len(reasons)
    assert ", 4 webhook attempts not delivered" in session.summary


def test_responses_are_unpacked_outside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compressed responses are unpacked outside the event loop, and too long ones not at all."""
    loops: set[int] = set()
    unpacked: list[tuple[int, bool]] = []

    def unpacking(bits: int) -> Any:  # noqa: ANN401 - what zlib gives
        real = zlib.decompressobj(bits)

        def decompress(sent: bytes, most: int) -> bytes:
            unpacked.append((len(sent), threading.get_ident() in loops))
            return real.decompress(sent, most)

        return SimpleNamespace(decompress=decompress, eof=True)

    own = {"MAX_WBITS": zlib.MAX_WBITS, "error": zlib.error, "decompressobj": unpacking}
    monkeypatch.setattr(request_bodies, "zlib", SimpleNamespace(**own))
    short = gzip.compress(b'{"a": 1}')
    long = gzip.compress(bytes(request_bodies.MAX_PACKED), 0)
    assert len(long) > request_bodies.MAX_PACKED
    sent = {"short": short, "broken": b"no gzip", "long": long}

    def packed(request: httpx.Request) -> httpx.Response:
        found = answer(sent[request.url.path.rpartition("-")[2]])
        found.headers["content-encoding"] = "gzip"
        return found

    fake = Fake(packed)
    told: list[int] = []

    async def caller(http: httpx.AsyncClient) -> None:
        loops.add(threading.get_ident())
        for name in sent:
            hook = f"http://127.0.0.1:3/hook-{name}"
            await http.post(SUBMITS["piapi"], **order("piapi", "http://127.0.0.1:3", hook))
            made = json.loads(fake.got[-1].content)["config"]["webhook_config"]["endpoint"]
            for method, url in (("POST", made), ("GET", f"/api/v1/task/hook-{name}")):
                async with http.stream(method, url) as passed:
                    told.append(sum([len(piece) async for piece in passed.aiter_raw()]))

    at_fake(tmp_path, fake, caller)

    assert [(len(sent[name]), False) for name in ("short", "short", "broken", "broken")] == unpacked
    found = [one["answer"].get("body", {}) for one in entries(tmp_path / "cassette.jsonl")[1:]]
    sizes = [one.get("file", {}).get("bytes") for one in found]
    assert {"json": {"a": 1}} == found[1] == found[2]
    assert [len(short), 8, 7, 7, 0, len(long)] == told
    assert [7, 7, None, len(long)] == [*sizes[4:6], *sizes[7:9]]


LEFT: dict[str, tuple[dict[str, Any], str, str]] = {
    "no URL": ({}, "string", ""),
    "no host name": ({}, "http://xn--a/hook", ""),
    "no port": ({}, "http://127.0.0.1:99999/hook", ""),
    "another scheme": ({}, "ftp://127.0.0.1/hook", ""),
    "the simulator's own inbox": (
        {},
        "http://127.0.0.1:1/__sim/sandboxes/default/inbox/mine",
        (
            "webhooks for 127.0.0.1:1 are not recorded: that is the upstream itself, and a "
            "simulator's own inbox is not a receiver for record; "
            "name a receiver at another port, such as an inbox of a second "
            "`upsim serve --port PORT`"
        ),
    ),
    "the recorder itself": (
        {},
        "http://[::1]:2/hook",
        (
            "webhooks for [::1]:2 are not recorded: that is the recorder itself; "
            "name a receiver at another port"
        ),
    ),
    "a live provider itself": (
        {
            "upstream": "https://api.piapi.ai",
            "cap": Decimal(9),
            "clips": ["*=320x240 10fps 1s"],
            "webhooks": "https://t.example",
        },
        "https://api.piapi.ai/hook",
        (
            "webhooks for api.piapi.ai:443 are not recorded: that is the provider itself; "
            "name a receiver of your own"
        ),
    ),
    "not loopback": (
        {},
        "https://example.com/hook",
        (
            "webhooks for example.com are not recorded: they are passed on to loopback and "
            "to hosts of UPSIM_TRUSTED_HOSTS alone; add example.com there"
        ),
    ),
    "a provider that reaches nothing here": (
        {"upstream": "http://upsim.test/piapi"},
        HOOK,
        "webhooks are not recorded: the provider needs --webhooks URL to reach this",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_a_webhook_url_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A webhook URL that the recorder cannot use stays unchanged, with at most one message."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "upsim.test")
    options, hook, line = LEFT[name]
    fake = Fake(lambda _: answer())

    async def caller(http: httpx.AsyncClient) -> None:
        for _ in range(2):
            await http.post(SUBMITS["piapi"], **order("piapi", "http://127.0.0.1:1", hook))

    _, said = at_fake(tmp_path, fake, caller, **options)
    found = [json.loads(one.content)["config"]["webhook_config"]["endpoint"] for one in fake.got]

    assert [hook, hook] == found
    assert ([line] if line else []) == [one for one in said if one.startswith("webhooks ")]
    assert all("hook" not in one for one in entries(tmp_path / "cassette.jsonl"))


HERE = (
    *("127.0.0.1", "localhost", "LocalHost", "localhost.", "foo.localhost", "127.1", "127.0.0.2"),
    *("0.0.0.0", "0", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]"),  # noqa: S104
    *("[::1%25lo]", "2130706433", "0x7f000001", "0x7F.1", "0177.1", "user:word@127.1"),
    "127\u30020\u30020\u30021",
)


@pytest.mark.parametrize(
    ("upstream", "closed", "open_ports"),
    [
        ("http://127.0.0.1:1/piapi", (":1", ":2"), (":3", "", ":443")),
        ("http://localhost/piapi", (":2", "", ":80"), (":3", ":1")),
    ],
    ids=["a port", "the usual port"],
)
def test_no_webhook_leads_to_the_recorder_or_the_provider(
    tmp_path: Path, upstream: str, closed: tuple[str, ...], open_ports: tuple[str, ...]
) -> None:
    """A webhook URL to the recorder or the provider is not used, in any spelling of the host.

    A receiver on another port of this machine is allowed.
    """
    fake = Fake(lambda _: answer())
    hooks = [f"http://{host}{port}/api/v1/task" for host in HERE for port in (*closed, *open_ports)]
    hooks += ["http://%31%32%37.0.0.1:2/api/v1/task", "http://localhost.example:2/"]

    async def caller(http: httpx.AsyncClient) -> None:
        for hook in hooks:
            await http.post(SUBMITS["piapi"], **order("piapi", "http://127.0.0.1:1", hook))

    at_fake(tmp_path, fake, caller, upstream)
    found = [json.loads(one.content)["config"]["webhook_config"]["endpoint"] for one in fake.got]
    taken = {hook for hook, told in zip(hooks, found, strict=True) if STEP in told}

    assert {f"http://{host}{port}/api/v1/task" for host in HERE for port in open_ports} == taken


def test_only_the_webhook_url_of_a_request_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder replaces a raw webhook URL up to its `&`, and forwards the rest unchanged."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "upsim.test")
    fake = Fake(lambda _: answer())
    path = SUBMITS["wavespeed"]
    twice = b'{"video": "a", "video": "http://127.0.0.1:1/a"}'

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post(f"{path}?x=%41&webhook=http://127.0.0.1/hook?a=1&b=2", content=twice)
        await http.post(f"{path}?webhook=&b=2", content=b"{no JSON")

    at_fake(tmp_path, fake, caller, "http://upsim.test/wavespeed", webhooks="https://t.example/u/")
    sent, plain = (str(one.url) for one in fake.got)

    start, _, rest = sent.partition("webhook=")
    assert start.endswith("?x=%41&")
    assert rest.startswith("https%3A%2F%2Ft.example%2Fu%2Fupsim-webhooks%2F")
    assert rest.endswith("&b=2")
    assert plain.endswith(f"{path}?webhook=&b=2")
    assert [twice, b"{no JSON"] == [one.content for one in fake.got]


def test_tunnel_is_open_for_webhooks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public URL accepts only known webhooks and refuses every other request."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "upsim.test")
    statuses: list[int] = []
    fake = Fake(lambda _: answer())
    by_tunnel = {"host": "t.example", "x-forwarded-for": "192.0.2.1"}

    async def caller(http: httpx.AsyncClient) -> None:
        path = (await submit(http, fake)).removeprefix("https://t.example")
        forwarded = {"x-forwarded-for": "192.0.2.1"}
        for where, headers in ((path, by_tunnel), ("/api/v1/task/1", by_tunnel)):
            statuses.append((await http.post(where, headers=headers, json={})).status_code)
        statuses.append((await http.get("/api/v1/task/1", headers=forwarded)).status_code)
        statuses.append((await http.get("/api/v1/task/1")).status_code)

    options = {"webhooks": "https://t.example"}
    at_fake(tmp_path, fake, caller, "http://upsim.test/piapi", **options)

    assert [200, 403, 403, 200] == statuses


@pytest.mark.parametrize(
    "url", ["tunnel.example", "ftp://t.example", "https://t.example?a=1", "http://xn--a"]
)
def test_webhooks_option_is_checked_first(tmp_path: Path, url: str) -> None:
    """A wrong `--webhooks` value is reported before the recording starts."""
    with pytest.raises(UsageError, match="--webhooks"):
        at_fake(tmp_path, Fake(lambda _: answer()), lambda _: None, webhooks=url)

    assert not (tmp_path / "cassette.jsonl").exists()


def test_versions_of_cassettes(tmp_path: Path) -> None:
    """Older cassettes without webhooks can be read; a newer version is refused with its number."""
    file = tmp_path / "c.jsonl"
    head = {"format": "upsim-cassette", "version": 1, "provider": "piapi", "dialect": "guide"}
    head |= {"upstream": "127.0.0.1", "recorded": "2026-11-30T00:00:00Z"}
    file.write_text(json.dumps(head) + "\n", "utf-8")
    assert () == read_cassette(file).exchanges
    file.write_text(json.dumps({**head, "version": 3}) + "\n", "utf-8")
    with pytest.raises(ContractFileError, match="version 1 or 2, seen 'upsim-cassette' version 3"):
        read_cassette(file)
