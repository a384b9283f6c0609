"""A cassette becomes a scenario in which the same requests have the same statuses and amounts."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from tests.recording.callers import CALLERS
from tests.recording.conftest import Studio, entries
from upsim.cli import main
from upsim_contracts import yaml12


def validated(file: Path) -> str:
    """Return what `upsim validate` says of a scenario."""
    done = CliRunner().invoke(main, ["validate", str(file)])
    return done.output


KINDS = [
    *(f"{provider}/{kind}" for provider in CALLERS for kind in ("baseline", "price-change")),
    *(f"{provider}/bad-gateway-502" for provider in CALLERS),
    *(f"{provider}/fails-and-refunds" for provider in ("wavespeed", "venice", "piapi")),
    "vicsee/fails-and-refunds",
    "vicsee/insufficient-funds",
    "venice/insufficient-funds",
    "piapi/insufficient-funds",
    "vicsee/happy-path-slow",
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_once_more(studio: Studio, kind: str) -> None:
    """Prices, failures and refusals of a recording are repeated by the scenario made of it."""
    provider = kind.partition("/")[0]
    cassette = studio.record(provider, CALLERS[provider], scenario=kind)
    file = studio.folder / "told.yaml"
    lines = studio.drift(cassette, scenario=file)

    assert validated(file).startswith("1 file, no mistakes")
    assert [f"{file}: {len(entries(cassette)) - 1} exchanges replayed on it, 0 unlike"] == lines


@pytest.mark.parametrize("provider", CALLERS)
def test_the_dialect_is_kept(studio: Studio, provider: str) -> None:
    """What was recorded in the live dialect is repeated in it."""
    cassette = studio.record(provider, CALLERS[provider], dialect="live")
    file = studio.folder / "told.yaml"
    lines = studio.drift(cassette, scenario=file)

    assert validated(file).startswith("1 file, no mistakes")
    assert "live" == yaml12.read(file)["dialect"]
    assert [f"{file}: {len(entries(cassette)) - 1} exchanges replayed on it, 0 unlike"] == lines


def test_times_and_prices_are_those_seen(studio: Studio) -> None:
    """The scenario holds the doubled rates, and the clip by its address and properties."""

    async def caller(http: httpx.AsyncClient) -> None:
        body = {"video_url": "https://example.com/a.mp4"}
        await http.post("/api/v1/tools/upscale-video", json=body)

    clips = ["https://example.com/*=320x240 30fps 2.5s silent"]
    scenario = """
extends: vicsee/price-change
summary: A clip of two and a half seconds.
media: [{url: "https://example.com/a.mp4", duration: 2.5, size: 320x240, fps: 30}]
"""
    cassette = studio.record("vicsee", caller, scenario=scenario, clips=clips)
    file = studio.folder / "told.yaml"
    studio.drift(cassette, scenario=file)
    told = yaml12.read(file)

    assert told["models"]["topaz-video-upscale"]["billing"]["rate"]["table"] == {
        "1": "32",
        "2": "32",
        "4": "56",
    }
    assert [("https://example.com/a.mp4*", "2.5", "320x240")] == [
        (rule["url"], rule["duration"], rule["size"]) for rule in told["media"]
    ]
