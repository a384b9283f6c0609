"""Servers that lie, break off or never end: over a real socket, and never a bare error."""

from __future__ import annotations

import asyncio
import copy
import gzip
import pickle
import zlib
from collections.abc import Callable
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.client.servers import Reply, client_of, drops, finished, reply, serving, settings_of
from upsim.client import (
    AsyncClient,
    ClientError,
    DestinationError,
    Job,
    JobFailedError,
    OutcomeUnknownError,
    Progress,
    ProtocolError,
    RateLimitError,
    Timeouts,
    TransientError,
    UnsafeTargetError,
    WaitTimeoutError,
    connect,
    connect_async,
)
from upsim.client.adapter import ProviderResponse, number
from upsim.client.http import admin, bounded_responses, exchanges
from upsim.client.http.admin import MAX_BYTES as MAX_ADMIN_BYTES
from upsim.client.http.connections import async_connections
from upsim.client.http.exchanges import MAX_BYTES
from upsim.client.request_guard import Budget, RequestGuard
from upsim.client.results import Money
from upsim.client.sandbox_sleepers import sandbox_sleeper
from upsim_contracts.exceptions import UsageError
from upsim_contracts.verify.command import VerifyOptions, open_target, run
from upsim_contracts.verify.run import book_of

VIDEO = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
SOURCE = "https://example.com/clip.mp4"
JOB = Job("j", "topaz-video-upscale", "vicsee")


@pytest.mark.parametrize("told", ["1e999999999", '"1e999999999"', "1e-999999999", "9" * 40])
def test_absurdly_large_numbers_are_refused(told: str) -> None:
    """The client does not accept a number that needs minutes and gigabytes to write out."""
    body = f'{{"success": true, "data": {{"credits": {told}}}}}'.encode()
    with client_of(reply(body)) as client, pytest.raises(ProtocolError, match="is no number"):
        client.balance()


def test_ordinary_amounts_are_read_exactly() -> None:
    """The client reads amounts exactly, in every form that providers use."""
    assert [number(text) for text in ("0.052", "-5", "0", "2E+4")] == [
        Decimal("0.052"),
        Decimal(-5),
        Decimal(0),
        Decimal(20_000),
    ]


def test_huge_status_in_the_body() -> None:
    """The client reads a response whose body has a huge number as its status code."""
    body = b'{"code": 1e999999999, "data": {"balance": 3}}'
    with client_of(reply(body), model="upscale-v1") as client:
        assert client.balance() == Money(Decimal(3), "USD")


CREDITS = b'{"success": true, "data": {"credits": 5}}'
SQUEEZED = {
    "gzip": (gzip.compress(CREDITS), ""),
    "deflate": (zlib.compress(CREDITS), ""),
    "deflate ": (zlib.compress(CREDITS, wbits=-15), ""),
    "identity": (CREDITS, ""),
    "x-gzip": (gzip.compress(bytes(MAX_BYTES + 1)), "more than 67108864 bytes"),
    "gzip, gzip": (gzip.compress(gzip.compress(CREDITS)), "but no request allows it"),
    "zstd": (CREDITS, "but no request allows it"),
    "GZIP": (CREDITS, "cannot be decompressed"),
}


@pytest.mark.parametrize("encoding", SQUEEZED)
def test_compressed_responses(encoding: str) -> None:
    """The client unpacks one layer of compression up to a size, and refuses other encodings."""
    body, says = SQUEEZED[encoding]
    with client_of(reply(body, content_encoding=encoding)) as client:
        if not says:
            assert client.balance().amount == 5
            return
        with pytest.raises(TransientError, match=says):
            client.balance()


@pytest.mark.parametrize("is_async", [False, True])
def test_sleeper_limits_the_responses_of_its_simulator(
    monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    """A sleeper does not read a long, compressed or endless response of its simulator."""
    cases = {
        "more than 16777216 bytes": reply(b" " * (MAX_ADMIN_BYTES + 1)),
        "compressed": reply(gzip.compress(b"{}"), content_encoding="gzip"),
        "has not ended within 0.3 s": drops("application/json"),
    }
    for says, answer in cases.items():
        monkeypatch.setattr(admin, "SECONDS", 0.3 if "0.3 s" in says else 300)
        with serving(answer) as (url, _), pytest.raises(ClientError, match=says):
            asyncio.run(_sleep_async(url)) if is_async else _sleep(url)


MODES = ("0", "abc", "1e-320", "nan", "-1", "1e-9", "0.5", "inf", "", "9" * 19, "\u0661")


@pytest.mark.parametrize("mode", [*(f"scaled:{speed}" for speed in MODES), "scaled", "real:", "x"])
def test_sleeper_refuses_an_unknown_clock_mode(mode: str) -> None:
    """A sleeper raises ProtocolError for an unknown clock mode, and lists the allowed modes."""
    http = httpx.Client(
        transport=httpx.MockTransport(lambda _request: httpx.Response(200, json={"mode": mode}))
    )
    with pytest.raises(ProtocolError, match=r"unknown mode .* allowed: real, manual, auto, scaled"):
        sandbox_sleeper("http://127.0.0.1:1", http=http).sleep(1)


def _sleep(url: str) -> None:
    with closing(sandbox_sleeper(url)) as sleeper:
        sleeper.sleep(1)


async def _sleep_async(url: str) -> None:
    async with async_connections() as http:
        await sandbox_sleeper(url, http=http).sleep_async(1)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(gzip.compress(bytes(3_000_000)), content_encoding="gzip"), "more than 2000000"),
        (reply(b"x", content_encoding="gzip, gzip"), "but no request allows it"),
        (drops("application/json"), "has not ended within 0.3 s"),
    ],
)
def test_verify_limits_what_it_reads(
    monkeypatch: pytest.MonkeyPatch, answer: Reply, says: str
) -> None:
    """`upsim verify` reads responses of an unknown server within a limit of size and time."""
    monkeypatch.setattr(bounded_responses, "MAX_BYTES", 2_000_000)
    monkeypatch.setattr(bounded_responses, "SECONDS", 0.3 if "0.3 s" in says else 300)
    with serving(answer) as (url, _), ExitStack() as stack:
        order = VerifyOptions(
            target=url, as_live=True, cap=Decimal(1), api_key="k", providers=("vicsee",)
        )
        target = open_target(stack, order, book_of("vicsee"), {})
        with pytest.raises(httpx.HTTPError, match=says):
            target.http.get(url)


STRANGE = {
    "nested deep": reply(b"[" * 200_000),
    "a codec of texts": reply(CREDITS, kind="application/json; charset=rot13"),
    "a codec of bytes": reply(CREDITS, kind="application/json; charset=zlib_codec"),
    "a redirect to no URL": reply(b"x", status="302 Found", location="http://[::1"),
    "an exponent": reply(b'{"success": true, "data": {"credits": 1e999999999}}'),
    "another encoding": reply('{"success": true}'.encode("utf-16")),
}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
def test_strange_responses_end_verify_with_a_sentence(answer: Reply) -> None:
    """A strange response ends `upsim verify` with a usage error before it spends anything."""
    order = {"target": "", "as_live": True, "cap": Decimal(1), "api_key": "k", "tier": "free"}
    with serving(answer) as (url, _), pytest.raises(UsageError, match=r"127\.0\.0\.1"):
        run(order | {"target": url, "providers": ("vicsee",)}, {}, lambda _line: None)


def test_negative_price_does_not_widen_the_cap() -> None:
    """A job with a negative price counts at its highest possible price."""
    body = b'{"success": true, "data": {"id": "j", "creditsUsed": -500}}'
    with client_of(reply(body), cap=2000) as client:
        client.submit(SOURCE)

        assert client.spent == Money(Decimal(960), "credit")


def test_negative_quote_raises_protocol_error() -> None:
    """Under a cap, a negative quote raises ProtocolError, and nothing is spent or reserved."""
    body = b'{"code": 200, "data": {"price": -100, "id": "x"}}'
    with client_of(reply(body), model="upscale-v1", cap=1) as client:
        with pytest.raises(ProtocolError, match=r"the provider quoted -100 USD, which is not"):
            client.submit(SOURCE)

        assert client.spent.amount == client.reserved.amount == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("\\ud800", "is not text"),
        ("../\\u001b]0;x\\u0007", "is not text"),
        ("a\\r\\nupsim: all is well", "is not text"),
        (
            "x" * 8_193,
            "data.id of the response .200. has 8193 characters; at most 8192 are allowed",
        ),
    ],
)
def test_id_that_no_address_can_hold(name: str, said: str) -> None:
    """An id that is too long or no plain text raises OutcomeUnknownError: the job may exist."""
    body = f'{{"success": true, "data": {{"id": "{name}"}}}}'.encode()
    with client_of(reply(body)) as client, pytest.raises(OutcomeUnknownError, match=said):
        client.submit(SOURCE)


def test_endless_file_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not save a file that is longer than any video, even in part."""
    monkeypatch.setattr(exchanges, "MAX_FILE_BYTES", len(VIDEO) - 1)
    endless = reply(VIDEO, content_type="video/mp4")
    with client_of(endless) as client, pytest.raises(ProtocolError, match="has more than"):
        client.download(finished(f"{client._base_url}/out.mp4"), tmp_path / "out.mp4")
    assert [] == [*tmp_path.iterdir()]


def test_usage_that_is_no_number() -> None:
    """A job in PiAPI's history without a readable price is listed without one."""
    body = b'{"code": 200, "data": {"data": [{"task_id": "a", "usage": null}]}}'
    with client_of(reply(body), model="piapi") as client:
        assert [job.price for job in client.jobs()] == [None]


def test_body_without_a_length_is_incomplete(tmp_path: Path) -> None:
    """A body that ends with its connection counts as incomplete, because it may be cut off."""
    with client_of(reply(VIDEO, kind="video/mp4", content_length="")) as client:
        with pytest.raises(TransientError, match="neither Content-Length nor chunks"):
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
def test_wrong_part_restarts_the_download(name: str, tmp_path: Path) -> None:
    """If a response does not continue the partial file, the client restarts the download."""
    cut = reply(VIDEO[:1000], kind="video/mp4", etag='"a"', content_length=str(len(VIDEO)))
    wrong = reply(b"wrong", "206 Partial Content", kind="video/mp4", **PARTS[name])
    with client_of(cut, wrong, reply(VIDEO, kind="video/mp4")) as client:
        done = client.download(finished(f"{client._base_url}/out.mp4"), tmp_path / "out.mp4")

    assert done.path.read_bytes() == VIDEO


def test_unreadable_redirect(tmp_path: Path) -> None:
    """A redirect to an invalid URL raises the error for a response that breaks the contract."""
    moved = reply(b"", "302 Found", location="http://[")
    with client_of(moved) as client, pytest.raises(ProtocolError, match="an invalid URL"):
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
def test_public_provider_cannot_name_a_local_url(link: str) -> None:
    """The client does not request local or private addresses that a real provider names."""
    guard = RequestGuard(
        "https://api.venice.ai",
        budget=Budget(Money(Decimal(1), "USD")),
        live=True,
        public_hosts=lambda: {"api.venice.ai"},
    )

    with pytest.raises(UnsafeTargetError, match="is inside this network"):
        guard.admit_link(link)


def test_output_path_is_checked_before_the_submit(tmp_path: Path) -> None:
    """The client does not submit an upscale whose output file could not be written."""
    with serving(reply(b"{}")) as (url, lines), connect("vicsee", **settings_of(url)) as client:
        with pytest.raises(DestinationError, match=r"out\.mp4 cannot be written: No such file"):
            client.upscale(SOURCE, tmp_path / "missing" / "out.mp4")
        with pytest.raises(DestinationError, match="cannot be written: it is a folder"):
            client.upscale(SOURCE, tmp_path)

        assert lines == []


ACCEPTED = reply(b'{"success": true, "data": {"id": "j7", "creditsUsed": 1}}')
WORKING = reply(b'{"success": true, "data": {"id": "j7", "status": "processing"}}')


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), StopIteration()])
def test_stopped_while_waiting(error: BaseException, tmp_path: Path) -> None:
    """The exception that stops a client after the submit carries a note with the job."""

    def stop(_progress: Progress) -> None:
        raise error

    with (
        client_of(ACCEPTED, WORKING, progress=stop) as client,
        pytest.raises((KeyboardInterrupt, ZeroDivisionError, RuntimeError)) as caught,
    ):
        client.upscale(SOURCE, tmp_path / "out.mp4")

    assert caught.value.__notes__ == [
        "job j7 of topaz-video-upscale was accepted and continues: poll it later"
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("replies", "note"),
    [
        ((drops("application/json"),), "interrupted while a paid request was being sent"),
        ((ACCEPTED, drops("application/json")), "job j7 of topaz-video-upscale was accepted"),
    ],
)
def test_cancelled_task_names_the_possible_charge(
    replies: tuple[Reply, ...], note: str, tmp_path: Path
) -> None:
    """A cancelled task says what may have been paid for, and leaves no file."""

    async def begin(url: str) -> None:
        settings = settings_of(url) | {"timeouts": Timeouts(), "sleeper": None}
        async with connect_async("vicsee", **settings) as client:
            task = asyncio.create_task(client.upscale(SOURCE, tmp_path / "out.mp4"))
            while len(lines) < len(replies):  # noqa: ASYNC110 - a thread appends
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
def test_errors_survive_pickling(error: ClientError, again: Callable[..., ClientError]) -> None:
    """A copied or pickled error equals the original, so that process pools can return it."""
    found = again(error)

    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))


def test_simultaneous_downloads_use_separate_files(tmp_path: Path) -> None:
    """Two simultaneous downloads to one path do not write into the same partial file."""
    small = httpx.Response(200, content=VIDEO[:20], headers={"content-type": "video/mp4"})

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

    assert asyncio.run(run()) == VIDEO[:20] + VIDEO


def test_invalid_retry_after_is_ignored() -> None:
    """The client ignores a `Retry-After` header with an invalid value."""
    told = ["-5", "1e9", "soon", "1.5", "Wed, 21 Oct 99999 07:28:00 GMT"]

    assert [ProviderResponse(429, b"", {"retry-after": text}).retry_after for text in told] == [
        None
    ] * 5


def test_stopped_during_the_price_request(tmp_path: Path) -> None:
    """An exception between the submit and the price request carries a note with the job."""
    accepted = reply(b'{"code": 200, "data": {"id": "j8", "status": "created"}}')
    busy = reply(b"{}", "503 Busy")

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    with (
        client_of(accepted, busy, model="upscale-v1", sleeper=stop) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.upscale(SOURCE, tmp_path / "out.mp4")

    assert caught.value.__notes__ == [
        "job j8 of runwayml/upscale-v1 was accepted and continues: poll it later"
    ]
