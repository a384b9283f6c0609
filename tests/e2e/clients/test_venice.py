"""The Python client `venice-py`, unmodified, in the default dialect and in today's."""

from __future__ import annotations

import base64
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.clients.conftest import Client
    from tests.e2e.conftest import Sandbox

pytestmark = [
    pytest.mark.timeout(600),  # the first run installs the client
    pytest.mark.xdist_group("clients"),
]


@pytest.mark.parametrize("dialect", ["", "live"])
@pytest.mark.parametrize("given_as", ["address", "data"])
def test_client_quotes_queues_waits_saves_and_completes(
    given_as: str, dialect: str, sandbox: Sandbox, client: Callable[[str], Client], tmp_path: Path
) -> None:
    """The client gets a quote for the file, the video as bytes, and a successful clean-up."""
    url = sandbox.server.clip("320x240", "10", "2")
    if given_as == "data":
        content = base64.b64encode(sandbox.server.download(url).content).decode("ascii")
        url = f"data:video/mp4;base64,{content}"
    output = tmp_path / "output.mp4"
    answer = client("venice-py-2.9.0").run(
        "venice_sdk.py",
        {
            "api_key": sandbox.keys["venice"],
            "base_url": f"{sandbox.base_url('venice', dialect)}/api/v1",
            "model": "topaz-video-upscale",
            "clip": url,
            "output": str(output),
        },
    )

    assert answer == {
        "quote": 0.026,
        "model": "topaz-video-upscale",
        "first_status": "PROCESSING",
        "done_status": "COMPLETED",
        "inline": True,
        "saved": output.stat().st_size,
        "completed": True,
    }
    assert output.read_bytes()[4:8] == b"ftyp"
    assert sandbox.charges("venice") == [Decimal("0.026")]
