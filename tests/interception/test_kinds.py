"""Bodies, ranges, time-outs and settings of all kinds pass as they do on a wire."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
import requests

if TYPE_CHECKING:
    from upsim.testing.sandboxes import SandboxHandle

WAVESPEED = "https://api.wavespeed.ai/api/v3"
HEADERS = {"Authorization": "Bearer any"}
SUBMIT = f"{WAVESPEED}/runwayml/upscale-v1"
PARTS = 10


def parts_of(content: bytes) -> Iterator[bytes]:
    """Yield the content in parts."""
    size = len(content) // PARTS + 1
    return (content[at : at + size] for at in range(0, len(content), size))


async def async_parts_of(content: bytes) -> AsyncIterator[bytes]:
    """Yield the content in parts, to async code."""
    for part in parts_of(content):
        yield part


async def by_aiohttp(method: str, url: str, **options: object) -> tuple[int, bytes]:
    """Call by aiohttp and return status and body."""
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.request(method, url, **options) as answer,  # type: ignore[arg-type]  # passed on
    ):
        return answer.status, await answer.read()


def uploaded(answer: tuple[int, bytes] | httpx.Response | requests.Response) -> str:
    """Return the address of an uploaded file."""
    if isinstance(answer, tuple):
        answer = httpx.Response(answer[0], content=answer[1])
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["data"]["download_url"])


def form_by_httpx(content: bytes) -> str:
    """Upload a form by httpx."""
    files = {"file": ("clip.mp4", io.BytesIO(content), "video/mp4")}
    return uploaded(httpx.post(f"{WAVESPEED}/media/upload/binary", files=files, headers=HEADERS))


def form_by_requests(content: bytes) -> str:
    """Upload a form by requests."""
    files = {"file": ("clip.mp4", io.BytesIO(content), "video/mp4")}
    url = f"{WAVESPEED}/media/upload/binary"
    return uploaded(requests.post(url, files=files, headers=HEADERS, timeout=30))


def form_by_aiohttp(content: bytes) -> str:
    """Upload a form by aiohttp."""

    async def call() -> tuple[int, bytes]:
        form = aiohttp.FormData()
        form.add_field("file", content, filename="clip.mp4", content_type="video/mp4")
        return await by_aiohttp("POST", f"{WAVESPEED}/media/upload/binary", data=form)

    return uploaded(asyncio.run(call()))


@pytest.mark.parametrize("upload", [form_by_httpx, form_by_requests, form_by_aiohttp])
def test_form(sandbox: SandboxHandle, clip: Path, upload: Callable[[bytes], str]) -> None:
    """A file in a form arrives complete and can be downloaded at the returned URL."""
    content = clip.read_bytes()
    url = upload(content)

    assert url.startswith("https://api.wavespeed.ai/")
    assert content == httpx.get(url).content
    assert 1 == len(sandbox.journal)


@pytest.mark.parametrize("library", ["httpx", "async httpx", "requests", "aiohttp", "expecting"])
def test_streamed_body(sandbox: SandboxHandle, clip: Path, library: str) -> None:
    """A body that is sent in parts arrives complete, also after a `100 Continue`."""
    content = clip.read_bytes()
    wanted = {"contentType": "video/mp4", "sizeBytes": len(content)}
    ticket = httpx.post("https://vicsee.com/api/v1/upload", json=wanted, headers=HEADERS)
    data = ticket.json()["data"]
    put(library, data["uploadUrl"], content)

    assert content == httpx.get(data["publicUrl"]).content
    assert sandbox.journal


def put(library: str, url: str, content: bytes) -> None:
    """Put a file in parts."""
    kind = {"Content-Type": "video/mp4"}

    async def by_httpx() -> int:
        async with httpx.AsyncClient() as http:
            answer = await http.put(url, content=async_parts_of(content), headers=kind)
            return answer.status_code

    async def in_parts() -> int:
        no_key = {"Authorization": ""}
        options = {"headers": {**kind, **no_key}, "expect100": library == "expecting"}
        return (await by_aiohttp("PUT", url, data=async_parts_of(content), **options))[0]

    if library == "httpx":
        status = httpx.put(url, content=parts_of(content), headers=kind).status_code
    elif library == "requests":
        status = requests.put(url, data=parts_of(content), headers=kind, timeout=30).status_code
    else:
        status = asyncio.run(by_httpx() if library == "async httpx" else in_parts())

    assert 200 == status


def test_head_and_range(sandbox: SandboxHandle, clip: Path) -> None:
    """In every library, HEAD returns no body and a range request returns its part."""
    name = sandbox.clip("320x240", "30", "2").rpartition("/")[2]
    url = f"https://vicsee.com/media/synthetic/{name}"
    part = {"Range": "bytes=4-7"}
    size = str(clip.stat().st_size)
    heads = [
        httpx.head(url).headers["content-length"],
        requests.head(url, timeout=30).headers["content-length"],
        str(len(asyncio.run(by_aiohttp("HEAD", url))[1]) + int(size)),
    ]
    parts = [
        httpx.get(url, headers=part).content,
        requests.get(url, headers=part, timeout=30).content,
        asyncio.run(by_aiohttp("GET", url, headers=part))[1],
    ]

    assert [size] * 3 == heads
    assert [b"ftyp"] * 3 == parts


def test_held_request(sandbox: SandboxHandle) -> None:
    """A request that the provider holds open gets its response when the job ends."""
    body = {"video": sandbox.clip(), "enable_sync_mode": True}
    answer = requests.post(SUBMIT, json=body, headers=HEADERS, timeout=60).json()["data"]

    assert "completed" == answer["status"]


@pytest.mark.parametrize("library", ["httpx", "async httpx", "requests", "aiohttp"])
def test_real_delay_ends_by_the_time_out(sandbox: SandboxHandle, library: str) -> None:
    """A real delay lasts at most as long as the client's time-out."""
    sandbox.arm({"at": "before_accept", "provider": "wavespeed", "do": {"delay": {"real": "60s"}}})
    with pytest.raises((httpx.ReadTimeout, requests.ReadTimeout, TimeoutError)):
        submit_impatiently(library, {"video": sandbox.clip()})


def submit_impatiently(library: str, body: dict[str, str]) -> None:
    """Submit a job and wait 0.2 s for the answer."""

    async def call() -> None:
        if library == "async httpx":
            async with httpx.AsyncClient(timeout=0.2) as http:
                await http.post(SUBMIT, json=body, headers=HEADERS)
        else:
            await by_aiohttp("POST", SUBMIT, json=body, timeout=aiohttp.ClientTimeout(total=0.2))

    if library == "httpx":
        httpx.post(SUBMIT, json=body, headers=HEADERS, timeout=0.2)
    elif library == "requests":
        requests.post(SUBMIT, json=body, headers=HEADERS, timeout=0.2)
    else:
        asyncio.run(call())


def test_a_cancelled_call_leaves_the_simulator_usable(sandbox: SandboxHandle) -> None:
    """If a task is cancelled during a delayed response, the next request gets its response."""
    sandbox.arm(
        {
            "at": "before_accept",
            "provider": "wavespeed",
            "first": 1,
            "do": {"delay": {"real": "60s"}},
        }
    )

    async def call() -> int:
        async with httpx.AsyncClient(headers=HEADERS, timeout=None) as http:  # noqa: S113 - it is cancelled
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await http.post(SUBMIT, json={"video": sandbox.clip()})
            return (await http.post(SUBMIT, json={"video": sandbox.clip()})).status_code

    assert 200 == asyncio.run(call())


def test_proxy_settings_are_not_used(
    sandbox: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intercepted requests do not go to a proxy from the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = "https://vicsee.com/api/v1/credits"

    async def call() -> int:
        async with aiohttp.ClientSession(headers=HEADERS, trust_env=True) as http:
            return (await http.get(url)).status

    statuses = [
        httpx.get(url, headers=HEADERS).status_code,
        requests.get(url, headers=HEADERS, timeout=300).status_code,
        asyncio.run(call()),
    ]

    assert [200, 200, 200] == statuses
    assert 3 == len(sandbox.journal)
