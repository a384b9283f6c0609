"""Each small lie about a documented value is noticed, and the command says which is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from upsim_contracts.mutants.lies import lies_about
from upsim_contracts.mutants.noticing import Court
from upsim_contracts.verify import book_of, providers

ROOT = Path(__file__).parents[2]
NOTHING_TELLS = """
from upsim_contracts.mutants import __main__ as command
from upsim_contracts.mutants import lies

made = lies.lies_about

def few(provider):
    found = made(provider)
    wanted = ("errors.too_long.status", "hosts.vicsee.com.role", "models.topaz-video-upscale.name")
    planted = [one for one in found.planted if one.place in wanted]
    begins = ("hosts", "models.*.billing")
    listed = [one for one in found.equivalent if one.place.startswith(begins)]
    return lies.Lies(tuple(planted), tuple(listed))

command.lies_about = few
raise SystemExit(command.main(["--lies", "vicsee"]))
"""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("provider", providers())
def test_every_lie_is_noticed(provider: str) -> None:
    """A fact breaks at each lie that is not listed as equivalent, and none at the truth."""
    lies, court = lies_about(provider), Court(book_of(provider))
    meant = [one for one in lies.planted if not any(entry.covers(one) for entry in lies.equivalent)]

    broken = [verdict.fact.id for verdict in court.of_the_truth()]
    fates = list(court.judge_all(meant))

    assert broken == []
    assert sum(one.fate == "noticed" for one in fates) >= 40
    assert [f"{one.lie}: {one.saw}" for one in fates if one.fate in ("missed", "error")] == []


def test_the_command_counts() -> None:
    """A run counts the lies, and ends with 1 where one that is listed is none."""
    ended = subprocess.run(
        [sys.executable, "-c", NOTHING_TELLS],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert ended.stdout.splitlines() == [
        "listed as equivalent, but there is no such lie: models.*.billing.unit",
        "vicsee: 3 of 3 lies noticed, 1 equivalent, 0 that no simulator can be told",
    ]
    assert (ended.returncode, ended.stderr) == (1, "")
