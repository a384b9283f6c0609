"""Long calls name their arguments, unless a comment says what the keywords would cost."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import upsim
import upsim_contracts

ROOTS = [Path(str(package.__file__)).parent for package in (upsim, upsim_contracts)]
MAX_POSITIONAL = 6
VARIADIC = {"named", "pack", "print", "to_thread"}
"""Functions whose positional arguments have no names."""
MEASURED = re.compile(r"# by position: keywords cost \d+\.\d µs more a (request|submit)$")


def test_long_calls_name_their_arguments() -> None:
    """No call has more than six positional arguments, except where a measurement justifies it."""
    found = [
        f"{path}:{line}"
        for root in ROOTS
        for path in root.rglob("*.py")
        for line in _unnamed(path.read_text())
    ]

    assert [] == found


def test_a_long_call_is_found() -> None:
    """The check reports seven positional arguments, but not six, keywords or a measured case."""
    calls = (
        "f(1, 2, 3, 4, 5, 6)",
        "f(1, 2, 3, 4, 5, 6, seven=7)",
        "f(1, 2, 3, 4, 5, 6, 7)",
        "f(  # by position: keywords cost 0.6 µs more a request\n1, 2, 3, 4, 5, 6, 7)",
        "f(  # by position\n1, 2, 3, 4, 5, 6, 7)",
    )

    assert [3, 6] == list(_unnamed("\n".join(calls)))


def _unnamed(source: str) -> Iterator[int]:
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and len(node.args) > MAX_POSITIONAL:
            name = ast.unparse(node.func).rpartition(".")[2]
            if name not in VARIADIC and not MEASURED.search(lines[node.lineno - 1]):
                yield node.lineno
