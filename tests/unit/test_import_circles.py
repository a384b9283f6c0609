"""No file imports, in one step or several, a file that imports it; imports for types count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import upsim
import upsim_contracts


def test_no_circular_imports() -> None:
    """No file of both packages imports itself through other files."""
    imports = {file: found for top in (upsim, upsim_contracts) for file, found in _imports_of(top)}

    circle = _circle_in({file: found & imports.keys() for file, found in imports.items()})

    assert not circle, " -> ".join(circle)


def _imports_of(package: object) -> Iterator[tuple[str, set[str]]]:
    top = Path(str(getattr(package, "__file__", ""))).parent
    for path in top.rglob("*.py"):
        parts = path.relative_to(top.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, set(_named(ast.parse(path.read_text()))) - {name}


def _named(tree: ast.Module) -> Iterator[str]:
    """Every module that a file may import; a package counts where a name of its own is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if _is_module(submodule) else node.module


def _is_module(name: str) -> bool:
    package = {"upsim": upsim, "upsim_contracts": upsim_contracts}.get(name.partition(".")[0])
    if package is None:
        return False
    path = Path(str(package.__file__)).parent.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def _circle_in(imports: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []
