"""URLs, headers and ids to which no request can be sent, wherever a server can put them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.client.servers import finished, settings_of
from tests.hosts import UNUSABLE_HOSTS, UNUSABLE_URLS
from upsim.client import ClientError, Job, ProtocolError, TransientError, UnsafeTargetError, connect
from upsim.client.adapter import link
from upsim.client.http.connections import async_connections, sync_connections
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

HOME = "http://127.0.0.1:1"
SOURCE = "https://example.com/clip.mp4"
Answer = Callable[[httpx.Request], httpx.Response]


def vicsee(link_: str, upload: str = f"{HOME}/u") -> Answer:
    """Return a server that accepts a job, and names these URLs."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        data: dict[str, object] = {"uploadUrl": upload, "publicUrl": f"{HOME}/p"}
        if path.endswith("/upscale-video"):
            data = {"id": "t1", "status": "pending", "creditsUsed": 48}
        elif "/tasks/" in path:
            data = {"id": "t1", "status": "completed", "result": {"url": link_}}
        body = json.dumps({"success": True, "data": data})
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    return answer


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a local file to upload."""
    file = tmp_path_factory.mktemp("source") / "in.mp4"
    file.write_bytes(make_clip(parse_clip_name("320x180_30fps_1s.mp4")))
    return file


def over(answer: Answer) -> httpx.Client:
    """Return a client of this server, without a socket."""
    return httpx.Client(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("url", UNUSABLE_URLS.values(), ids=UNUSABLE_URLS)
def test_unusable_url_from_a_server_raises_an_error(url: str, clip: Path, tmp_path: Path) -> None:
    """An unusable URL from a server raises ClientError, with the job if one was accepted."""
    moved = httpx.Response(302, headers={b"location": url.encode("utf-8", "surrogatepass")})
    for_link, for_upload = vicsee(url), vicsee(f"{HOME}/f", url)

    def for_redirect(request: httpx.Request) -> httpx.Response:
        return moved if request.url.path == "/f" else vicsee(f"{HOME}/f")(request)

    for answer, source in ((for_link, SOURCE), (for_redirect, SOURCE), (for_upload, clip)):
        with connect("vicsee", http=over(answer), **settings_of(HOME)) as client:
            with pytest.raises(ClientError) as caught:
                client.upscale(source, tmp_path / "out.mp4", factor=2)
            accepted = caught.value.job
        assert (accepted is None) is (source is clip)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("url", UNUSABLE_URLS.values(), ids=UNUSABLE_URLS)
def test_links_are_checked_once_for_all(url: str, tmp_path: Path) -> None:
    """`link` and a download refuse an unusable URL, and `link` returns all others unchanged."""
    with pytest.raises(ProtocolError, match=r"^the link .*(?:characters|host that|not a URL)"):
        link(url)
    with (
        connect("vicsee", http=over(vicsee("")), **settings_of(HOME)) as client,
        pytest.raises(UnsafeTargetError),
    ):
        client.download(finished(url), tmp_path / "out.mp4")
    assert [link(""), link(None), link("https://a.example/?x=é")] == [
        None,
        None,
        "https://a.example/?x=é",
    ]


@pytest.mark.parametrize("host", UNUSABLE_HOSTS.values(), ids=UNUSABLE_HOSTS)
def test_connections_name_a_host_that_cannot_exist(host: str) -> None:
    """Sync and async connections raise the error of a failed connection."""
    with sync_connections() as http, pytest.raises(httpx.ConnectError, match="is not a host"):
        http.get(httpx.URL(scheme="http", host=host))

    async def fetch() -> None:
        async with async_connections() as http:
            await http.get(httpx.URL(scheme="http", host=host))

    with pytest.raises(httpx.ConnectError):
        asyncio.run(fetch())


@pytest.mark.parametrize("name", ["\ud800", "..", ".", "../../x", "a?b#c", "\x1b]0;x\x07"])
@pytest.mark.parametrize("model", ["vicsee", "piapi", "upscale-v1"])
def test_id_stays_in_its_path_segment(model: str, name: str) -> None:
    """A job id with special characters cannot change the path of the client's request."""
    paths: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(404)

    with connect(model, http=over(answer), **settings_of(HOME)) as client:
        provider, _, own_name = client.model.partition("/")
        for job in (Job(name, own_name, provider), Job("t1", own_name, provider)):
            with pytest.raises(ClientError):
                client.poll(job)
    hostile, plain = paths
    assert hostile.count(b"/") == plain.count(b"/")
    assert b"/../" not in hostile
    assert b"?" not in hostile


@pytest.mark.parametrize("value", ["\ud800", "é"])
def test_impossible_upload_headers_are_refused(value: str, clip: Path) -> None:
    """If a server asks for impossible upload headers, the upload fails and nothing is sent."""
    ticket = {"url": f"{HOME}/u", "headers": {"x-a": value}}
    body = json.dumps({"code": 200, "data": {"upload": ticket, "download_url": SOURCE}})
    with (
        connect(
            "video-upscaler",
            http=over(lambda _request: httpx.Response(200, content=body)),
            **settings_of(HOME),
        ) as client,
        pytest.raises(TransientError, match=r"PUT http://127\.0\.0\.1:1/u: no response"),
    ):
        client.submit(clip)
