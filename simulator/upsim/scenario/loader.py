"""Finding scenario files by name or path, resolving `extends`, and judging them by the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from upsim.scenario.build import build_scenario
from upsim.scenario.faults import all_mistakes
from upsim.scenario.model import Scenario
from upsim.scenario.references import reference_mistakes
from upsim.scenario.tree import Mistake, Place, Tree, Value, dotted, read_tree

BASELINE = "baseline"
LONGEST_NAME = 250
_BASELINES = f"/{BASELINE}"
_SHIPPED: dict[str, Scenario] = {}


class ScenarioError(ValueError):
    """A scenario that cannot be used; `mistakes` are all that was found, in order of place."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        """Keep the mistakes; the message is one line for each."""
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


class UnknownScenarioError(LookupError):
    """No scenario of this name; the message names the nearest ones."""


def shipped_root() -> Path:
    """The folder of the scenarios that come with the package, or with its checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent.parent / "scenarios"


class Library:
    """The scenarios under one root, each read when first asked for and then kept.

    A provider from elsewhere brings a folder of its own, found under the provider's name.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        folders: Callable[[], Mapping[str, Path]] = dict,
        kinds: Callable[[str], Mapping[str, str]] = lambda _provider: {},
    ) -> None:
        """Use the shipped scenarios unless another root is given; ask for folders when needed.

        `kinds` tells the operations of a provider and their kinds, for judging faults.
        """
        self._kinds = kinds
        self._root = root or shipped_root()
        self._folders = folders
        self._loaded: dict[str, Scenario] = {}

    def providers(self) -> tuple[str, ...]:
        """The providers that have a baseline here."""
        return tuple(name.partition("/")[0] for name in self.names() if name.endswith(_BASELINES))

    def names(self) -> tuple[str, ...]:
        """All scenarios by name, `<provider>/<name>`."""
        shipped = [f"{path.parent.name}/{path.stem}" for path in self._root.glob("*/*.yaml")]
        brought = [
            f"{provider}/{path.stem}"
            for provider, folder in self._folders().items()
            for path in folder.glob("*.yaml")
        ]
        return tuple(sorted({*shipped, *brought}))

    def baseline(self, provider: str) -> Scenario:
        """The baseline of a provider, as the scenario in which nothing is changed."""
        return self.load(f"{provider}/{BASELINE}")

    def load(self, name: str) -> Scenario:
        """The scenario of this name or path. Raises UnknownScenarioError or ScenarioError."""
        if name not in self._loaded:
            self._loaded[name] = self._shared(name)
        return self._loaded[name]

    def path_of(self, name: str, folder: Path | None = None) -> Path:
        """The file of a scenario named `<provider>/<name>`, or by path (relative to `folder`)."""
        found = self._shipped(name) if len(name) <= LONGEST_NAME else None
        if found is not None:
            return found
        path = Path(name) if folder is None else folder / name
        if name.endswith((".yaml", ".yml")) and len(name) <= LONGEST_NAME and path.is_file():
            return path
        near = get_close_matches(name[:LONGEST_NAME], self.names(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        msg = f"there is no scenario {name[:LONGEST_NAME]!r}{hint}"
        raise UnknownScenarioError(msg)

    def _shipped(self, name: str) -> Path | None:
        """The file of a name below the root, or in the folder that its provider brings."""
        found = _inside(self._root, name)
        if found is not None:
            return found
        provider, _, rest = name.partition("/")
        brought = self._folders().get(provider)
        return None if brought is None else _inside(brought, rest)

    def resolve(self, path: Path) -> Tree:
        """The tree of a file with everything that it extends merged in."""
        return self._resolve(path, ())

    def mistakes_in(self, tree: Tree) -> Iterator[Mistake]:
        """Everything wrong in a resolved tree: against the schema, then names that do not exist."""
        found = list(schema_mistakes(tree, self._root / "schema.json"))
        yield from found or (*reference_mistakes(tree), *self._fault_mistakes(tree))

    def _fault_mistakes(self, tree: Tree) -> Iterator[Mistake]:
        root = _mapping(tree.value)
        kinds = self._kinds(str(root["provider"])) if "faults" in root else {}
        for place, message in all_mistakes(root, kinds):
            yield Mistake(tree.mark(place), dotted(place), message)

    def _shared(self, name: str) -> Scenario:
        """Shipped files do not change while a program runs: all libraries share them."""
        if self._root != shipped_root() or not self.path_of(name).is_relative_to(self._root):
            return self._read(name)
        if name not in _SHIPPED:
            _SHIPPED[name] = self._read(name)
        return _SHIPPED[name]

    def _read(self, name: str) -> Scenario:
        path = self.path_of(name)
        tree = self.resolve(path)
        mistakes = list(tree.mistakes)
        if not mistakes and not path.is_relative_to(self._root):
            mistakes = list(self.mistakes_in(tree))
        if mistakes:
            raise ScenarioError(mistakes)
        return build_scenario(name, _mapping(tree.value), path.parent)

    def _resolve(self, path: Path, above: tuple[Path, ...]) -> Tree:
        tree = read_tree(path)
        if tree.mistakes:
            return tree
        if above:
            _anchor(tree, path.parent)
        if not isinstance(tree.value, dict) or not {"extends", "provider"} & tree.value.keys():
            return _failed(tree, (), "say what this file changes: extends: <provider>/baseline")
        parent = tree.value.get("extends")
        if parent is None:
            return tree
        try:
            base = self.path_of(str(parent), path.parent)
        except UnknownScenarioError as error:
            return _failed(tree, ("extends",), str(error))
        here = (*above, path.resolve())
        if base.resolve() in here:
            return _failed(tree, ("extends",), f"{parent} extends this file in turn")
        return merged(self._resolve(base, here), tree)


def _inside(folder: Path, name: str) -> Path | None:
    path = folder / f"{name}.yaml"
    known = path.is_file() and path.resolve().is_relative_to(folder.resolve())
    return path if known else None


def merged(base: Tree, change: Tree) -> Tree:
    """The base with the change laid over it: mappings merge, everything else is replaced."""
    result = Tree(
        value=_over(base.value, change.value),
        marks={**base.marks, **change.marks},
        mistakes=[*base.mistakes, *change.mistakes],
    )
    _choose_knobs(base, result)
    return result


def schema_mistakes(tree: Tree, schema: Path) -> Iterator[Mistake]:
    """Everything in which a resolved tree breaks the schema, each at its line and column."""
    import json

    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    for error in validator.iter_errors(_jsonable(tree.value)):
        place: Place = tuple(error.absolute_path)
        yield from _mistakes_of(tree, place, error.validator, error)


def _mistakes_of(tree: Tree, place: Place, rule: object, error: object) -> Iterator[Mistake]:
    message = str(getattr(error, "message", error))
    known = getattr(error, "schema", {})
    if rule == "additionalProperties" and isinstance(known, Mapping):
        allowed = list(known.get("properties", {}))
        for key in sorted(set(getattr(error, "instance", {})) - set(allowed)):
            near = get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}"
            here = (*place, key)
            yield Mistake(tree.mark(here), dotted(here), f"unknown key; {hint}")
        return
    yield Mistake(tree.mark(place), dotted(place), message)


def _choose_knobs(base: Tree, result: Tree) -> None:
    """A scenario writes `knobs: {name: value}`; the definition stays and takes the choice."""
    value = result.value
    defined = base.value.get("knobs") if isinstance(base.value, dict) else None
    knobs = value.get("knobs") if isinstance(value, dict) else None
    if not isinstance(defined, dict) or not isinstance(knobs, dict):
        return
    for name, chosen in knobs.items():
        definition = defined.get(name)
        if isinstance(definition, dict) and isinstance(chosen, str):
            knobs[name] = {**definition, "chosen": chosen}


def _over(base: Value, change: Value) -> Value:
    if isinstance(base, dict) and isinstance(change, dict):
        both = {**base, **change}
        return {key: _over(base[key], change[key]) if key in base and key in change else value
                for key, value in both.items()}  # fmt: skip
    return change


def _anchor(tree: Tree, folder: Path) -> None:
    """Let the local files of media rules be found from where the rules themselves stand."""
    media = tree.value.get("media") if isinstance(tree.value, dict) else None
    for rule in media if isinstance(media, list) else ():
        if isinstance(rule, dict) and isinstance(rule.get("file"), str):
            rule["file"] = str((folder / str(rule["file"])).resolve())


def _failed(tree: Tree, place: Place, message: str) -> Tree:
    tree.mistakes.append(Mistake(tree.mark(place), dotted(place), message))
    return tree


def _jsonable(value: Value) -> object:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return str(value) if value is not None and not isinstance(value, bool | int | str) else value


def _mapping(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}
