"""The code uses only public parts of httpx and httpcore: a new version may change others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import httpcore
import httpx

ROOT = Path(__file__).parents[2]
LIBRARIES = {"httpx": httpx, "httpcore": httpcore}


def private_parts(source: str) -> Iterator[str]:
    """Yield what a module takes of the libraries that begins with an underscore."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(name)):
                yield from [name] if name.startswith(("httpx._", "httpcore._")) else []
            case ast.Attribute(value=ast.Name(id="httpx" | "httpcore"), attr=name):
                yield from [name] if name.startswith("_") else []
            case ast.ClassDef():
                used = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
                own = {one.name for one in ast.walk(node) if isinstance(one, ast.FunctionDef)}
                yield from sorted((used | own) & inherited(node))


def inherited(node: ast.ClassDef) -> set[str]:
    """Return the private names that the methods of a class's bases in the libraries use."""
    bases = [base for base in map(ast.unparse, node.bases) if base.partition(".")[0] in LIBRARIES]
    classes = [
        getattr(LIBRARIES[name], base) for name, _, base in (b.partition(".") for b in bases)
    ]
    return {
        name
        for one in classes
        for owner in one.__mro__
        for function in vars(owner).values()
        if isinstance(function, FunctionType)
        for name in (function.__name__, *function.__code__.co_names)
        if name.startswith("_") and not name.endswith("__")
    }


def test_private_parts_are_found() -> None:
    """An import, an attribute and a name shared with a base class are reported as private."""
    assert ["_pool"] == [*private_parts("class A(httpx.HTTPTransport):\n def a(self): self._pool")]
    assert ["_models"] == [*private_parts("httpx._models")]
    assert ["httpcore._sync"] == [*private_parts("from httpcore._sync import HTTP11Connection")]


def test_no_module_uses_private_parts_of_httpx() -> None:
    """No module of the simulator, the client or the contracts uses a private name of httpx."""
    found = {
        str(file.relative_to(ROOT)): parts
        for folder in ("simulator", "contracts")
        for file in (ROOT / folder).rglob("*.py")
        if (parts := [*private_parts(file.read_text("utf-8"))])
    }

    assert {} == found
