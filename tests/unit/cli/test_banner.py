"""The lines that `upsim serve` prints once it is ready."""

from __future__ import annotations

import pytest

from upsim.app import App
from upsim.cli.banner import Banner
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
