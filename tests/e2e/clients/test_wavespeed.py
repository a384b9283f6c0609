"""WaveSpeed's own Python client, three generations of it, unmodified."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.clients.conftest import Client
    from tests.e2e.conftest import Sandbox, Video

MODELS = ["wavespeed-ai/video-upscaler", "runwayml/upscale-v1"]

pytestmark = [
    pytest.mark.timeout(600),  # the first run installs the client
    pytest.mark.xdist_group("clients"),
]


@pytest.mark.parametrize("version", ["2.0.5", "1.0.14"])
def test_client_uploads_runs_both_models_and_gets_videos(
    version: str,
    sandbox: Sandbox,
    client: Callable[[str], Client],
    probe: Callable[[str], Video],
    tmp_path: Path,
) -> None:
    """The client uploads a file, runs both models with polls and sync mode, and downloads."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(sandbox.server.download(sandbox.server.clip("320x240", "10", "6")).content)
    answer = client(f"wavespeed-{version}").run(
        "wavespeed_sdk.py",
        {
            "api_key": sandbox.keys["wavespeed"],
            "base_url": sandbox.base_url("wavespeed"),
            "clip": str(clip),
            "models": MODELS,
        },
    )
    uploaded = sandbox.server.download(answer["uploaded"])
    sizes = [(probe(answer["outputs"][m][0]).width, len(answer["outputs"][m])) for m in MODELS]

    assert answer["version"] == version
    assert uploaded.content == clip.read_bytes()
    assert sizes == [(1440, 1), (2880, 1)]
    assert probe(answer["held"][0]).height == 1080
    assert sandbox.charges("wavespeed") == [Decimal("0.03"), Decimal("0.12"), Decimal("0.03")]


def test_first_client_runs_both_models(
    sandbox: Sandbox, client: Callable[[str], Client], probe: Callable[[str], Video]
) -> None:
    """Client version 0.0.5 runs both models over /api/v2 and follows the links it gets."""
    answer = client("wavespeed-0.0.5").run(
        "wavespeed_first.py",
        {
            "api_key": sandbox.keys["wavespeed"],
            "base_url": f"{sandbox.base_url('wavespeed')}/api/v2/",
            "clip": sandbox.server.clip("320x240", "10", "6"),
            "models": MODELS,
        },
    )
    first, second, again = answer["predictions"]

    assert [first["model"], second["model"]] == MODELS
    assert {first["status"], second["status"]} == {"completed"}
    assert again == first
    assert probe(first["outputs"][0]).height == 1080
    assert probe(second["outputs"][0]).height == 2160
