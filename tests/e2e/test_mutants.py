"""The wrong simulators: all are noticed, and a run tells which are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = """\
mutants:
  - id: vicsee-rounds-down
    wrong: Seconds are rounded down.
    overlay: {models: {topaz-video-upscale: {billing: {quantity: {round: down}}}}}
    fact: credits-at-4.5-s
"""
HARMLESS = """\
  - id: vicsee-harmless
    wrong: Nothing is wrong.
    patch: {module: upsim.core.pricing, old: "Error(LookupError)", new: "Error(KeyError)"}
    fact: rate-factor-2
  - id: vicsee-stale
    wrong: The source has changed since.
    patch: {module: upsim.core.pricing, old: "there is no such text", new: ""}
    fact: rate-factor-2
  - id: vicsee-untouched
    wrong: A module of another provider is wrong.
    patch: {module: upsim.providers.piapi.wire, old: "def draw_id", new: "def draw_no_id"}
    fact: rate-factor-2
  - id: vicsee-crashes
    wrong: It does not even start.
    patch: {module: upsim.core.pricing, old: "Error(LookupError)", new: "Error(Nobody)"}
    fact: rate-factor-2
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it printed."""
    command = [sys.executable, "-m", "upsim_contracts.mutants", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.timeout(1200)
def test_every_mutant_is_killed() -> None:
    """Each wrong simulator is killed by its named fact or test, which the right one passes."""
    ended = run()

    told = [line for line in ended.stdout.splitlines() if " s  " not in line[:30]]
    failed = [line for line in ended.stdout.splitlines() if not line.startswith((" ", "killed"))]
    assert ended.returncode == 0, "\n".join([*failed, *told[-1:], ended.stderr[-2000:]])


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Return a file of mutants in a folder of its own, with one in it."""
    path = tmp_path / "vicsee.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_a_survivor_is_a_finding(catalogue: Path) -> None:
    """A run reports survivors, stale mutants and broken mutants, and ends with exit code 1."""
    catalogue.write_text(GOOD + HARMLESS, encoding="utf-8")

    ended = run("--catalogue", str(catalogue.parent))

    fates = [line.split()[0] for line in ended.stdout.splitlines() if " s  " in line]
    assert (ended.returncode, fates) == (1, ["killed", "survived", "stale", "stale", "error"])


def test_all_mutants_are_killed(catalogue: Path) -> None:
    """A run in which every mutant is killed for the right reason ends with exit code 0."""
    ended = run("--catalogue", str(catalogue.parent))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 mutants: 1 killed" in ended.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("credits-at-4.5-s", "no-such-fact", "vicsee has no fact 'no-such-fact'"),
        ("credits-at-4.5-s", "not-reachable", "brings a scenario of its own"),
        ("credits-at-4.5-s", "usd-factor-2", "No answer of the API tells"),
        ("round: down", "round: sideways", "it does not run"),
    ],
)
def test_killers_that_prove_nothing(catalogue: Path, old: str, new: str, said: str) -> None:
    """A killer that cannot decide, and a mutant that cannot run, are findings."""
    catalogue.write_text(GOOD.replace(old, new), encoding="utf-8")

    ended = run("--catalogue", str(catalogue.parent))

    assert (ended.returncode, said in ended.stdout) == (1, True)


def test_a_killer_that_the_right_simulator_fails(catalogue: Path, tmp_path: Path) -> None:
    """The run names a killer that the right simulator fails too."""
    failing = "def test_it() -> None:\n    assert False\n"
    (tmp_path / "test_unjust.py").write_text(failing, encoding="utf-8")
    entry = {
        "module": "upsim.core.uuids",
        "old": "_VERSION_4 = 0x4000",
        "new": "_VERSION_4 = 0x5000",
    }
    catalogue.write_text(
        f"mutants: [{{id: m, wrong: w, patch: {entry}, test: {tmp_path}/test_unjust.py}}]".replace(
            "'", '"'
        ),
        encoding="utf-8",
    )

    ended = run("--catalogue", str(catalogue.parent))

    assert "unjust: the right simulator fails" in ended.stdout
    assert ended.returncode == 1


def test_names_and_lists(catalogue: Path) -> None:
    """The list shows the mutants; a name that is part of none is wrong usage."""
    listed = run("--catalogue", str(catalogue.parent), "--list", "rounds")
    nobody = run("--catalogue", str(catalogue.parent), "nobody")

    assert (listed.returncode, nobody.returncode) == (0, 2)
    assert listed.stdout == (
        "vicsee-rounds-down: Seconds are rounded down. (fact credits-at-4.5-s)\n"
    )
    assert nobody.stdout == "no mutant is called nobody\n"


def test_a_broken_catalogue(catalogue: Path) -> None:
    """An unreadable catalogue is wrong usage, with one sentence."""
    catalogue.write_text(GOOD.replace("fact:", "fakt:"), encoding="utf-8")

    ended = run("--catalogue", str(catalogue.parent))

    assert ended.returncode == 2
    assert "unexpected keyword argument 'fakt'" in ended.stdout


def test_the_right_simulator_under_seeds() -> None:
    """The unmutated simulator holds every fact under every seed."""
    ended = run("--seeds", "2")

    assert ended.returncode == 0, ended.stdout
