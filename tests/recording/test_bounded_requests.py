"""No request and no response, of many headers, links or pieces, holds up a recording."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim_contracts.cassettes import text_windows
from upsim_contracts.cassettes.bodies import MAX_VIDEO_LENGTH
from upsim_contracts.cassettes.bounded_json import UnusualError, read_document
from upsim_contracts.cassettes.cassette import read_cassette
from upsim_contracts.cassettes.redaction import Redactor
from upsim_contracts.clip_properties import clip
from upsim_contracts.record import body_memory, video_measuring
from upsim_contracts.record.command import recording
from upsim_contracts.record.link_rewriting import MAX_KEPT, MAX_KEPT_LENGTH, Links
from upsim_contracts.record.proxy import MAX_HEADERS
from upsim_contracts.record.request_bodies import TURN
from upsim_contracts.record.upstream import Upstream as Target
from upsim_contracts.record.video_measuring import MAX_LINKS, MAX_LOOKS, VideoMeasuring

QUEUE = "/api/v1/video/queue"
Caller = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]
Upstream = Callable[[httpx.Request], httpx.Response]


def record(folder: Path, upstream: Upstream, caller: Caller) -> list[str]:
    """Let a caller speak through a recording of Venice in process; return what was printed."""
    said: list[str] = []

    async def run() -> None:
        asked = {"upstream": "http://127.0.0.1:9", "to": folder / "c.jsonl", "provider": "venice"}
        asked |= {"balances": False}
        with recording(asked, None, said.append, httpx.MockTransport(upstream)) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                await caller(http)

    asyncio.run(run())
    return said


def test_request_with_too_many_headers_is_refused(tmp_path: Path) -> None:
    """A request with 200 headers is forwarded; one with 201 gets a 431 and is not forwarded."""
    forwarded: list[str] = []
    statuses: list[int] = []

    def upstream(request: httpx.Request) -> httpx.Response:
        forwarded.append(request.url.path)
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    async def caller(http: httpx.AsyncClient) -> None:
        usual = len(http.headers) + 1  # and the host
        for number in (MAX_HEADERS, MAX_HEADERS + 1):
            more = [("x-i", "tkitki")] * (number - usual)
            answer = await http.get(f"/api/v1/{number}", headers=more)
            statuses.append(answer.status_code)

    record(tmp_path, upstream, caller)
    assert ([200, 431], [f"/api/v1/{MAX_HEADERS}"]) == (statuses, forwarded)


ASKED = ("models?token=abcdef", "nothing", "broken", "cut")


class Cut(httpx.AsyncByteStream):
    """A body that ends before its end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give a piece, and lose the connection."""
        yield b"{"
        raise httpx.ReadError("a piece")


def test_heads_are_redacted_in_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in headers, paths and errors are redacted in threads, not in the event loop."""
    threads: list[int] = []
    for name in ("headers", "path", "text"):
        usual = getattr(Redactor, name)

        def noted(*args: Any, usual: Any = usual) -> Any:  # noqa: ANN401 - any of the three
            threads.append(threading.get_ident())
            return usual(*args)

        monkeypatch.setattr(Redactor, name, noted)

    def upstream(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/broken"):
            raise httpx.RemoteProtocolError("a line of a head")
        cut = Cut() if request.url.path.endswith("/cut") else httpx.ByteStream(b"{}")
        return httpx.Response(404, stream=cut)

    async def caller(http: httpx.AsyncClient) -> None:
        statuses = [(await http.get(f"/api/v1/{path}")).status_code for path in ASKED]
        assert [404, 404, 502, 502] == statuses

    record(tmp_path, upstream, caller)
    assert threads
    assert threading.get_ident() not in threads


class Trickle(httpx.AsyncByteStream):
    """A body of which one byte comes, and then no more."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Hold the reader for good."""
        yield b"\x00"
        await asyncio.Event().wait()


ENCODINGS = ("", "identity", "gzip", "gzip, gzip", "br")


def test_a_compressed_video_is_not_unpacked(tmp_path: Path) -> None:
    """The recorder measures only uncompressed videos and does not read compressed responses."""
    content = make_clip(parse_clip_name("64x36_10fps_1s.mp4"))
    read: list[str] = []

    class Told(httpx.AsyncByteStream):
        def __init__(self, encoding: str) -> None:
            self.encoding = encoding

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read.append(self.encoding)
            body = content
            for _ in range(self.encoding.count("gzip")):
                body = gzip.compress(body)
            yield body

    def upstream(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, stream=httpx.ByteStream(b"{}"))
        encoding = ENCODINGS[int(request.url.path[1:])]
        headers = {"content-encoding": encoding} if encoding else {}
        return httpx.Response(200, headers=headers, stream=Told(encoding))

    async def caller(http: httpx.AsyncClient) -> None:
        for number in range(len(ENCODINGS)):
            await http.post(QUEUE, json={"video_url": f"http://127.0.0.1:9/{number}"})

    record(tmp_path, upstream, caller)
    assert ["", "identity"] == read
    media = [one.media for one in read_cassette(tmp_path / "c.jsonl").exchanges]
    assert [1, 1, 0, 0, 0] == [len(one) for one in media]


@pytest.mark.parametrize("kind", ["refused", "slow", "long"])
def test_few_links_of_a_request_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The links that are measured per request are limited in number, time and size.

    The request is forwarded in any case.
    """
    if kind == "slow":
        monkeypatch.setattr(video_measuring, "SECONDS", 0.01)
    asked: list[str] = []

    def upstream(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.method == "POST":
            return httpx.Response(200, stream=httpx.ByteStream(b"{}"))
        if kind == "refused":
            return httpx.Response(404)
        slow = httpx.Response(200, stream=Trickle())
        return slow if kind == "slow" else httpx.Response(200, stream=httpx.ByteStream(LONG))

    async def caller(http: httpx.AsyncClient) -> None:
        links = [f"http://127.0.0.1:9/{number}.mp4" for number in range(3000)]
        answer = await http.post(QUEUE, json={"video": links})
        assert 200 == answer.status_code

    said = record(tmp_path, upstream, caller)

    looks = {"refused": MAX_LOOKS, "slow": 1, "long": MAX_LOOKS}[kind]
    missed = {"refused": 3000 - MAX_LOOKS, "slow": 3000, "long": 3000}[kind]
    assert [*(f"/{number}.mp4" for number in range(looks)), QUEUE] == asked
    assert f"videos of a request not looked at: {missed}, beyond " in said[0]
    assert {} == read_cassette(tmp_path / "c.jsonl").exchanges[0].media


LONG = bytes(MAX_VIDEO_LENGTH + 1)


def test_few_links_of_a_request_are_known_and_kept() -> None:
    """Links above the limit count as unknown; only the newest short links are remembered."""
    target = Target("venice", "default", "http://127.0.0.1:9")
    links = Links(target)
    said: list[str] = []
    long = f"https://files.test/{'a' * MAX_KEPT_LENGTH}"

    async def measured(named: list[str]) -> tuple[int, bool]:
        body = json.dumps({"video": named}).encode()
        seen = await looker.measure(body, "application/json", links.sent)
        return len(seen.each), seen.all_known

    async def run() -> list[tuple[int, bool]]:
        few = [f"https://files.test/{number}" for number in range(MAX_LINKS)]
        many = [f"https://files.test/of-{number}" for number in range(2 * MAX_KEPT)]
        return [await measured(one) for one in (few, many, [*few[:3], long])]

    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    told = [("https://files.test/*", clip("1280x720 30fps 5s"))]
    looker = VideoMeasuring(target, http, paths=(), say=said.append, told=told)
    assert [(MAX_LINKS, True), (MAX_LINKS, False), (3, False)] == asyncio.run(run())
    missed = [re.findall(r": (\d+),", line) for line in said]
    assert [[str(2 * MAX_KEPT - MAX_LINKS)], ["1"]] == missed
    assert MAX_KEPT == len(links.sent)
    assert long not in links.sent
    assert "https://files.test/2" in links.sent


@pytest.mark.parametrize("kind", ["application/json", "video/mp4"])
def test_a_response_in_tiny_pieces_does_not_block_other_tasks(tmp_path: Path, kind: str) -> None:
    """While the recorder reads thousands of available pieces, other tasks still run."""
    turns = 0
    seen: set[int] = set()

    class Pieces(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(20 * TURN):
                seen.add(turns)
                yield b" "

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def caller(http: httpx.AsyncClient) -> None:
        ticking = asyncio.create_task(others())
        answer = await http.get("/api/v1/x")
        ticking.cancel()
        assert 20 * TURN == len(answer.content)

    headers = {"content-type": kind}
    record(tmp_path, lambda _: httpx.Response(200, headers=headers, stream=Pieces()), caller)
    assert len(seen) >= 20


def test_a_long_request_is_read_outside_the_event_loop(tmp_path: Path) -> None:
    """Threads outside the event loop do most of the work on a 10 MB request."""
    spent: dict[str, float] = {}

    async def caller(http: httpx.AsyncClient) -> None:
        text = '"' + "QUFB" * 2_500_000 + '"'
        body = f'{{"video_url": "https://example.com/a.mp4", "x": {text}}}'.encode()
        loop, every = time.thread_time(), time.process_time()
        answer = await http.post(QUEUE, content=body, headers={"content-type": "application/json"})
        spent["loop"], spent["all"] = time.thread_time() - loop, time.process_time() - every
        assert 200 == answer.status_code

    record(tmp_path, lambda _: httpx.Response(200, stream=httpx.ByteStream(b"{}")), caller)
    assert spent["loop"] < spent["all"] / 4, spent


def test_simultaneous_requests_share_a_memory_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All running requests share one memory limit; a finished request frees its part."""
    for name, size in (("MAX_HELD", 1_000_000), ("FIRST", 0), ("SPARE", 0)):
        monkeypatch.setattr(body_memory, name, size)
    statuses: list[int] = []

    async def caller(http: httpx.AsyncClient) -> None:
        both, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"x" * 600_000
            both.set()
            await go_on.wait()

        first = asyncio.create_task(http.post("/api/v1/models", content=slow()))
        await both.wait()
        for size in (600_000, 300_000):
            answer = await http.post("/api/v1/models", content=b"x" * size)
            statuses.append(answer.status_code)
        go_on.set()
        statuses.append((await first).status_code)
        statuses.append((await http.post("/api/v1/models", content=b"x" * 900_000)).status_code)

    record(tmp_path, lambda _: httpx.Response(404, stream=httpx.ByteStream(b"{}")), caller)
    assert [503, 404, 404, 404] == statuses


def test_a_too_long_request_is_forwarded_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A too long request is forwarded in pieces and recorded only as size and hash.

    Under a cap, a paid request of that size is not sent.
    """
    monkeypatch.setattr("upsim_contracts.record.proxy.MAX_READ", 100_000)
    shared = body_memory.BodyMemory()
    monkeypatch.setattr("upsim_contracts.record.proxy.BodyMemory", lambda: shared)
    body = b"\xff" * 300_000
    received: list[tuple[str | None, bytes]] = []
    held: list[int] = []

    class Taking(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            held.append(shared.held)
            content = await request.aread()
            held.append(shared.held)
            received.append((request.headers.get("content-length"), content))
            return httpx.Response(400, stream=httpx.ByteStream(b"{}"))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield body[:50_000]

    async def sent_to(cap: str | None, folder: Path) -> tuple[int, str, list[str]]:
        said: list[str] = []
        asked = {"upstream": "http://127.0.0.1:9", "to": folder / "c.jsonl", "provider": "venice"}
        asked |= {"balances": False, "cap": cap}
        with recording(asked, None, said.append, Taking()) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                headers = {"content-type": "application/json", "content-length": f"{len(body)}"}
                answer = await http.post(QUEUE, content=pieces(), headers=headers)
        return answer.status_code, answer.text, said

    status, _, said = asyncio.run(sent_to(None, tmp_path))
    assert (400, [(f"{len(body)}", body)]) == (status, received)
    assert "of the request only size and hash are kept" in "".join(said)
    assert 200_000 > held[0] > held[1]
    kept = read_cassette(tmp_path / "c.jsonl").exchanges[0].request.body["file"]
    assert (len(body), hashlib.sha256(body).hexdigest()) == (kept["bytes"], kept["sha256"])
    (tmp_path / "cap").mkdir()
    status, text, said = asyncio.run(sent_to("5", tmp_path / "cap"))
    assert (402, 1) == (status, len(received))
    assert "with a body of more than" in text
    assert "not sent: the cost of POST" in said[0]


def test_windows_of_a_long_body_read_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long body that is read in windows gives the same results as the whole body."""
    links, spelt = re.compile(rb"http://a[^ ]*"), bytes(range(256)) * 3
    content = "http://a/é http://ab --x--xhttp://a --x\\u002c".encode() * 3
    text = base64.encodebytes(spelt).decode()
    for size in range(1, 40):
        monkeypatch.setattr(text_windows, "WINDOW", size)
        found = text_windows.substituted(links, lambda one: b"<%s>" % one[0], content)
        assert found == links.sub(rb"<\g<0>>", content)
        assert content is text_windows.substituted(re.compile(b"https"), lambda _: b"", content)
        signs = [one.start() for one in re.finditer(b"--x", content)]
        assert signs == [*text_windows.positions(content, b"--x")]
        for most in (8, 9, 11, 12):
            assert (most < 12) == text_windows.is_more(content, (b"--x", b"\\u002c"), most)
        assert content.decode() == text_windows.text_of(content)
        assert "{é}" == text_windows.text_of("{é}".encode("utf-16"))
        assert text[-5:].find("=") < 0
        assert spelt == text_windows.decoded_base64(text)
        assert b"spell" == text_windows.decoded_base64("c3~Bl\nbGw=")
    monkeypatch.setattr(text_windows, "WINDOW", 4)
    for broken in ("c3=" + "A" * 9, "c", "éc3BlbGw="):
        with pytest.raises(ValueError, match=r"base64|padding|characters"):
            text_windows.decoded_base64(broken)
    monkeypatch.undo()
    many = {
        "backslashes": b'"' + b"\\n" * 1_000_001 + b'"',
        "characters": b"[" + b",".join([b'"' + b"a " * 2**19 + b'"'] * 16) + b"]",
    }
    for name, document in many.items():
        with pytest.raises(UnusualError, match=name):
            read_document(document)


def test_response_cookies_are_not_sent_again(tmp_path: Path) -> None:
    """The recorder keeps no cookie of a response, and forwards a client's own Cookie header."""
    sent: dict[str, str | None] = {}

    def upstream(request: httpx.Request) -> httpx.Response:
        sent[request.url.path] = request.headers.get("cookie")
        cookies = [("set-cookie", f"c{i}=of-another-caller; path=/") for i in range(900)]
        return httpx.Response(400, headers=cookies, stream=httpx.ByteStream(b"{}"))

    async def caller(http: httpx.AsyncClient) -> None:
        passed = await http.get("/api/v1/first")
        assert 900 == len(passed.headers.get_list("set-cookie"))
        http.cookies.clear()
        await http.post(QUEUE, json={"video_url": "http://127.0.0.1:9/v.mp4"})
        http.cookies.clear()
        await http.get("/api/v1/own", headers={"cookie": "own=1; path"})

    record(tmp_path, upstream, caller)
    assert {
        "/api/v1/first": None,
        "/v.mp4": None,
        QUEUE: None,
        "/api/v1/own": "own=1; path",
    } == sent


def test_simultaneous_responses_share_a_memory_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response above the shared limit is forwarded whole, but recorded as size and hash.

    A short response is always recorded.
    """
    for name, size in (("MAX_HELD", 1_200_000), ("FIRST", 10_000), ("SPARE", 100_000)):
        monkeypatch.setattr(body_memory, name, size)
    shared = body_memory.BodyMemory()
    monkeypatch.setattr("upsim_contracts.record.proxy.BodyMemory", lambda: shared)
    sizes = {"first": 600_000, "second": 600_000, "short": 9, "third": 400_000}
    held, go_on = asyncio.Event(), asyncio.Event()

    class Held(httpx.AsyncByteStream):
        def __init__(self, name: str) -> None:
            self._name = name

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'"' + b"x" * (sizes[self._name] - 2)
            if self._name == "first":
                held.set()
                await go_on.wait()
            yield b'"'

    def upstream(request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "application/json"}
        name = request.url.path.rpartition("/")[2]
        return httpx.Response(404, headers=headers, stream=Held(name))

    async def caller(http: httpx.AsyncClient) -> None:
        first = asyncio.create_task(http.get("/api/v1/first"))
        await held.wait()
        for name in ("second", "short"):
            assert sizes[name] == len((await http.get(f"/api/v1/{name}")).content)
        go_on.set()
        assert sizes["first"] == len((await first).content)
        assert sizes["third"] == len((await http.get("/api/v1/third")).content)

    said = record(tmp_path, upstream, caller)
    found = read_cassette(tmp_path / "c.jsonl").exchanges
    kept = {one.path.rpartition("/")[2]: [*one.answer.body] for one in found}
    assert {"first": ["file"], "second": ["file"], "short": ["json"], "third": ["json"]} == kept
    assert 2 == sum("there was no room for it" in line for line in said)
    assert 0 == shared.held


def test_short_exchanges_do_not_wait_for_long_ones(tmp_path: Path) -> None:
    """Short exchanges finish early, because long bodies are processed one at a time."""
    long = b"[" + b"{}," * 20_000 + b"{}]"
    answered: list[str] = []

    def upstream(request: httpx.Request) -> httpx.Response:
        content = long if "long" in request.url.path else b"{}"
        return httpx.Response(404, stream=httpx.ByteStream(content))

    async def caller(http: httpx.AsyncClient) -> None:
        async def ask(name: str) -> None:
            await http.get(f"/api/v1/{name}")
            answered.append(name)

        slow = [asyncio.create_task(ask("long")) for _ in range(20)]
        await asyncio.gather(*(ask("short") for _ in range(10)))
        await asyncio.gather(*slow)

    record(tmp_path, upstream, caller)
    last = max(place for place, name in enumerate(answered) if name == "short")
    assert answered[:last].count("long") < 10, answered
    lines = [one.path.rpartition("/")[2] for one in read_cassette(tmp_path / "c.jsonl").exchanges]
    assert (20, 10) == (lines.count("long"), lines.count("short"))
