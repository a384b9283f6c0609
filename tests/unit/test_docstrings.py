"""Docstrings of the source that every supported Python can compile."""

from __future__ import annotations

import ast
from pathlib import Path

import upsim
import upsim_contracts

ROOTS = [Path(str(package.__file__)).parent for package in (upsim, upsim_contracts)]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def test_docstrings_are_text_in_utf8() -> None:
    """No docstring has a lone surrogate, because Python 3.13 cannot import such a module."""
    broken = [
        str(path)
        for root in ROOTS
        for path in sorted(root.glob("**/*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, DOCUMENTED)
        if any("\ud800" <= letter <= "\udfff" for letter in ast.get_docstring(node) or "")
    ]
    assert broken == []
