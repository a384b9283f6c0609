"""The names of source files, by which a reader finds a behaviour."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import upsim
import upsim_contracts

FILES = [
    path
    for package in (upsim, upsim_contracts)
    for path in Path(str(package.__file__)).parent.rglob("*.py")
    if not path.name.startswith("__")
]
GENERAL = {"common", "current", "helpers", "misc", "running", "tools", "uses", "utils", "values"}
"""Names that say nothing about what a file does."""


def test_file_names_are_not_general() -> None:
    """No source file has a name that fits any file, such as `values.py`."""
    assert [path for path in FILES if path.stem in GENERAL] == []


def test_file_names_of_a_folder_differ_in_more_than_a_plural() -> None:
    """No folder has two files such as `worker.py` and `workers.py`, which readers confuse."""
    names = Counter((path.parent, path.stem.removesuffix("s")) for path in FILES)

    assert [name for name, count in names.items() if count > 1] == []
