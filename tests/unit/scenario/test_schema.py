"""One schema, two views: strict for resolved files, published for editors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from upsim.cli import main
from upsim.core.baseline import RateLimit
from upsim.core.faults import STAGES
from upsim.core.media import Container
from upsim.core.states import TERMINAL
from upsim.scenario.job_rules import STATES
from upsim.scenario.loader import Library
from upsim.scenario.schema import resolved_schema, sections, source
from upsim.scenario.schema_files import published, schema_of
from upsim.scenario.schema_validation import jsonable
from upsim.scenario.yaml_tree import parse_tree

LIBRARY = Library()
PUBLISHED = schema_of(LIBRARY)
EDITOR = Draft202012Validator(PUBLISHED)
ANY = Draft202012Validator(schema_of(LIBRARY, ()))
OWN = {name: Draft202012Validator(schema_of(LIBRARY, [name])) for name in LIBRARY.providers()}


def properties(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield each property of a schema with its path."""
    if isinstance(node, dict):
        found = node.get("properties")
        for name, value in found.items() if isinstance(found, dict) else ():
            yield f"{path}/{name}", value
        for name, value in node.items():
            yield from properties(value, f"{path}/{name}")


def objections(text: str) -> list[str]:
    """Return what an editor says against a file."""
    return [error.message for error in EDITOR.iter_errors(jsonable(parse_tree(text, "f").value))]


def test_schema_files_are_written_for_an_editor(tmp_path: Path) -> None:
    """`--write` writes a schema with its own names to each provider's folder.

    The schema in the folder above has no provider names.
    """
    folder = tmp_path / "new"
    done = CliRunner().invoke(main, ["scenarios", "schema", "--write", str(folder)])
    texts = {
        file.relative_to(folder).as_posix(): file.read_text("utf-8") for file in folder.rglob("*.*")
    }
    own = {f"{name}/schema.json": published(LIBRARY, [name]) for name in LIBRARY.providers()}

    assert (0, "") == (done.exit_code, done.stdout)
    assert {"schema.json": published(LIBRARY, ()), **own} == texts
    assert [] == [name for name in LIBRARY.providers() if name in texts["schema.json"]]


def test_schema_files_of_one_provider_or_none(tmp_path: Path) -> None:
    """`--write` takes a PROVIDER and `--no-names`, and reports a folder that it cannot write."""
    for index, (options, names) in enumerate(
        [(["vicsee"], ["schema.json", "vicsee/schema.json"]), (["--no-names"], ["schema.json"])]
    ):
        folder = tmp_path / str(index)
        CliRunner().invoke(main, ["scenarios", "schema", *options, "--write", str(folder)])
        found = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
        assert set(names) == found
    (tmp_path / "file").write_text("", "utf-8")
    refused = CliRunner().invoke(
        main, ["scenarios", "schema", "--write", str(tmp_path / "file" / "below")]
    )
    assert refused.exit_code == 2
    assert "cannot write" in refused.stderr
    assert "Not a directory" in refused.stderr


@pytest.mark.parametrize("schema", [source(), resolved_schema(), PUBLISHED], ids=["s", "r", "p"])
def test_each_view_is_a_schema(schema: dict[str, Any]) -> None:
    """The source, strict and published schemas are all valid JSON Schemas."""
    Draft202012Validator.check_schema(schema)

    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]


def test_enumerations_match_the_code() -> None:
    """The schema lists exactly the stages, states, ends, containers and windows of the code."""
    defs, root = source()["$defs"], source()["properties"]
    step = defs["job_rule"]["properties"]["lifecycle"]["items"]["properties"]
    ends = root["refund"]["properties"]["states"]["items"]
    containers = [defs[name]["properties"]["container"] for name in ("media", "media_rule")]

    assert list(STAGES) == defs["fault"]["properties"]["at"]["enum"]
    assert list(STATES) == defs["state"]["enum"] == list(step)
    assert {state.value for state in TERMINAL} - {"deleted"} == set(ends["enum"])
    assert [list(get_args(Container))] * 2 == [one["enum"] for one in containers]
    windows = get_args(get_type_hints(RateLimit)["per"])
    assert list(windows) == defs["rate_limit"]["properties"]["per"]["enum"]


def test_custom_keywords_are_used_and_unpublished() -> None:
    """Each custom schema keyword is read by the code and absent from the published schema."""
    known = {"x-always", "x-fixed", "x-closed", "x-new", "x-without"}
    used = {key for key in keys(source()) if key.startswith("x-")}

    assert known == used
    assert [] == [key for key in (*keys(PUBLISHED), *keys(resolved_schema())) if key in known]
    assert set(sections("x-new")) == {"plans", "models", "errors", "failures"}


def keys(node: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield every key of a schema."""
    for item in node if isinstance(node, list) else ():
        yield from keys(item)
    for key, value in node.items() if isinstance(node, dict) else ():
        yield key
        yield from keys(value)


def test_every_key_has_a_description() -> None:
    """Each key in the schema has a description for editors."""
    nameless = [path for path, node in properties(source()) if not node.get("description")]

    assert [] == nameless


def test_shipped_files_are_valid_in_an_editor() -> None:
    """Each shipped file is valid by the schema in its folder and by the general schema.

    Whether a file is valid with everything it extends is checked with the baselines.
    """
    found = {
        name: [
            error.message
            for judge in (EDITOR, ANY, OWN[name.partition("/")[0]])
            for error in judge.iter_errors(jsonable(parse_tree(LIBRARY.text_of(name), name).value))
        ]
        for name in LIBRARY.names()
    }

    assert {} == {name: messages for name, messages in found.items() if messages}


def test_shipped_files_name_their_schema() -> None:
    """The first line of each shipped file names its schema for editors."""
    expected = {
        name: "../schema.json" if LIBRARY.template_of(name) else "schema.json"
        for name in LIBRARY.names()
    }
    first = {name: LIBRARY.text_of(name).partition("\n")[0] for name in LIBRARY.names()}

    assert {
        name: f"# yaml-language-server: $schema={schema}" for name, schema in expected.items()
    } == first


@pytest.mark.parametrize(
    "text",
    [
        "extends: vicsee/baseline",
        "extends: ./mine.yaml",
        "extends: vicsee/baseline\nerrors: {too_long: {status: 410}}",
        "extends: vicsee/baseline\nseed: ${SEED:-7}\nclock: ${CLOCK:-auto}",
        "extends: vicsee/baseline\nknobs: {rate_scope: '${SCOPE:-all}'}",
        "extends: vicsee/baseline\nmedia: [{url: x, duration: 12.5, fps: 29.97}]",
        "extends: vicsee/baseline\naccounts: {vicsee: {plan: mine}}",
        "extends: vicsee/baseline\nrefund: {after: 1h}",
        "extends: vicsee/baseline\nrefund: {after: '3600'}",
    ],
)
def test_files_that_the_schema_accepts(text: str) -> None:
    """A file that extends another needs no other key, and may use variables anywhere."""
    assert [] == objections(text)


@pytest.mark.parametrize(
    "text",
    [
        "summary: x",
        "provider: vicsee",
        "extends: vicsee/baseline\nkobs: {}",
        "extends: vicsee/baseline\nseed: x",
        "extends: vicsee/baseline\nknobs: {rate_scope: sometimes}",
        "extends: vicsee/baseline\njobs: [{when: {}}]",
        "extends: vicsee/baseline\njobs: [{lifecycle: [{wating: 1s}]}]",
        "extends: vicsee/baseline\nmedia: [{duration: 5}]",
        "extends: vicsee/baseline\nrefund: {after: 1 hour}",
    ],
)
def test_files_that_the_schema_refuses(text: str) -> None:
    """The schema refuses unknown keys, wrong values and items with missing parts."""
    assert [] != objections(text)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("extends",), "venice/live-api"),
        (("accounts", "properties", "vicsee", "properties", "plan"), "starter"),
    ],
)
def test_names_that_an_editor_completes(path: tuple[str, ...], name: str) -> None:
    """The schema offers existing scenarios and plans, and also accepts other names."""
    node = PUBLISHED["properties"]
    for part in path:
        node = node[part]

    assert name in node["anyOf"][0]["enum"]
    assert {} == node["anyOf"][1]


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_the_names_of_a_provider(provider: str) -> None:
    """The schema offers the baseline's knobs, errors, limits, failures and plans with texts."""
    offered = PUBLISHED["$defs"][f"names-{provider}"]["properties"]
    tree = LIBRARY.tree_of(provider) or {}

    for section in ("knobs", "errors", "limits", "plans", "failures", "models"):
        assert list(offered[section]["properties"]) == list(tree[section])  # type: ignore[arg-type]


def test_a_new_provider_needs_no_edit_of_the_schema() -> None:
    """The names in the schema come from the existing baselines."""
    toy = Path(__file__).parents[2] / "fixtures/toy_provider/scenarios/toytown"
    library = Library(folders=lambda: {"toytown": toy})

    assert "names-toytown" in schema_of(library)["$defs"]
    assert "toytown" not in str(source())
