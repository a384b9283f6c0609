"""One file over ASGI: whole, in ranges, with validators."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from upsim.web.file_responses import CHUNK, send_file

DATA = bytes(range(256)) * 4
DATE = "Sat, 31 Jan 2026 12:00:00 GMT"


async def ask(
    body: bytes | Path, method: str = "GET", headers: dict[str, str] | None = None
) -> httpx.Response:
    """One request for a file, through httpx."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_file(
            scope,
            receive,
            send,
            body=body,
            content_type="video/mp4",
            etag="abc",
            date=DATE,
            extra_headers=[(b"cache-control", b"no-store")],
        )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        return await client.request(method, "http://x/", headers=headers)


@pytest.fixture(params=["bytes", "path"])
def body(request: pytest.FixtureRequest, tmp_path: Path) -> bytes | Path:
    """The same content, in memory and on disk."""
    if request.param == "bytes":
        return DATA
    (tmp_path / "file").write_bytes(DATA)
    return tmp_path / "file"


async def test_a_whole_file_is_sent(body: bytes | Path) -> None:
    """A GET without a range gets the whole file and its headers."""
    response = await ask(body)
    expected = {
        "accept-ranges": "bytes",
        "etag": '"abc"',
        "cache-control": "no-store",
        "date": DATE,
        "content-type": "video/mp4",
        "content-length": "1024",
    }
    assert (200, DATA, expected) == (response.status_code, response.content, dict(response.headers))


async def test_head_has_the_headers_alone(body: bytes | Path) -> None:
    """HEAD gets the size and no body, for any range."""
    response = await ask(body, "HEAD", {"Range": "bytes=0-1"})
    assert (
        response.status_code,
        response.content,
        response.headers["content-length"],
    ) == (200, b"", "1024")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-5000", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-5000", 0, 1024),
        ("Bytes= 0-9 ", 0, 10),
    ],
)
async def test_a_range_is_sent(asked: str, start: int, end: int, body: bytes | Path) -> None:
    """A single range gets a 206 with its position in the file."""
    response = await ask(body, headers={"Range": asked})
    expected = (206, DATA[start:end], f"bytes {start}-{end - 1}/1024", str(end - start))
    assert expected == (
        response.status_code,
        response.content,
        response.headers["content-range"],
        response.headers["content-length"],
    )


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
async def test_a_range_outside_is_refused(asked: str, body: bytes | Path) -> None:
    """A range without a byte of the file gets a 416 with the size."""
    response = await ask(body, headers={"Range": asked})
    assert (
        response.status_code,
        response.content,
        response.headers["content-range"],
    ) == (416, b"", "bytes */1024")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=0-1,4-5",
        "lines=1-2",
        "bytes=-",
        "bytes=a-b",
        "bytes",
        "bytes=" + "9" * 5_000 + "-",
    ],
)
async def test_other_ranges_get_the_whole_file(asked: str, body: bytes | Path) -> None:
    """Several ranges, other units and nonsense are ignored."""
    response = await ask(body, headers={"Range": asked})
    assert (response.status_code, response.content) == (200, DATA)


@pytest.mark.parametrize(
    ("known", "status"),
    [('"abc"', 304), ('W/"abc"', 304), ('"x", "abc"', 304), ("*", 304), ('"x"', 200), ("abc", 200)],
)
async def test_a_known_file_is_not_sent_again(known: str, status: int, body: bytes | Path) -> None:
    """If-None-Match with the tag of the file, weak or strong, gets a 304."""
    response = await ask(body, headers={"If-None-Match": known})
    assert status == response.status_code


async def test_not_modified_has_no_content_headers() -> None:
    """A 304 has the tag and the date, and no length."""
    response = await ask(DATA, headers={"If-None-Match": '"abc"'})
    assert {"accept-ranges", "etag", "cache-control", "date"} == set(response.headers)


@pytest.mark.parametrize(("validator", "status"), [('"abc"', 206), ('"x"', 200), (DATE, 200)])
async def test_a_range_of_another_version_gets_the_whole_file(validator: str, status: int) -> None:
    """If-Range gets the range only if its tag is that of the file."""
    response = await ask(DATA, headers={"Range": "bytes=0-9", "If-Range": validator})
    assert status == response.status_code


async def test_an_empty_file_has_no_range() -> None:
    """A range of an empty file is refused."""
    whole, part = await ask(b""), await ask(b"", headers={"Range": "bytes=0-"})
    assert (whole.status_code, whole.content, part.status_code) == (200, b"", 416)


async def waiting() -> Message:
    """A caller who stays."""
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


@dataclass(slots=True)
class Sent:
    """One answer in ASGI messages, and whether it was the whole file."""

    messages: list[Message]
    whole: bool = False


async def messages(body: bytes | Path, **scope: object) -> list[Message]:
    """The ASGI messages of one answer."""
    return (await answered(body, waiting, **scope)).messages


async def answered(body: bytes | Path, receive: Receive, **scope: object) -> Sent:
    """One answer, to a caller who says this."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    whole = await send_file(
        {"method": "GET", "headers": [], **scope},
        receive,
        send,
        body=body,
        content_type="video/mp4",
        etag="abc",
        date=None,
    )
    return Sent(sent, whole)


async def test_bytes_are_sent_in_one_message() -> None:
    """A file in memory is sent as one body message, without a copy."""
    sent = await messages(DATA)
    assert len(sent) == 2
    assert sent[1]["body"] is DATA


async def test_a_path_is_sent_in_chunks(tmp_path: Path) -> None:
    """A large file is never completely in memory."""
    path = tmp_path / "large"
    path.write_bytes(bytes(2 * CHUNK + 1))
    sizes = [len(message["body"]) for message in (await messages(path))[1:]]
    assert sizes == [CHUNK, CHUNK, 1, 0]


async def test_a_capable_server_sends_the_path_itself(tmp_path: Path) -> None:
    """With `http.response.pathsend`, the server gets the path of a whole file."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    sent = await messages(path, extensions={"http.response.pathsend": {}})
    assert sent[1] == {"type": "http.response.pathsend", "path": str(path)}


async def test_a_date_is_optional() -> None:
    """Without a date of the sandbox, the server's own date is sent."""
    assert b"date" not in dict((await messages(DATA))[0]["headers"])


@pytest.mark.parametrize(
    ("method", "headers", "whole"),
    [
        ("GET", {}, True),
        ("GET", {"range": "bytes=0-"}, True),
        ("GET", {"range": "bytes=0-1023"}, True),
        ("GET", {"range": "bytes=0-9", "if-range": '"old"'}, True),
        ("GET", {"range": "bytes=0-1022"}, False),
        ("GET", {"range": "bytes=1-"}, False),
        ("GET", {"range": "bytes=2000-"}, False),
        ("GET", {"if-none-match": "*"}, False),
        ("HEAD", {}, False),
    ],
)
async def test_a_complete_download_is_recognised(
    body: bytes | Path, method: str, headers: dict[str, str], *, whole: bool
) -> None:
    """Only a response with every byte of the file counts as complete."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert whole is (await answered(body, waiting, method=method, headers=raw)).whole


@pytest.fixture(params=["bytes", "path"])
def large(request: pytest.FixtureRequest, tmp_path: Path) -> bytes | Path:
    """Ten chunks, in memory and on disk."""
    if request.param == "bytes":
        return bytes(10 * CHUNK)
    (tmp_path / "file").write_bytes(bytes(10 * CHUNK))
    return tmp_path / "file"


async def gone() -> Message:
    """A caller who went away."""
    return {"type": "http.disconnect"}


async def test_a_large_file_is_sent_completely_in_chunks(large: bytes | Path) -> None:
    """A connected client gets the whole file, in chunks."""
    sent = await answered(large, waiting)
    assert (True, 12, 10 * CHUNK) == (
        sent.whole,
        len(sent.messages),
        sum(len(message.get("body", b"")) for message in sent.messages),
    )


async def test_a_disconnected_client_gets_nothing_more(large: bytes | Path) -> None:
    """A client that disconnects ends the sending, and its download is incomplete."""
    sent = await answered(large, gone)
    assert (False, 2) == (sent.whole, len(sent.messages))


async def endless() -> Message:
    """A caller who sends a body without end."""
    return {"type": "http.request", "body": b"x", "more_body": True}


async def test_an_unread_body_is_no_disconnect(large: bytes | Path) -> None:
    """A request body that nobody reads does not stop the sending of the file."""
    assert (await answered(large, endless)).whole is True


async def test_a_removed_file_is_sent_to_its_end(tmp_path: Path) -> None:
    """A download continues to its end even if the file is removed in the meantime."""
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * CHUNK))

    async def remove() -> Message:
        path.unlink()
        return await waiting()

    assert (await answered(path, remove)).whole is True


async def test_a_missing_file_raises_before_the_response(tmp_path: Path) -> None:
    """A file that cannot be opened raises before the response starts."""
    with pytest.raises(FileNotFoundError):
        await answered(tmp_path / "none", waiting)
