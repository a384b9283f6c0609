"""Downloads resume where they broke, and only a whole file gets its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from upsim.client import Client, Download, Retries, connect
from upsim.client.exceptions import (
    ClientError,
    NotFoundError,
    ProtocolError,
    TransientError,
    UnsafeTargetError,
    UnsupportedError,
)
from upsim.client.hidden_texts import Link
from upsim.client.results import Progress

CONTENT = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
SIZE = len(CONTENT)
URL = "http://storage.test/out.mp4"
DONE = Progress("completed", "completed", Link(f"{URL}?sig=secret"))
Answer = Callable[[httpx.Request], httpx.Response]


class Body(httpx.SyncByteStream):
    """A body that breaks off after some bytes, as when a connection is cut."""

    def __init__(self, content: bytes, *, cut: bool) -> None:
        """Give these bytes, then an error if it is cut."""
        self._content = content
        self._cut = cut

    def __iter__(self) -> Iterator[bytes]:
        """The bytes."""
        yield self._content
        if self._cut:
            raise httpx.ReadError("cut")


@dataclass(slots=True)
class Storage(httpx.BaseTransport):
    """Answers each request by the next of its answers, the last one for ever."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.requests.append(request)
        return self.answers[min(len(self.requests), len(self.answers)) - 1](request)


def part(
    until: int | None = None,
    *,
    tag: str = '"v1"',
    content: bytes = CONTENT,
    ranges: bool = True,
    length: bool = True,
    kind: str = "video/mp4",
) -> Answer:
    """Return an answer that honours ranges and is cut after the byte `until` of the file."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        fits = ranges and asked is not None and request.headers.get("if-range") == tag
        start = int(asked[1]) if asked is not None and fits else 0
        headers = {"content-type": kind, "accept-ranges": "bytes"} | ({"etag": tag} if tag else {})
        if fits:
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if length:
            headers["content-length"] = str(len(content) - start)
        body = Body(content[start:until], cut=until is not None)
        return httpx.Response(206 if fits else 200, headers=headers, stream=body)

    return answer


def plain(status: int, **headers: str) -> Answer:
    """Return an answer without a file."""
    return lambda _request: httpx.Response(status, headers=headers, text="told so")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of a download."""

    storage: Storage
    client: Client
    to: Path

    def run(self) -> Download:
        """Fetch the file."""
        return self.client.download(DONE, self.to)


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Callable[..., Fetched]]:
    """Return a function that sets up a storage with these answers."""
    opened: list[httpx.Client] = []

    def start(*answers: Answer) -> Fetched:
        storage = Storage(list(answers))
        opened.append(httpx.Client(transport=storage))
        client = connect(
            "venice",
            http=opened[-1],
            api_key="the-key",
            base_url="http://api.test",
            retries=Retries(attempts=3),
            sleeper=lambda _seconds: None,
        )
        return Fetched(storage, client, tmp_path / "out.mp4")

    yield start
    for http in opened:
        http.close()


def test_whole_at_once(fetch: Callable[..., Fetched]) -> None:
    """A download that arrives in one piece leaves exactly one file, under the requested name."""
    fetched = fetch(part())

    assert fetched.run() == Download(fetched.to, SIZE, resumable=True, resumed=0)
    assert fetched.to.read_bytes() == CONTENT
    assert [path.name for path in fetched.to.parent.iterdir()] == ["out.mp4"]


def test_key_is_not_sent(fetch: Callable[..., Fetched]) -> None:
    """The client does not send its key to the storage host of the outputs."""
    fetched = fetch(part())
    fetched.run()

    assert "the-key" not in str(list(fetched.storage.requests[0].headers.raw))


def test_cut_download_is_resumed(fetch: Callable[..., Fetched]) -> None:
    """After a cut, the client requests only the missing part, if the file is unchanged."""
    fetched = fetch(part(1000), part(5000), part())
    done = fetched.run()
    asked = [(r.headers.get("range"), r.headers.get("if-range")) for r in fetched.storage.requests]

    assert (fetched.to.read_bytes(), done.resumed) == (CONTENT, 2)
    assert asked == [(None, None), ("bytes=1000-", '"v1"'), ("bytes=5000-", '"v1"')]


def test_many_cuts_are_survived_while_bytes_arrive(fetch: Callable[..., Fetched]) -> None:
    """A download attempt that brings new bytes does not count as failed."""
    fetched = fetch(*(part(cut) for cut in range(1000, 10_000, 1000)), part())

    assert fetched.run().resumed == 9


def test_changed_file_starts_anew(fetch: Callable[..., Fetched]) -> None:
    """If the file changed during a download, the client discards the old part."""
    newer = CONTENT[:12] + CONTENT[:11:-1]
    fetched = fetch(part(1000), part(content=newer, tag='"v2"'))
    fetched.run()

    assert fetched.to.read_bytes() == newer


@pytest.mark.parametrize("tag", ["", 'W/"v1"'], ids=["none", "weak"])
def test_without_a_strong_etag_it_starts_anew(fetch: Callable[..., Fetched], tag: str) -> None:
    """Without a strong ETag, the client downloads the file from its beginning again."""
    fetched = fetch(part(1000, tag=tag), part(tag=tag))
    fetched.run()

    assert fetched.storage.requests[1].headers.get("range") is None
    assert fetched.to.read_bytes() == CONTENT


def test_server_that_ignores_ranges(fetch: Callable[..., Fetched]) -> None:
    """If the server returns the whole file for a range request, it replaces the old part."""
    fetched = fetch(part(1000), part(ranges=False))
    fetched.run()

    assert fetched.to.read_bytes() == CONTENT


def wrong_range(_request: httpx.Request) -> httpx.Response:
    """Return a part that was not asked for."""
    headers = {"content-range": f"bytes 7-9/{SIZE}", "content-type": "video/mp4"}
    return httpx.Response(206, headers=headers, content=b"789")


def other_tag(_request: httpx.Request) -> httpx.Response:
    """Return the right part of another file."""
    headers = {"content-range": f"bytes 1000-{SIZE - 1}/{SIZE}", "etag": '"v2"'}
    return httpx.Response(206, headers=headers, content=CONTENT[1000:])


@pytest.mark.parametrize("wrong", [wrong_range, other_tag])
def test_wrong_part_is_not_joined(fetch: Callable[..., Fetched], wrong: Answer) -> None:
    """A part that does not fit is discarded, and the file is downloaded again."""
    fetched = fetch(part(1000), wrong, part())
    fetched.run()

    assert fetched.to.read_bytes() == CONTENT


def test_range_without_a_total(fetch: Callable[..., Fetched]) -> None:
    """A part without a total length is joined by the length from the first response."""

    def rest(_request: httpx.Request) -> httpx.Response:
        headers = {"content-range": f"bytes 1000-{SIZE - 1}/*", "etag": '"v1"'}
        return httpx.Response(206, headers=headers, content=CONTENT[1000:])

    fetched = fetch(part(1000), rest)
    fetched.run()

    assert fetched.to.read_bytes() == CONTENT


def test_unknown_length_ends_with_the_body(fetch: Callable[..., Fetched]) -> None:
    """Without a known length, the download ends with the end of the body."""
    fetched = fetch(part(length=False))

    assert fetched.run().bytes == SIZE


def test_unknown_length_and_a_cut(fetch: Callable[..., Fetched]) -> None:
    """Without a known length, a body that was cut is not accepted as complete."""
    fetched = fetch(part(1000, length=False), part(length=False))
    fetched.run()

    assert fetched.to.read_bytes() == CONTENT


def short(_request: httpx.Request) -> httpx.Response:
    """Return fewer bytes than announced, without an error."""
    headers = {"content-length": str(SIZE), "content-type": "video/mp4"}
    return httpx.Response(200, headers=headers, stream=Body(CONTENT[:10], cut=False))


FAILURES = {
    "short": (short, TransientError, f"ended after 10 of {SIZE} bytes"),
    "cut": (part(0), TransientError, "no response"),
    "empty": (part(content=b"", length=False), TransientError, "ended after 0 of None bytes"),
    "busy": (plain(503), TransientError, "503"),
    "limited": (plain(429), TransientError, "429"),
    "range": (plain(416), TransientError, "416"),
    "gone": (plain(410), NotFoundError, "the link has expired or does not exist"),
    "forbidden": (plain(403), NotFoundError, "the link has expired or does not exist"),
    "page": (part(kind="text/html"), ProtocolError, "it is not a video but text/html"),
    "json": (
        part(kind="application/json"),
        ProtocolError,
        "it is not a video but application/json",
    ),
    "empty file": (part(content=b""), ProtocolError, "is not a video but an empty file"),
    "hidden page": (part(content=b"<html>sorry"), ProtocolError, "not a video but a page of HTML"),
    "hidden json": (part(content=b' {"error": 1}'), ProtocolError, "not a video but JSON; it begi"),
    "image": (part(content=b"\x89PNG"), ProtocolError, r"a file of another kind; it begins with b"),
    "loop": (plain(302, location=URL), ProtocolError, "6 redirects without reaching a file"),
    "nowhere": (plain(302), ProtocolError, "1 redirects without reaching a file"),
    "outside": (plain(302, location="http://elsewhere.example/"), UnsafeTargetError, "neither on"),
}


@pytest.mark.parametrize(("answer", "kind", "told"), FAILURES.values(), ids=FAILURES)
def test_failure_leaves_no_file(
    fetch: Callable[..., Fetched], answer: Answer, kind: type[ClientError], told: str
) -> None:
    """A failed download leaves no file, and its error shows no signature."""
    fetched = fetch(answer)
    with pytest.raises(kind, match=told) as caught:
        fetched.run()
    assert (list(fetched.to.parent.iterdir()), "secret" in str(caught.value)) == ([], False)


def test_failure_keeps_the_older_file(fetch: Callable[..., Fetched]) -> None:
    """A failed download does not change a file that already existed."""
    fetched = fetch(plain(404))
    fetched.to.write_bytes(b"older")
    with pytest.raises(NotFoundError):
        fetched.run()
    assert fetched.to.read_bytes() == b"older"


def test_redirect_is_followed(fetch: Callable[..., Fetched]) -> None:
    """The client follows a redirect of an output, without its key."""
    fetched = fetch(plain(307, location="/elsewhere.mp4"), part())
    fetched.run()

    assert str(fetched.storage.requests[1].url) == "http://storage.test/elsewhere.mp4"


def test_job_without_a_file(fetch: Callable[..., Fetched]) -> None:
    """A download of a job that has no file is an error."""
    fetched = fetch(part())
    with pytest.raises(
        UnsupportedError, match="the job is 'processing' and has no file to download"
    ):
        fetched.client.download(Progress("processing", "processing"), fetched.to)


def test_encoded_body_is_refused(fetch: Callable[..., Fetched]) -> None:
    """A compressed body is refused, because its length is not that of the file."""

    def encoded(_request: httpx.Request) -> httpx.Response:
        headers = {"content-encoding": "identity-ish", "content-type": "video/mp4"}
        return httpx.Response(200, headers=headers, content=CONTENT)

    with pytest.raises(ProtocolError, match="it is not a video but video/mp4"):
        fetch(encoded).run()
