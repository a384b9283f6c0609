"""Servers that send a byte now and then, for ever: over a real socket, and bounded in all.

Each form of dripping meets a sync and an async client; none of them is ever silent, so that no
time-out between two bytes would end the wait.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.client_targets import Hand
from tests.client.servers import Reply, asked, drops, endless, finished, reply, serving, settings_of
from upsim.client import (
    OutcomeUnknownError,
    Retries,
    Timeouts,
    TransientError,
    connect,
    connect_async,
)
from upsim.client.http import connections

SOURCE = "https://example.com/clip.mp4"
CREDITS = b'{"success": true, "data": {"credits": 5}}'
OVER = r"the response has not ended within 0\.1 s"
Connect = Callable[..., Hand]


@pytest.fixture(params=["sync", "async"])
def client_at(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Return a function that connects a client, sync or async, with little patience."""
    runner, opened = asyncio.Runner(), list[Hand]()

    def start(url: str, **settings: Any) -> Hand:  # noqa: ANN401 - of connect
        patience = {"timeouts": Timeouts(connect=60, read=60, answer=0.1, file=0.1)}
        known = settings_of(url) | patience | {"retries": Retries(attempts=1)} | settings
        made = connect if request.param == "sync" else connect_async
        opened.append(Hand(made("vicsee", **known), runner))
        return opened[-1]

    yield start
    for client in opened:
        client.close()
    runner.close()


NOTHING = gzip.compress(b"")[:10]
"""The head of a compressed body, after which blocks without content may follow for ever."""
HEADS: dict[str, Reply] = {
    "status": endless(b"HTTP/1.1 200 ", b"O"),
    "header": endless(b"HTTP/1.1 200 OK\r\nx-filler: ", b"a"),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"x-filler: a\r\n"),
    "interim": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}
VIDEO_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: 9000000\r\n"
DRIPS = HEADS | {
    "body": drops("application/json"),
    "length of a chunk": endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"a"),
    "compressed to nothing": endless(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9000000\r\n\r\n" + NOTHING,
        b"\0\0\0\xff\xff",
    ),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_endless_response_times_out(client_at: Connect, drip: Reply) -> None:
    """A response with any endless part times out as a transient error."""
    with serving(drip) as (url, lines):
        with pytest.raises(TransientError, match=OVER):
            client_at(url).balance()

        assert asked(lines) == 1


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_timed_out_submit_is_not_repeated(client_at: Connect, drip: Reply) -> None:
    """The client does not repeat a submit that timed out, and keeps its price reserved."""
    with serving(drip) as (url, lines):
        client = client_at(url, cap=2000, retries=Retries(attempts=3))
        with pytest.raises(OutcomeUnknownError, match=OVER):
            client.submit(SOURCE)

        assert (asked(lines), client.spent.amount, client.reserved.amount) == (1, 0, 960)


@pytest.mark.parametrize("drip", HEADS.values(), ids=HEADS)
def test_download_with_endless_headers_times_out(
    client_at: Connect, drip: Reply, tmp_path: Path
) -> None:
    """A download with endless headers times out and leaves no file."""
    with serving(drip) as (url, lines):
        client = client_at(url, retries=Retries(attempts=3))
        with pytest.raises(TransientError, match=r"has not ended within 0\.1 s"):
            client.download(finished(f"{url}/out.mp4"), tmp_path / "out.mp4")

        assert asked(lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_endless_download_times_out(client_at: Connect, tmp_path: Path) -> None:
    """A download of an endless file times out and leaves no partial file."""
    with serving(drops("video/mp4")) as (url, lines):
        with pytest.raises(TransientError, match=r"the file has not ended within 0\.1 s"):
            client_at(url).download(finished(f"{url}/out.mp4"), tmp_path / "out.mp4")

        assert asked(lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_download_of_one_byte_per_attempt_times_out(client_at: Connect, tmp_path: Path) -> None:
    """A download that gets one byte per attempt times out after the total time for a file."""

    def one(headers: dict[str, str]) -> Iterator[bytes]:
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        start = int(asked[1]) if asked else 0
        yield (
            f"HTTP/1.1 {206 if asked else 200} OK\r\nconnection: close\r\n"
            'content-type: video/mp4\r\netag: "a"\r\n'
            f"content-range: bytes {start}-999999/1000000\r\n"
            f"content-length: {1_000_000 - start}\r\n\r\nx"
        ).encode()

    patience = {"timeouts": Timeouts(file=20), "retries": Retries(attempts=3)}
    with serving(one) as (url, _), pytest.raises(TransientError, match="no response"):
        client_at(url, **patience).download(finished(f"{url}/out.mp4"), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_resumed_download_keeps_its_time_limit(client_at: Connect, tmp_path: Path) -> None:
    """A resumed download has only the time that the first attempt left."""

    def cut(_headers: dict[str, str]) -> Iterator[bytes]:
        yield VIDEO_HEAD + b"connection: close\r\n\r\n"
        threading.Event().wait(1.5)
        yield b"x"

    retries = Retries(attempts=3, first=0.01, jitter=0)
    patience = {"timeouts": Timeouts(answer=60, file=3), "retries": retries}
    with serving(cut, endless(VIDEO_HEAD + b"\r\n")) as (url, lines):
        with pytest.raises(TransientError, match=r"the file has not ended within [01]\.[0-9]+ s"):
            client_at(url, **patience).download(finished(f"{url}/out.mp4"), tmp_path / "out.mp4")

        assert len(lines) == 2
    assert list(tmp_path.iterdir()) == []


def test_each_response_of_a_connection_has_a_time_limit(client_at: Connect) -> None:
    """The second response over a kept connection has its own time limit, like the first one."""
    whole = reply(CREDITS, connection="keep-alive")
    with serving(whole, DRIPS["header"], whole) as (url, lines):
        client = client_at(url, timeouts=Timeouts(connect=60, read=60, answer=2))
        first = client.balance()
        with pytest.raises(TransientError, match=r"the response has not ended within 2"):
            client.balance()

        assert first == client.balance()
        assert len(lines) == 3


def test_silent_server_hits_the_read_timeout(client_at: Connect) -> None:
    """If a server sends nothing, the client stops after the timeout between two bytes."""

    def silent(_headers: dict[str, str]) -> Iterator[bytes]:
        threading.Event().wait(60)
        yield b""

    patience = {"timeouts": Timeouts(connect=60, read=0.1, answer=50)}
    with serving(silent) as (url, _), pytest.raises(TransientError, match="ReadTimeout") as caught:
        client_at(url, **patience).balance()
    assert "has not ended" not in str(caught.value)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_slow_tls_response_times_out(
    client_at: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that arrives slowly over TLS has the time limit, too."""
    files = ["-keyout", f"{tmp_path}/key.pem", "-out", f"{tmp_path}/cert.pem"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *files, *name], check=True, capture_output=True
    )
    trusting = ssl.create_default_context(cafile=f"{tmp_path}/cert.pem")
    monkeypatch.setattr(connections, "checking", lambda: trusting)
    serving_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving_tls.load_cert_chain(f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem")
    with serving(DRIPS["header"], tls=serving_tls) as (url, _):
        assert url.startswith("https:")
        with pytest.raises(TransientError, match=OVER):
            client_at(url).balance()
