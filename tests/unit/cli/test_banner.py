"""The lines that `upsim serve` prints once it is ready."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from upsim.app import App, Simulator
from upsim.cli.banner import Banner
from upsim.engine.sandbox_request import SandboxRequest
from upsim.engine.settings import ServerSettings

NOTE = "--pace 5 has no effect on the clock {}: --pace speeds up jobs on a real clock alone."


@pytest.mark.parametrize(
    ("clock", "pace", "note"),
    [
        ("manual", 5, NOTE.format("manual")),
        ("scaled:60", 5, NOTE.format("scaled:60")),
        ("manual", 30, ""),
        ("real", 5, ""),
    ],
)
def test_a_pace_without_effect_is_noted(
    clock: str, pace: int, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server says at its start that a pace has no effect, if its clock is not real."""
    app = App(ServerSettings(clock=clock, pace=pace))
    try:
        Banner(app, base="http://127.0.0.1:4747", far="http://127.0.0.1:4747").print_all()
    finally:
        app.close()
    printed = capsys.readouterr()
    lines = [line for line in (printed.out + printed.err).splitlines() if "no effect" in line]
    assert lines == ([note] if note else [])


SCENARIO_NOTE = (
    "The scenario of default is now baseline, it was venice/happy-path-slow: new jobs follow "
    "baseline, accepted jobs keep their rules."
)


def banner_of(store: str, capsys: pytest.CaptureFixture[str], **options: object) -> list[str]:
    """Run a simulator on a store, and return what its banner says of it."""
    with Simulator(store=store, **options) as sim:  # type: ignore[arg-type]  # options of this test
        url = "http://127.0.0.1:4747"
        Banner(sim.app, base=url, far=url, given=options).print_all()
        for key in ("k", "l"):
            reply = httpx.Client(transport=sim.transport()).post(
                f"{sim.base_url('venice')}/api/v1/video/queue",
                json={
                    "model": "topaz-video-upscale",
                    "video_url": "https://cdn.example/clip.mp4",
                    "upscale_factor": 2,
                },
                headers={"authorization": f"Bearer {key}"},
            )
            assert reply.status_code == httpx.codes.OK
        sim.registry.create(SandboxRequest())
    printed = capsys.readouterr()
    words = ("continue,", "no effect: the store", "scenario of default is")
    lines = (printed.out + printed.err).splitlines()
    return [line for line in lines if any(word in line for word in words)]


def test_banner_says_what_continues_and_which_options_do_not_apply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store's clock and seed go on; its scenario is replaced by that of the new server."""
    store = f"sqlite:{tmp_path}/kept.db"
    first = banner_of(store, capsys, clock="manual", seed=5, scenario="venice/happy-path-slow")
    assert first == []
    assert banner_of(store, capsys, clock="manual", seed=5, scenario="venice/happy-path-slow") == [
        "2 sandboxes continue, 2 jobs."
    ]
    assert banner_of(store, capsys, clock="auto", seed=6) == [
        "3 sandboxes continue, 4 jobs.",
        "--seed 6 has no effect: the store continues with seed 5.",
        "--clock auto has no effect: the store continues with clock manual.",
        SCENARIO_NOTE,
    ]
