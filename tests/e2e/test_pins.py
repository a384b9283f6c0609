"""The set-up installs what is pinned, resolves nothing, and says so when the pins disagree."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("requirements/**/*.txt"))
GROUPS = ("runtime", "build", "tests", "quality")
PINNED = re.compile(r"([a-z0-9-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")
INTERPRETER = """#!/bin/sh
echo "$*" >>"{calls}"
case "$*" in
*platform*) echo "{platform}" ;;
*"pip check"*) echo "httpx 1.0 requires idna, which is not installed."; exit {check} ;;
esac
"""


def pins_of(file: Path) -> dict[str, str]:
    """Return the pinned versions of a requirements file by normalized name."""
    return {name: pinned for name, pinned, _ in PINNED.findall(file.read_text("utf-8"))}


def pins() -> dict[str, str]:
    """Return the pinned versions of all groups of the development environment."""
    found: dict[str, str] = {}
    for group in GROUPS:
        found |= pins_of(ROOT / f"requirements/{group}.txt")
    return found


def run_venv(folder: Path, *, platform: str, check: int = 0) -> tuple[int, str, list[str]]:
    """Run scripts/venv with an interpreter that notes its calls; return code, errors and calls."""
    python, calls = folder / "bin/python", folder / "calls.txt"
    python.parent.mkdir()
    python.write_text(INTERPRETER.format(calls=calls, platform=platform, check=check), "utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        ["scripts/venv", str(folder), "build", "runtime"],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, calls.read_text("utf-8").splitlines()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_each_line_is_a_version_with_its_hash(file: Path) -> None:
    """A requirements file has one comment line, then versions with hashes and nothing else."""
    comment, _, rest = file.read_text("utf-8").partition("\n")

    assert (comment[:2], PINNED.sub("", rest)) == ("# ", "")
    assert pins_of(file)


def test_pins_fit_the_requirements_of_the_project() -> None:
    """Each direct dependency of `pyproject.toml` is pinned to a version that its range allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = project["dependency-groups"]
    asked = project["project"]["dependencies"] + project["build-system"]["requires"]
    pinned = pins()
    wrong = [
        line
        for line in (*asked, *groups["tests"], *groups["quality"])
        if (need := Requirement(line)).specifier
        and pinned.get(canonicalize_name(need.name), "0") not in need.specifier
    ]

    assert [] == wrong


def test_the_pinned_versions_are_installed_and_agree() -> None:
    """This environment has the pinned versions, and `pip check` finds no problem."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert {name: version(name) for name in pins()} == pins()


@pytest.mark.parametrize("platform", ["Linux x86_64 CPython 3 11", "Darwin arm64 CPython 3 13"])
def test_pip_never_resolves(tmp_path: Path, platform: str) -> None:
    """Every installation is without dependencies, so a new release cannot change it."""
    code, errors, calls = run_venv(tmp_path, platform=platform)
    installs = [call for call in calls if "pip install" in call]

    assert (code, errors, len(installs)) == (0, "", 2)
    assert [] == [call for call in installs if "--no-deps" not in call]
    assert "-m pip check --disable-pip-version-check" == calls[-1]


def test_hashes_are_checked_on_the_locked_platform(tmp_path: Path) -> None:
    """On Linux x86_64 with CPython 3.11, pip refuses a file with another hash."""
    _, _, calls = run_venv(tmp_path, platform="Linux x86_64 CPython 3 11")

    assert ["--require-hashes" in call for call in calls if "--requirement" in call] == [True]


def test_pins_that_disagree_are_refused(tmp_path: Path) -> None:
    """If the installed packages do not fit together, the message names them and what to do."""
    code, errors, _ = run_venv(tmp_path, platform="Linux x86_64 CPython 3 11", check=1)

    found, told = errors.splitlines()
    assert (code, found) == (1, "httpx 1.0 requires idna, which is not installed.")
    assert told.startswith(f"scripts/venv: the packages in {tmp_path} do not fit together; remove ")
    assert told.endswith("If that does not help, the pinned versions disagree: run scripts/lock")


def test_each_imported_package_is_a_dependency() -> None:
    """Each imported package is a named dependency with a lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extra = project["project"]["optional-dependencies"]["kit"]
    tested = project["dependency-groups"]["tests"]
    asked = [*project["project"]["dependencies"], *extra, *tested]
    names = {canonicalize_name(Requirement(line).name) for line in asked}
    distributions = packages_distributions()
    imported = {
        name.partition(".")[0]
        for folder in ("simulator", "contracts/upsim_contracts")
        for file in ROOT.glob(f"{folder}/**/*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in _imports(node)
    }
    beside = {"upsim", "upsim_contracts", "urllib3"}  # the last is there if the caller has requests
    foreign = imported - sys.stdlib_module_names - beside

    assert len(foreign) > 10
    assert set() == {
        name
        for name in foreign
        if not names & {canonicalize_name(found) for found in distributions.get(name, [name])}
    }


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_lowest_versions_are_pinned() -> None:
    """`requirements/lowest.txt` pins each lower bound of `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lowest = pins_of(ROOT / "requirements/lowest.txt")
    lines = (*project["dependencies"], *project["optional-dependencies"]["kit"])
    bounds = {
        canonicalize_name(need.name): Version(bound.version)
        for need in map(Requirement, lines)
        for bound in need.specifier
        if bound.operator == ">="
    }

    assert len(bounds) == len(lines)
    assert bounds == {name: Version(lowest.get(name, "0")) for name in bounds}
