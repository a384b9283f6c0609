"""Find scenario files by name or path, resolve `extends`, and validate them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace as copy

from upsim.core.bounded_cache import BoundedCache
from upsim.core.nearest_names import closest, near_names
from upsim.core.provider import Provider
from upsim.scenario.common_scenarios import COMMON, Template
from upsim.scenario.merging import merged
from upsim.scenario.model import Change, Scenario
from upsim.scenario.yaml_tree import Mark, Mistake, Place, Tree, Value, items, mapping, read_tree

BASELINE = "baseline"
ALIASES = "aliases.yaml"
MAX_NAME_LENGTH = 250
MAX_PATH_LENGTH = 4096
SUFFIXES = (".yaml", ".yml")
MAX_LEVELS = 20
MAX_NEAR = 3
"""Number of scenarios that a message about an unknown name suggests."""
_NEEDS_BASE = "extends is missing"
_BASELINES = f"/{BASELINE}"
Stamp = tuple[int, int, int]
_READ: dict[Path, tuple[Tree, Stamp]] = {}


MAX_SHARED = 400
_Shared = BoundedCache[tuple[str, Path], tuple[Scenario, Mapping[Path, Stamp | None]]]
_SHARED = _Shared(MAX_SHARED)
"""Number of scenarios that all libraries of a program share; the least recently used one goes."""

MAX_REPORTED = 500
"""Maximum number of mistakes in one message."""


def join_mistakes(mistakes: Sequence[object]) -> str:
    """Return a message with one line for each mistake, up to `MAX_REPORTED` of them."""
    lines = [str(mistake) for mistake in mistakes[:MAX_REPORTED]]
    if len(mistakes) > MAX_REPORTED:
        lines.append(f"… and {len(mistakes) - MAX_REPORTED} more mistakes")
    return "\n".join(lines)


class ScenarioError(ValueError):
    """A scenario that cannot be used; `mistakes` holds all mistakes, sorted by place."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        """Keep the mistakes; the message has one line for each."""
        self.mistakes = sorted(mistakes)
        super().__init__(join_mistakes(self.mistakes))


class UnknownScenarioError(LookupError):
    """There is no scenario with this name; the message suggests the nearest names."""


class NoScenarioFileError(UnknownScenarioError):
    """There is no scenario file at this path; the message contains the absolute path.

    `as_given` is the same message with the path as the user wrote it.
    """

    def __init__(self, message: str, path: str, given: str) -> None:
        """Keep both messages; `path` is the path in `message`."""
        self.as_given = message.replace(repr(path), repr(given))
        super().__init__(message)


def shipped_root() -> Path:
    """Return the folder of the built-in scenarios, in the installed package or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent.parent / "scenarios"


def stamp_of(path: Path) -> Stamp | None:
    """Return a value that changes whenever the file changes (None: the file does not exist)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class Library:
    """The scenarios below one root folder; each file is read on first use and then cached.

    Files are read only once: `renewed` returns a library that reads them again. A provider of
    another package has its own scenario folder, which is found by the provider's name.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        folders: Callable[[], Mapping[str, Path]] = dict,
        kinds: Callable[[str], Mapping[str, str]] = lambda _provider: {},
    ) -> None:
        """Use the built-in scenarios unless another root is given.

        `folders` is called when needed and returns the scenario folders of other packages.
        `kinds` returns the operations of a provider with their kinds, for the validation of faults.
        """
        self._kinds = kinds
        self._root = root or shipped_root()
        self._folders = folders
        self._loaded: dict[str, Scenario] = {}
        self._trees: dict[str, Mapping[str, Value] | None] = {}
        self._stamps: dict[Path, Stamp | None] = {}
        self._sound: set[str] = set()

    def renewed(self) -> Library:
        """Return a library with the same folders and an empty cache."""
        return Library(self._root, folders=self._folders, kinds=self._kinds)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Return the names of the scenarios loaded so far."""
        return tuple(self._loaded)

    @property
    def stamps(self) -> Mapping[Path, Stamp | None]:
        """Return the files that were read, each with its stamp at that time."""
        return self._stamps

    def providers(self) -> tuple[str, ...]:
        """Return the providers that have a baseline in this library."""
        return tuple(name.partition("/")[0] for name in self.names() if name.endswith(_BASELINES))

    def names(self) -> tuple[str, ...]:
        """Return the names of all scenarios, in the form `<provider>/<name>`."""
        shipped = [(path.parent.name, path.stem) for path in self._root.glob("*/*.yaml")]
        brought = [
            (provider, path.stem)
            for provider, folder in self._folders().items()
            for path in folder.glob("*.yaml")
        ]
        files = {(folder, stem) for folder, stem in (*shipped, *brought) if folder != COMMON}
        templates = [stem for folder, stem in shipped if folder == COMMON]
        common = {(name, stem) for name, base in files if base == BASELINE for stem in templates}
        return tuple(sorted(f"{provider}/{stem}" for provider, stem in files | common))

    def baseline(self, provider: str) -> Scenario:
        """Return the baseline of a provider, as a scenario without changes."""
        return self.load(f"{provider}/{BASELINE}")

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Return the former names of scenarios, each with its present name."""
        path = self._root / ALIASES
        known = mapping(read_tree(path).value) if path.is_file() else {}
        return {old: str(new) for old, new in known.items()}

    def load(self, name: str) -> Scenario:
        """Return the scenario of a name or path. Raises UnknownScenarioError or ScenarioError."""
        if name not in self._loaded:
            self._loaded[name] = self._shared(name)
        return self._loaded[name]

    def remember(self, scenario: Scenario) -> None:
        """Add a scenario without a file; it takes precedence over a file of the same name."""
        self._loaded[scenario.name] = scenario

    def path_of(self, name: str, folder: Path | None = None) -> Path:
        """Return the file of a scenario.

        `name` is `<provider>/<name>`, or a path relative to `folder`.

        If a template defines the scenario, the result is the file of the template.
        """
        return self._found(name, folder)[0]

    def has(self, name: str) -> bool:
        """Return whether there is a file for a scenario."""
        try:
            self.path_of(name)
        except UnknownScenarioError:
            return False
        return True

    def template_of(self, name: str) -> Path | None:
        """Return the template of a scenario `<provider>/<name>` (None: it has its own file)."""
        path, provider = self._found(name)
        return path if provider else None

    def text_of(self, name: str) -> str:
        """Return the text of a scenario's file; a template is filled with the provider's words."""
        path, provider = self._found(name)
        text = path.read_text(encoding="utf-8")
        return self._template(path, provider).fill(text) if provider else text

    def summary_of(self, name: str) -> str:
        """Return the summary of a scenario, without validating the file."""
        path, provider = self._found(name)
        summary = str(mapping(read_tree(path).value).get("summary", ""))
        return self._template(path, provider).fill(summary) if provider else summary

    def _template(self, path: Path, provider: str) -> Template:
        return Template(path, provider, lambda: self.tree_of(provider))

    def _is_template(self, path: Path) -> bool:
        named = path.absolute().parent.name == COMMON
        return named and path.resolve().parent == (self._root / COMMON).resolve()

    def _found(self, name: str, folder: Path | None = None) -> tuple[Path, str]:
        """Return the file of a scenario, and the provider if it is a template (else "")."""
        if len(name) <= MAX_NAME_LENGTH:
            known = self.aliases.get(name, name)
            found = self._shipped(known)
            if found is not None:
                return found, ""
            provider, _, rest = known.partition("/")
            template = _inside(self._root / COMMON, rest)
            if template is not None and self._shipped(f"{provider}/{BASELINE}") is not None:
                return template, provider
        return self._by_path(name, folder), ""

    def _by_path(self, name: str, folder: Path | None) -> Path:
        path = Path(name) if folder is None else folder / name
        there = len(name) <= MAX_NAME_LENGTH and _is_file(path)
        if there and name.endswith(SUFFIXES):
            return path
        if there:
            msg = f"{name!r} is not a scenario file: it must be YAML and end in .yaml or .yml"
            raise UnknownScenarioError(msg)
        raise self._unknown(name[:MAX_NAME_LENGTH], path)

    def near(self, name: str) -> list[str]:
        """Return the scenarios that an unknown name may mean; a provider means its baseline.

        If the name has no provider, the result has the scenarios of all providers with that name.
        Otherwise it has the synonyms first, then similar and longer names of the same provider.
        """
        if name in self.providers():
            return [f"{name}/{BASELINE}"]
        near = near_names(name, [*self.names(), *self.aliases])
        found = list(dict.fromkeys(self.aliases.get(one, one) for one in near))
        if "/" in name:
            own = [one for one in found if one.partition("/")[0] == name.partition("/")[0]]
            from upsim.scenario.scenario_search import meant_names

            meant = meant_names(name, self.names(), self.aliases)
            longer = [one for one in self.names() if one.startswith(name) and name[-1] != "/"]
            return list(dict.fromkeys([*meant, *own, *longer, *found]))[:MAX_NEAR]
        short = {one.partition("/")[2] for one in found}
        return [
            *found,
            *(one for one in self.names() if one not in found and one.partition("/")[2] in short),
        ]

    def _unknown(self, name: str, path: Path) -> UnknownScenarioError:
        """Return the error for a name or a path without a scenario."""
        near = self.near(name)
        hint = f"did you mean {', '.join(near)}?" if near else "`upsim scenarios list` lists all"
        whole = os.path.abspath(str(path)[:MAX_PATH_LENGTH])  # noqa: PTH100 - without its `..`
        if name.endswith(SUFFIXES) or name.startswith(("/", "./", "../")):
            short = name.removesuffix(".yaml").removesuffix(".yml")
            ships = f"; the built-in scenario is called {short}" if short in self.names() else ""
            folder = "this is a folder" if _is_folder(path) else "the file does not exist"
            message = f"no scenario file {whole!r}: {folder}{ships}"
            return NoScenarioFileError(message, whole, name)
        if "/" in name and not near and name.partition("/")[0] not in self.providers():
            message = f"there is no scenario {name!r} and no file {whole!r}"
            return NoScenarioFileError(message, whole, name)
        return UnknownScenarioError(f"there is no scenario {name!r}; {hint}")

    def _shipped(self, name: str) -> Path | None:
        """Return the file of a name below the root, or in the folder of the provider's package."""
        found = _inside(self._root, name)
        if found is not None:
            return found
        provider, _, rest = name.partition("/")
        brought = self._folders().get(provider)
        return None if brought is None else _inside(brought, rest)

    def resolve(self, path: Path) -> Tree:
        """Return the tree of a file merged with everything that it extends."""
        return self._resolve(path, "", ())

    def resolve_all(self, path: Path) -> list[Tree]:
        """Return the resolved tree of a file; of a template, one tree for each provider."""
        providers = self.providers() if self._is_template(path) else [""]
        return [self._resolve(path, provider, ()) for provider in providers]

    def resolve_name(self, name: str) -> Tree:
        """Return the tree of a scenario, by name or path, merged with all that it extends."""
        return self._resolve(*self._found(name), ())

    def mistakes_in(
        self, tree: Tree, providers: Mapping[str, Provider] | None = None
    ) -> list[Mistake]:
        """Return all mistakes in a resolved tree, in syntax, schema and names.

        With `providers`, a name that the code of its provider does not have is a mistake too.
        """
        from upsim.scenario.validation import ScenarioValidator

        return ScenarioValidator(self.tree_of, self._kinds, self.providers).mistakes_in(
            tree, providers
        )

    def judged(self, name: str, providers: Mapping[str, Provider]) -> list[Mistake]:
        """Return all mistakes in a scenario file by name; a valid file is loaded."""
        found = self.mistakes_in(self.resolve_name(name), providers)
        if not found:
            self._sound.add(name)
        return found

    def named(self, error: ScenarioError) -> ScenarioError:
        """Return the error with the paths of built-in files replaced by scenario names."""
        return ScenarioError([copy(m, mark=self._named(m.mark)) for m in error.mistakes])

    def _named(self, mark: Mark) -> Mark:
        path = Path(mark.file)
        if path.is_relative_to(self._root):
            return copy(mark, file=f"{path.parent.name}/{path.stem}")
        brought = (name for name, folder in self._folders().items() if path.is_relative_to(folder))
        return next((copy(mark, file=f"{name}/{path.stem}") for name in brought), mark)

    def is_as_in(self, other: Library, name: str) -> bool:
        """Return whether the files of a scenario are unchanged since another library read them."""
        files = self.resolve_name(name).files
        return all(self._stamps[file] == other.stamps.get(file) for file in files)

    def tree_of(self, provider: str) -> Mapping[str, Value] | None:
        """Return the resolved tree of a provider's baseline (None: unknown provider)."""
        if provider not in self._trees:
            name = f"{provider}/{BASELINE}"
            found = self.resolve_name(name) if self._shipped(name) is not None else None
            self._trees[provider] = None if found is None else mapping(found.value)
        return self._trees[provider]

    def _shared(self, name: str) -> Scenario:
        """Return a scenario from the cache of all libraries, if its files are unchanged.

        With this cache, a test suite with a simulator for each test validates a scenario only once.
        """
        if self._root != shipped_root():
            return self._read(name)[0]
        place = name, self.path_of(name).absolute()
        known = _SHARED.pop(place, None)
        if known is None or any(stamp_of(path) != stamp for path, stamp in known[1].items()):
            known = self._read(name)
        _SHARED[place] = known
        self._stamps.update(known[1])
        return known[0]

    def _read(self, name: str) -> tuple[Scenario, Mapping[Path, Stamp | None]]:
        path = self.path_of(name)
        tree = self.resolve_name(name)
        stamps = {file: self._stamps[file] for file in tree.files}
        shipped = path.is_relative_to(self._root)
        known = shipped or name in self._sound
        mistakes = tree.mistakes if known else self.mistakes_in(tree)
        if mistakes:
            raise ScenarioError(mistakes)
        return built(name, tree, path.parent), stamps

    def _resolve(self, path: Path, provider: str, above: tuple[Path, ...]) -> Tree:
        tree = self._tree_at(path, provider)
        if not tree.whole:
            return tree
        if above:
            _anchor(tree, path.parent)
        if not {"extends", "provider"} & mapping(tree.value).keys():
            key = closest("extends", mapping(tree.value))
            if key:
                return _failed(tree, (key,), "unknown key; did you mean extends?")
            return _failed(tree, (), f"{_NEEDS_BASE}; write extends: <provider>/baseline")
        if "extends" not in mapping(tree.value):
            return tree
        here = (*above, path.resolve())
        base = self._base_of(tree, here)
        if isinstance(base, str):
            return _failed(tree, ("extends",), base)
        return merged(self._resolve(*base, here), tree)

    def _unusable(self, path: Path) -> Tree:
        """Return the tree of a template that the user named as if it were a scenario."""
        tree = read_tree(path)
        names = " or ".join(f"{provider}/{path.stem}" for provider in self.providers())
        return _failed(tree, (), f"this is a template of every provider; use {names}")

    def _tree_at(self, path: Path, provider: str) -> Tree:
        """Return the tree of one file; trees of built-in files are cached and never modified."""
        stamp = self._stamps[path] = stamp_of(path)
        if provider:  # its words can change with the baseline
            tree = self._template(path, provider).tree()
            tree.files = (path,)
            return tree
        if self._is_template(path):
            return self._unusable(path)
        known = _READ.get(path)
        if known is not None and known[1] == stamp:
            return known[0]
        tree = read_tree(path)
        tree.files = (path,)
        if stamp is not None and path.is_relative_to(shipped_root()):
            _READ[path] = (tree, stamp)
        return tree

    def _base_of(self, tree: Tree, here: tuple[Path, ...]) -> tuple[Path, str] | str:
        """Return the file that a tree extends, as `_found` does, or a message why there is none."""
        parent = mapping(tree.value)["extends"]
        if not isinstance(parent, str):
            return f"{_NEEDS_BASE}: <provider>/baseline"
        try:
            base = self._found(parent, here[-1].parent)
        except UnknownScenarioError as error:
            return str(error)
        if base[0].resolve() in here:
            return f"{parent} extends this file, directly or indirectly"
        return f"more than {MAX_LEVELS} levels of files" if len(here) > MAX_LEVELS else base


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # an impossible file name
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # an impossible name
        return False


def _inside(folder: Path, name: str) -> Path | None:
    path = folder / f"{name}.yaml"
    known = _is_file(path) and path.resolve().is_relative_to(folder.resolve())
    return path if known else None


def built(name: str, tree: Tree, folder: Path) -> Scenario:
    """Return the scenario of a valid tree; its changes contain complete scenarios."""
    from upsim.scenario.build import build_scenario
    from upsim.scenario.changes import stages

    def with_values(part: Tree) -> Scenario:
        values = mapping(part.value)
        return replace(build_scenario(name, values, folder), values=values)

    later = tuple(Change(stage.after, stage.at, with_values(stage.tree)) for stage in stages(tree))
    return replace(with_values(tree), changes=later)


def _anchor(tree: Tree, folder: Path) -> None:
    """Make the local files in media rules absolute, starting from the folder of the rules' file."""
    root = mapping(tree.value)
    changed = [mapping(mapping(node).get("set")) for node in items(root.get("changes"))]
    for rule in [rule for part in (root, *changed) for rule in items(part.get("media"))]:
        if isinstance(rule, dict) and isinstance(rule.get("file"), str):
            rule["file"] = str((folder / str(rule["file"])).resolve())


def _failed(tree: Tree, place: Place, message: str) -> Tree:
    tree = Tree(tree.value, tree.marks, list(tree.mistakes), whole=False, files=tree.files)
    tree.mistakes.append(tree.mistake(place, message))
    return tree
