"""A sandbox that gets the calls to the providers' own hosts, and a clip to upscale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import upsim
from upsim.testing.sandboxes import SandboxHandle


@pytest.fixture
def sandbox() -> Iterator[SandboxHandle]:
    """Return a sandbox that gets all calls to providers while the test lasts."""
    with upsim.intercept() as made:
        yield made


@pytest.fixture
def clip(sandbox: SandboxHandle, tmp_path: Path) -> Path:
    """Return a file with two seconds of video."""
    file = tmp_path / "clip.mp4"
    file.write_bytes(httpx.get(sandbox.clip("320x240", "30", "2")).content)
    return file
