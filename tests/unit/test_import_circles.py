"""No file imports, in one step or several, a file that imports it; imports for types count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import upsim
import upsim_contracts

ENGINE = {
    *(
        "command_log",
        "client_activity",
        "feed",
        "report_card",
        "rule_versions",
        "sandbox",
        "webhooks",
    ),
    *("registry", "resolution"),
}
"""Files of `upsim.engine` that still know each other: one log with readers parts them."""


def test_no_file_imports_itself_by_way_of_others() -> None:
    """The files of both packages can be put into an order in which each imports earlier ones."""
    imports = {file: found for top in (upsim, upsim_contracts) for file, found in _imports_of(top)}
    known = {f"upsim.engine.{name}" for name in ENGINE}
    without = {
        file: {name for name in found if not {file, name} <= known}
        for file, found in imports.items()
    }

    circle = _circle_in({file: found & imports.keys() for file, found in without.items()})

    assert not circle, " -> ".join(circle)


def test_the_known_circles_are_still_there() -> None:
    """An entry of `ENGINE` whose file is in no circle any more has to go."""
    imports = dict(_imports_of(upsim))
    known = {f"upsim.engine.{name}" for name in ENGINE}

    alone = {file for file in known if not _reaches_itself(file, imports)}

    assert set() == alone


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


def _reaches_itself(start: str, imports: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    todo = [*imports[start]]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += imports.get(name, ())
    return start in seen
