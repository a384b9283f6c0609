"""`upsim env` and servers whose names and keys are written to run in a shell."""

from __future__ import annotations

import httpx
import pytest
from click.testing import CliRunner

from upsim.cli import main
from upsim.cli.env import SHELLS

HOSTILE = [
    "$(touch x)",
    "'; touch x; '",
    "a\\",
    "a\ntouch x",
    "a b",
    "`x`",
    "\u2019;x",
    "a#",
    "a&b",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("is_key", [True, False])
def test_no_line_runs_anything(
    monkeypatch: pytest.MonkeyPatch, text: str, shell: str, *, is_key: bool
) -> None:
    """A key or a provider's name that is more than a word is refused, in every shell's language."""
    name, key = ("vicsee", text) if is_key else (f"x{text}", "sk-1")

    def answer(_http: httpx.Client, method: str, _url: str, **_options: object) -> httpx.Response:
        return httpx.Response(200, json={"providers": [name]} if method == "GET" else {"key": key})

    monkeypatch.setattr(httpx.Client, "request", answer)
    done = CliRunner().invoke(main, ["env", "--shell", shell])

    assert (1, "") == (done.exit_code, done.stdout)
    assert "gave no setting for a shell" in done.stderr
