"""Whatever bytes a server sends, the caller is answered and the exchange is in the cassette."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import logging
import os
import random
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from io import FileIO
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.slowness import slowness
from upsim.cli.cuttable_connections import CuttableProtocol
from upsim.cli.record import Recorder
from upsim.cli.verify import LOCAL
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim_contracts.cassettes.cassette import RecordedExchange, read_cassette
from upsim_contracts.cassettes.cassette_lines import MAX_PATH_LENGTH, MAX_TEXT_LENGTH
from upsim_contracts.cassettes.known_secrets import MAX_KNOWN
from upsim_contracts.cassettes.redaction import PLACEHOLDER, Redactor
from upsim_contracts.drift.command import run as run_drift
from upsim_contracts.exceptions import ContractFileError, UnreadableVideoError, UsageError
from upsim_contracts.record import command, reservations
from upsim_contracts.record.command import recording
from upsim_contracts.record.reservations import MAX_BYTES, Reservations
from upsim_contracts.record.response_findings import MAX_FINDINGS
from upsim_contracts.request_costs import CostTable
from upsim_contracts.spending_guard import SpendingBudget
from upsim_contracts.verify.run import book_of, pricer
from upsim_contracts.video_probe import probe_video

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"content-type: application/json\r\n"
VIDEO = b"content-type: video/mp4\r\n"
TWO = b"content-length: 2\r\n\r\n{}"


def of(*lines: bytes, body: bytes = b"{}") -> bytes:
    """Return a response with these header lines and the right length."""
    head = b"".join(line + b"\r\n" for line in lines)
    return OK + head + b"content-length: %d\r\n\r\n" % len(body) + body


SOUND = (
    b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0"
    b"data\4\0\0\0\0\0\0\0"
)
"""A WAV file of two samples."""
CONTROLS = [byte for byte in range(1, 32) if byte not in b"\t\n\v\f\r"] + [127]
PASSED: dict[str, bytes] = {
    **{f"control {byte:#x}": of(b"x-a: a%cb" % byte, JSON[:-2]) for byte in CONTROLS},
    "control in content-type": of(b"content-type: video/\x1bmp4"),
    "control in the type of a document": of(b"content-type: application/json\x07"),
    "control in location": of(b"location: /\x1b]0;x\x07"),
    "control in set-cookie": of(b"set-cookie: a=\x1bb; path=/", JSON[:-2]),
    "odd encoding": of(JSON[:-2], b"content-encoding: \x1b"),
    "type of any bytes": of(b"content-type: \xff\xfe"),
    "header of any bytes": of(b"x-\x41: \xff\xfe", JSON[:-2]),
    "empty header": of(b"x-a:", JSON[:-2]),
    "same header twice": of(b"x-a: 1", b"x-a: 2", JSON[:-2]),
    "huge header": of(b"x-a: " + b"a" * 60_000, JSON[:-2]),
    "reason of any bytes": b"HTTP/1.1 200 \xff\xc3\xa9\r\n" + JSON + TWO,
    "no reason": b"HTTP/1.1 200\r\n" + JSON + TWO,
    "no length": OK + JSON + b"connection: close\r\n\r\n{}",
    "file without length": OK + VIDEO + b"connection: close\r\n\r\n{}",
    "length too short": OK + JSON + b"content-length: 2\r\n\r\n{}{}",
    "same length twice": OK + JSON + b"content-length: 2\r\n" + TWO,
    "length and chunks": OK
    + VIDEO
    + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "trailers": OK + JSON + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-a: \x1b\r\n\r\n",
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + of(JSON[:-2]),
    "103 first": b"HTTP/1.1 103 Early Hints\r\nlink: \x1b\r\n\r\n" + of(JSON[:-2]),
    "204 with a body": b"HTTP/1.1 204 No Content\r\n" + JSON + TWO,
    "204 file": b"HTTP/1.1 204 No Content\r\n" + VIDEO + TWO,
    "304 file": b"HTTP/1.1 304 Not Modified\r\n" + VIDEO + TWO,
    "HTTP/9.0": b"HTTP/9.0 200 OK\r\n" + JSON + TWO,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n{}",
    "no gzip": of(JSON[:-2], b"content-encoding: gzip"),
    "half of a gzip": of(JSON[:-2], b"content-encoding: gzip", body=gzip.compress(b"{}" * 99)[:-5]),
    "keep-alive of odd words": of(b"connection: \xff, x-a", b"keep-alive: \x1b", JSON[:-2]),
    "odd retry": b"HTTP/1.1 429 x\r\nretry-after: -1e999\r\n" + JSON + TWO,
    "status 999": b"HTTP/1.1 999 x\r\n" + JSON + TWO,
    "redirect nowhere": b"HTTP/1.1 302 x\r\nlocation: http://[\r\n" + JSON + TWO,
    "redirect to any bytes": b"HTTP/1.1 307 x\r\nlocation: http://\xff:99999999/\r\n" + JSON + TWO,
}
REFUSED: dict[str, bytes] = {
    "closed at once": b"",
    "no HTTP": b"\x1b]0;x\x07\r\n\r\n",
    "only a status line": OK,
    "header without colon": OK + b"x-a\r\n" + JSON + TWO,
    "header without name": OK + b": a\r\n" + JSON + TWO,
    "name of any bytes": OK + b"x-\xff\x1b: a\r\n" + JSON + TWO,
    "line break in a header": of(b"x-a: a\vb", JSON[:-2]),
    "NUL in a header": of(b"x-a: a\0b", JSON[:-2]),
    "endless header": OK + b"x-a: " + b"a" * 400_000,
    "length too long": OK + JSON + b"content-length: 9\r\n\r\n{}",
    "two lengths": OK + JSON + b"content-length: 3\r\n" + TWO,
    "length of any bytes": OK + JSON + b"content-length: \xff\r\n\r\n{}",
    "negative length": OK + JSON + b"content-length: -2\r\n\r\n{}",
    "broken chunks": OK + JSON + b"transfer-encoding: chunked\r\n\r\nZ\r\n{}\r\n0\r\n\r\n",
    "cut chunks": OK + JSON + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "encoding of chunks": OK + JSON + b"transfer-encoding: \x1b\r\n\r\n{}",
    "only 100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a flood of 102": b"HTTP/1.1 102 Processing\r\n\r\n" * 50 + of(JSON[:-2]),
    "thousands of headers": of(*[b"x-%d: a" % number for number in range(2_000)]),
    "status of letters": b"HTTP/1.1 abc OK\r\n" + JSON + TWO,
    "status 0": b"HTTP/1.1 000 OK\r\n" + JSON + TWO,
    "101": b"HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n" + JSON + TWO,
}
CUT: dict[str, bytes] = {
    "file too short": OK + VIDEO + b"content-length: 9\r\n\r\n{}",
    "file of cut chunks": OK + VIDEO + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "file of broken chunks": OK + VIDEO + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\nZ\r\n",
}
CASES = PASSED | REFUSED | CUT


class Recorded:
    """A recording of a server that answers `/api/v1/<n>` with the bytes of the n-th case."""

    def __init__(self, port: int, cassette: Path, said: list[str]) -> None:
        """The recording listens on a port."""
        self.port, self.cassette, self.said = port, cassette, said

    async def ask(self, path: str, host: str = "127.0.0.1", *headers: str) -> tuple[int, bytes]:
        """Return the status and all that came after the head; 0 where nothing came."""
        head = "\r\n".join([f"GET {path} HTTP/1.1", f"host: {host}", "connection: close", *headers])
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{head}\r\n\r\n".encode("latin-1"))
        found = await reader.read()
        writer.close()
        top, _, body = found.partition(b"\r\n\r\n")
        return (int(top.split()[1]) if top else 0), body


@asynccontextmanager
async def recorded(folder: Path) -> AsyncIterator[Recorded]:
    """Serve the cases, and record them with the server and the protocol of `upsim record`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].partition(b"?")[0]
        number = path.rpartition(b"/")[2]
        writer.write([*CASES.values()][int(number)] if number.isdigit() else of(JSON[:-2]))
        writer.close()

    cassette, said = folder / "c.jsonl", list[str]()
    upstream = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    asked = {"upstream": url, "to": cassette, "provider": "venice"}
    with recording(asked, frozenset(), said.append) as session:
        config = uvicorn.Config(
            Recorder(session.application),
            http=CuttableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(server.serve([listening]))
            try:
                yield Recorded(listening.getsockname()[1], cassette, said)
            finally:
                server.should_exit = True
                await serving
                upstream.close()


def compared(cassette: Path) -> str:
    """Return the last line of `upsim drift` on a cassette."""
    lines: list[str] = []
    run_drift({"cassettes": [cassette]}, LOCAL["sim"], lines.append)
    return lines[-1].splitlines()[-1]


def test_odd_responses_reach_client_and_cassette(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An odd response is forwarded, or becomes a 502 with the reason; a cut file stays cut."""

    async def run() -> tuple[dict[str, tuple[int, bytes]], list[str]]:
        async with recorded(tmp_path) as one:
            found = {
                name: await one.ask(f"/venice/api/v1/{number}") for number, name in enumerate(CASES)
            }
        return found, one.said

    with caplog.at_level(logging.WARNING):
        found, said = asyncio.run(run())
    exchanges = read_cassette(tmp_path / "c.jsonl").exchanges

    assert compared(tmp_path / "c.jsonl").startswith("c.jsonl (venice")
    assert [] == caplog.records
    odd = {"status 999": 502, "odd retry": 429, "redirect nowhere": 302}
    odd |= {"redirect to any bytes": 307, "204 with a body": 204, "204 file": 204, "304 file": 304}
    assert {name: odd.get(name, 200) for name in PASSED} == {n: found[n][0] for n in PASSED}
    assert dict.fromkeys(REFUSED, 502) == {name: found[name][0] for name in REFUSED}
    for name in REFUSED:
        if name != "101":
            assert json.loads(found[name][1])["error"]["code"] == "upsim_record_upstream"
    assert dict.fromkeys(CUT, 200) == {name: found[name][0] for name in CUT}
    assert not any(found[name][1].endswith(b"0\r\n\r\n") for name in CUT)
    paths = [f"/api/v1/{number}" for number in range(len(CASES))]
    assert sorted(paths) == sorted(one.path for one in exchanges)  # a file's line comes at its end
    assert len(CUT) == sum("cut after 2 bytes" in line for line in said)


PAGE = "http://localhost:3000"
STRANGERS = [
    f"the request comes from a web page of '{PAGE}'",
    "the request comes from a web page of another site",
    "the Host 'evil.com' is no name of this recorder",
]
HOSTS = {
    "evil.com@127.0.0.1": 400,
    "127.0.0.1@evil.com": 400,
    "evil.com": 403,
    "[::::]": 400,
    "[": 400,
    '127.0.0.1"x': 400,
    "": 403,
    "127.0.0.1:1": 200,
    "localhost.": 200,
    "[::1]:80": 200,
}


def test_odd_requests_are_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The recorder accepts only loopback Host headers, and forwards only recordable requests."""
    longest = "/api/v1/" + "x" * (MAX_PATH_LENGTH - len("/api/v1/"))
    told: list[bytes] = []

    async def run() -> tuple[dict[str, int], list[int]]:
        async with recorded(tmp_path) as one:
            hosts = {host: (await one.ask("/venice/api/v1/x", host))[0] for host in HOSTS}
            others = [await one.ask(path) for path in (longest, f"{longest}x")]
            others += [await one.ask("/api/v1/x", "127.0.0.1", "x-a: " + "\xff" * 80 * 1024)]
            told.append((await one.ask("/api/v1/x", "127.0.0.1", f"origin: {PAGE}"))[1])
            told.append((await one.ask("/api/v1/x", "127.0.0.1", "sec-fetch-site: cross-site"))[1])
            told.append((await one.ask("/api/v1/x", "evil.com"))[1])
            types = ("\xff\xfe", "application/json; \xff=\xe9", "text/\x80")
            for kind in types:
                await one.ask("/api/v1/x", "127.0.0.1", f"content-type: {kind}")
        return hosts, [status for status, _ in others]

    with caplog.at_level(logging.ERROR):
        hosts, statuses = asyncio.run(run())
    exchanges = read_cassette(tmp_path / "c.jsonl").exchanges

    assert compared(tmp_path / "c.jsonl").endswith("7 exchanges, 7 of them replayed")
    assert ([], HOSTS) == (caplog.records, hosts)
    messages = [json.loads(body)["error"]["message"] for body in told]
    assert STRANGERS == [message.partition("this recording: ")[2] for message in messages]
    assert [200, 413, 431] == statuses
    assert [longest] == [one.path for one in exchanges if len(one.path) > 99]


class Forwarded:
    """What came of requests that passed a recording in process, one for each response."""

    def __init__(self, folder: Path, answers: Mapping[str, httpx.Response], **sent: str) -> None:
        """Ask for each response by its name; the caller gets a status, the cassette a line."""
        self.cassette, self.said = folder / "c.jsonl", list[str]()
        self.statuses: dict[str, int] = {}
        asyncio.run(self._ask(answers, sent))
        found = {one.path.rpartition("/")[2]: one for one in read_cassette(self.cassette).exchanges}
        self.exchanges: Mapping[str, RecordedExchange] = found

    async def _ask(self, answers: Mapping[str, httpx.Response], sent: Mapping[str, str]) -> None:
        asked = {"upstream": "http://127.0.0.1:9", "to": self.cassette, "provider": "venice"}
        # A response that is read already cannot be streamed.
        streams = {
            name: httpx.Response(
                one.status_code, headers=one.headers, stream=httpx.ByteStream(one.content)
            )
            for name, one in answers.items()
        }
        transport = httpx.MockTransport(lambda one: streams[one.url.path.rpartition("/")[2]])
        with recording(asked, None, self.said.append, transport) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                for name in answers:
                    self.statuses[name] = (
                        await http.get(f"/api/v1/{name}", headers=sent)
                    ).status_code


def test_unreadable_videos_are_recorded_as_files(tmp_path: Path) -> None:
    """A broken video is recorded with its size and hash, whatever is wrong in it."""
    video = make_clip(parse_clip_name("64x36_10fps_1s.mp4"))
    begins, chosen = video.index(b"moov"), random.Random(10)  # noqa: S311
    broken = {"codec": video.replace(b"avc1", b"zzzz"), "sound": SOUND}
    for number in range(200):
        altered = bytearray(video)
        for _ in range(chosen.choice((1, 1, 2, 4))):
            place = chosen.randrange(begins, len(video))
            altered[place] = chosen.choice((0, 1, 127, 128, 255, chosen.randrange(256)))
        broken[f"{number}"] = bytes(altered)
    headers = {"content-type": "video/mp4"}
    answers = {name: httpx.Response(200, headers=headers, content=b) for name, b in broken.items()}

    found = Forwarded(tmp_path, answers)

    assert dict.fromkeys(broken, 200) == found.statuses
    files = {name: one.answer.body["file"] for name, one in found.exchanges.items()}
    assert {name: sha256(b).hexdigest() for name, b in broken.items()} == {
        name: file["sha256"] for name, file in files.items()
    }
    assert ["codec", "sound"] == [name for name in ("codec", "sound") if "sees" not in files[name]]
    assert any("sees" in file for file in files.values())
    for name in ("codec", "sound"):
        with pytest.raises(UnreadableVideoError):
            probe_video(broken[name])


LONG: dict[str, object] = {
    "tokens": [
        *({"token": f"secret-{number}-xx"} for number in range(4500)),
        {"said": "secret-4499-xx, secret-4499-xy, sk-of-caller"},
    ],
    "links": [f"http://127.0.0.1:9/out/{number}" for number in range(6000)],
    "keys": {f"k{number}": number for number in range(6000)},
}


def test_long_responses_take_bounded_time_and_memory(tmp_path: Path) -> None:
    """A response with thousands of secrets, links and unknown fields takes bounded resources.

    It is redacted and forwarded, and its fields are counted.
    """
    answers = {name: httpx.Response(200, json=value) for name, value in LONG.items()}
    tracemalloc.start()
    began = time.process_time()
    try:
        found = Forwarded(tmp_path, answers, authorization="Bearer sk-of-caller")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    took = time.process_time() - began

    assert dict.fromkeys(LONG, 200) == found.statuses
    tokens = found.exchanges["tokens"].answer.body["json"]
    assert {"said": f"{PLACEHOLDER}, secret-4499-xy, {PLACEHOLDER}"} == tokens[-1]
    assert {PLACEHOLDER} == {one["token"] for one in tokens[:-1]}
    assert took < 20
    assert peak < 60 * 2**20


def test_findings_above_the_limit_are_counted(tmp_path: Path) -> None:
    """A response with 6,000 unknown fields prints 20 of them, and the number of the others."""
    found = Forwarded(tmp_path, {"models": httpx.Response(200, json=LONG["keys"])})

    lines = found.exchanges["models"].findings
    assert (MAX_FINDINGS + 1, lines) == (len(lines), tuple(found.said))


def test_known_secrets_are_bounded_and_client_keys_stay() -> None:
    """Many secrets in responses do not displace the remembered key of the client."""
    answers = Redactor()
    caller = answers.of_caller()
    caller.learn("sk-of-caller")
    answers.learn("sk-of-caller")
    for number in range(2 * MAX_KNOWN):
        answers.learn(f"secret-{number:05}/")
    last = f"secret-{2 * MAX_KNOWN - 1:05}"

    text = f"sk-of-caller {last}/ {last}%2F secret-00000/ secret"
    assert f"{PLACEHOLDER} {PLACEHOLDER} {PLACEHOLDER} secret-00000/ secret" == answers.text(text)
    for number in range(MAX_KNOWN):
        caller.learn(f"other-{number:05}")
    assert "sk-of-caller secret" == caller.text("sk-of-caller secret")


def test_secrets_with_a_common_prefix_take_bounded_time() -> None:
    """Many secrets with a common prefix, or inside each other, do not slow the search down."""
    redactor = Redactor()
    began = time.thread_time()
    for number in range(MAX_KNOWN):
        redactor.learn(f"{'A' * 1000}{number:04}")
    assert "A" * 60_000 == redactor.text("A" * 60_000)
    for length in range(6, MAX_KNOWN + 6):
        redactor.learn("A" * length)
    text = f"{'A' * (MAX_KNOWN + 4)}z " * 200
    assert f"{PLACEHOLDER}z " * 200 == redactor.text(text)
    for number in range(MAX_KNOWN):  # these displace the ones that lay within others
        redactor.learn(f"secret-{number:04}")
    assert text == redactor.text(text)
    assert time.thread_time() - began < 0.7 * slowness()


FULL = Path("/dev/full")


class Full(FileIO):
    """A file on a disk that has room for some more bytes."""

    room = 100

    def write(self, line: memoryview) -> int:  # type: ignore[override]  # what a writer gives
        """Write as much as there is room for. Raises OSError for what is beyond."""
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(line[: self.room])
        self.room -= written
        return written


def test_an_exchange_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A full disk or an unreadable line loses only that exchange, and the loss is reported."""
    lines: list[str] = []

    async def run() -> None:
        cassette = tmp_path / "c.jsonl"
        asked = {"upstream": "http://127.0.0.1:9", "to": cassette, "provider": "venice"}
        transport = httpx.MockTransport(
            lambda _request: httpx.Response(200, stream=httpx.ByteStream(b"{}"))
        )
        with recording(asked, None, lines.append, transport) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                session.writer.count = 10**10
                assert (await http.get("/api/v1/a")).is_success
                session.writer.count = 0
                usual = session.writer._file
                with Full(cassette, "r+b") as full:
                    full.seek(0, os.SEEK_END)
                    session.writer._file = full
                    assert (await http.get("/api/v1/b")).is_success
                    full.room = 10**6
                    assert (await http.get("/api/v1/c")).is_success
                usual.seek(0, os.SEEK_END)
                session.writer._file = usual
                assert (await http.get("/api/v1/d")).is_success
            assert session.summary == "2 exchanges, 4 findings, 2 not in the cassette"

    asyncio.run(run())

    unread = "exchange 10000000001:1:11: number: Expected `int` <= 1000000000"
    assert [line for line in lines if "cassette" in line] == [
        f"GET /api/v1/a is not in the cassette: {unread}",
        f"GET /api/v1/b is not in the cassette: {os.strerror(errno.ENOSPC)}",
    ]
    kept = read_cassette(tmp_path / "c.jsonl")
    assert ["/api/v1/c", "/api/v1/d"] == [one.path for one in kept.exchanges]
    assert kept.cut == 0


def test_cassette_of_a_killed_recorder_is_read_without_its_last_line(tmp_path: Path) -> None:
    """`drift` reports an incomplete last line and compares all earlier lines."""
    cassette = tmp_path / "c.jsonl"
    Forwarded(tmp_path, {name: httpx.Response(200, json={"ok": "\u00e9"}) for name in "ab"})
    content = cassette.read_bytes()
    whole = content.rindex(b"\n", 0, -1) + 1
    ends = [*range(whole + 1, len(content) - 1, 97), content.rindex(b"\xa9")]
    for end in ends:
        cassette.write_bytes(content[:end])
        lines: list[str] = []
        run_drift({"cassettes": [cassette], "simulator": False}, LOCAL["sim"], lines.append)
        assert lines[0] == "c.jsonl:3: this last line is incomplete and was left out"
        assert "1 exchange" in lines[-1]
    for end in (len(content) - 1, whole):
        cassette.write_bytes(content[:end])
        assert read_cassette(cassette).cut == 0
    cassette.write_bytes(content[: content.index(b"\n") - 1])
    with pytest.raises(ContractFileError, match=r"c\.jsonl:1:"):
        read_cassette(cassette)
    asked = {"upstream": "http://127.0.0.1:9", "to": FULL, "provider": "venice"}
    if not FULL.exists():  # as on macOS
        return
    with pytest.raises(UsageError, match="No space"), recording(asked, None, lines.append):
        pass


def test_long_headers_are_cut_and_lose_no_exchange(tmp_path: Path) -> None:
    """A header too long for a cassette, before or after redaction, is cut and marked."""
    of_mail, too_long = "a@b.cc " * 10_000, "a" * (MAX_TEXT_LENGTH + 100)
    headers = {
        "value": {"x-a": too_long},
        "redacted": {"x-a": of_mail},
        "name": {f"x-{too_long}": "a"},
        "type": {"content-type": f"video/{too_long}"},
        "longest": {"x-a": too_long[:MAX_TEXT_LENGTH]},
    }
    answers = {n: httpx.Response(200, headers=h, content=b"{}") for n, h in headers.items()}
    found = Forwarded(tmp_path, answers, **{"x-b": too_long})

    assert headers.keys() == found.exchanges.keys()
    mark = f"... (cut: {len(too_long)} characters)"
    for name, one in found.exchanges.items():
        assert one.request.headers["x-b"].endswith(mark), name
        texts = [*one.answer.headers, *one.answer.headers.values()]
        assert ("(cut: " in "".join(texts)) is (name != "longest")
        assert max(map(len, texts)) <= MAX_TEXT_LENGTH


BALANCE = b'{"balance": "1.50"}'
BALANCES: dict[str, tuple[dict[str, str], bytes, str | None]] = {
    "plain": ({}, BALANCE, "1.50"),
    "too long": ({}, BALANCE + b" " * MAX_BYTES, None),
    "bomb": ({"content-encoding": "gzip"}, gzip.compress(BALANCE + b" " * 50_000_000, 1), None),
}


@pytest.mark.parametrize("name", BALANCES)
def test_compressed_or_long_balance_is_unknown(name: str) -> None:
    """A compressed or too long balance response is not read, and the balance counts as unknown."""
    headers, body, expected = BALANCES[name]
    book = replace(book_of("piapi"), balance=("balance", "json.balance"))
    form = next(iter(book.calls.values()))
    costs = CostTable(replace(book, calls={"balance": form}), pricer("piapi"))

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    async def run() -> Decimal | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            charging = Reservations(
                costs, SpendingBudget(None), http, "http://127.0.0.1:9", balances=True
            )
            return await charging.balance({})

    assert (None if expected is None else Decimal(expected)) == asyncio.run(run())


def out_of_files(*, is_wrapped: bool) -> Exception:
    """Return the error of a connection for which there is no file, as httpx raises it."""
    found = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    if not is_wrapped:
        return found  # from a module that is read when it is first used
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = OSError("All connection attempts failed")
    error.__cause__.__cause__ = ExceptionGroup("two addresses", [found, found])
    return error


def test_a_local_connection_limit_is_no_provider_error(tmp_path: Path) -> None:
    """If this machine cannot open a connection, nothing is sent, booked or recorded.

    One line reports the reason.
    """
    said: list[str] = []
    asked = {"upstream": "http://127.0.0.1:9", "to": tmp_path / "c.jsonl", "provider": "venice"}
    asked |= {"cap": Decimal(9_999), "balances": False}
    errors = iter([out_of_files(is_wrapped=w) for w in (True, False)] + [httpx.PoolTimeout("")])

    def answer(_request: httpx.Request) -> httpx.Response:
        error = next(errors, None)
        if error is not None:
            raise error
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    async def run() -> list[httpx.Response]:
        with recording(asked, None, said.append, httpx.MockTransport(answer)) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                found = [await http.post("/api/v1/video/queue", json={}) for _ in range(3)]
                assert Decimal(0) == session.purse.spent + session.purse.reserved
                assert session.application.refused == 3
                return [*found, await http.get("/api/v1/models")]

    answers = asyncio.run(run())

    assert [503, 503, 503, 200] == [one.status_code for one in answers]
    assert {"upsim_record_short"} == {one.json()["error"]["code"] for one in answers[:3]}
    assert said[:3] == [
        f"not sent: POST /api/v1/video/queue: this machine cannot connect to 127.0.0.1:9: {why}"
        for why in (
            "Too many open files (see `ulimit -n`)",
            "Too many open files (see `ulimit -n`)",
            "all connections to it are in use",
        )
    ]
    kept = read_cassette(tmp_path / "c.jsonl").exchanges
    assert ["/api/v1/models"] == [one.path for one in kept]


class Dripping(httpx.AsyncBaseTransport):
    """A provider that drips the heads of some responses, and the documents of all others."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer without an end."""
        if request.url.path.endswith("head"):
            await asyncio.Event().wait()
        headers = {"content-type": "application/json"}
        return httpx.Response(200, headers=headers, stream=Drops())


class Drops(httpx.AsyncByteStream):
    """A body that is never silent for long."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield blanks, for ever."""
        while True:
            await asyncio.sleep(0.01)
            yield b" "


def test_dripping_responses_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If headers, body or balance take longer than the total time-out, the client gets a 502."""
    monkeypatch.setattr(command, "HELD", 0.1)
    monkeypatch.setattr(reservations, "SECONDS", 0.1)
    said: list[str] = []
    asked = {"upstream": "http://127.0.0.1:9", "to": tmp_path / "c.jsonl", "provider": "venice"}
    asked |= {"cap": Decimal(9_999)}

    async def run() -> list[int]:
        with recording(asked, None, said.append, Dripping()) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                answers = [await http.get(f"/api/v1/{name}") for name in ("head", "body")]
                answers.append(await http.post("/api/v1/video/queue", json={}))
        assert all("not complete within 0.1 s" in one.text for one in answers), answers
        return [one.status_code for one in answers]

    assert [502, 502, 502] == asyncio.run(run())


class Watched(Dripping):
    """A dripping provider that counts the requests that reached it."""

    def __init__(self) -> None:
        """No request came yet."""
        self.reached = asyncio.Semaphore(0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Count the request, and answer it without an end."""
        self.reached.release()
        return await super().handle_async_request(request)


def test_running_requests_are_recorded_when_a_recording_ends(tmp_path: Path) -> None:
    """A request without a complete response is recorded once, at the end, with its price."""
    said: list[str] = []
    asked = {"upstream": "http://127.0.0.1:9", "to": tmp_path / "c.jsonl", "provider": "piapi"}
    asked |= {"cap": Decimal(10**9), "balances": False, "clips": ["*=854x480 30fps 4.5s"]}
    order = {
        "model": "Qubico/video-toolkit",
        "task_type": "upscale",
        "input": {"video": "https://a.example/b.mp4"},
    }

    async def run() -> Decimal:
        upstream = Watched()
        with recording(asked, None, said.append, upstream) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                begun = [
                    asyncio.create_task(http.post("/api/v1/task", json=order)),
                    asyncio.create_task(http.get("/api/v1/task/head")),
                    asyncio.create_task(http.get("/api/v1/task/document")),
                ]
                for _ in begun:
                    await upstream.reached.acquire()
                line = session.end()
                for task in begun:
                    task.cancel()
                await asyncio.gather(*begun, return_exceptions=True)
            assert line.startswith("3 exchanges, 0 findings")
            assert line == session.summary
            return session.purse.spent

    spent = asyncio.run(run())

    kept = read_cassette(tmp_path / "c.jsonl").exchanges
    assert {"/api/v1/task", "/api/v1/task/head", "/api/v1/task/document"} == {k.path for k in kept}
    assert [0, 0, 0] == [one.status for one in kept]
    assert "POST /api/v1/task: the recording ended before the whole response came" in said
    (paid,) = (one.charge for one in kept if one.charge is not None)
    assert spent == paid.documented != 0
