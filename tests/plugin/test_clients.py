"""Reference clients as fixtures: of a sandbox, and of a server in place of the real API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import running

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

UPSCALE = """
import asyncio

import pytest

MODELS = ["video-upscaler", "upscale-v1", "venice/topaz-video-upscale",
          "Qubico/video-toolkit", "vicsee/topaz-video-upscale"]


@pytest.mark.parametrize("model", MODELS)
def test_sync(upsim, upsim_client, tmp_path, model):
    client = upsim_client(model)
    done = client.upscale(upsim.clip("320x240", "30", "2"), tmp_path / "out.mp4")

    assert "completed" == done.progress.state == upsim.jobs[0]["state"]
    assert client.spent.amount == upsim.ledger.spent(upsim.jobs[0]["provider"]) > 0


def test_async(upsim, upsim_async_client, tmp_path):
    async def call():
        async with upsim_async_client("upscale-v1") as client:
            return await client.upscale(upsim.clip("320x240", "30", "2"), tmp_path / "out.mp4")

    assert "completed" == asyncio.run(call()).progress.state
"""
LIVE = """
def test_it(upsim_client):
    client = upsim_client("upscale-v1")
    client.submit("https://example.com/clip.mp4", target_height=None)
"""


@pytest.mark.parametrize("target", ["sim", "socket"])
def test_every_model(run_tests: RunTests, target: str) -> None:
    """The client of every model upscales a clip with the sandbox's key and clock."""
    run_tests(UPSCALE, f"--upsim-target={target}").assert_outcomes(passed=6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--upsim-target=live",), "The live target needs --upsim-cap"),
        (("--upsim-target=live", "--upsim-cap=1"), "in the variable WAVESPEED_API_KEY"),
    ],
)
def test_live_without_cap_or_key_is_skipped(
    run_tests: RunTests, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], expected: str
) -> None:
    """A live client without a cap or a key is skipped with the reason."""
    monkeypatch.delenv("WAVESPEED_API_KEY", raising=False)
    result = run_tests(LIVE, *options, "-rs")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*{expected}*"])


def test_live_pays_and_reports_the_price(
    run_tests: RunTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A live client with a cap and a key calls the API (a test server) and reports the price."""
    with running(tmp_path) as server:
        monkeypatch.setenv("WAVESPEED_API_KEY", "a-key")
        monkeypatch.setenv("WAVESPEED_BASE_URL", f"{server.base_url}/wavespeed")
        text = LIVE.replace("https://example.com/clip.mp4", server.clip("320x240", "30", "6"))
        result = run_tests(text, "--upsim-target=live", "--upsim-cap=0.20")

        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(
            ["the calls to the real APIs have cost:", "  wavespeed  0.12 USD"]
        )


def test_live_stops_at_the_cap(
    run_tests: RunTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A live client does not send a request that may cost more than the cap."""
    with running(tmp_path) as server:
        monkeypatch.setenv("WAVESPEED_API_KEY", "a-key")
        monkeypatch.setenv("WAVESPEED_BASE_URL", f"{server.base_url}/wavespeed")
        text = LIVE.replace("https://example.com/clip.mp4", server.clip("320x240", "30", "6"))
        result = run_tests(text, "--upsim-target=live", "--upsim-cap=0.05")

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*CapReachedError: not sent*"])
        assert [] == server.admin("GET", "sandboxes/default/jobs")["jobs"]
