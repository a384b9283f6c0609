"""WaveSpeed's own client through a recording: uploads, both models, polls, a held request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_record import drift, recorder

if TYPE_CHECKING:
    from tests.e2e.clients.conftest import Client
    from tests.e2e.conftest import Sandbox

MODELS = ["wavespeed-ai/video-upscaler", "runwayml/upscale-v1"]

pytestmark = [
    pytest.mark.timeout(600),  # the first run installs the client
    pytest.mark.xdist_group("clients"),
]


def test_client_is_recorded(
    sandbox: Sandbox, client: Callable[[str], Client], tmp_path: Path
) -> None:
    """`upsim record` measures the files that a client uploads, so that each job has its price."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(sandbox.server.download(sandbox.server.clip("320x240", "10", "6")).content)
    upstream = sandbox.base_url("wavespeed")
    with recorder(tmp_path, upstream, "--cap", "0.20") as recorded:
        answer = client("wavespeed-2.0.5").run(
            "wavespeed_sdk.py",
            {
                "api_key": sandbox.keys["wavespeed"],
                "base_url": f"{recorded.base_url}/wavespeed",
                "clip": str(clip),
                "models": MODELS,
            },
        )
        said = recorded.stop()
    charges = [line["charge"] for line in recorded.lines() if "charge" in line]
    found = drift(str(recorded.cassette))

    assert answer["version"] == "2.0.5"
    assert answer["uploaded"].startswith(recorded.base_url)
    assert ["0.03", "0.12", "0.03"] == [charge["actual"] for charge in charges]
    assert all(float(one["documented"]) == float(one["actual"]) for one in charges)
    assert ", 0 findings; 0.18 of the cap of 0.20 USD spent" in said
    assert 0 == found.returncode, found.stdout
    assert "no differences" in found.stdout
    assert sandbox.keys["wavespeed"] not in recorded.cassette.read_text("utf-8")
