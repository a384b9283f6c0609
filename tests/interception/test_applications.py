"""Code that knows nothing of the simulator works with it, with each HTTP library."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interception.applications import (
    piapi_aiohttp,
    venice_httpx,
    vicsee_httpx,
    wavespeed_requests,
)

if TYPE_CHECKING:
    from upsim.testing.sandboxes import SandboxHandle

ANY_KEY = "sk-whatever"


def is_mp4(content: bytes) -> bool:
    """Whether these are the bytes of an MP4 file."""
    return content[4:8] == b"ftyp"


def test_requests(sandbox: SandboxHandle, clip: Path) -> None:
    """`requests` uploads a form, polls the returned URL and streams the output."""
    output = wavespeed_requests.upscale(clip, ANY_KEY)

    assert is_mp4(output)
    assert [Decimal("0.05")] == sandbox.ledger.charges("wavespeed")


def test_httpx_sync(sandbox: SandboxHandle, clip: Path) -> None:
    """A sync httpx client streams a body to an upload URL and streams the output of the job."""
    output = vicsee_httpx.upscale(clip, ANY_KEY)

    assert is_mp4(output)
    assert [Decimal(32)] == sandbox.ledger.charges("vicsee")


def test_httpx_async(sandbox: SandboxHandle, clip: Path) -> None:
    """An async httpx client queues a data URL, polls and gets the output."""
    output = asyncio.run(venice_httpx.upscale(clip.read_bytes(), ANY_KEY))

    assert is_mp4(output)
    assert 1 == len(sandbox.ledger.charges("venice"))


def test_aiohttp(sandbox: SandboxHandle, clip: Path) -> None:
    """`aiohttp` uploads a file to the provider's other host and streams the output of the job."""
    output = asyncio.run(piapi_aiohttp.upscale(clip.read_bytes(), ANY_KEY))

    assert is_mp4(output)
    assert [Decimal(180_000)] == sandbox.ledger.charges("piapi")
