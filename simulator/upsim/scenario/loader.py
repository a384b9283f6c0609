"""Finding scenario files by name or path, resolving `extends`, and judging them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from upsim.core.provider import Provider
from upsim.scenario.baselines import baseline_mistakes, strange_entries
from upsim.scenario.build import build_scenario
from upsim.scenario.code import code_mistakes
from upsim.scenario.faults import all_mistakes
from upsim.scenario.merging import merged
from upsim.scenario.model import Scenario
from upsim.scenario.references import reference_mistakes
from upsim.scenario.schemas import schema_mistakes
from upsim.scenario.tree import Mistake, Place, Tree, Value, mapping, read_tree

BASELINE = "baseline"
LONGEST_NAME = 250
SUFFIXES = (".yaml", ".yml")
MOST_LEVELS = 20
_NEEDS_BASE = "say what this file changes"
_BASELINES = f"/{BASELINE}"
_SHIPPED: dict[str, Scenario] = {}
_READ: dict[Path, Tree] = {}


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
        self._trees: dict[str, Mapping[str, Value] | None] = {}

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

    def remember(self, scenario: Scenario) -> None:
        """Take a scenario that has no file here; it stands before one of the same name."""
        self._loaded[scenario.name] = scenario

    def path_of(self, name: str, folder: Path | None = None) -> Path:
        """The file of a scenario named `<provider>/<name>`, or by path (relative to `folder`)."""
        found = self._shipped(name) if len(name) <= LONGEST_NAME else None
        if found is not None:
            return found
        path = Path(name) if folder is None else folder / name
        there = len(name) <= LONGEST_NAME and _is_file(path)
        if there and name.endswith(SUFFIXES):
            return path
        if there:
            msg = f"{name!r} is no scenario file: it must be YAML and end in .yaml or .yml"
            raise UnknownScenarioError(msg)
        raise UnknownScenarioError(self._unknown(name[:LONGEST_NAME]))

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.names(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`upsim scenarios list` shows them"
        return f"there is no scenario {name!r}; {hint}"

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

    def mistakes_in(
        self, tree: Tree, providers: Mapping[str, Provider] | None = None
    ) -> list[Mistake]:
        """Everything wrong in a resolved tree: as it is read, by the schema, by name.

        With `providers` also what their code does not know.
        """
        if not tree.whole:
            return sorted(tree.mistakes)
        base = self._baseline_tree(tree)
        strange = dict(strange_entries(tree.value, base))
        broken = list(schema_mistakes(tree.value))
        found = [*strange.items(), *(b for b in broken if not _is_below(b[0], strange))]
        sound = _sound_part(tree.value, [place for place, _ in broken], base)
        if sound is not None:
            found += reference_mistakes(sound)
            found += all_mistakes(mapping(sound), self._kinds_of(sound, providers))
            found += baseline_mistakes(sound, base, self.tree_of)
            found += code_mistakes(sound, base, providers) if providers else ()
        told = {mistake.place for mistake in tree.mistakes}
        new = (tree.mistake(place, message) for place, message in found)
        return sorted({*tree.mistakes, *(mistake for mistake in new if mistake.place not in told)})

    def _kinds_of(
        self, sound: Value, providers: Mapping[str, Provider] | None
    ) -> Mapping[str, str]:
        """The operations of a file's provider and their kinds, where it has faults to judge."""
        root = mapping(sound)
        name = str(root["provider"])
        if "faults" not in root:
            return {}
        if providers is None:
            return self._kinds(name)
        known = providers[name].operations if name in providers else ()
        return {operation.name: operation.kind for operation in known}

    def tree_of(self, provider: str) -> Mapping[str, Value] | None:
        """The resolved tree of a provider's baseline (None: there is no such provider)."""
        if provider not in self._trees:
            name = f"{provider}/{BASELINE}"
            found = self.resolve(self.path_of(name)) if name in self.names() else None
            self._trees[provider] = None if found is None else mapping(found.value)
        return self._trees[provider]

    def _baseline_tree(self, tree: Tree) -> Mapping[str, Value] | None:
        """The baseline that a file changes in the end, or that it stands in for."""
        name = mapping(tree.value).get("provider")
        return self.tree_of(name) if isinstance(name, str) else None

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
        shipped = path.is_relative_to(self._root)
        mistakes = tree.mistakes if shipped else self.mistakes_in(tree)
        if mistakes:
            raise ScenarioError(mistakes)
        return build_scenario(name, mapping(tree.value), path.parent)

    def _resolve(self, path: Path, above: tuple[Path, ...]) -> Tree:
        tree = self._tree_at(path)
        if not tree.whole:
            return tree
        if above:
            _anchor(tree, path.parent)
        if not {"extends", "provider"} & mapping(tree.value).keys():
            return _failed(tree, (), f"{_NEEDS_BASE}: extends: <provider>/baseline")
        if "extends" not in mapping(tree.value):
            return tree
        here = (*above, path.resolve())
        base = self._base_of(tree, here)
        if isinstance(base, str):
            return _failed(tree, ("extends",), base)
        return merged(self._resolve(base, here), tree)

    def _tree_at(self, path: Path) -> Tree:
        """The tree of one file; nothing that is laid over a shipped one changes it."""
        if not path.is_relative_to(shipped_root()):
            return read_tree(path)
        if path not in _READ:
            _READ[path] = read_tree(path)
        return _READ[path]

    def _base_of(self, tree: Tree, here: tuple[Path, ...]) -> Path | str:
        """The file that a tree extends, or what is wrong with that."""
        parent = mapping(tree.value)["extends"]
        if not isinstance(parent, str):
            return f"{_NEEDS_BASE}: <provider>/baseline"
        try:
            base = self.path_of(parent, here[-1].parent)
        except UnknownScenarioError as error:
            return str(error)
        if base.resolve() in here:
            return f"{parent} extends this file in turn"
        return f"more than {MOST_LEVELS} levels of files" if len(here) > MOST_LEVELS else base


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _inside(folder: Path, name: str) -> Path | None:
    path = folder / f"{name}.yaml"
    known = _is_file(path) and path.resolve().is_relative_to(folder.resolve())
    return path if known else None


def _anchor(tree: Tree, folder: Path) -> None:
    """Let the local files of media rules be found from where the rules themselves stand."""
    media = tree.value.get("media") if isinstance(tree.value, dict) else None
    for rule in media if isinstance(media, list) else ():
        if isinstance(rule, dict) and isinstance(rule.get("file"), str):
            rule["file"] = str((folder / str(rule["file"])).resolve())


def _sound_part(
    value: Value, broken: Collection[Place], base: Mapping[str, Value] | None
) -> Value | None:
    """The file with the baseline's sections for its broken ones: names in the rest are judged too.

    None for a broken file that has no baseline to stand in.
    """
    if not broken:
        return value
    if base is None:
        return None
    lost = {place[0] for place in broken if place}
    return {**base, **{key: item for key, item in mapping(value).items() if key not in lost}}


def _is_below(place: Place, places: Collection[Place]) -> bool:
    return any(place[: len(above)] == above for above in places)


def _failed(tree: Tree, place: Place, message: str) -> Tree:
    tree = Tree(tree.value, tree.marks, list(tree.mistakes), whole=False)
    tree.mistakes.append(tree.mistake(place, message))
    return tree
