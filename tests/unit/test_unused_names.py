"""Every name that a module of the product defines is used somewhere in the product."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("simulator", "contracts")
FOUND_BY_NAME = re.compile(r"pytest_|test_|__")
"""Hooks and tests of pytest, and hooks of modules."""


def defined(tree: ast.Module) -> Iterator[str]:
    """Yield the functions, classes and constants of a module that no decorator registers."""
    for node in tree.body:
        match node:
            case ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[]):
                yield node.name
            case ast.ClassDef(decorator_list=[]):
                yield node.name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def unused(sources: dict[str, str], others: str) -> list[str]:
    """Return the names that occur in no source except where they are defined."""
    words = Counter(re.findall(r"\w+", others))
    for text in sources.values():
        words.update(re.findall(r"\w+", text))
    return sorted(
        f"{file}: {name}"
        for file, text in sources.items()
        for name in defined(ast.parse(text))
        if words[name] == 1 and not FOUND_BY_NAME.match(name)
    )


def test_unused_names_are_found() -> None:
    """The check reports functions, classes and constants that are defined but never used."""
    source = "A = 1\nB: int = A\ndef _c(): return D\nclass D: ...\n@once\ndef e(): ...\n"

    assert ["f.py: B", "f.py: _c"] == unused({"f.py": source}, "")
    assert [] == unused({"f.py": source}, "_c = B")


def test_product_has_no_unused_name() -> None:
    """No module of the product defines a function, class or constant that nothing uses."""
    sources = {
        file.relative_to(ROOT).as_posix(): file.read_text("utf-8")
        for folder in PRODUCT
        for file in (ROOT / folder).rglob("*.py")
    }
    entry_points = (ROOT / "pyproject.toml").read_text("utf-8")
    public = " ".join(file.read_text("utf-8") for file in (ROOT / "docs").rglob("*.md"))

    assert [] == unused(sources, f"{entry_points} {public}")
