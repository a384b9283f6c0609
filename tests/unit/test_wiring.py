"""Collaborators are given at construction or by `subscribe`: no object rewires another one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import upsim
import upsim_contracts

ROOTS = [Path(str(package.__file__)).parent for package in (upsim, upsim_contracts)]


def test_no_object_is_rewired_after_its_construction() -> None:
    """No code assigns a function to an attribute of another object."""
    paths = [path for root in ROOTS for path in root.rglob("*.py")]
    trees = {path: ast.parse(path.read_text()) for path in paths}
    methods = _method_names(trees.values())
    found = [
        f"{path}:{line}: {text}"
        for path, tree in trees.items()
        for line, text in _rewired(tree, methods)
    ]

    assert [] == found


def test_a_callback_that_is_assigned_later_is_found() -> None:
    """The check reports assigned methods, functions, lambdas and partials.

    Other values and assignments to an object's own attributes are not reported.
    """
    source = (
        "def function(): ...\n"
        "class Owner:\n"
        "    def __init__(self, box):\n"
        "        self.box, self.told, self.now = box, self.method, 0\n"
        "        box.hooks.told = self.method\n"
        "    def method(self):\n"
        "        self.box.told = function\n"
        "        self.box.told = lambda: None\n"
        "        self.box.told = partial(function, 1)\n"
        "        self.box.told: Told = self.blobs.method\n"
        "        self.box.now = self.now\n"
        "        self.told = function\n"
    )
    tree = ast.parse(source)

    assert [5, 7, 8, 9, 10] == [line for line, _ in _rewired(tree, _method_names([tree]))]


def _method_names(trees: Iterable[ast.Module]) -> set[str]:
    """The names of functions and methods, without those that are also the name of a field."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions, fields = set[str](), set[str]()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(one) for one in node.decorator_list}
            (fields if decorators & {"property", "cached_property"} else functions).add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            fields.add(node.target.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            fields.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            fields.add(node.id)
    return functions - fields


def _rewired(tree: ast.Module, methods: set[str]) -> Iterator[tuple[int, str]]:
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(map(_is_of_another, targets)) and _is_callable(node.value, methods, own):
            yield node.lineno, ast.unparse(node)


def _is_of_another(target: ast.expr) -> bool:
    """Whether a target is an attribute of another object; hooks of `sys` have no other place."""
    return isinstance(target, ast.Attribute) and not (
        isinstance(target.value, ast.Name) and target.value.id in ("self", "cls", "sys")
    )


def _is_callable(value: ast.expr, methods: set[str], own: set[str]) -> bool:
    """Whether a value is a function: made here, defined in this file, or a method of an object."""
    match value:
        case ast.Lambda() | ast.Call(func=ast.Name(id="partial")):
            return True
        case ast.Name(id=name):
            return name in own
        case ast.Attribute(attr=name):
            return name in methods
        case _:
            return False
