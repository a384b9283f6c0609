"""A cassette becomes a scenario in which the same requests have the same statuses and amounts."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from tests.recording.conftest import Studio, entries
from tests.recording.sample_requests import CALLERS
from upsim.cli import main
from upsim_contracts import yaml12
from upsim_contracts.exceptions import UsageError


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
def test_a_generated_scenario_repeats_the_recording(studio: Studio, kind: str) -> None:
    """A scenario made of a recording repeats its prices, failures and refusals."""
    provider = kind.partition("/")[0]
    cassette = studio.record(provider, CALLERS[provider], scenario=kind)
    file = studio.folder / "told.yaml"
    lines = studio.drift(cassette, scenario=file)

    assert validated(file).startswith("1 file, no mistakes")
    assert [f"{file}: {len(entries(cassette)) - 1} exchanges replayed on it, 0 unlike"] == lines


@pytest.mark.parametrize("provider", CALLERS)
def test_the_dialect_is_kept(studio: Studio, provider: str) -> None:
    """The scenario made of a recording in the live dialect uses the live dialect."""
    cassette = studio.record(provider, CALLERS[provider], dialect="live")
    file = studio.folder / "told.yaml"
    lines = studio.drift(cassette, scenario=file)

    assert validated(file).startswith("1 file, no mistakes")
    assert "live" == yaml12.read(file)["dialect"]
    assert [f"{file}: {len(entries(cassette)) - 1} exchanges replayed on it, 0 unlike"] == lines


def test_times_and_prices_are_those_recorded(studio: Studio) -> None:
    """The scenario has the recorded doubled prices, and the URL and properties of the clip."""

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


@pytest.mark.parametrize(
    ("charge", "said"), [("1e-29", "a credit cannot be divided"), ("-1", "A number from 0")]
)
def test_a_recording_that_makes_no_scenario_is_named(
    studio: Studio, charge: str, said: str
) -> None:
    """The error names the recording and the mistake, and no temporary file of upsim."""
    cassette = studio.record("vicsee", CALLERS["vicsee"])
    changed, times = re.subn(r'(?<="actual":")[^"]+', charge, cassette.read_text("utf-8"))
    cassette.write_text(changed, "utf-8")
    with pytest.raises(UsageError, match=said) as caught:
        studio.drift(cassette, scenario=studio.folder / "told.yaml")

    assert times
    assert f"{cassette.name} makes no valid scenario: " in str(caught.value)
    assert re.findall(r"told\.yaml|https?:", str(caught.value)) == []
    assert not (studio.folder / "told.yaml").exists()
