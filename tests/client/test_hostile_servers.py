"""Servers that lie, break off or never end: over a real socket, and never a bare error."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.client import (
    AsyncClient,
    Client,
    ClientError,
    DestinationError,
    Job,
    JobFailedError,
    OutcomeUnknownError,
    Progress,
    ProtocolError,
    RateLimitError,
    Retries,
    Timeouts,
    TransientError,
    UnsafeTargetError,
    WaitTimeoutError,
    connect,
    connect_async,
)
from upsim.client.adapter import Answer, number
from upsim.client.guard import Budget, Guard
from upsim.client.values import Link, Money

VIDEO = bytes(range(256)) * 40
SOURCE = "https://example.com/clip.mp4"
JOB = Job("j", "topaz-video-upscale", "vicsee")
Reply = Callable[[dict[str, str]], Iterator[bytes]]


def reply(
    body: bytes, status: str = "200 OK", *, kind: str = "application/json", **headers: str
) -> Reply:
    """Return a reply with this body; a header that is given wins, and an empty one is left out."""
    told = {"content-type": kind, "content-length": str(len(body))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in told.items() if value]
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""])
    return lambda _headers: iter([head.encode(), body])


def drops(kind: str) -> Reply:
    """Return a reply whose body comes drop by drop, for ever."""

    def body(_headers: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 9000000\r\n\r\n".encode()
        never = threading.Event()
        while not never.wait(0.01):
            yield b" "

    return body


@contextmanager
def serving(*replies: Reply) -> Iterator[tuple[str, list[str]]]:
    """Serve these replies in turn, the last one for ever; give the address and the lines asked."""
    lines: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line, *rest = iter(lambda: self.rfile.readline().decode().strip(), "")
            headers = {k.lower(): v.strip() for k, _, v in (row.partition(":") for row in rest)}
            self.rfile.read(int(headers.get("content-length", 0)))
            lines.append(line)
            with suppress(OSError):
                for chunk in replies[min(len(lines), len(replies)) - 1](headers):
                    self.wfile.write(chunk)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", lines
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def client_of(*replies: Reply, model: str = "vicsee", **settings: Any) -> Iterator[Client]:  # noqa: ANN401
    """Give a client of a server with these replies."""
    with serving(*replies) as (url, _lines), connect(model, **_settings(url) | settings) as client:
        yield client


def _settings(url: str) -> dict[str, Any]:
    return {
        "api_key": "k",
        "base_url": url,
        "retries": Retries(attempts=3),
        "timeouts": Timeouts(connect=5, read=5, answer=0.2, file=20),
        "sleeper": lambda _seconds: None,
    }


def finished(url: str) -> Progress:
    """Return the progress of a job whose file is at an address."""
    return Progress("completed", "completed", Link(url))


@pytest.mark.parametrize("told", ["1e999999999", '"1e999999999"', "1e-999999999", "9" * 40])
def test_numbers_of_no_sane_size(told: str) -> None:
    """A number that would take minutes and gigabytes to write out is no number."""
    body = f'{{"success": true, "data": {{"credits": {told}}}}}'.encode()
    with client_of(reply(body)) as client, pytest.raises(ProtocolError, match="is no number"):
        client.balance()


def test_numbers_of_a_sane_size() -> None:
    """Amounts as providers write them are read exactly."""
    assert [number(text) for text in ("0.052", "-5", "0", "2E+4")] == [
        Decimal("0.052"),
        Decimal(-5),
        Decimal(0),
        Decimal(20_000),
    ]


def test_huge_status_in_the_body() -> None:
    """A status in the body that no computer counts to is not counted to."""
    body = b'{"code": 1e999999999, "data": {"balance": 3}}'
    with client_of(reply(body), model="upscale-v1") as client:
        assert client.balance() == Money(Decimal(3), "USD")


def test_price_below_zero_makes_no_room() -> None:
    """A job that says it was paid for by the provider is counted at its worst price."""
    body = b'{"success": true, "data": {"id": "j", "creditsUsed": -500}}'
    with client_of(reply(body), cap=2000) as client:
        client.submit(SOURCE)

        assert client.spent == Money(Decimal(960), "credit")


def test_quote_below_zero() -> None:
    """A quote below zero is no quote, and nothing is sent under a cap that relies on it."""
    body = b'{"code": 200, "data": {"price": -100, "id": "x"}}'
    with client_of(reply(body), model="upscale-v1", cap=1) as client:
        with pytest.raises(ProtocolError, match=r"a quote of -100 USD is no price"):
            client.submit(SOURCE)

        assert client.spent.amount == client.reserved.amount == 0


def test_id_that_no_address_can_hold() -> None:
    """An id with half of a character is no id, so nobody knows whether there is a job."""
    body = b'{"success": true, "data": {"id": "\\ud800"}}'
    with client_of(reply(body)) as client, pytest.raises(OutcomeUnknownError, match="is no text"):
        client.submit(SOURCE)


def test_usage_that_is_no_number() -> None:
    """A job in PiAPI's history without a readable price is listed without one."""
    body = b'{"code": 200, "data": {"data": [{"task_id": "a", "usage": null}]}}'
    with client_of(reply(body), model="piapi") as client:
        assert [job.price for job in client.jobs()] == [None]


def test_answer_drop_by_drop() -> None:
    """An answer that never ends is given up, and a paid one may have been accepted."""
    with client_of(drops("application/json")) as client:
        with pytest.raises(TransientError, match=r"has not ended within 0\.2 s"):
            client.balance()
        with pytest.raises(OutcomeUnknownError, match=r"has not ended within 0\.2 s"):
            client.submit(SOURCE)


def test_answer_drop_by_drop_async() -> None:
    """An async client gives up an answer that never ends, too."""

    async def ask(url: str) -> None:
        async with connect_async("vicsee", **_settings(url)) as client:
            with pytest.raises(TransientError, match=r"has not ended within 0\.2 s"):
                await client.balance()

    with serving(drops("application/json")) as (url, _lines):
        asyncio.run(ask(url))


def test_file_drop_by_drop(tmp_path: Path) -> None:
    """A file that never ends is given up, and nothing of it stays."""
    short = {"timeouts": Timeouts(file=0.4)}
    with (
        serving(drops("video/mp4")) as (url, lines),
        connect("vicsee", **_settings(url) | short) as client,
    ):
        with pytest.raises(TransientError, match=r"has not ended within 0\.4 s"):
            client.download(finished(f"{url}/out.mp4"), tmp_path / "out.mp4")

        assert len(lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_file_byte_by_byte(tmp_path: Path) -> None:
    """A file of which each attempt brings one byte is given up when its time is over."""

    def one(headers: dict[str, str]) -> Iterator[bytes]:
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        start = int(asked[1]) if asked else 0
        yield (
            f'HTTP/1.1 {206 if asked else 200} OK\r\ncontent-type: video/mp4\r\netag: "a"\r\n'
            f"content-range: bytes {start}-999999/1000000\r\n"
            f"content-length: {1_000_000 - start}\r\n\r\nx"
        ).encode()

    with client_of(one) as client, pytest.raises(TransientError, match="no answer"):
        client.download(finished(f"{client._base_url}/out.mp4"), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_file_that_ends_by_closing(tmp_path: Path) -> None:
    """A body that ends with its connection may have been cut: it is not taken for a whole one."""
    with client_of(reply(VIDEO, kind="video/mp4", content_length="")) as client:
        with pytest.raises(TransientError, match="neither a length nor chunks"):
            client.download(finished(f"{client._base_url}/out.mp4"), tmp_path / "out.mp4")

        assert list(tmp_path.iterdir()) == []


PARTS: dict[str, dict[str, str]] = {
    "another start": {"content_range": f"bytes 0-{len(VIDEO) - 1}/{len(VIDEO)}"},
    "another length": {"content_range": "bytes 1000-1004/1005"},
    "another file": {"content_range": f"bytes 1000-1004/{len(VIDEO)}", "etag": '"b"'},
    "compressed": {"content_range": f"bytes 1000-1004/{len(VIDEO)}", "content_encoding": "gzip"},
    "no range": {"content_range": ""},
}


@pytest.mark.parametrize("name", PARTS)
def test_part_that_was_not_asked_for(name: str, tmp_path: Path) -> None:
    """What is no rest of the file that was begun is thrown away, and the file begun anew."""
    cut = reply(VIDEO[:1000], kind="video/mp4", etag='"a"', content_length=str(len(VIDEO)))
    wrong = reply(b"wrong", "206 Partial Content", kind="video/mp4", **PARTS[name])
    with client_of(cut, wrong, reply(VIDEO, kind="video/mp4")) as client:
        done = client.download(finished(f"{client._base_url}/out.mp4"), tmp_path / "out.mp4")

    assert done.path.read_bytes() == VIDEO


def test_redirect_to_what_is_no_address(tmp_path: Path) -> None:
    """A redirect that cannot be read breaks the contract."""
    moved = reply(b"", "302 Found", location="http://[")
    with client_of(moved) as client, pytest.raises(ProtocolError, match="what is no address"):
        client.download(finished(f"{client._base_url}/out.mp4"), tmp_path / "out.mp4")


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:6379/",
        "https://localhost/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
    ],
)
def test_provider_outside_names_no_address_inside(link: str) -> None:
    """A real provider cannot make the client ask this machine, or this network, for something."""
    guard = Guard(
        "https://api.venice.ai",
        budget=Budget(Money(Decimal(1), "USD")),
        live=True,
        public_hosts=lambda: {"api.venice.ai"},
    )

    with pytest.raises(UnsafeTargetError, match="is inside this network"):
        guard.admit_link(link)


def test_place_is_tried_before_paying(tmp_path: Path) -> None:
    """An upscale whose file could not be written is not even begun."""
    with serving(reply(b"{}")) as (url, lines), connect("vicsee", **_settings(url)) as client:
        with pytest.raises(DestinationError, match=r"out\.mp4 cannot be written: No such file"):
            client.upscale(SOURCE, tmp_path / "missing" / "out.mp4")
        with pytest.raises(DestinationError, match="cannot be written: it is a folder"):
            client.upscale(SOURCE, tmp_path)

        assert lines == []


ACCEPTED = reply(b'{"success": true, "data": {"id": "j7", "creditsUsed": 1}}')
WORKING = reply(b'{"success": true, "data": {"id": "j7", "status": "processing"}}')


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), StopIteration()])
def test_stopped_while_waiting(error: BaseException, tmp_path: Path) -> None:
    """Whoever stops a client after the submit, or breaks it by a callback, is told of the job."""

    def stop(_progress: Progress) -> None:
        raise error

    with (
        client_of(ACCEPTED, WORKING, progress=stop) as client,
        pytest.raises((KeyboardInterrupt, ZeroDivisionError, RuntimeError)) as caught,
    ):
        client.upscale(SOURCE, tmp_path / "out.mp4")

    assert caught.value.__notes__ == ["job j7 of vicsee was accepted; it goes on: poll it later"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("replies", "note"),
    [
        ((drops("application/json"),), "stopped while a paid request was under way"),
        ((ACCEPTED, drops("application/json")), "job j7 of vicsee was accepted"),
    ],
)
def test_cancelled(replies: tuple[Reply, ...], note: str, tmp_path: Path) -> None:
    """A cancelled task says what may have been paid for, and leaves nothing."""

    async def begin(url: str) -> None:
        settings = _settings(url) | {"timeouts": Timeouts(), "sleeper": None}
        async with connect_async("vicsee", **settings) as client:
            task = asyncio.create_task(client.upscale(SOURCE, tmp_path / "out.mp4"))
            while len(lines) < len(replies):  # noqa: ASYNC110 - told by a thread
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert caught.value.__notes__[0].startswith(note)

    with serving(*replies) as (url, lines):
        asyncio.run(begin(url))
    assert list(tmp_path.iterdir()) == []


PROGRESS = Progress("failed", "failed")
ERRORS: list[ClientError] = [
    RateLimitError(429, "slow down", code="limited", raw={"a": 1}, retry_after=3.0),
    TransientError("away", status=503),
    JobFailedError(JOB, PROGRESS),
    WaitTimeoutError(JOB, PROGRESS, seconds=3, strange=False),
    ProtocolError("no id"),
]


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_cross_processes(error: ClientError, again: Callable[..., ClientError]) -> None:
    """An error that was copied or pickled is the same, as pools of processes need."""
    found = again(error)

    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))


def test_one_place_for_each_download(tmp_path: Path) -> None:
    """Two downloads to one place at once do not write into one another's file."""
    small = httpx.Response(200, content=b"small", headers={"content-type": "video/mp4"})

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/small":
                return small
            await begun.wait()
            headers = {"content-type": "video/mp4", "content-length": str(len(VIDEO))}
            return httpx.Response(200, content=VIDEO, headers=headers)

    begun = asyncio.Event()

    async def both(client: AsyncClient) -> bytes:
        to = tmp_path / "out.mp4"
        large = asyncio.create_task(client.download(finished("http://a.test/large"), to))
        await client.download(finished("http://a.test/small"), to)
        first = to.read_bytes()
        begun.set()
        await large
        return first + to.read_bytes()

    async def run() -> bytes:
        async with httpx.AsyncClient(transport=Slow()) as http:
            return await both(
                connect_async("vicsee", http=http, api_key="k", base_url="http://a.test")
            )

    assert asyncio.run(run()) == b"small" + VIDEO


def test_answers_are_answers() -> None:
    """A Retry-After that is nonsense says nothing."""
    told = ["-5", "1e9", "soon", "1.5", "Wed, 21 Oct 99999 07:28:00 GMT"]

    assert [Answer(429, b"", {"retry-after": text}).retry_after for text in told] == [None] * 5
