"""A session carries requests: the key goes to the provider, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from upsim.client.adapter import Adapter, File, Order, Progress, Request, Steps, Submitted
from upsim.client.exceptions import RefusedError
from upsim.client.session import AsyncSession, Session

FILE = File("clip.mp4", "video/mp4", b"bytes")


def _authorise(key: str) -> Mapping[str, str]:
    return {"X-Key": key}


def _upload(file: File) -> Steps[str]:
    ticket = yield Request("POST", "/upload")
    yield Request("PUT", str(ticket.at("url")), content=file.content, headers={"X-Own": "1"})
    return "source"


def _submit(order: Order) -> Steps[Submitted]:
    answer = yield Request("POST", "/jobs", {"video": order.source})
    return Submitted(str(answer.at("id")), order.model)


def _poll(job: Submitted) -> Steps[Progress]:
    yield Request("GET", f"/jobs/{job.job}")
    return Progress("done", "completed")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


ADAPTER = Adapter("toy", _authorise, _upload, _submit, _poll)


@pytest.fixture
def seen() -> list[httpx.Request]:
    """Return the requests that were sent."""
    return []


@pytest.fixture
def transport(seen: list[httpx.Request]) -> httpx.MockTransport:
    """Return a transport that answers for the toy provider and its storage."""

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/gone":
            return httpx.Response(410, text="expired")
        if request.url.path == "/file":
            return httpx.Response(200, content=b"video")
        return httpx.Response(200, json={"url": "https://storage.test/put", "id": "j1"})

    return httpx.MockTransport(handle)


@pytest.fixture
def session(transport: httpx.MockTransport) -> Session:
    """Return a sync session below a path."""
    http = httpx.Client(transport=transport)
    return Session(ADAPTER, http=http, base_url="http://sim.test/toy/", key="secret")


@pytest.fixture
def async_session(transport: httpx.MockTransport) -> AsyncSession:
    """Return an async session below a path."""
    http = httpx.AsyncClient(transport=transport)
    return AsyncSession(ADAPTER, http=http, base_url="http://sim.test/toy/", key="secret")


def test_paths_are_below_the_base(session: Session, seen: list[httpx.Request]) -> None:
    """A provider's own path is appended to the base URL with one slash."""
    session.submit(Order("m", "s"))

    assert str(seen[0].url) == "http://sim.test/toy/jobs"


def test_the_key_goes_to_the_provider(session: Session, seen: list[httpx.Request]) -> None:
    """A request to the provider's own path carries the key."""
    session.submit(Order("m", "s"))

    assert seen[0].headers["x-key"] == "secret"


def test_the_key_does_not_go_to_storage(session: Session, seen: list[httpx.Request]) -> None:
    """A request to an address that the provider named has no key."""
    session.upload(FILE)

    assert "x-key" not in seen[1].headers


def test_storage_gets_the_headers_of_the_ticket(
    session: Session, seen: list[httpx.Request]
) -> None:
    """An adapter's own headers are sent as they are."""
    session.upload(FILE)

    assert seen[1].headers["x-own"] == "1"


def test_results_are_returned(session: Session) -> None:
    """What an adapter returns is what the caller gets."""
    assert Progress("done", "completed") == session.poll(Submitted("j1", "m"))


async def test_async_upload_returns_the_source(async_session: AsyncSession) -> None:
    """The same adapter runs in an async session."""
    assert await async_session.upload(FILE) == "source"


async def test_async_submit_and_poll(async_session: AsyncSession) -> None:
    """A job that was submitted can be polled."""
    job = await async_session.submit(Order("m", "s"))

    assert (await async_session.poll(job)).state == "completed"


async def test_download_writes_the_file(async_session: AsyncSession, tmp_path: Path) -> None:
    """A download is in the file that was named."""
    await async_session.download("https://storage.test/file", tmp_path / "out.mp4")

    assert (tmp_path / "out.mp4").read_bytes() == b"video"


async def test_download_tells_its_size(async_session: AsyncSession, tmp_path: Path) -> None:
    """A download returns how many bytes came."""
    assert await async_session.download("https://storage.test/file", tmp_path / "out.mp4") == 5


async def test_download_has_no_key(
    async_session: AsyncSession, seen: list[httpx.Request], tmp_path: Path
) -> None:
    """The key is never sent to where outputs are stored."""
    await async_session.download("https://storage.test/file", tmp_path / "out.mp4")

    assert "x-key" not in seen[0].headers


async def test_failed_download_leaves_no_file(async_session: AsyncSession, tmp_path: Path) -> None:
    """A refused download raises the refusal, and there is no file that could be taken for one."""
    with pytest.raises(RefusedError, match="410 expired"):
        await async_session.download("https://storage.test/gone", tmp_path / "out.mp4")

    assert _names(tmp_path) == []
