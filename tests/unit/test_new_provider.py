"""`scripts/new-provider`: three folders that work, and a failing test for each part to write."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from upsim.core.provider import Provider
from upsim.scenario.loader import Library, shipped_root
from upsim_contracts.facts.fact_files import read_book
from upsim_contracts.suite.generate_table import generation

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "new-provider"
EXAMPLE = ROOT / "tests" / "fixtures" / "toy_provider"


def write(*arguments: str) -> tuple[int, str]:
    """Run the script; return its exit code and what it prints."""
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def module_of(path: Path) -> ModuleType:
    """Return the module in a file, under a name of its own."""
    spec = spec_from_file_location(f"written_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def still_to_write(root: Path, name: str) -> list[str]:
    """Return what the written test says is missing."""
    folder = root / "contracts" / "upsim_contracts" / name
    found: list[str] = module_of(folder / f"test_what_to_write_of_{name}.py").places()
    return found


def test_generated_provider_works_and_lists_the_open_parts(tmp_path: Path) -> None:
    """The generated provider can be imported, and its baseline and templates are valid.

    A message names each part that the author must still write.
    """
    assert write("acme", str(tmp_path))[0] == 0
    shutil.copytree(shipped_root() / "_common", tmp_path / "scenarios" / "_common")
    code = tmp_path / "simulator" / "upsim" / "providers" / "acme"
    provider: Provider = module_of(code / "__init__.py").PROVIDER
    library = Library(tmp_path / "scenarios")
    book = read_book(tmp_path / "contracts" / "upsim_contracts" / "acme" / "facts.yaml")
    told = still_to_write(tmp_path, "acme")

    assert ("acme", "acme", "acme") == (provider.name, book.provider, *library.providers())
    assert module_of(code / "client.py").ADAPTER.provider == "acme"
    assert generation(book) is not None
    trees = [library.resolve_name(name) for name in library.names()]
    assert [one for tree in trees for one in library.mistakes_in(tree, {"acme": provider})] == []
    assert len(trees) > 30
    assert (
        "scenarios/acme/baseline.yaml:37: write what a second or a frame costs, and how it"
        in told[6]
    )
    assert len(told) > 30
    files = [path for path in tmp_path.rglob("*acme*/*") if path.is_file()]
    assert [path for path in files if re.search("(?i)toy", path.read_text("utf-8"))] == []
    assert "grade: documented" not in (tmp_path / "scenarios/acme/baseline.yaml").read_text("utf-8")


def test_the_filled_example_has_no_open_part(tmp_path: Path) -> None:
    """With the files of the example, no open part of a generated provider remains."""
    write("toytown", str(tmp_path))
    assert still_to_write(tmp_path, "toytown") != []
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)

    assert still_to_write(tmp_path, "toytown") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "scripts/new-provider NAME"),
        (("Acme",), 2, "'Acme' is no name of a provider: use lower-case letters and digits"),
        (("../x",), 2, "is no name of a provider"),
        (("venice",), 1, f"nothing was written: {ROOT}/contracts/upsim_contracts/venice, "),
    ],
)
def test_script_reports_wrong_names(arguments: tuple[str, ...], code: int, said: str) -> None:
    """The script refuses a wrong name or an existing provider, and writes no file."""
    found, text = write(*arguments)
    assert (code, True) == (found, said in text)
